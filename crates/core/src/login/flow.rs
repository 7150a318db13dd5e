//! A login in progress: one value per browser that lists its tabs, one value per tab.
//!
//! The browser's id stands in a signed cookie, the tab's id in the address; both are needed (AZ-24). Every page carries a
//! session code of its own, of which only the latest is taken (SE-04). What a tab asked for stays here and is never
//! read back from the page.
//!
//! **Owns** tabs and how far each is, the browser that lists them ([`Browser`]), what it keeps to begin again ([`Restart`]). **Does not
//! own** which step comes next ([`super::next`]), where values live (idp).
//! **Flow** a request makes a [`Tab`] -> its [`Stage`] is consumed step by step -> the login ends, or [`Restart`] begins it again.

mod browser;
mod restart;

use std::collections::BTreeMap;

use portcullis_jose::digest::{base64url_encode, constant_time_eq, sha256};
use serde::{Deserialize, Serialize};

use super::factors;
use crate::entropy::{self, Entropy};
use crate::ids::{ClientScopeId, ClientUuid, SessionId, UserId};
use crate::oauth::authorize::AuthorizeRequest;
use crate::secret::Secret;

pub use browser::{Browser, MAX_TABS, browser_cookie, new_browser_id, read_browser_cookie};
pub use restart::Restart;

/// Format number of [`Browser`] and [`Tab`]; another one starts the flow over.
pub const FLOW_FORMAT: u32 = 1;

/// What a tab is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Purpose {
    /// A login for a client.
    Login(Box<LoginTab>),
    /// A logout that waits for a yes.
    Logout(LogoutTab),
}

/// One tab of a browser.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tab {
    /// [`FLOW_FORMAT`].
    pub format: u32,
    /// Seconds; compared with `now`.
    pub expires_at: i64,
    /// 11 characters of the address.
    pub id: String,
    /// SHA-256 of the one session code that is taken.
    code: Option<String>,
    /// What for.
    pub purpose: Purpose,
}

/// A login in a tab.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LoginTab {
    /// What the client asked for, as validated.
    pub request: AuthorizeRequest,
    /// How far it is.
    pub stage: Stage,
    /// The id of the page that is shown: an uuid, or the alias of a required action.
    pub execution: String,
    /// What the next page says first.
    pub notice: Option<Notice>,
    /// The name typed last.
    pub attempted: Option<String>,
    /// The seed of a device that is being added: sealed, and bound to its user.
    #[serde(default)]
    pub seed: Option<String>,
    /// What the consent page showed last.
    #[serde(default)]
    pub shown: Vec<ClientScopeId>,
}

/// A logout that waits for a yes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogoutTab {
    /// The client that asked, if it is known.
    pub client: Option<ClientUuid>,
    /// Its `client_id`, else `account` (Keycloak 26.4).
    pub client_id: String,
    /// Where to go afterwards: matched when the page was made, and matched again.
    pub redirect: Option<String>,
    /// `state` to give back.
    pub state: Option<String>,
    /// The session that an earlier try could not end: its cookies are gone already.
    #[serde(default)]
    pub session: Option<SessionId>,
    /// `ui_locales` of the request.
    #[serde(default)]
    pub ui_locales: Vec<String>,
}

/// A notice above the next page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Notice {
    /// An older page was submitted (`expiredActionMessage`).
    ActionExpired,
    /// The flow was gone and began again (`loginTimeout`).
    LoginTimeout,
}

/// How far a login is. Transitions consume the stage, so that none is taken twice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stage {
    /// Nothing was proven in this tab.
    Fresh,
    /// Nothing was proven in this tab; the browser's session must be confirmed by its own user (`prompt=login`, `max_age`).
    Reauthenticate {
        /// The session.
        session: SessionId,
        /// Its user: nobody else may answer (SE-22).
        user: UserId,
        /// The session would do, but for a higher level (RFC 9470).
        #[serde(default)]
        step_up: bool,
    },
    /// Somebody proved who it is; actions may be owed.
    Authenticated(Proof),
}

/// What was proven, by whom and when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// Who.
    pub user: UserId,
    /// When, seconds.
    pub auth_time: i64,
    /// The session that stood before, if it is continued.
    pub session: Option<SessionId>,
    /// Whether the proof was given in this flow (`acr` 1) or is the session's (`acr` 0).
    pub fresh: bool,
    /// Whether the session outlives the browser.
    pub remember_me: bool,
    /// Whether a second factor is still to be shown.
    pub second_factor_owed: bool,
    /// Factors to be kept as session notes.
    pub notes: BTreeMap<String, String>,
    /// What the user allowed the client in this login.
    #[serde(default)]
    pub consented: Vec<ClientScopeId>,
}

/// A stage that does not take this answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongStage;

impl Stage {
    /// A password was right. In a reauthentication it must be the session's own user.
    ///
    /// # Errors
    /// [`WrongStage`] for another user, or where the proof was given already (AZ-30).
    pub fn password_given(self, user: UserId, now: i64, facts: PasswordFacts) -> Result<Self, WrongStage> {
        let session = match self {
            Self::Fresh => None,
            Self::Reauthenticate { session, user: expected, .. } if expected == user => Some(session),
            Self::Reauthenticate { .. } | Self::Authenticated(_) => return Err(WrongStage),
        };
        let mut notes = BTreeMap::new();
        factors::prove(&mut notes, factors::PASSWORD, now);
        Ok(Self::Authenticated(Proof {
            user,
            auth_time: now,
            session,
            fresh: true,
            remember_me: facts.remember_me,
            second_factor_owed: facts.second_factor_owed,
            notes,
            consented: Vec::new(),
        }))
    }

    /// A one-time code of `user` was right.
    ///
    /// # Errors
    /// [`WrongStage`] for another user than the one whose password was right (MF-10), or where no code is waited for.
    pub fn one_time_code_given(self, user: &UserId, now: i64) -> Result<Self, WrongStage> {
        match self {
            Self::Authenticated(mut proof) if proof.second_factor_owed && proof.user == *user => {
                proof.second_factor_owed = false;
                proof.auth_time = now;
                factors::prove(&mut proof.notes, factors::ONE_TIME_CODE, now);
                Ok(Self::Authenticated(proof))
            }
            Self::Fresh | Self::Reauthenticate { .. } | Self::Authenticated(_) => Err(WrongStage),
        }
    }

    /// The user said yes to what was shown.
    ///
    /// # Errors
    /// [`WrongStage`] where nobody proved who it is (AZ-30).
    pub fn consent_given(self, shown: Vec<ClientScopeId>) -> Result<Self, WrongStage> {
        match self {
            Self::Authenticated(mut proof) if !proof.second_factor_owed => {
                proof.consented.extend(shown);
                Ok(Self::Authenticated(proof))
            }
            Self::Fresh | Self::Reauthenticate { .. } | Self::Authenticated(_) => Err(WrongStage),
        }
    }

    /// What the user allowed the client in this login.
    #[must_use]
    pub fn consented(&self) -> &[ClientScopeId] {
        match self {
            Self::Authenticated(proof) => &proof.consented,
            Self::Fresh | Self::Reauthenticate { .. } => &[],
        }
    }

    /// Whether the login waits for a one-time code.
    #[must_use]
    pub fn owes_second_factor(&self) -> bool {
        match self {
            Self::Authenticated(proof) => proof.second_factor_owed,
            Self::Fresh | Self::Reauthenticate { .. } => false,
        }
    }

    /// Single sign-on: the session stands for the user.
    #[must_use]
    pub fn single_sign_on(user: UserId, session: SessionId, auth_time: i64, remember_me: bool) -> Self {
        Self::Authenticated(Proof {
            user,
            auth_time,
            session: Some(session),
            fresh: false,
            remember_me,
            second_factor_owed: false,
            notes: BTreeMap::new(),
            consented: Vec::new(),
        })
    }

    /// Who it is, once known.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Fresh => None,
            Self::Reauthenticate { user, .. } => Some(user),
            Self::Authenticated(proof) => Some(&proof.user),
        }
    }
}

/// What came along with a right password.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PasswordFacts {
    /// The box was ticked and the realm offers it.
    pub remember_me: bool,
    /// The account has a second factor.
    pub second_factor_owed: bool,
}

impl Tab {
    /// A new tab.
    #[must_use]
    pub fn new(purpose: Purpose, expires_at: i64, entropy: &dyn Entropy) -> Self {
        Self { format: FLOW_FORMAT, expires_at, id: entropy::token::<8>(entropy), code: None, purpose }
    }

    /// Reads a stored tab. Another format or a past end is no tab.
    #[must_use]
    pub fn read(bytes: &[u8], now: i64) -> Option<Self> {
        let tab: Self = serde_json::from_slice(bytes).ok()?;
        (tab.format == FLOW_FORMAT && tab.expires_at > now).then_some(tab)
    }

    /// As stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Mints the session code of the page that is about to be shown; the one before is dead.
    pub fn mint_code(&mut self, entropy: &dyn Entropy) -> Secret {
        let code = entropy::token::<32>(entropy);
        self.code = Some(digest(&code));
        Secret::new(code)
    }

    /// Whether it is the latest page's code.
    #[must_use]
    pub fn code_matches(&self, code: &str) -> bool {
        self.code.as_deref().is_some_and(|kept| constant_time_eq(kept.as_bytes(), digest(code).as_bytes()))
    }

    /// The login, if it is one.
    #[must_use]
    pub fn login(&self) -> Option<&LoginTab> {
        match &self.purpose {
            Purpose::Login(login) => Some(login),
            Purpose::Logout(_) => None,
        }
    }

    /// The login, if it is one.
    pub fn login_mut(&mut self) -> Option<&mut LoginTab> {
        match &mut self.purpose {
            Purpose::Login(login) => Some(login),
            Purpose::Logout(_) => None,
        }
    }
}

impl LoginTab {
    /// At its beginning.
    #[must_use]
    pub fn new(request: AuthorizeRequest, stage: Stage, entropy: &dyn Entropy) -> Self {
        Self {
            request,
            stage,
            execution: entropy::uuid(entropy),
            notice: None,
            attempted: None,
            seed: None,
            shown: Vec::new(),
        }
    }
}

fn digest(code: &str) -> String {
    base64url_encode(&sha256(code.as_bytes()))
}

#[cfg(test)]
pub(crate) mod tests;

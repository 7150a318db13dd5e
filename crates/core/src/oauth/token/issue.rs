//! What a grant gives: facts from which the tokens are made, and the refresh token's terms.

use super::{Context, Decision, GrantType};
use crate::claims::tokens::{self, AccessPayload, Hashes, RefreshFacts, Stamp};
use crate::claims::{Facts, LIGHTWEIGHT_ATTRIBUTE};
use crate::client::Client;
use crate::entropy::uuid;
use crate::ids::KeyId;
use crate::key::{KeyStatus, RealmKey};
use crate::oauth::error::Reason;
use crate::oauth::grants::client_credentials;
use crate::oauth::grants::token_exchange::ID_TOKEN;
use crate::oauth::resource;
use crate::oauth::scope::ActiveScopes;
use crate::records::RealmRecords;
use crate::session::{ClientSession, Grant, UserSession};
use crate::session_limits;
use crate::user::User;

/// Client attribute: `false` means no refresh tokens.
const USE_REFRESH_TOKENS: &str = "use.refresh.tokens";

/// Tokens to be made. They are signed after the plan was applied.
#[derive(Debug)]
pub struct Issue<'a> {
    /// The realm.
    pub records: &'a RealmRecords,
    /// For whom.
    pub client: &'a Client,
    /// About whom.
    pub user: &'a User,
    /// The session behind it.
    pub session: UserSession,
    /// The session is for these tokens alone: it is not stored and not named (client credentials).
    pub transient: bool,
    /// What was granted.
    pub grant: Grant,
    /// The client scopes in force.
    pub scopes: ActiveScopes<'a>,
    /// `scope` of the answer where it is not that of the access token: an offline refresh names all that was granted (Keycloak 26.4).
    pub answer_scope: Option<String>,
    /// The only audiences that the access token names, with their roles, where some were asked for (RFC 8693 §2.1).
    pub audiences: Option<Vec<String>>,
    /// `issued_token_type` (RFC 8693 §2.2.1).
    pub issued_token_type: Option<&'static str>,
    /// No ID token, although `openid` is in force.
    pub without_id: bool,
    /// By which grant.
    pub kind: GrantType,
    /// `iat`, seconds.
    pub issued_at: i64,
    /// `exp` of access and ID token, seconds.
    pub access_expires_at: i64,
    /// The realm's issuer.
    pub issuer: String,
    /// The refresh token, unless the client uses none.
    pub refresh: Option<RefreshStamp>,
}

/// What the refresh token says besides the issue itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefreshStamp {
    /// `jti`.
    pub id: String,
    /// `iat`, seconds.
    pub issued_at: i64,
    /// `exp`, seconds; 0: none.
    pub expires_at: i64,
    /// Names of all client scopes that were granted at first.
    pub scope: String,
    /// The family, where rotation is on.
    pub reuse_id: Option<String>,
    /// The resources that were granted at first; a family knows them itself.
    pub resources: Vec<String>,
    /// The HMAC key that signs it.
    pub key: KeyId,
}

/// What a refresh token's family adds to an issue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FamilyTerms {
    pub(crate) reuse_id: String,
    pub(crate) id: String,
    pub(crate) issued_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) key: KeyId,
}

impl FamilyTerms {
    /// The next token of the family.
    fn stamp(self, scope: &str) -> RefreshStamp {
        RefreshStamp {
            id: self.id,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            scope: scope.to_owned(),
            reuse_id: Some(self.reuse_id),
            resources: Vec::new(),
            key: self.key,
        }
    }
}

/// A refresh token of no family: it is not used up.
fn alone(cx: &Context<'_>, to: &Recipient<'_>, scope: &str) -> Result<RefreshStamp, Reason> {
    let (realm, now) = (&cx.records.realm, cx.now.secs());
    Ok(RefreshStamp {
        id: uuid(cx.entropy),
        issued_at: now,
        expires_at: session_limits::refresh_expires_at(realm, to.client, &to.session, to.client_started, now),
        scope: scope.to_owned(),
        reuse_id: None,
        resources: to.grant.resources.clone(),
        key: active_hmac(cx.records).ok_or(Reason::Unavailable)?.kid.clone(),
    })
}

/// Whether the client gets refresh tokens at all.
#[must_use]
pub(crate) fn uses_refresh_tokens(client: &Client) -> bool {
    client.attribute(USE_REFRESH_TOKENS) != Some("false")
}

/// The key that signs refresh tokens: the active HS512 key of highest priority.
#[must_use]
pub(crate) fn active_hmac(records: &RealmRecords) -> Option<&RealmKey> {
    let fitting = records.keys.iter().filter(|k| k.status == KeyStatus::Active && k.algorithm == "HS512");
    fitting.max_by_key(|k| k.priority)
}

/// Who gets what by which grant.
pub(crate) struct Recipient<'a> {
    pub(crate) client: &'a Client,
    pub(crate) user: &'a User,
    pub(crate) session: UserSession,
    pub(crate) grant: Grant,
    pub(crate) client_started: i64,
}

/// Assembles an issue. `scopes` are those of the access token, `all` those the refresh token keeps.
pub(crate) fn issue<'a>(
    cx: &Context<'a>,
    kind: GrantType,
    to: Recipient<'a>,
    (scopes, all): (ActiveScopes<'a>, &str),
    family: Option<FamilyTerms>,
) -> Result<Issue<'a>, Reason> {
    let now = cx.now.secs();
    let (transient, refreshes) = match kind {
        GrantType::ClientCredentials => {
            let keeps = client_credentials::keeps_session(to.client);
            (!keeps, keeps)
        }
        GrantType::AuthorizationCode
        | GrantType::RefreshToken
        | GrantType::Password
        | GrantType::DeviceCode
        | GrantType::TokenExchange => (false, uses_refresh_tokens(to.client)),
        // RFC 6749 §4.2.2: no refresh token by the browser.
        GrantType::Implicit => (false, false),
    };
    let refresh = match (refreshes, family) {
        (false, _) => None,
        (true, Some(family)) => Some(family.stamp(all)),
        (true, None) => Some(alone(cx, &to, all)?),
    };
    Ok(Issue {
        records: cx.records,
        client: to.client,
        user: to.user,
        access_expires_at: session_limits::access_expires_at(&cx.records.realm, to.client, Some(&to.session), now),
        session: to.session,
        transient,
        grant: Grant { resources: resource::narrowed(to.client, &to.grant.resources, cx.resources)?, ..to.grant },
        scopes: scopes.permitted(cx.records, to.user),
        answer_scope: None,
        audiences: None,
        issued_token_type: None,
        without_id: false,
        kind,
        issued_at: now,
        issuer: cx.issuer.to_owned(),
        refresh,
    })
}

impl Issue<'_> {
    /// Whether those behind the tokens still stand, by rows that were read after the plan was applied. `false`: the client's part of
    /// the session is over, as it is for who refreshed first when others come with the same token (RT-01): the tokens are given, and
    /// keep a date at which they are dead.
    ///
    /// # Errors
    /// [`Reason::UserDisabled`]: the account is gone or switched off; [`Reason::SessionNotActive`]: the session is over.
    pub fn stands(
        &self,
        user: Option<&User>,
        behind: Option<&(UserSession, Option<ClientSession>)>,
    ) -> Result<bool, Reason> {
        if !user.is_some_and(|user| user.id == self.user.id && user.enabled) {
            return Err(Reason::UserDisabled);
        }
        if self.transient {
            return Ok(true);
        }
        let below = behind.filter(|(session, _)| session.id == self.session.id).map(|(_, below)| below);
        below.map(Option::is_some).ok_or(Reason::SessionNotActive)
    }

    /// Tokens of the user up to `before` (seconds) are dead: these are made the second after, so that they live. Only for what
    /// [`Self::stands`].
    pub fn make_after(&mut self, before: i64) {
        let earliest = before.saturating_add(1);
        self.issued_at = self.issued_at.max(earliest);
        if let Some(refresh) = &mut self.refresh
            && refresh.reuse_id.is_none()
        {
            refresh.issued_at = refresh.issued_at.max(earliest);
        }
    }

    /// Whether an ID token is all that was asked for: it stands where the access token would (RFC 8693 §2.2.1).
    #[must_use]
    pub fn is_id_alone(&self) -> bool {
        self.issued_token_type == Some(ID_TOKEN)
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            records: self.records,
            client: self.client,
            user: self.user,
            session: Some(&self.session),
            transient: self.transient,
            grant: &self.grant,
            scopes: &self.scopes,
            audiences: self.audiences.as_deref(),
            issuer: &self.issuer,
        }
    }

    fn stamp<'s>(&self, id: &'s str) -> Stamp<'s> {
        Stamp { issued_at: self.issued_at, expires_at: self.access_expires_at, id }
    }

    /// The access token's payload. `id` is a fresh uuid; Keycloak's prefix (session type, token type, grant) is put before it.
    #[must_use]
    pub fn access(&self, id: &str) -> AccessPayload {
        let token = if self.client.flag(LIGHTWEIGHT_ATTRIBUTE) { "lt" } else { "rt" };
        let session = match (self.transient, self.scopes.offline()) {
            (true, _) => "tr",
            (false, true) => "of",
            (false, false) => "on",
        };
        let id = format!("{session}{token}{}:{id}", self.kind.shortcut());
        tokens::access(&self.facts(), self.stamp(&id))
    }

    /// The ID token's payload, when `openid` was granted. `at_hash` belongs to the signed access token.
    #[must_use]
    pub fn id(&self, id: &str, at_hash: &str) -> Option<Vec<u8>> {
        let hashes = Hashes { access: Some(at_hash), ..Hashes::default() };
        self.scopes.openid().then(|| self.front_id(id, hashes))
    }

    /// The payload of an ID token that was asked for by name (`response_type`). `hashes` are those of what travels with it.
    #[must_use]
    pub fn front_id(&self, id: &str, hashes: Hashes<'_>) -> Vec<u8> {
        // OIDC Core §12.2: a refreshed ID token has no nonce.
        let nonce = match self.kind {
            GrantType::AuthorizationCode | GrantType::DeviceCode | GrantType::Implicit => self.grant.nonce.as_deref(),
            GrantType::RefreshToken | GrantType::Password | GrantType::ClientCredentials | GrantType::TokenExchange => {
                None
            }
        };
        tokens::id(&self.facts(), self.stamp(id), hashes, nonce)
    }

    /// The refresh token's payload and the key that signs it. `has_subject` is that of the access token.
    #[must_use]
    pub fn refresh(&self, has_subject: bool) -> Option<(Vec<u8>, &KeyId)> {
        let stamp = self.refresh.as_ref()?;
        let payload = tokens::refresh(&RefreshFacts {
            stamp: Stamp { issued_at: stamp.issued_at, expires_at: stamp.expires_at, id: &stamp.id },
            issuer: &self.issuer,
            subject: has_subject.then(|| self.user.id.as_str()),
            client_id: &self.client.client_id,
            session: self.session.id.as_str(),
            offline: self.session.offline,
            scope: &stamp.scope,
            reuse_id: stamp.reuse_id.as_deref(),
            resources: &stamp.resources,
        });
        Some((payload, &stamp.key))
    }
}

impl<'a> From<Result<Issue<'a>, Reason>> for Decision<'a> {
    fn from(answer: Result<Issue<'a>, Reason>) -> Self {
        Self { plan: crate::plan::Plan::none(), answer }
    }
}

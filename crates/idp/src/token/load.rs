//! What each grant needs from the store before it decides.

use std::sync::Arc;

use portcullis_core::client::Client;
use portcullis_core::flow::IssuedCode;
use portcullis_core::ids::{RealmId, SessionId};
use portcullis_core::login::required_action;
use portcullis_core::oauth::device as law;
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::grants::{
    Login, authorization_code, client_credentials, device, password, refresh, token_exchange,
};
use portcullis_core::oauth::token::{Context, Opened};
use portcullis_core::pending::{Consent, DeviceState};
use portcullis_core::plan::Gate;
use portcullis_core::secret::Secret;
use portcullis_core::session::{ClientSession, UserSession};
use portcullis_core::user::User;
use portcullis_core::user::profile::own::OwnProfile;
use portcullis_jose::{Algorithm, Limits, jws};
use portcullis_store::{ApplyError, Key, Kind};

use super::{Call, Progress};
use crate::bearer::{self, Refused};
use crate::login::{self, CodeVerdict, Shown, Verdict};
use crate::state::{App, RealmView};
use crate::watch::{Entry, Halt, Why};

/// Longer texts are no code of ours.
const MAX_CODE: usize = 512;

/// The answer's JSON, or `None` after a lost gate.
type Outcome = Result<Option<Vec<u8>>, Reason>;

fn unavailable<E>(_: E) -> Reason {
    Reason::Unavailable
}

/// What is stored of the login behind a grant.
#[derive(Default)]
struct Behind {
    session: Option<UserSession>,
    client_session: Option<ClientSession>,
    shared: bool,
    user: Option<User>,
    consent: Option<Consent>,
}

impl Behind {
    fn login(&self) -> Login<'_> {
        Login {
            session: self.session.as_ref(),
            client_session: self.client_session.as_ref(),
            shared: self.shared,
            user: self.user.as_ref(),
            consent: self.consent.as_ref(),
        }
    }
}

impl Call<'_> {
    /// `again`: an earlier try lost its gate, so the code may have been used.
    pub(super) async fn code(&self, view: &RealmView, cx: &Context<'_>, opened: Opened<'_>, again: bool) -> Outcome {
        let realm = &view.records.realm.id;
        let text = self.params.raw("code").filter(|code| code.len() <= MAX_CODE);
        let hash = authorization_code::hash(text.unwrap_or_default());
        let issued = match text {
            Some(_) => self.issued(view, &hash).await?,
            None => None,
        };
        let used = if text.is_some() && (again || issued.is_none()) {
            self.app.db.code_used(realm, &hash).await.map_err(unavailable)?
        } else {
            None
        };
        let client = opened.client.client();
        let behind = match &issued {
            Some(code) => {
                let offline = authorization_code::asks_offline(cx, client, code);
                self.behind(view, client, &code.session, offline).await?
            }
            None => Behind::default(),
        };
        let login = behind.login();
        let loaded = authorization_code::Loaded { code: issued.as_ref(), used: used.as_ref(), login };
        self.settle(view, authorization_code::decide(cx, &opened.client, self.params, loaded)).await
    }

    /// The login behind a grant. Whether other clients share it matters to offline sessions only.
    async fn behind(
        &self,
        view: &RealmView,
        client: &Client,
        session: &SessionId,
        offline: bool,
    ) -> Result<Behind, Reason> {
        let (realm, db) = (&view.records.realm.id, &self.app.db);
        let both = db.session_and_client(realm, session, &client.id).await.map_err(unavailable)?;
        let Some((session, client_session)) = both else { return Ok(Behind::default()) };
        let user = db.user(realm, &session.user).await.map_err(unavailable)?;
        let shared = if offline {
            let all = db.client_sessions(realm, &session.id).await.map_err(unavailable)?;
            all.iter().any(|below| below.client != client.id)
        } else {
            false
        };
        let consent = consent_of(self.app, realm, client, user.as_ref()).await?;
        Ok(Behind { session: Some(session), client_session, shared, user, consent })
    }

    /// The value of a code. It stays there until it ends: that it was used is a row of the database.
    async fn issued(&self, view: &RealmView, hash: &[u8; 32]) -> Result<Option<IssuedCode>, Reason> {
        let key = Key::new(Kind::Code, view.records.realm.id.clone(), authorization_code::storage_id(hash));
        let value = self.app.ephemeral.get(&key, self.now).await.map_err(unavailable)?;
        Ok(value.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(super) async fn refresh(&self, view: &RealmView, cx: &Context<'_>, opened: Opened<'_>) -> Outcome {
        let realm = &view.records.realm.id;
        let claims = self.params.get("refresh_token").and_then(|token| verified(view, token));
        let client = opened.client.client();
        let worth = claims.as_ref().filter(|claims| refresh::check_token(cx, &opened.client, claims).is_ok());
        let (session, client_session, lineage) = match worth {
            Some(claims) => {
                let both =
                    self.app.db.session_and_client(realm, &claims.session(), &client.id).await.map_err(unavailable)?;
                let (session, below) = both.map_or((None, None), |(session, below)| (Some(session), below));
                let lineage = match claims.lineage() {
                    Some(id) => self.app.db.lineage(realm, &id).await.map_err(unavailable)?,
                    None => None,
                };
                (session, below, lineage)
            }
            None => (None, None, None),
        };
        let user = match &session {
            Some(session) => self.app.db.shared_user(realm, &session.user).await.map_err(unavailable)?,
            None => None,
        };
        let consent = consent_of(self.app, realm, client, user.as_deref()).await?;
        let loaded = refresh::Loaded {
            session: session.as_ref(),
            client_session: client_session.as_ref(),
            lineage: lineage.as_ref(),
            user: user.as_deref(),
            consent: consent.as_ref(),
        };
        self.settle(view, refresh::decide(cx, &opened.client, self.params, claims.as_ref(), loaded)).await
    }

    pub(super) async fn device(&self, view: &RealmView, cx: &Context<'_>, opened: Opened<'_>) -> Outcome {
        let (realm, db) = (&view.records.realm.id, &self.app.db);
        let code = self.params.raw("device_code").filter(|code| code.len() <= MAX_CODE);
        let grant = match code {
            Some(code) => db.device_grant(realm, &law::hash(code)).await.map_err(unavailable)?,
            None => None,
        };
        let client = opened.client.client();
        let behind = match grant.as_ref().map(|grant| (grant, &grant.state)) {
            Some((grant, DeviceState::Approved { session, .. })) => {
                self.behind(view, client, session, device::asks_offline(cx, client, grant)).await?
            }
            Some((_, DeviceState::Pending | DeviceState::Denied)) | None => Behind::default(),
        };
        let loaded = device::Loaded { grant: grant.as_ref(), login: behind.login() };
        self.settle(view, device::decide(cx, &opened.client, self.params, loaded)).await
    }

    pub(super) async fn client_credentials(&self, view: &RealmView, cx: &Context<'_>, opened: Opened<'_>) -> Outcome {
        let (realm, client) = (&view.records.realm.id, opened.client.client());
        let stored = async || self.app.db.service_account(realm, &client.id).await.map_err(unavailable);
        let mut account = stored().await?;
        if account.is_none() {
            match self.app.db.apply(client_credentials::new_account(cx, client)).await {
                // Somebody else made it, or has its name: what is stored says which.
                Ok(()) | Err(ApplyError::Gate(Gate::Taken(_))) => account = stored().await?,
                Err(ApplyError::Gate(_)) => return Ok(None),
                Err(error) => return Err(unavailable(error)),
            }
        }
        self.settle(view, client_credentials::decide(cx, &opened.client, self.params, account.as_deref())).await
    }

    pub(super) async fn exchange(
        &self,
        view: &RealmView,
        cx: &Context<'_>,
        opened: Opened<'_>,
        progress: &mut Progress,
    ) -> Outcome {
        let (realm, client) = (&view.records.realm.id, opened.client.client());
        let asked = token_exchange::admit(cx, &opened.client, self.params)?;
        let principal = match bearer::verify(self.app, view, cx.issuer, asked.subject_token, self.now).await {
            Ok(principal) => Some(principal),
            Err(Refused::Unavailable) => return Err(Reason::Unavailable),
            Err(refused) => {
                progress.finer = Some(refused.into());
                None
            }
        };
        let session = principal.as_ref().and_then(|p| p.session.as_ref()).map(|(session, _)| session);
        let below = match session {
            Some(session) => {
                let both = self.app.db.session_and_client(realm, &session.id, &client.id).await;
                both.map_err(unavailable)?.and_then(|(_, below)| below)
            }
            None => None,
        };
        let consent = match principal.as_ref().filter(|_| client.settings.consent_required) {
            Some(principal) => self.app.db.consent(realm, &principal.user.id, &client.id).await.map_err(unavailable)?,
            None => None,
        };
        let subject = principal.as_ref().map(|p| token_exchange::Subject {
            user: &p.user,
            holder: p.client,
            session,
            audience: p.claims.aud(),
            scope: p.claims.str("scope").unwrap_or_default(),
            acr: p.claims.str("acr"),
            consent: consent.as_ref(),
        });
        self.settle(view, token_exchange::decide(cx, &opened.client, &asked, subject, below.as_ref())).await
    }

    pub(super) async fn password(
        &self,
        view: &Arc<RealmView>,
        cx: &Context<'_>,
        opened: Opened<'_>,
        progress: &mut Progress,
    ) -> Outcome {
        let asked = password::admit(cx, &opened.client, self.params)?;
        let user = match &progress.accepted {
            Some(id) => self.app.db.user(&view.records.realm.id, id).await.map_err(unavailable)?,
            None => {
                let secret = Secret::new(asked.password);
                let ip = &self.peer.ip;
                let verdict = login::check_password(self.app, view, asked.username, &secret, ip, None).await;
                match verdict.map_err(unavailable)? {
                    Verdict::Accepted { user, second_factor: false } => Some(*user),
                    Verdict::Accepted { user, second_factor: true } => {
                        progress.finer = self.judge_code(view, &user).await?.halt().map(Why::from);
                        progress.finer.is_none().then_some(*user)
                    }
                    Verdict::Refused => {
                        progress.finer = Some(Halt::WrongPassword.into());
                        None
                    }
                    Verdict::Locked => {
                        progress.finer = Some(Halt::AccountRests.into());
                        None
                    }
                    Verdict::PlaceRests => {
                        progress.finer = Some(Halt::AddressRests.into());
                        None
                    }
                    Verdict::Disabled { .. } => return Err(Reason::AccountDisabled),
                    Verdict::Busy => return Err(Reason::Unavailable),
                }
            }
        };
        let user = user.ok_or(Reason::InvalidUserCredentials)?;
        progress.accepted = Some(user.id.clone());
        let realm = &view.records.realm;
        let own = OwnProfile::new(&view.records, opened.client.client(), asked.scope);
        let owes = required_action::first(&own, &user).is_some();
        let settled = self.settle(view, password::decide(cx, &opened.client, asked, &user, owes)).await;
        if matches!(settled, Ok(Some(_))) {
            self.app.watch.figures.of(Some(&realm.name)).entered(Entry::PasswordGrant);
        }
        settled
    }
}

impl Call<'_> {
    /// What the one-time code that came along is worth, by the account's first device (MF-02). A missing one counts as wrong (Keycloak 26.4).
    async fn judge_code(&self, view: &Arc<RealmView>, user: &User) -> Result<CodeVerdict, Reason> {
        let code = self.params.raw("otp").or_else(|| self.params.raw("totp")).unwrap_or_default();
        let shown = Shown { code: Secret::new(code), device: None };
        login::check_code(self.app, view, user, shown, &self.peer.ip, None).await.map_err(unavailable)
    }
}

/// What a user allowed a client, where that matters. Read after the user.
pub(crate) async fn consent_of(
    app: &App,
    realm: &RealmId,
    client: &Client,
    user: Option<&User>,
) -> Result<Option<Consent>, Reason> {
    match user.filter(|_| client.settings.consent_required) {
        Some(user) => app.db.consent(realm, &user.id, &client.id).await.map_err(unavailable),
        None => Ok(None),
    }
}

/// The claims of a refresh token signed by this realm (HS512, with `kid`).
pub(crate) fn verified(view: &RealmView, token: &str) -> Option<refresh::RefreshClaims> {
    let parsed = jws::parse(token, &Limits::default()).ok()?;
    let header = parsed.header();
    if header.alg != Algorithm::HS512 {
        return None;
    }
    let key = view.keys.verifying().find(Some(header.kid.as_deref()?), header.alg)?;
    parsed.verify(key).ok()?;
    serde_json::from_slice(parsed.payload()).ok()
}

//! The end of a login: session, audit and cookies in one go, then code and tokens on their way to the client.

use std::fmt::Write as _;

use axum::response::Response;
use http::HeaderMap;
use portcullis_core::client::Client;
use portcullis_core::entropy;
use portcullis_core::event::Event;
use portcullis_core::flow::{CODE_FORMAT, IssuedCode};
use portcullis_core::ids::{SessionId, UserId};
use portcullis_core::login::factors;
use portcullis_core::login::flow::Proof;
use portcullis_core::login::level::{self, Ladder};
use portcullis_core::oauth::authorize::{AuthorizeRequest, Refusal};
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::redirect_uri::MatchedRedirectUri;
use portcullis_core::oauth::response_mode::{self, Success};
use portcullis_core::oauth::token;
use portcullis_core::plan::{Gate, Lane, Plan, Write};
use portcullis_core::realm::Profile;
use portcullis_core::session::{Grant, UserSession};
use portcullis_core::user::User;
use portcullis_jose::digest;
use portcullis_store::{ApplyError, Key, Kind};

use crate::authorize;
use crate::respond::cookies::{self, Attributes};
use crate::state::Unavailable;
use crate::token::{Beside, FrontTokens};
use crate::watch::Entry;

use super::{Cx, address, counter, sso};

mod front;

/// What is issued, to whom.
pub(super) struct Issue<'a> {
    pub(super) request: &'a AuthorizeRequest,
    pub(super) to: MatchedRedirectUri,
    pub(super) proof: Proof,
    /// The name typed on the page.
    pub(super) attempted: Option<&'a str>,
}

/// How it went.
pub(super) enum Issued {
    Answer(Response),
    /// The session that was to be continued ended meanwhile.
    SessionGone,
}

/// Seconds a used or late code can still be told from an unknown one.
const CODE_AFTERLIFE: i64 = 60;

/// One year.
const REMEMBER_SECONDS: i64 = 31_536_000;

/// A session that stands is touched no more often than this, seconds.
const TOUCH_SECONDS: i64 = 60;

/// Writes session and audit, mints what was asked for, fills `jar`, and answers the client.
pub(super) async fn issue(cx: &Cx<'_>, what: Issue<'_>, jar: &mut HeaderMap) -> Result<Issued, Unavailable> {
    let Some(client) = cx.view.records.client(&what.request.client_id) else { return Err(Unavailable) };
    let kind = what.request.response_type;
    let user = if what.proof.fresh || kind.is_front() { user_of(cx, &what).await? } else { None };
    let issuer = cx.issuer();
    let device = user.as_ref().filter(|_| what.proof.fresh).and_then(|user| device_of(cx, user));
    let party = Party { client, user: user.as_ref(), mark: device.as_ref().map(|d| d.write.clone()), issuer: &issuer };
    let Established { session, mut front } = match establish(cx, &party, &what).await? {
        Ok(established) => established,
        Err(Lost::Session) => return Ok(Issued::SessionGone),
        Err(Lost::Pushed) => {
            return Ok(Issued::Answer(authorize::refuse(cx, Refusal::Page(Reason::InvalidRequest), None)));
        }
    };
    let code = if kind.code { Some(mint_code(cx, client, &session, &what).await?) } else { None };
    let state = what.request.state.as_deref();
    let tokens = match &mut front {
        Some(issue) => front::sign(cx, issue, Beside { response_type: kind, code: code.as_deref(), state }).await?,
        None => FrontTokens { access: None, id: None },
    };
    sso::set_cookies(cx, jar, &session).map_err(|_| Unavailable)?;
    if let Some(user) = user.as_ref().filter(|_| what.proof.fresh) {
        set_login_cookies(cx, jar, &session, user, device.as_ref());
    }
    let keycloak = cx.view.records.realm.profile() == Profile::Keycloak;
    let quiet = |attribute| keycloak && client.flag(attribute);
    let success = Success {
        state,
        session_state: (!quiet("exclude.session.state.from.auth.response")).then_some(session.id.as_str()),
        iss: response_mode::names_issuer(&cx.view.records, client).then_some(issuer.as_str()),
        code: code.as_deref(),
        id_token: tokens.id.as_deref(),
        access: front.as_ref().zip(tokens.access.as_deref()).map(|(issue, token)| front::access(issue, token)),
    };
    cx.app.watch.figures.of(Some(cx.realm_name())).entered(entry(&what.proof));
    let answer = response_mode::success(what.to, what.request.response_mode, success);
    Ok(Issued::Answer(authorize::respond_answer(cx, &answer)))
}

/// How the person of a browser's login was let in.
fn entry(proof: &Proof) -> Entry {
    match proof.fresh {
        false => Entry::SingleSignOn,
        true if factors::proven(&proof.notes).contains_key(factors::ONE_TIME_CODE) => Entry::BrowserCode,
        true => Entry::Browser,
    }
}

async fn user_of(cx: &Cx<'_>, what: &Issue<'_>) -> Result<Option<User>, Unavailable> {
    cx.app.db.user(&cx.view.records.realm.id, &what.proof.user).await.map_err(|_| Unavailable)
}

/// Who takes part, and what is written with the session: a login is one plan.
struct Party<'a> {
    client: &'a Client,
    /// Loaded where the login was fresh or tokens are made.
    user: Option<&'a User>,
    mark: Option<Write>,
    issuer: &'a str,
}

/// The session, and the facts of the tokens that travel by the browser.
struct Established<'a> {
    session: UserSession,
    front: Option<token::Issue<'a>>,
}

/// Why nothing is issued.
enum Lost {
    /// Single sign-on lost its session, or the account is gone.
    Session,
    /// An answer was made from the pushed request before (AZ-17).
    Pushed,
}

/// The session of this login: the one that stands, or a new one. A pushed request is used up by the same plan.
async fn establish<'a>(
    cx: &'a Cx<'_>,
    party: &Party<'a>,
    what: &Issue<'_>,
) -> Result<Result<Established<'a>, Lost>, Unavailable> {
    let realm = &cx.view.records.realm.id;
    let taken = what.request.pushed.as_ref().map(|call| call.taken(realm));
    if let Some(id) = &what.proof.session {
        let found = cx.app.db.session_and_client(realm, id, &party.client.id).await.map_err(|_| Unavailable)?;
        if let Some((mut session, below)) = found.filter(|(s, _)| s.user == what.proof.user) {
            let mut writes = vec![Write::Audit(event(cx, party.client, &session.id, what))];
            writes.extend(party.mark.clone().into_iter().chain(taken.clone()));
            writes.push(continued(cx, &what.proof, &mut session));
            let front = front::decide(cx, party, what, (&session, below.as_ref()), &mut writes)?;
            match cx.app.db.apply(Plan::new(Lane::Login, writes)).await {
                Ok(()) => return Ok(Ok(Established { session, front })),
                Err(ApplyError::Gate(Gate::SessionEnded)) => {}
                Err(ApplyError::Gate(Gate::PushedTaken)) => return Ok(Err(Lost::Pushed)),
                Err(_) => return Err(Unavailable),
            }
        }
        if !what.proof.fresh {
            return Ok(Err(Lost::Session));
        }
    }
    let session = new_session(cx, &what.proof);
    let mut writes = vec![
        Write::CreateUserSession(realm.clone(), session.clone()),
        Write::Audit(event(cx, party.client, &session.id, what)),
    ];
    writes.extend(party.mark.clone().into_iter().chain(taken));
    let front = front::decide(cx, party, what, (&session, None), &mut writes)?;
    match cx.app.db.apply(Plan::new(Lane::Login, writes)).await {
        Ok(()) => Ok(Ok(Established { session, front })),
        Err(ApplyError::Gate(Gate::PushedTaken)) => Ok(Err(Lost::Pushed)),
        // The account was removed between password and session.
        Err(ApplyError::Gate(_)) => Ok(Err(Lost::Session)),
        Err(_) => Err(Unavailable),
    }
}

/// What is written of a session that goes on: a new proof, or that it was used. It must still stand.
pub(super) fn continued(cx: &Cx<'_>, proof: &Proof, session: &mut UserSession) -> Write {
    let (realm, id) = (cx.view.records.realm.id.clone(), session.id.clone());
    if proof.fresh {
        session.auth_time = proof.auth_time;
        session.notes = factors::joined(&session.notes, &proof.notes);
        let (auth_time, notes) = (session.auth_time, session.notes.clone());
        Write::ReauthenticateUserSession { realm, session: id, auth_time, notes }
    } else if cx.now.secs() - session.last_seen >= TOUCH_SECONDS {
        Write::TouchUserSession(realm, id, cx.now.secs())
    } else {
        Write::ExpectUserSession(realm, id)
    }
}

/// SE-01: the id is new at each login, whatever the browser brought.
pub(super) fn new_session(cx: &Cx<'_>, proof: &Proof) -> UserSession {
    let now = cx.now.secs();
    UserSession {
        id: SessionId::new(entropy::uuid(cx.app.entropy.as_ref())),
        user: proof.user.clone(),
        started: now,
        auth_time: proof.auth_time,
        remember_me: proof.remember_me,
        offline: false,
        ip_address: cx.peer.ip.clone(),
        last_seen: now,
        notes: proof.notes.clone(),
    }
}

fn event(cx: &Cx<'_>, client: &Client, session: &SessionId, what: &Issue<'_>) -> Event {
    login_event(
        cx,
        client,
        (&what.proof.user, session),
        [("redirect_uri", Some(what.to.as_str())), ("username", what.attempted)],
    )
}

/// The audit row of a login.
pub(super) fn login_event(
    cx: &Cx<'_>,
    client: &Client,
    (user, session): (&UserId, &SessionId),
    details: [(&str, Option<&str>); 2],
) -> Event {
    let details = details.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.to_owned()))).collect();
    Event {
        user: Some(user.clone()),
        client: Some(client.id.clone()),
        session: Some(session.clone()),
        details,
        ..cx.event("LOGIN")
    }
}

/// What was asked and is granted. Without a fresh proof the level is the one that the session still stands for.
pub(super) fn grant(
    cx: &Cx<'_>,
    client: &Client,
    session: &UserSession,
    (request, proof): (&AuthorizeRequest, &Proof),
) -> Grant {
    let records = &cx.view.records;
    let ladder = Ladder::of(&records.realm);
    let level = if proof.fresh { ladder.reached(&proof.notes) } else { ladder.kept(session, cx.now.secs()) };
    Grant {
        scope: request.scope.clone(),
        nonce: request.nonce.clone(),
        redirect_uri: request.redirect_uri.clone(),
        acr: Some(level::name(records, client, Some(request), level)),
        browser: true,
        auth_time: Some(session.auth_time),
        resources: request.resources.clone(),
    }
}

/// RFC 6749 §4.1.2: `{uuid}.{sid}.{client}` as Keycloak 26.4 writes it, kept under its hash.
async fn mint_code(
    cx: &Cx<'_>,
    client: &Client,
    session: &UserSession,
    what: &Issue<'_>,
) -> Result<String, Unavailable> {
    let (request, realm) = (what.request, &cx.view.records.realm);
    let code = format!("{}.{}.{}", entropy::uuid(cx.app.entropy.as_ref()), session.id, client.id);
    let expires_at = cx.now.secs() + realm.settings.access_code_lifespan.max(1);
    let issued = IssuedCode {
        format: CODE_FORMAT,
        issued_at: cx.now.secs(),
        expires_at,
        realm: realm.id.clone(),
        session: session.id.clone(),
        client: client.id.clone(),
        user: session.user.clone(),
        grant: grant(cx, client, session, (what.request, &what.proof)),
        challenge: request.challenge.clone(),
        dpop_jkt: request.dpop_jkt.clone(),
    };
    let key = Key::new(Kind::Code, realm.id.clone(), hex(&digest::sha256(code.as_bytes())));
    let bytes = serde_json::to_vec(&issued).map_err(|_| Unavailable)?;
    let stored = cx.app.ephemeral.put_new(&key, bytes, expires_at + CODE_AFTERLIFE, cx.now).await;
    match stored {
        Ok(true) => Ok(code),
        Ok(false) | Err(_) => Err(Unavailable),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A browser that the account will know again (EN-09).
pub(super) struct Device {
    value: String,
    pub(super) write: Write,
}

/// The browser's mark, kept or new, where failures are counted.
pub(super) fn device_of(cx: &Cx<'_>, user: &User) -> Option<Device> {
    let realm = &cx.view.records.realm;
    if !(realm.settings.brute_force_protected || cx.view.is_strict()) {
        return None;
    }
    let known = cookies::get(cx.headers, cookies::PORTCULLIS_DEVICE).filter(|v| v.len() == 43).map(str::to_owned);
    let value = known.unwrap_or_else(|| entropy::token::<32>(cx.app.entropy.as_ref()));
    let write = Write::RememberDevice {
        realm: realm.id.clone(),
        account: counter::account_key(cx.view, user),
        device: digest::sha256(value.as_bytes()),
        at: cx.now.secs(),
    };
    Some(Device { value, write })
}

/// Remembered name, and the device.
pub(super) fn set_login_cookies(
    cx: &Cx<'_>,
    jar: &mut HeaderMap,
    session: &UserSession,
    user: &User,
    device: Option<&Device>,
) {
    let (realm, secure) = (cx.realm_name(), cx.base.secure);
    let year = Attributes { max_age: Some(REMEMBER_SECONDS), http_only: true };
    if session.remember_me {
        let name = format!("username:{}", address::encoded(&user.username));
        cookies::set(jar, realm, secure, cookies::KEYCLOAK_REMEMBER_ME, &name, year);
    } else {
        cookies::delete_if_sent(cx.headers, jar, realm, cookies::KEYCLOAK_REMEMBER_ME);
    }
    if let Some(device) = device {
        cookies::set(jar, realm, secure, cookies::PORTCULLIS_DEVICE, &device.value, year);
    }
}

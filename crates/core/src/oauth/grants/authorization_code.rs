//! The authorization code grant (RFC 6749 §4.1.3, RFC 7636 §4.6).
//!
//! A code dies at the first exchange whose client proved who it is, even if that exchange fails (PC-01, PC-07). A second use
//! detaches the client from the session, so everything the first use gave dies too (PC-03, RFC 6749 §10.5).

use portcullis_jose::digest;

use super::{Login, family, login, offline};
use crate::client::Client;
use crate::ending;
use crate::flow::{CODE_FORMAT, IssuedCode};
use crate::ids::{ClientUuid, SessionId};
use crate::login::consent;
use crate::oauth::client_auth::AuthenticatedClient;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::oauth::redirect_uri::Matching;
use crate::oauth::token::{self, Context, Decision, GrantType, Issue};
use crate::oauth::{pkce, scope};
use crate::plan::{Lane, Plan, Write};
use crate::realm::Profile;
use crate::session::UserSession;
use crate::session_limits;
use crate::user::User;

/// How long a used code is remembered beyond its life, seconds.
const REMEMBER: i64 = 600;

/// SHA-256 of a code: what is stored and looked up instead of it.
#[must_use]
pub fn hash(code: &str) -> [u8; 32] {
    digest::sha256(code.as_bytes())
}

/// The id under which a code's value lives in `Ephemeral`: the hash in lower-case hex.
#[must_use]
pub fn storage_id(hash: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in hash {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What was loaded for a code.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded<'a> {
    /// What the code stands for.
    pub code: Option<&'a IssuedCode>,
    /// What an earlier use of it gave.
    pub used: Option<&'a (SessionId, ClientUuid)>,
    /// The login behind it.
    pub login: Login<'a>,
}

/// Whether a code makes an offline session: then [`Login::shared`] counts.
#[must_use]
pub fn asks_offline(cx: &Context<'_>, client: &Client, code: &IssuedCode) -> bool {
    scope::active(cx.records, client, &code.grant.scope).offline()
}

/// Decides an exchange.
pub fn decide<'a>(
    cx: &Context<'a>,
    client: &AuthenticatedClient<'a>,
    params: &Params,
    loaded: Loaded<'a>,
) -> Decision<'a> {
    let client = client.client();
    let Some(code) = params.raw("code") else { return refuse(cx, client, Vec::new(), Reason::MissingCode) };
    if let Some((session, of)) = loaded.used {
        let end = ending::client_session(cx.records, session, of, cx.now);
        return refuse(cx, client, end, Reason::CodeNotValid);
    }
    let fits = |c: &&IssuedCode| c.format == CODE_FORMAT && c.realm == cx.records.realm.id;
    let Some(issued) = loaded.code.filter(fits) else { return refuse(cx, client, Vec::new(), Reason::CodeNotValid) };
    let take = |session: &SessionId| Write::TakeCode {
        realm: cx.records.realm.id.clone(),
        hash: hash(code),
        session: session.clone(),
        client: issued.client.clone(),
        expires_at: issued.expires_at.saturating_add(REMEMBER),
    };
    match check(cx, client, params, issued, loaded).and_then(|parties| give(cx, client, issued, loaded, parties)) {
        Ok((issue, mut writes)) => {
            writes.push(take(&issue.session.id));
            Decision { plan: Plan::new(Lane::Gate, writes), answer: Ok(issue) }
        }
        // The session is gone, and its children with it: there is nothing a second use could end.
        Err(reason @ Reason::UserSessionNotFound) if loaded.login.session.is_none() => {
            refuse(cx, client, Vec::new(), reason)
        }
        Err(reason) => refuse(cx, client, vec![take(&issued.session)], reason),
    }
}

fn refuse<'a>(cx: &Context<'_>, client: &Client, mut writes: Vec<Write>, reason: Reason) -> Decision<'a> {
    writes.extend(token::audit_error(cx, "CODE_TO_TOKEN_ERROR", client, "invalid_code"));
    Decision { plan: Plan::new(Lane::Gate, writes), answer: Err(reason) }
}

/// The order is Keycloak's, but the client comes first: a code of another client tells it nothing else.
fn check<'a>(
    cx: &Context<'a>,
    client: &Client,
    params: &Params,
    issued: &IssuedCode,
    loaded: Loaded<'a>,
) -> Result<(&'a UserSession, &'a User), Reason> {
    let now = cx.now.secs();
    if issued.client != client.id {
        return Err(Reason::CodeOfAnotherClient);
    }
    if issued.expires_at <= now {
        return Err(Reason::CodeExpired);
    }
    let session = loaded.login.session.filter(|s| !s.offline).ok_or(Reason::UserSessionNotFound)?;
    let user = loaded.login.user.filter(|u| u.id == issued.user && u.id == session.user).ok_or(Reason::UserNotFound)?;
    if !user.enabled {
        return Err(Reason::UserDisabled);
    }
    redirect_uri(cx, client, params, issued)?;
    if !client.settings.standard_flow_enabled {
        return Err(Reason::CodeFlowOff);
    }
    login::active(cx, client, (session, user), issued.issued_at)?;
    let required = cx.records.realm.profile() == Profile::Strict
        || client.attribute("pkce.code.challenge.method").is_some_and(|m| !m.is_empty());
    // PC-09: an empty verifier is one, too.
    let _checked = pkce::check(issued.challenge.as_ref(), params.raw("code_verifier"), required)?;
    if !consent::still_given(cx.records, client, &issued.grant.scope, loaded.login.consent) {
        return Err(Reason::ConsentWithdrawn);
    }
    Ok((session, user))
}

/// RFC 6749 §4.1.3: the same text as at the authorization endpoint (PC-05), and still registered (PC-15).
fn redirect_uri(cx: &Context<'_>, client: &Client, params: &Params, issued: &IssuedCode) -> Result<(), Reason> {
    let Some(asked) = issued.grant.redirect_uri.as_deref() else { return Ok(()) };
    if params.raw("redirect_uri") != Some(asked) {
        return Err(Reason::IncorrectRedirectUri);
    }
    let matching = Matching { client, profile: cx.records.realm.profile(), base: cx.base };
    matching.find(asked).map(|_| ()).ok_or(Reason::IncorrectRedirectUri)
}

fn give<'a>(
    cx: &Context<'a>,
    client: &'a Client,
    issued: &IssuedCode,
    loaded: Loaded<'a>,
    (session, user): (&'a UserSession, &'a User),
) -> Result<(Issue<'a>, Vec<Write>), Reason> {
    let (now, realm) = (cx.now.secs(), &cx.records.realm);
    let grant = issued.grant.clone();
    let scopes = scope::active(cx.records, client, &grant.scope);
    let offline = offline::admit(cx, client, user, &scopes)?;
    let (session, made) = if offline {
        let (session, made) = offline::from_login(cx, client, session, loaded.login.shared);
        (session, Some(made))
    } else {
        (session.clone(), None)
    };
    let known =
        loaded.login.client_session.filter(|c| session_limits::is_client_active(realm, client, &session, c, now));
    let started = known.filter(|_| !offline).map_or(now, |c| c.started);
    let mut writes = vec![
        Write::ExpectClient(realm.id.clone(), client.id.clone(), client.version),
        Write::ExpectUser(realm.id.clone(), user.id.clone(), user.version),
    ];
    let (joined, family) = family::join(cx, client, &session, &grant, started)?;
    writes.extend(made.into_iter().chain(joined));
    writes.extend(token::audit(cx, "CODE_TO_TOKEN", client, (&user.id, &session.id)));
    let scopes = scopes.permitted(cx.records, user);
    let all = scopes.all_names();
    let to = token::Recipient { client, user, session, grant, client_started: started };
    Ok((token::issue(cx, GrantType::AuthorizationCode, to, (scopes, &all), family)?, writes))
}

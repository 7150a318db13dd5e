//! The refresh grant (RFC 6749 §6, RFC 9700 §4.14).
//!
//! One row is written per refresh: the client session's time, or the family's next generation.

use super::family::{self, Rule, Turn};
use super::offline;
use crate::client::Client;
use crate::ending;
use crate::ids::{LineageId, SessionId};
use crate::login::consent;
use crate::oauth::client_auth::AuthenticatedClient;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::oauth::scope;
use crate::oauth::token::{self, Context, Decision, FamilyTerms, GrantType, Issue};
use crate::pending::Consent;
use crate::plan::{Lane, Plan, Write};
use crate::session::{ClientSession, Grant, Lineage, UserSession};
use crate::session_limits;
use crate::user::User;

/// `typ` of a refresh token.
const REFRESH: &str = "Refresh";
/// `typ` of an offline token.
const OFFLINE: &str = "Offline";

/// What a refresh token says, after its signature was verified with an HMAC key of this realm.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Deserialize)]
pub struct RefreshClaims {
    /// `jti`
    #[serde(default)]
    pub jti: String,
    /// `iss`
    #[serde(default)]
    pub iss: String,
    /// `typ`: `Refresh`, `Offline`.
    #[serde(default)]
    pub typ: String,
    /// `azp`
    #[serde(default)]
    pub azp: String,
    /// `sid`
    #[serde(default)]
    pub sid: String,
    /// `sub`; absent beside lightweight access tokens.
    #[serde(default)]
    pub sub: Option<String>,
    /// `iat`, seconds.
    #[serde(default)]
    pub iat: i64,
    /// `exp`, seconds; 0: an offline token without end.
    #[serde(default)]
    pub exp: i64,
    /// `scope`: names of all client scopes that were granted.
    #[serde(default)]
    pub scope: String,
    /// `reuse_id`: the family, where rotation was on.
    #[serde(default)]
    pub reuse_id: Option<String>,
    /// `resource`: what was granted (RFC 8707), where rotation was off.
    #[serde(default)]
    pub resource: Vec<String>,
}

impl RefreshClaims {
    /// Whether it is a token of this grant at all: other texts are signed by the same key.
    #[must_use]
    pub fn is_refresh(&self) -> bool {
        self.offline() || self.typ == REFRESH
    }

    /// Whether it is an offline token.
    #[must_use]
    pub fn offline(&self) -> bool {
        self.typ == OFFLINE
    }

    /// The session to load.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.sid.as_str().into()
    }

    /// The family to load.
    #[must_use]
    pub fn lineage(&self) -> Option<LineageId> {
        self.reuse_id.as_deref().map(Into::into)
    }
}

/// What was loaded for a refresh token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded<'a> {
    /// The user session; `last_seen` is the latest activity of it and its children.
    pub session: Option<&'a UserSession>,
    /// The client's session in it.
    pub client_session: Option<&'a ClientSession>,
    /// The family, when the token names one.
    pub lineage: Option<&'a Lineage>,
    /// The session's user.
    pub user: Option<&'a User>,
    /// What the user allowed the client.
    pub consent: Option<&'a Consent>,
}

/// What the token alone says, before anything is loaded.
///
/// # Errors
/// Another realm's, kind's or client's token, or one that expired.
pub fn check_token(cx: &Context<'_>, client: &AuthenticatedClient<'_>, claims: &RefreshClaims) -> Result<(), Reason> {
    check_claims(cx, client.client(), claims)
}

fn check_claims(cx: &Context<'_>, client: &Client, claims: &RefreshClaims) -> Result<(), Reason> {
    if claims.iss != cx.issuer || !claims.is_refresh() || claims.jti.is_empty() || claims.sid.is_empty() {
        return Err(Reason::InvalidRefreshToken);
    }
    let endless = claims.offline() && claims.exp == 0;
    if claims.exp <= cx.now.secs() && !endless {
        return Err(Reason::RefreshTokenExpired);
    }
    if claims.azp != client.client_id {
        return Err(Reason::RefreshTokenOfAnotherClient);
    }
    Ok(())
}

/// Decides a refresh. `claims` are those of a verified token, or `None` when it could not be verified.
pub fn decide<'a>(
    cx: &Context<'a>,
    client: &AuthenticatedClient<'a>,
    params: &Params,
    claims: Option<&RefreshClaims>,
    loaded: Loaded<'a>,
) -> Decision<'a> {
    let client_of = client.client();
    if !params.has("refresh_token") {
        return refuse(cx, client_of, Vec::new(), Reason::MissingRefreshToken);
    }
    let checked = claims
        .ok_or(Reason::InvalidRefreshToken)
        .and_then(|claims| check_token(cx, client, claims).map(|()| claims))
        .and_then(|claims| check_records(cx, client_of, claims, loaded).map(|parties| (claims, parties)));
    let (claims, parties) = match checked {
        Ok(checked) => checked,
        Err(reason) => return refuse(cx, client_of, Vec::new(), reason),
    };
    let granted = granted(claims, loaded.lineage, parties.below);
    if let Some(asked) = scope::asked(cx.records, params)
        && let Err(reason) = scope::validate(cx.records, client_of, asked)
    {
        return refuse(cx, client_of, Vec::new(), reason);
    }
    match advance(cx, client_of, claims, loaded.lineage, &parties) {
        Ok((family, writes)) => match give(cx, client_of, params, &granted, &parties, family) {
            Ok(issue) => Decision { plan: Plan::new(Lane::Gate, writes), answer: Ok(issue) },
            Err(reason) => refuse(cx, client_of, Vec::new(), reason),
        },
        Err((writes, reason)) => refuse(cx, client_of, writes, reason),
    }
}

/// Whether the grant would take a verified token of `client` now (RFC 7662 §2.2). Nothing is used up.
#[must_use]
pub fn is_live(cx: &Context<'_>, client: &Client, claims: &RefreshClaims, loaded: Loaded<'_>) -> bool {
    if !client.settings.enabled || check_claims(cx, client, claims).is_err() {
        return false;
    }
    let Ok(parties) = check_records(cx, client, claims, loaded) else { return false };
    match (&claims.reuse_id, loaded.lineage) {
        (None, _) => true,
        (Some(_), None) => false,
        // RT-04: a token that was replaced is over, whatever its own dates say.
        (Some(id), Some(lineage)) => {
            let own = lineage.id.as_str() == id && lineage.session == parties.session.id && lineage.client == client.id;
            let rule = family::rule(&cx.records.realm, client);
            own && matches!(family::turn(cx, rule, lineage, &claims.jti, claims.exp), Turn::Next(_))
        }
    }
}

/// What was granted with this token: its family knows, else the token itself (a later login of the client may have asked for more).
fn granted(claims: &RefreshClaims, lineage: Option<&Lineage>, below: &ClientSession) -> Grant {
    match lineage {
        Some(lineage) => lineage.grant.clone(),
        None => Grant { scope: claims.scope.clone(), resources: claims.resource.clone(), ..below.grant.clone() },
    }
}

struct Parties<'a> {
    session: &'a UserSession,
    below: &'a ClientSession,
    user: &'a User,
}

fn refuse<'a>(cx: &Context<'_>, client: &Client, mut writes: Vec<Write>, reason: Reason) -> Decision<'a> {
    writes.extend(token::audit_error(cx, "REFRESH_TOKEN_ERROR", client, "invalid_token"));
    Decision { plan: Plan::new(Lane::Gate, writes), answer: Err(reason) }
}

fn check_records<'a>(
    cx: &Context<'a>,
    client: &Client,
    claims: &RefreshClaims,
    loaded: Loaded<'a>,
) -> Result<Parties<'a>, Reason> {
    let (now, realm) = (cx.now.secs(), &cx.records.realm);
    // RT-16: the latest of all not-befores counts; a token of the same second is older.
    if claims.iat < realm.settings.not_before.max(client.settings.not_before) {
        return Err(Reason::StaleToken);
    }
    let (gone, over) = if claims.offline() {
        (Reason::OfflineSessionNotFound, Reason::OfflineSessionNotActive)
    } else {
        (Reason::SessionNotActive, Reason::SessionNotActive)
    };
    let fits = |s: &&UserSession| s.id.as_str() == claims.sid && s.offline == claims.offline();
    let session = loaded.session.filter(fits).ok_or_else(|| gone.clone())?;
    let user = loaded.user.filter(|u| u.id == session.user).ok_or(gone)?;
    // RT-11: the token's subject, when it names one, is the session's.
    if claims.sub.as_deref().is_some_and(|sub| sub != user.id.as_str()) {
        return Err(Reason::InvalidRefreshToken);
    }
    if !session_limits::is_active(realm, session, session.last_seen, now) {
        return Err(over);
    }
    if !user.enabled {
        return Err(Reason::UserDisabled);
    }
    // Whose service account was switched off keeps nothing of it.
    if user.service_account_client.is_some() && !client.settings.service_accounts_enabled {
        return Err(Reason::SessionNotActive);
    }
    if claims.iat < user.not_before {
        return Err(Reason::StaleToken);
    }
    if claims.iat < session.started {
        return Err(Reason::RefreshTokenBeforeSession);
    }
    let below = loaded.client_session.filter(|c| c.client == client.id && c.session == session.id);
    let below = below.ok_or(Reason::SessionWithoutClient)?;
    if claims.iat < below.started {
        return Err(Reason::RefreshTokenBeforeClientSession);
    }
    if !session_limits::is_client_active(realm, client, session, below, now) {
        return Err(over);
    }
    // RT-09: what was granted must still be allowed. Taking a consent back ends the client session, which guards the refresh.
    if !consent::still_given(cx.records, client, &granted(claims, loaded.lineage, below).scope, loaded.consent) {
        return Err(Reason::ConsentWithdrawn);
    }
    Ok(Parties { session, below, user })
}

type Advanced = Result<(Option<FamilyTerms>, Vec<Write>), (Vec<Write>, Reason)>;

/// The one write of a refresh, and the family's live token where there is one.
fn advance(
    cx: &Context<'_>,
    client: &Client,
    claims: &RefreshClaims,
    lineage: Option<&Lineage>,
    parties: &Parties<'_>,
) -> Advanced {
    let (now, realm) = (cx.now.secs(), &cx.records.realm);
    let rule = family::rule(realm, client);
    let ids = (&parties.session.id, &client.id);
    let expires_at = session_limits::refresh_expires_at(realm, client, parties.session, parties.below.started, now);
    let nothing = |reason| (Vec::new(), reason);
    let (terms, write) = match (&claims.reuse_id, lineage, rule) {
        (Some(_), None, _) => return Err(nothing(Reason::SessionWithoutClient)),
        (Some(_), Some(lineage), _) if lineage.session != *ids.0 || lineage.client != *ids.1 => {
            return Err(nothing(Reason::InvalidRefreshToken));
        }
        (Some(_), Some(lineage), _) => match family::turn(cx, rule, lineage, &claims.jti, expires_at) {
            Turn::Next(next) => (Some(family::live(cx, &next).map_err(nothing)?), family::moved(cx, lineage, &next)),
            Turn::Over(reason) => return Err((end(cx, rule, lineage), reason)),
        },
        (None, _, Rule::None) => (None, Write::TouchClientSession(realm.id.clone(), ids.0.clone(), ids.1.clone(), now)),
        // A token from before rotation was switched on begins a family; it holds no longer than it did.
        (None, _, Rule::Keycloak(_) | Rule::Strict) => {
            let grant = granted(claims, None, parties.below);
            let (family, terms) = family::begin(cx, client, parties.session, grant, expires_at).map_err(nothing)?;
            (Some(terms), family)
        }
    };
    let audit = token::audit(cx, "REFRESH_TOKEN", client, (&parties.user.id, &parties.session.id));
    Ok((terms, std::iter::once(write).chain(audit).collect()))
}

/// What a family's misuse ends: the client's part of the session, or in a strict realm the family of this one login.
fn end(cx: &Context<'_>, rule: Rule, lineage: &Lineage) -> Vec<Write> {
    match rule {
        Rule::Strict => vec![Write::EndLineage(cx.records.realm.id.clone(), lineage.id.clone())],
        Rule::None | Rule::Keycloak(_) => ending::client_session(cx.records, &lineage.session, &lineage.client, cx.now),
    }
}

fn give<'a>(
    cx: &Context<'a>,
    client: &'a Client,
    params: &Params,
    granted: &Grant,
    parties: &Parties<'a>,
    family: Option<FamilyTerms>,
) -> Result<Issue<'a>, Reason> {
    let scopes = scope::narrowed(cx.records, client, &granted.scope, scope::asked(cx.records, params))?;
    // The refresh token keeps what was granted at first (P-10).
    let all = scope::active(cx.records, client, &granted.scope);
    if parties.session.offline {
        // RT-09: who lost the role keeps no offline token.
        offline::admit(cx, client, parties.user, &all)?;
    }
    let granted_scopes = all.permitted(cx.records, parties.user);
    let all = granted_scopes.all_names();
    let to = token::Recipient {
        client,
        user: parties.user,
        session: parties.session.clone(),
        grant: granted.clone(),
        client_started: parties.below.started,
    };
    let mut issue = token::issue(cx, GrantType::RefreshToken, to, (scopes, &all), family)?;
    issue.answer_scope = issue.session.offline.then(|| granted_scopes.token_scope());
    Ok(issue)
}

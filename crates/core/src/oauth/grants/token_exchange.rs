//! Token exchange (RFC 8693) as Keycloak 26.4's standard one: an access token of this realm for another of this realm.
//!
//! Denied unless the client's switch is on, the client is confidential, and it is the subject token's own client or named in its
//! audience (TE-18). The new token stands in the same session: what ends that session ends it too.

use super::family;
use crate::claims::{Target, gather};
use crate::client::Client;
use crate::entropy::uuid;
use crate::login::consent;
use crate::oauth::client_auth::AuthenticatedClient;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::oauth::scope::{self, OFFLINE_ACCESS, OPENID};
use crate::oauth::token::{self, Context, Decision, FamilyTerms, GrantType, Issue};
use crate::pending::Consent;
use crate::plan::{Lane, Plan, Write};
use crate::realm::Profile;
use crate::session::{ClientSession, Grant, UserSession};
use crate::session_limits;
use crate::user::User;

/// Client attribute: the exchange is allowed (Keycloak 26.4).
const SWITCH: &str = "standard.token.exchange.enabled";
/// Client attribute: `SAME_SESSION` lets the client ask for a refresh token (Keycloak 26.4).
const REFRESH_SWITCH: &str = "standard.token.exchange.enableRefreshRequestedTokenType";

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
pub(crate) const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// Parameters of other exchanges: impersonation, and tokens of other issuers.
const UNSUPPORTED: [&str; 3] = ["requested_subject", "requested_issuer", "subject_issuer"];

/// What is asked for, as far as the parameters alone can be judged.
#[derive(Clone, Debug)]
pub struct Asked<'p> {
    /// `subject_token`
    pub subject_token: &'p str,
    requested: &'static str,
    audiences: Vec<String>,
    scope: Option<&'p str>,
}

/// Who stands behind a subject token that holds, as stored now.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Whose token it is.
    pub user: &'a User,
    /// The client it was given to.
    pub holder: &'a Client,
    /// The session behind it; `None` for a service account's token without one.
    pub session: Option<&'a UserSession>,
    /// `aud`
    pub audience: &'a [String],
    /// `scope`
    pub scope: &'a str,
    /// `acr`
    pub acr: Option<&'a str>,
    /// What the user allowed the client that asks, where it needs that.
    pub consent: Option<&'a Consent>,
}

/// Judges the parameters.
///
/// # Errors
/// What this exchange does not do (Keycloak 26.4's texts).
pub fn admit<'p>(cx: &Context<'_>, client: &AuthenticatedClient<'_>, params: &'p Params) -> Result<Asked<'p>, Reason> {
    let client = client.client();
    // RFC 8693 §2.1: whoever names an actor wants delegation; giving it impersonation instead would widen what it may do.
    let delegation = ["actor_token"].into_iter().filter(|_| cx.records.realm.profile() == Profile::Strict);
    if let Some(name) = UNSUPPORTED.into_iter().chain(delegation).find(|name| params.has(name)) {
        return Err(Reason::ExchangeUnsupported(name.to_owned()));
    }
    let profile = cx.records.realm.profile();
    match params.sent(profile, "subject_token_type") {
        None => return Err(Reason::ExchangeWithoutSubjectType),
        Some(ACCESS_TOKEN) => {}
        Some(_) => return Err(Reason::ExchangeSubjectType),
    }
    if !client.flag(SWITCH) {
        return Err(Reason::ExchangeOff);
    }
    if client.is_public() {
        return Err(Reason::ExchangePublicClient);
    }
    // TE-19: an empty subject is no subject, and never the client itself.
    let subject_token = params.get("subject_token").ok_or(Reason::ExchangeInvalidSubject)?;
    let requested = match params.raw("requested_token_type") {
        None | Some(ACCESS_TOKEN) => ACCESS_TOKEN,
        Some(REFRESH_TOKEN) if client.attribute(REFRESH_SWITCH) == Some("SAME_SESSION") => REFRESH_TOKEN,
        Some(ID_TOKEN) => ID_TOKEN,
        Some(_) => return Err(Reason::ExchangeRequestedType),
    };
    let scope = params.raw("scope");
    if let Some(scope) = scope {
        scope::validate(cx.records, client, scope)?;
    }
    // A parameter without a value counts as absent (RFC 6749 §3.2); Keycloak 26.4 looks for a client of no name.
    let counts = |value: &str| profile == Profile::Keycloak || !value.is_empty();
    let audiences = params.iter().filter(|(name, value)| *name == "audience" && counts(value));
    let audiences = audiences.map(|(_, value)| value.to_owned()).collect();
    Ok(Asked { subject_token, requested, audiences, scope })
}

/// Decides. `subject` is `None` when the subject token does not hold; `below` is the client's own part of the session.
pub fn decide<'a>(
    cx: &Context<'a>,
    client: &AuthenticatedClient<'a>,
    asked: &Asked<'_>,
    subject: Option<Subject<'a>>,
    below: Option<&ClientSession>,
) -> Decision<'a> {
    let client = client.client();
    let decided = subject
        .ok_or(Reason::ExchangeInvalidSubject)
        .and_then(|subject| parties(cx, client, asked, subject))
        .and_then(|subject| give(cx, client, asked, subject, below));
    match decided {
        Ok((issue, writes)) => Decision { plan: Plan::new(Lane::Gate, writes), answer: Ok(issue) },
        Err(reason) => {
            let audit = token::audit_error(cx, "TOKEN_EXCHANGE_ERROR", client, "invalid_token");
            Decision { plan: Plan::new(Lane::Gate, audit.into_iter().collect()), answer: Err(reason) }
        }
    }
}

fn parties<'a>(
    cx: &Context<'_>,
    client: &Client,
    asked: &Asked<'_>,
    subject: Subject<'a>,
) -> Result<Subject<'a>, Reason> {
    let named = subject.audience.contains(&client.client_id);
    if subject.holder.id != client.id && !named {
        return Err(Reason::ExchangeNotInAudience);
    }
    for name in &asked.audiences {
        let named = cx.records.client(name).ok_or(Reason::ExchangeAudienceUnknown)?;
        if !named.settings.enabled {
            return Err(Reason::ExchangeAudienceDisabled);
        }
    }
    // A refresh token lives in a stored session, and an offline one belongs to the client it was given to.
    if asked.requested == REFRESH_TOKEN && subject.session.is_none_or(|session| session.offline) {
        return Err(Reason::ExchangeRequestedType);
    }
    let words = granted_words(cx, client, asked, subject.scope);
    if !consent::still_given(cx.records, client, &words, subject.consent) {
        return Err(Reason::ExchangeMissingConsent(client.client_id.clone()));
    }
    Ok(subject)
}

type Given<'a> = Result<(Issue<'a>, Vec<Write>), Reason>;

fn give<'a>(
    cx: &Context<'a>,
    client: &'a Client,
    asked: &Asked<'_>,
    subject: Subject<'a>,
    below: Option<&ClientSession>,
) -> Given<'a> {
    let (now, realm) = (cx.now.secs(), &cx.records.realm);
    let words = granted_words(cx, client, asked, subject.scope);
    let grant = Grant {
        scope: words,
        // RT-17: never better than what the subject token says.
        acr: subject.acr.map(str::to_owned),
        ..Grant::default()
    };
    let transient = subject.session.is_none();
    let session = match subject.session {
        Some(session) => session.clone(),
        None => UserSession::begun(uuid(cx.entropy).into(), subject.user.id.clone(), cx.ip, now),
    };
    let known = below.filter(|c| !transient && session_limits::is_client_active(realm, client, &session, c, now));
    let started = known.map_or(now, |c| c.started);
    let mut writes = vec![
        Write::ExpectClient(realm.id.clone(), client.id.clone(), client.version),
        Write::ExpectUser(realm.id.clone(), subject.user.id.clone(), subject.user.version),
    ];
    let family = if transient {
        None
    } else {
        let (joined, family) = take_part(cx, client, asked, (&session, &grant), known)?;
        writes.extend(joined);
        family
    };
    writes.extend(token::audit(cx, "TOKEN_EXCHANGE", client, (&subject.user.id, (!transient).then_some(&session.id))));
    let scopes = scope::active(cx.records, client, &grant.scope).permitted(cx.records, subject.user);
    let all = scopes.all_names();
    let to = token::Recipient { client, user: subject.user, session, grant, client_started: started };
    let mut issue = token::issue(cx, GrantType::TokenExchange, to, (scopes, &all), family)?;
    issue.transient = transient;
    if asked.requested != REFRESH_TOKEN {
        issue.refresh = None;
    }
    issue.issued_token_type = Some(asked.requested);
    // Only who asks for `openid` here gets an ID token beside it (Keycloak 26.4).
    issue.without_id = !asked.scope.is_some_and(scope::names_openid);
    narrow(&mut issue, asked)?;
    Ok((issue, writes))
}

/// The client's row in the session: it stays as it is when only an access token was asked for.
fn take_part(
    cx: &Context<'_>,
    client: &Client,
    asked: &Asked<'_>,
    (session, grant): (&UserSession, &Grant),
    known: Option<&ClientSession>,
) -> Result<(Vec<Write>, Option<FamilyTerms>), Reason> {
    let (now, realm) = (cx.now.secs(), &cx.records.realm.id);
    match known {
        Some(known) if asked.requested == REFRESH_TOKEN => family::join(cx, client, session, grant, known.started),
        None if asked.requested == REFRESH_TOKEN => family::join(cx, client, session, grant, now),
        Some(_) => Ok((vec![Write::ExpectClientSession(realm.clone(), session.id.clone(), client.id.clone())], None)),
        None => Ok((vec![family::part(cx, client, session, grant, now)], None)),
    }
}

/// What was asked for, else what the subject token says as far as it is the client's; never an offline session.
fn granted_words(cx: &Context<'_>, client: &Client, asked: &Asked<'_>, subject: &str) -> String {
    let own = |word: &&str| *word == OPENID || scope::validate(cx.records, client, word).is_ok();
    let words = asked.scope.unwrap_or(subject).split(' ').filter(|w| !w.is_empty() && *w != OFFLINE_ACCESS);
    words.filter(own).collect::<Vec<_>>().join(" ")
}

/// RFC 8693 §2.1: the token names the audiences asked for and no other.
fn narrow(issue: &mut Issue<'_>, asked: &Asked<'_>) -> Result<(), Reason> {
    if asked.audiences.is_empty() {
        return Ok(());
    }
    let there = gather(&issue.facts(), Target::access_of(issue.client)).audience;
    let missing: Vec<&str> = asked.audiences.iter().filter(|a| !there.contains(a)).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(Reason::ExchangeAudience(missing.join(" ")));
    }
    issue.audiences = Some(asked.audiences.clone());
    Ok(())
}

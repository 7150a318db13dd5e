//! Token revocation (RFC 7009) as Keycloak 26.4 does it.
//!
//! | token | what ends |
//! |---|---|
//! | refresh token, offline token | the client's part of the session with all its tokens; the session too when nobody else takes part |
//! | access token | that token, by its `jti`: a cut-off that lives as long as the token would have |
//! | anything else | nothing |
//!
//! **Owns** the check table and what ends. **Does not own** signatures (idp) nor how an end is told ([`crate::ending`]).
//! **Flow** [`open`] (table) -> the token is read, its session loaded -> [`decide`] -> apply -> an empty answer.

use portcullis_jose::Verified;

use super::client_auth::AuthenticatedClient;
use super::error::Reason;
use super::grants::refresh::RefreshClaims;
use super::params::Params;
use super::token::{Context, Cors, Refusal, audit};
use crate::client::Client;
use crate::ending;
use crate::ids::SessionId;
use crate::plan::{Lane, Plan};
use crate::records::RealmRecords;
use crate::session::{ClientSession, UserSession};
use crate::user::User;

/// Keycloak's name of the audit row.
const EVENT: &str = "REVOKE_GRANT";

/// A request that passed the table.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// The token. It may be empty or nonsense.
    pub token: &'a str,
}

/// Runs the table: realm enabled, client authentication, no parameter twice, a token.
///
/// # Errors
/// The first check that refuses.
pub fn open<'a>(
    records: &'a RealmRecords,
    proven: &Result<AuthenticatedClient<'a>, Reason>,
    params: &'a Params,
) -> Result<Asked<'a>, Refusal> {
    let stranger = |reason| Refusal { reason, cors: Cors::Any, client_id: None };
    if !records.realm.settings.enabled {
        return Err(stranger(Reason::RealmDisabled));
    }
    let client = proven.as_ref().map_err(|reason| stranger(reason.clone()))?.client();
    let known = |reason| Refusal { reason, cors: Cors::Client, client_id: Some(client.client_id.clone()) };
    if params.repeated().is_some() {
        return Err(known(Reason::DuplicatedParameter));
    }
    // RFC 7009 §2.1: `token_type_hint` is a hint; every token says itself what it is.
    let token = params.raw("token").ok_or_else(|| known(Reason::RevocationWithoutToken))?;
    Ok(Asked { client, token })
}

/// What a token turned out to be. Its signature, issuer and (access tokens) time hold.
#[derive(Clone, Copy, Debug)]
pub enum Token<'a> {
    /// A refresh token or an offline token.
    Refresh(&'a RefreshClaims),
    /// An access token.
    Access(&'a Verified),
    /// Another token of this realm, such as an ID token.
    Other,
    /// Nothing of this realm's, or over.
    Unknown,
}

impl Token<'_> {
    /// The session to load.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::Refresh(claims) => Some(claims.session()),
            Self::Access(claims) => claims.str("sid").map(Into::into),
            Self::Other | Self::Unknown => None,
        }
    }
}

/// What was loaded for a token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded<'a> {
    /// Its session.
    pub session: Option<&'a UserSession>,
    /// All clients' parts of that session.
    pub parts: &'a [ClientSession],
    /// The client's service account: tokens without a session are its.
    pub account: Option<&'a User>,
}

/// Decides what ends. The plan is applied before the answer is sent: nobody is told 200 for what was not written (TE-24).
///
/// # Errors
/// Tokens of others, of other kinds, and those that are over: [`Reason::RevocationTokenInvalid`] is answered with 200 (RFC 7009 §2.2).
pub fn decide(cx: &Context<'_>, client: &Client, token: Token<'_>, loaded: Loaded<'_>) -> Result<Plan, Reason> {
    let (mut writes, audited) = match token {
        Token::Unknown => return Err(Reason::RevocationTokenInvalid),
        Token::Other => return Err(Reason::RevocationTokenUnsupported),
        Token::Refresh(claims) => {
            if claims.iss != cx.issuer {
                return Err(Reason::RevocationTokenInvalid);
            }
            owned(client, &claims.azp)?;
            let (session, part) = part(client, loaded).ok_or(Reason::RevocationTokenInvalid)?;
            // Older than the client's part: that part ended, and its successor is not this token's.
            if claims.iat < part.started {
                return Err(Reason::RevocationTokenInvalid);
            }
            let alone = loaded.parts.iter().all(|other| other.client == client.id);
            let writes = if alone {
                ending::session(cx.records, &session.id, cx.now)
            } else {
                ending::client_session(cx.records, &session.id, &client.id, cx.now)
            };
            (writes, audit(cx, EVENT, client, (&session.user, &session.id)))
        }
        Token::Access(claims) => {
            owned(client, claims.str("azp").unwrap_or_default())?;
            let jti = claims.jti().ok_or(Reason::RevocationTokenInvalid)?;
            let audited = match (claims.str("sid"), loaded.account) {
                (Some(_), _) => {
                    let (session, _) = part(client, loaded).ok_or(Reason::RevocationTokenInvalid)?;
                    audit(cx, EVENT, client, (&session.user, &session.id))
                }
                (None, Some(account)) => audit(cx, EVENT, client, (&account.id, None)),
                (None, None) => return Err(Reason::RevocationTokenInvalid),
            };
            (vec![ending::token(cx.records, jti, claims.exp(), cx.now)], audited)
        }
    };
    writes.extend(audited);
    Ok(Plan::new(Lane::Gate, writes))
}

/// RFC 7009 §2.1: only the client to which it was given (TE-23).
fn owned(client: &Client, given_to: &str) -> Result<(), Reason> {
    match given_to {
        "" => Err(Reason::RevocationTokenInvalid),
        id if id == client.client_id => Ok(()),
        _ => Err(Reason::RevocationOfAnotherClient),
    }
}

fn part<'a>(client: &Client, loaded: Loaded<'a>) -> Option<(&'a UserSession, &'a ClientSession)> {
    let part = loaded.parts.iter().find(|part| part.client == client.id)?;
    Some((loaded.session?, part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claims::fixture::{self, Counter, ISSUER};
    use crate::plan::Write;
    use crate::time::Now;

    const NOW: i64 = 1_800_000_000;

    fn attempt(settings: serde_json::Value, pairs: &[(&str, &str)]) -> Result<String, (Reason, Cors)> {
        let records = fixture::records_with(settings);
        let params = Params::from_pairs(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect());
        open(&records, &fixture::proven(&records, &params), &params)
            .map(|asked| asked.token.to_owned())
            .map_err(|refusal| (refusal.reason, refusal.cors))
    }

    #[test]
    fn rfc_7009_2_1_the_table_refuses_in_keycloaks_order() {
        let (id, secret, t) = (("client_id", "web"), ("client_secret", "s3cr:et%+ä"), ("token", "x"));
        for (pairs, expected) in [
            (&[][..], Err((Reason::UnknownClient, Cors::Any))),
            (&[t], Err((Reason::UnknownClient, Cors::Any))),
            (&[t, id], Err((Reason::BadClientCredentials, Cors::Any))),
            (&[t, ("client_id", "api"), secret], Err((Reason::BadClientCredentials, Cors::Any))),
            (&[t, t, id, secret], Err((Reason::DuplicatedParameter, Cors::Client))),
            (&[id, secret], Err((Reason::RevocationWithoutToken, Cors::Client))),
            (&[id, secret, ("token", "")], Ok(String::new())),
            (&[id, secret, t, ("token_type_hint", "magic")], Ok("x".to_owned())),
            (&[t, ("client_id", "app")], Ok("x".to_owned())),
        ] {
            assert_eq!(attempt(json!({}), pairs), expected, "{pairs:?}");
        }
        assert_eq!(attempt(json!({ "enabled": false }), &[t]), Err((Reason::RealmDisabled, Cors::Any)));
    }

    fn below(client: &str, started: i64) -> ClientSession {
        ClientSession {
            session: "session-1".into(),
            client: format!("uuid-{client}").as_str().into(),
            started,
            last_refresh: started,
            grant: fixture::grant("openid"),
        }
    }

    fn told(outcome: &Result<Plan, Reason>) -> &'static str {
        let Ok(plan) = outcome else { return outcome.as_ref().err().map_or("", Reason::name) };
        match plan.writes.first() {
            Some(Write::EndUserSession(..)) => "session",
            Some(Write::EndClientSession(..)) => "client session",
            Some(Write::CutOff(..)) => "token",
            _ => "nothing",
        }
    }

    #[test]
    fn te_23_a_refresh_token_ends_its_own_clients_part_of_the_session() {
        let records = fixture::records();
        let entropy = Counter::default();
        let cx = Context {
            now: Now::from_secs(NOW),
            records: &records,
            base: "https://login.test",
            issuer: ISSUER,
            ip: "127.0.0.1",
            entropy: &entropy,
            resources: &[],
        };
        let session = fixture::session(NOW - 100);
        let claims = |azp: &str, iat: i64, iss: &str| RefreshClaims {
            iss: iss.to_owned(),
            azp: azp.to_owned(),
            iat,
            sid: "session-1".to_owned(),
            ..RefreshClaims::default()
        };
        let mine = vec![below("app", NOW - 90)];
        let ours = vec![below("app", NOW - 90), below("web", NOW - 80)];
        let theirs = vec![below("web", NOW - 80)];
        let other = "https://login.test/realms/annex";
        for (name, claims, there, parts, expected) in [
            ("alone", claims("app", NOW - 50, ISSUER), true, &mine, "session"),
            ("with others", claims("app", NOW - 50, ISSUER), true, &ours, "client session"),
            ("detached before", claims("app", NOW - 50, ISSUER), true, &theirs, "RevocationTokenInvalid"),
            ("session gone", claims("app", NOW - 50, ISSUER), false, &mine, "RevocationTokenInvalid"),
            ("of an earlier part", claims("app", NOW - 95, ISSUER), true, &mine, "RevocationTokenInvalid"),
            ("another realm's", claims("app", NOW - 50, other), true, &mine, "RevocationTokenInvalid"),
            ("another client's", claims("web", NOW - 50, ISSUER), true, &ours, "RevocationOfAnotherClient"),
            ("nobody's", claims("", NOW - 50, ISSUER), true, &ours, "RevocationTokenInvalid"),
        ] {
            let loaded = Loaded { session: there.then_some(&session), parts, account: None };
            let app = records.client("app").unwrap();
            assert_eq!(told(&decide(&cx, app, Token::Refresh(&claims), loaded)), expected, "{name}");
        }
        let app = records.client("app").unwrap();
        assert_eq!(told(&decide(&cx, app, Token::Other, Loaded::default())), "RevocationTokenUnsupported");
        assert_eq!(told(&decide(&cx, app, Token::Unknown, Loaded::default())), "RevocationTokenInvalid");
    }
}

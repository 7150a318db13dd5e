//! `private_key_jwt` and `client_secret_jwt` (RFC 7523 §3, OIDC Core §9), with the words of Keycloak 26.4.
//!
//! | check | else |
//! |---|---|
//! | `client_assertion_type` | [`Reason::AssertionMissing`], [`Reason::AssertionTypeUnknown`] |
//! | `client_assertion` | [`Reason::AssertionAbsent`] |
//! | `iss` is `sub` is the client | [`Reason::UnknownClient`], [`Reason::AssertionOfAnotherClient`] |
//! | algorithm of the method, and the registered one | signature reasons, [`Reason::AssertionAlgorithm`] |
//! | signature by the client's key | [`Reason::AssertionKeyUnknown`], signature reasons |
//! | `exp`, `nbf`, `iat` | [`Reason::AssertionWithoutExpiry`], [`Reason::AssertionNotActive`], [`Reason::AssertionFromFuture`] |
//! | one audience, and it is this server | [`Reason::AssertionAudience`], [`Reason::AssertionAudiences`] |
//! | short life | [`Reason::AssertionTooOld`], [`Reason::AssertionTooLong`] |
//! | `jti` | [`Reason::AssertionWithoutId`] |

use portcullis_jose::{
    Algorithm, AudienceRule, Header, KeySet, Limits, Parsed, Profile as Rules, Reject, TypeRule, Verified,
    VerifyingKey, digest, jws, jwt, parse_strict,
};
use serde_json::Value;

use super::{Method, Presented, keys};
use crate::client::Client;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::realm::Profile;

/// The one `client_assertion_type` (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Keycloak's authenticator of `private_key_jwt`.
pub(super) const BY_KEY: &str = "client-jwt";
/// Keycloak's authenticator of `client_secret_jwt`.
pub(super) const BY_SECRET: &str = "client-secret-jwt";

/// Longest assertion, bytes.
const LIMITS: Limits = Limits { max_bytes: 16 * 1024, max_depth: 8 };

/// Seconds a client's clock may be ahead (Keycloak 26.4).
const SKEW: i64 = 15;

/// Seconds an assertion may be used after `iat` (Keycloak 26.4: `token.endpoint.auth.signing.max.exp`).
const LONGEST: i64 = 300;

/// An assertion that holds.
pub(super) struct Judged {
    pub(super) method: Method,
    pub(super) hash: [u8; 32],
    pub(super) expires_at: i64,
}

/// Whether a client proves itself by assertion.
pub(super) fn is_method_of(client: &Client) -> bool {
    !client.is_public() && matches!(client.settings.client_authenticator_type.as_str(), BY_KEY | BY_SECRET)
}

/// Whom an assertion is about, when nothing else names the client. Unverified.
pub(super) fn subject(params: &Params) -> Option<String> {
    params.raw("client_assertion_type").filter(|t| *t == ASSERTION_TYPE)?;
    peek(params.get("client_assertion")?).filter(|(issuer, subject)| issuer == subject).map(|(_, subject)| subject)
}

/// The header of an assertion that is worth the fetching of keys: well shaped, about this client, by an asymmetric algorithm.
pub(super) fn plausible(client: &Client, params: &Params) -> Option<Header> {
    subject(params).filter(|subject| *subject == client.client_id)?;
    let parsed = jws::parse(params.get("client_assertion")?, &LIMITS).ok()?;
    Some(parsed.header().clone()).filter(|header| !header.alg.is_symmetric())
}

/// `iss` and `sub` of whatever looks like a token: also of those that are refused later, so that the refusal has the right name.
fn peek(text: &str) -> Option<(String, String)> {
    if text.len() > LIMITS.max_bytes {
        return None;
    }
    let payload = digest::base64url_decode(text.split('.').nth(1)?)?;
    let claims = parse_strict(&payload, LIMITS.max_depth).ok()?;
    let text = |name| claims.get(name).and_then(Value::as_str).filter(|v| !v.is_empty()).map(str::to_owned);
    Some((text("iss")?, text("sub")?))
}

/// Judges the assertion of a client that is registered for one.
pub(super) fn judge(profile: Profile, client: &Client, presented: &Presented<'_>) -> Result<Judged, Reason> {
    let by_secret = client.settings.client_authenticator_type == BY_SECRET;
    let method = if by_secret { Method::SecretJwt } else { Method::PrivateKeyJwt };
    let text = assertion(presented.params)?;
    let (issuer, subject) = peek(text).ok_or(Reason::UnknownClient)?;
    if issuer != subject {
        return Err(Reason::UnknownClient);
    }
    if subject != client.client_id {
        return Err(Reason::AssertionOfAnotherClient);
    }
    let parsed = jws::parse(text, &LIMITS).map_err(|reject| refused(method, reject))?;
    let keys = if by_secret { shared(client, &parsed) } else { public(client, &parsed, presented.fetched) }?;
    let registered = client.attribute("token.endpoint.auth.signing.alg").filter(|name| !name.is_empty());
    if registered.is_some_and(|name| name != parsed.header().alg.as_str()) {
        return Err(Reason::AssertionAlgorithm);
    }
    let now = presented.now.secs();
    let rules = rules(profile, client, parsed.header().alg);
    let token = jwt::verify_parsed(parsed, &keys, &rules, now).map_err(|reject| refused(method, reject))?;
    check_audience(profile, &token, presented.issuer)?;
    let expires_at = last_second(client, &token, now)?;
    let jti = token.jti().filter(|jti| !jti.is_empty()).ok_or(Reason::AssertionWithoutId)?;
    let whose = [client.id.as_str().as_bytes(), &[0], jti.as_bytes()].concat();
    Ok(Judged { method, hash: digest::sha256(&whose), expires_at })
}

fn assertion(params: &Params) -> Result<&str, Reason> {
    match params.raw("client_assertion_type") {
        None => return Err(Reason::AssertionMissing),
        Some(ASSERTION_TYPE) => {}
        Some(other) => return Err(Reason::AssertionTypeUnknown(other.chars().take(200).collect())),
    }
    params.get("client_assertion").ok_or(Reason::AssertionAbsent)
}

/// The client's secret as the one key of the token's algorithm.
fn shared(client: &Client, parsed: &Parsed<'_>) -> Result<KeySet, Reason> {
    let secret = client.secret.as_ref().filter(|s| !s.is_empty()).ok_or(Reason::BadClientCredentials)?;
    let header = parsed.header();
    if !header.alg.is_symmetric() {
        return Err(Reason::SecretAssertionAsymmetric);
    }
    let key = VerifyingKey::from_hmac(header.alg, header.kid.as_deref(), secret.expose().as_bytes());
    Ok(KeySet::new([key.map_err(|_| Reason::SecretAssertionSignature)?]))
}

/// The client's public keys. A public key never serves as an HMAC secret (TE-11): [`KeySet::find`] binds key and algorithm.
fn public(client: &Client, parsed: &Parsed<'_>, fetched: Option<&KeySet>) -> Result<KeySet, Reason> {
    let header = parsed.header();
    let kid = header.kid.as_deref();
    let keys = keys::of(client, fetched, kid).ok_or(Reason::AssertionKeyUnknown)?;
    match keys.find(kid, header.alg) {
        Some(_) => Ok(keys),
        // Keycloak 26.4: a key of that name is there, so it is the signature that does not hold.
        None if kid.is_some_and(|kid| keys.has_kid(kid)) => Err(Reason::AssertionSignature),
        None => Err(Reason::AssertionKeyUnknown),
    }
}

fn rules(profile: Profile, client: &Client, algorithm: Algorithm) -> Rules {
    let typ = match profile {
        Profile::Keycloak => TypeRule::Any,
        // RFC 8725 §3.11: what a client signs for another purpose is no assertion.
        Profile::Strict => TypeRule::one_of_or_absent(&["JWT", "client-authentication+jwt"]),
    };
    Rules::new(&[algorithm], typ, client.client_id.as_str(), AudienceRule::Any)
        .leeway(SKEW)
        .expiry_leeway(0)
        .iat_optional()
        .with_limits(LIMITS)
}

fn refused(method: Method, reject: Reject) -> Reason {
    if matches!(reject, Reject::Expired | Reject::NotYetValid) {
        Reason::AssertionNotActive
    } else if reject == Reject::IssuedInFuture {
        Reason::AssertionFromFuture
    } else if reject == Reject::MissingClaim("exp") {
        Reason::AssertionWithoutExpiry
    } else if method == Method::SecretJwt {
        Reason::SecretAssertionSignature
    } else {
        Reason::AssertionSignature
    }
}

/// RFC 7523 §3 item 3. Keycloak 26.4 takes these endpoints at all of them; a strict realm the issuer and the token endpoint (TE-09).
fn check_audience(profile: Profile, token: &Verified, issuer: &str) -> Result<(), Reason> {
    const ENDPOINTS: [&str; 3] = ["/token", "/token/introspect", "/ext/par/request"];
    let taken = match profile {
        Profile::Keycloak => &ENDPOINTS[..],
        Profile::Strict => &ENDPOINTS[..1],
    };
    let ours = |audience: &String| {
        let below = audience.strip_prefix(issuer);
        below == Some("")
            || below.and_then(|b| b.strip_prefix("/protocol/openid-connect")).is_some_and(|b| taken.contains(&b))
    };
    match token.aud() {
        audiences if !audiences.iter().any(ours) => Err(Reason::AssertionAudience),
        [_] => Ok(()),
        _ => Err(Reason::AssertionAudiences),
    }
}

/// From this second on the assertion is refused whatever happens, so its mark may go.
fn last_second(client: &Client, token: &Verified, now: i64) -> Result<i64, Reason> {
    let longest = client.seconds("token.endpoint.auth.signing.max.exp").unwrap_or(LONGEST);
    let expires_at = token.exp().ok_or(Reason::AssertionWithoutExpiry)?;
    match token.iat() {
        None if expires_at - now > longest => Err(Reason::AssertionTooLong),
        None => Ok(expires_at),
        Some(issued_at) if now > issued_at.saturating_add(longest) => Err(Reason::AssertionTooOld),
        Some(issued_at) => Ok(expires_at.min(issued_at.saturating_add(longest) + 1)),
    }
}

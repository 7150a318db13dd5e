//! Payloads of access, ID and refresh tokens, of userinfo and of introspection, in Keycloak's member order (recorded from 26.4.2).

use serde_json::Value;

use super::{Facts, Target, gather};
use crate::json::Object;
use crate::oauth::resource;
use crate::realm::Profile;

/// Client attribute: `bearer` instead of `Bearer`, in the answer and in the token.
pub const LOWER_CASE_ATTRIBUTE: &str = "token.response.type.bearer.lower-case";

/// Client attribute: access tokens are those of RFC 9068 (`typ` `at+jwt` in the header; Keycloak 26.4). In a strict realm they also
/// have the claims that RFC 9068 §2.2 requires and Keycloak leaves out: `client_id`, and an `aud` always.
pub const AT_JWT_ATTRIBUTE: &str = "access.token.header.type.rfc9068";

/// `typ` and `token_type` of a client's bearer tokens.
#[must_use]
pub fn bearer_type(client: &crate::client::Client) -> &'static str {
    if client.flag(LOWER_CASE_ATTRIBUTE) { "bearer" } else { "Bearer" }
}

/// When a token was made, until when it holds (seconds), and its id.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// `iat`.
    pub issued_at: i64,
    /// `exp`; 0: the token has none.
    pub expires_at: i64,
    /// `jti`.
    pub id: &'a str,
}

/// An access token's payload.
#[derive(Clone, Debug)]
pub struct AccessPayload {
    /// JSON.
    pub json: Vec<u8>,
    /// Whether it names its subject; its refresh token does the same (Keycloak 26.4).
    pub has_subject: bool,
}

fn expiry(object: &mut Object, stamp: Stamp<'_>) {
    if stamp.expires_at > 0 {
        object.int("exp", stamp.expires_at);
    }
}

fn head(object: &mut Object, stamp: Stamp<'_>, members: &mut serde_json::Map<String, Value>, issuer: &str) {
    expiry(object, stamp);
    object.int("iat", stamp.issued_at);
    object.taken("auth_time", members);
    object.text("jti", stamp.id);
    object.text("iss", issuer);
}

/// The payload of an access token.
#[must_use]
pub fn access(facts: &Facts<'_>, stamp: Stamp<'_>) -> AccessPayload {
    let mut claims = gather(facts, Target::access_of(facts.client));
    if let Some(only) = facts.audiences {
        claims.keep_audiences(only);
    }
    let members = &mut claims.members;
    let mut object = Object::new();
    head(&mut object, stamp, members, facts.issuer);
    let as_rfc_9068 = facts.client.flag(AT_JWT_ATTRIBUTE) && facts.records.realm.profile() == Profile::Strict;
    // RFC 8707 §2.2: the token is for these and no other, whatever the mappers name.
    match (facts.grant.resources.as_slice(), facts.audiences) {
        // RFC 9068 §3: a default where nothing else is named; the issuer's own resource is userinfo.
        ([], _) if as_rfc_9068 && claims.audience.is_empty() => object.text("aud", facts.issuer),
        ([], _) => object.audience(&claims.audience),
        (resources, None) => object.audience(resources),
        (resources, Some(_)) => object.audience(&[resources, &claims.audience].concat()),
    }
    if claims.subject {
        object.text("sub", facts.user.id.as_str());
    }
    object.text("typ", bearer_type(facts.client));
    object.text("azp", &facts.client.client_id);
    if as_rfc_9068 {
        object.text("client_id", &facts.client.client_id);
    }
    if let Some(sid) = facts.sid() {
        object.text("sid", sid);
    }
    for name in ["acr", "allowed-origins", "realm_access", "resource_access"] {
        object.taken(name, members);
    }
    object.text("scope", &facts.scopes.token_scope());
    object.rest(members);
    AccessPayload { json: object.end(), has_subject: claims.subject }
}

/// Hashes of what was made beside an ID token: it vouches for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hashes<'a> {
    /// `at_hash`: the access token (OIDC Core §3.1.3.6).
    pub access: Option<&'a str>,
    /// `c_hash`: the code (OIDC Core §3.3.2.11).
    pub code: Option<&'a str>,
    /// `s_hash`: `state` (Keycloak 26.4; FAPI 1.0 Advanced §5.1).
    pub state: Option<&'a str>,
}

/// The payload of an ID token (OIDC Core §2). `nonce` is that of the authorization request, absent after a refresh.
#[must_use]
pub fn id(facts: &Facts<'_>, stamp: Stamp<'_>, hashes: Hashes<'_>, nonce: Option<&str>) -> Vec<u8> {
    let mut claims = gather(facts, Target::Id);
    claims.audience.insert(0, facts.client.client_id.clone());
    let members = &mut claims.members;
    let mut object = Object::new();
    head(&mut object, stamp, members, facts.issuer);
    object.audience(&claims.audience);
    object.text("sub", facts.user.id.as_str());
    object.text("typ", "ID");
    object.text("azp", &facts.client.client_id);
    if let Some(nonce) = nonce {
        object.text("nonce", nonce);
    }
    if let Some(sid) = facts.sid() {
        object.text("sid", sid);
    }
    for (name, hash) in [("at_hash", hashes.access), ("c_hash", hashes.code)] {
        if let Some(hash) = hash {
            object.text(name, hash);
        }
    }
    object.taken("acr", members);
    if let Some(hash) = hashes.state {
        object.text("s_hash", hash);
    }
    object.rest(members);
    object.end()
}

/// What a refresh token says. It is made of stored facts only, so it can be made again byte for byte.
#[derive(Clone, Copy, Debug)]
pub struct RefreshFacts<'a> {
    /// Times and id.
    pub stamp: Stamp<'a>,
    /// Issuer and audience.
    pub issuer: &'a str,
    /// `sub`, unless the access token hides it.
    pub subject: Option<&'a str>,
    /// `azp`.
    pub client_id: &'a str,
    /// `sid`.
    pub session: &'a str,
    /// Whether that is an offline session.
    pub offline: bool,
    /// Names of all granted client scopes, those of `include.in.token.scope=false` too.
    pub scope: &'a str,
    /// The family, where rotation is on (Keycloak's `reuse_id`).
    pub reuse_id: Option<&'a str>,
    /// The resources that were granted at first (RFC 8707), where no family knows them.
    pub resources: &'a [String],
}

/// The payload of a refresh token.
#[must_use]
pub fn refresh(facts: &RefreshFacts<'_>) -> Vec<u8> {
    let mut object = Object::new();
    expiry(&mut object, facts.stamp);
    object.int("iat", facts.stamp.issued_at);
    object.text("jti", facts.stamp.id);
    object.text("iss", facts.issuer);
    object.text("aud", facts.issuer);
    if let Some(subject) = facts.subject {
        object.text("sub", subject);
    }
    object.text("typ", if facts.offline { "Offline" } else { "Refresh" });
    object.text("azp", facts.client_id);
    object.text("sid", facts.session);
    object.text("scope", facts.scope);
    if let Some(id) = facts.reuse_id {
        object.text("reuse_id", id);
    }
    if !facts.resources.is_empty() {
        object.value("resource", &facts.resources.into());
    }
    object.end()
}

/// The userinfo answer (OIDC Core §5.3.2). A signed one names issuer and audience.
#[must_use]
pub fn userinfo(facts: &Facts<'_>, signed: bool) -> Vec<u8> {
    let mut claims = gather(facts, Target::Userinfo);
    let mut object = Object::new();
    object.text("sub", facts.user.id.as_str());
    if signed {
        object.text("aud", &facts.client.client_id);
        claims.members.insert("iss".to_owned(), facts.issuer.into());
    }
    object.rest(&claims.members);
    object.end()
}

/// What a token that is introspected says itself. All else is made anew by the mappers (Keycloak 26.4).
#[derive(Clone, Copy, Debug)]
pub struct Introspected<'a> {
    /// Times and id.
    pub stamp: Stamp<'a>,
    /// `typ`.
    pub typ: &'a str,
    /// `aud`.
    pub audience: &'a [String],
    /// `scope`.
    pub scope: Option<&'a str>,
}

/// An introspection answer.
#[derive(Clone, Debug)]
pub struct IntrospectionPayload {
    /// JSON.
    pub json: Vec<u8>,
    /// The audiences it names: the token's own, then those the mappers add (a lightweight token has none of its own).
    pub audience: Vec<String>,
    /// So many bytes of it are the claims of the token as it would be if it carried all of them; what follows is the answer's own
    /// word. 0: it does not say what the token says.
    pub claims: usize,
}

impl IntrospectionPayload {
    /// The claims alone.
    #[must_use]
    pub fn token(json: &[u8], claims: usize) -> Option<Vec<u8>> {
        let claims = json.get(..claims).filter(|claims| !claims.is_empty())?;
        Some([claims, b"}"].concat())
    }
}

/// The introspection answer for a token that holds (RFC 7662 §2.2).
#[must_use]
pub fn introspection(facts: &Facts<'_>, token: &Introspected<'_>) -> IntrospectionPayload {
    let mut claims = gather(facts, Target::Introspection);
    let audience = audience(facts, token, &claims);
    let members = &mut claims.members;
    // RFC 7662 §2.2: these four are the server's own word.
    for name in ["client_id", "username", "token_type", "active"] {
        members.shift_remove(name);
    }
    let mut object = Object::new();
    head(&mut object, token.stamp, members, facts.issuer);
    object.audience(&audience);
    object.text("sub", facts.user.id.as_str());
    object.text("typ", token.typ);
    object.text("azp", &facts.client.client_id);
    if let Some(session) = facts.session {
        object.text("sid", session.id.as_str());
    }
    for name in ["acr", "allowed-origins", "realm_access", "resource_access"] {
        object.taken(name, members);
    }
    if let Some(scope) = token.scope {
        object.text("scope", scope);
    }
    object.rest(members);
    let claims = object.len();
    object.text("client_id", &facts.client.client_id);
    object.text("username", facts.user.username.as_str());
    object.text("token_type", token.typ);
    object.value("active", &Value::Bool(true));
    IntrospectionPayload { json: object.end(), audience, claims }
}

/// The short answer to the hint `requesting_party_token`.
#[must_use]
pub fn introspection_of_party(facts: &Facts<'_>, token: &Introspected<'_>) -> IntrospectionPayload {
    let mut claims = gather(facts, Target::Introspection);
    let audience = audience(facts, token, &claims);
    let mut object = Object::new();
    expiry(&mut object, token.stamp);
    object.int("iat", token.stamp.issued_at);
    object.text("jti", token.stamp.id);
    object.audience(&audience);
    object.text("typ", token.typ);
    object.taken("acr", &mut claims.members);
    object.value("active", &Value::Bool(true));
    IntrospectionPayload { json: object.end(), audience, claims: 0 }
}

/// The token's own audiences, then those the mappers add; but a token for certain resources is for no other (RFC 8707 §2.2).
fn audience(facts: &Facts<'_>, token: &Introspected<'_>, claims: &super::Claims) -> Vec<String> {
    let mut all = token.audience.to_vec();
    if resource::are_resources(facts.client, &all) {
        return all;
    }
    for name in &claims.audience {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

//! Client authentication (RFC 6749 §2.3, RFC 7523 §3, OIDC Core §9) as Keycloak 26.4 does it: the form's words win over Basic, public
//! clients name themselves, and a client proves itself by the one method it is registered for.
//!
//! **Owns** who a request claims to be, whether it proved it, and what must be marked as used. **Does not own** fetching of keys, the
//! writing of marks, the rate of guesses (idp).
//! **Flow** [`claim`] -> [`Claim::awaited`] (keys to fetch first, if any) -> [`Claim::prove`] -> [`Proven`]: at once, or [`Once`] its mark
//! is written.

mod assertion;
mod keys;
mod secret;

use portcullis_jose::KeySet;

use crate::client::Client;
use crate::ids::RealmId;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::pending::SpentKind;
use crate::plan::Write;
use crate::realm::Profile;
use crate::records::RealmRecords;
use crate::time::Now;

pub use assertion::ASSERTION_TYPE;

/// How the client proved who it is (RFC 8414 `token_endpoint_auth_methods_supported`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// A public client: it only named itself.
    None,
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
    /// `client_secret_jwt`
    SecretJwt,
    /// `private_key_jwt`
    PrivateKeyJwt,
}

/// The methods that work, as discovery lists them.
pub const METHODS: &[&str] = &["private_key_jwt", "client_secret_basic", "client_secret_post", "client_secret_jwt"];

/// The algorithms of client assertions, as discovery lists them.
pub const ASSERTION_ALGORITHMS: &[&str] = &[
    "PS384", "RS384", "EdDSA", "ES384", "HS256", "HS512", "ES256", "RS256", "HS384", "ES512", "PS256", "PS512", "RS512",
];

/// A client that proved who it is at this request.
#[derive(Clone, Copy, Debug)]
pub struct AuthenticatedClient<'a> {
    client: &'a Client,
    method: Method,
}

impl<'a> AuthenticatedClient<'a> {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &'a Client {
        self.client
    }

    /// How.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }
}

/// What a request brought along.
#[derive(Clone, Copy)]
pub struct Presented<'r> {
    /// The texts of all `Authorization` headers; more than one is not decodable.
    pub authorization: &'r [&'r str],
    /// The form.
    pub params: &'r Params,
    /// The request's clock.
    pub now: Now,
    /// The realm's issuer: an assertion is for it, or for an endpoint below it.
    pub issuer: &'r str,
    /// The keys at the address that [`awaited`] named; `None` when there is none or nothing came from it.
    pub fetched: Option<&'r KeySet>,
}

/// Who a request is from.
#[derive(Debug)]
#[must_use = "a client is known only when its mark is written"]
pub enum Proven<'a> {
    /// Known.
    Now(AuthenticatedClient<'a>),
    /// Known when the mark is written: an assertion counts once (RFC 7523 §3, TE-07).
    Once(Once<'a>),
}

/// A client that proved itself by an assertion, which must be marked as used before anything else is touched.
#[derive(Debug)]
pub struct Once<'a> {
    client: AuthenticatedClient<'a>,
    hash: [u8; 32],
    expires_at: i64,
}

impl<'a> Once<'a> {
    /// SHA-256 of client and `jti`.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The mark. Gate: `AlreadySpent`, which is [`Reason::AssertionReused`].
    #[must_use]
    pub fn mark(&self, realm: &RealmId) -> Write {
        let (kind, expires_at) = (SpentKind::ClientAssertion, self.expires_at);
        Write::Spend { realm: realm.clone(), kind, hash: self.hash, expires_at }
    }

    /// The mark is written: who it is.
    #[must_use]
    pub fn marked(self) -> AuthenticatedClient<'a> {
        self.client
    }
}

/// Keys that must be fetched before a request can be judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Awaited<'a> {
    /// Whose.
    pub client: &'a str,
    /// Where (`jwks.url`).
    pub url: &'a str,
    /// Which, when the assertion says so: keys at hand that have none of this name are too old.
    pub kid: Option<String>,
}

/// Authenticates the client of a request.
///
/// # Errors
/// The rows of Keycloak's table (TE-02 to TE-11, P-09): unknown, disabled or unnamed clients, wrong or missing secrets and
/// assertions, headers that cannot be read, another method than the client's, and in a strict realm two methods at once.
pub fn authenticate<'a>(records: &'a RealmRecords, presented: &Presented<'_>) -> Result<Proven<'a>, Reason> {
    claim(records, presented)?.prove(presented)
}

/// Whether a refusal means that a secret was tried and was not the client's (TE-33).
#[must_use]
pub fn is_wrong_secret(reason: &Reason) -> bool {
    matches!(reason, Reason::WrongClientSecret | Reason::SecretAssertionSignature)
}

fn known(client: &Client, method: Method) -> Result<AuthenticatedClient<'_>, Reason> {
    if client.settings.protocol == "openid-connect" {
        Ok(AuthenticatedClient { client, method })
    } else {
        Err(Reason::WrongClientProtocol)
    }
}

/// Keycloak's authenticator of `client_secret_basic` and `client_secret_post`.
const BY_PLAIN_SECRET: &str = "client-secret";

/// Who a request says it is from. Nothing is proven by it.
pub struct Claim<'a> {
    client: &'a Client,
    profile: Profile,
    basic: Option<(String, String)>,
}

impl<'a> Claim<'a> {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &'a Client {
        self.client
    }

    /// Whether the client proves itself by a secret, so that somebody could guess it.
    #[must_use]
    pub fn is_by_secret(&self) -> bool {
        let by = self.client.settings.client_authenticator_type.as_str();
        !self.client.is_public()
            && !self.client.settings.bearer_only
            && matches!(by, BY_PLAIN_SECRET | assertion::BY_SECRET)
    }

    /// Which keys an assertion needs that are published elsewhere. Nothing is awaited for a request that is refused anyway.
    #[must_use]
    pub fn awaited(&self, presented: &Presented<'_>) -> Option<Awaited<'a>> {
        let by_key = !self.client.is_public() && self.client.settings.client_authenticator_type == assertion::BY_KEY;
        let url = keys::address(self.client).filter(|_| by_key)?;
        let header = assertion::plausible(self.client, presented.params)?;
        Some(Awaited { client: self.client.client_id.as_str(), url, kid: header.kid })
    }

    /// Whether the request proves it.
    ///
    /// # Errors
    /// Wrong or missing secrets and assertions, another method than the client's, clients that authenticate nowhere.
    pub fn prove(&self, presented: &Presented<'_>) -> Result<Proven<'a>, Reason> {
        let client = self.client;
        if client.settings.bearer_only {
            return Err(Reason::BadClientCredentials);
        }
        if client.is_public() {
            return known(client, Method::None).map(Proven::Now);
        }
        match client.settings.client_authenticator_type.as_str() {
            BY_PLAIN_SECRET => {
                let method = secret::prove(client, self.basic.as_ref(), presented.params)?;
                known(client, method).map(Proven::Now)
            }
            assertion::BY_KEY | assertion::BY_SECRET => {
                let judged = assertion::judge(self.profile, client, presented)?;
                let client = known(client, judged.method)?;
                Ok(Proven::Once(Once { client, hash: judged.hash, expires_at: judged.expires_at }))
            }
            // Certificates (RFC 8705) and authenticators of others.
            _ => Err(Reason::BadClientCredentials),
        }
    }
}

/// Whom a request names.
///
/// # Errors
/// Unknown, disabled or unnamed clients, headers that cannot be read, and in a strict realm two methods at once.
pub fn claim<'a>(records: &'a RealmRecords, presented: &Presented<'_>) -> Result<Claim<'a>, Reason> {
    let params = presented.params;
    let profile = records.realm.profile();
    let basic = secret::basic(presented.authorization, profile)?;
    if profile == Profile::Strict {
        one_method(basic.as_ref(), params)?;
    }
    let enabled = |id: &str| records.client(id).filter(|c| c.settings.enabled).ok_or(Reason::UnknownClient);
    // Keycloak 26.4: a client_id without a value names nobody, and nothing else does then.
    let named = params.sent(profile, "client_id");
    let client = match named.or(basic.as_ref().map(|(id, _)| id.as_str())) {
        Some(id) => enabled(id)?,
        None => {
            let subject = assertion::subject(params).ok_or(Reason::UnknownClient)?;
            // Keycloak 26.4: an assertion names only clients that use one.
            Some(enabled(&subject)?).filter(|client| assertion::is_method_of(client)).ok_or(Reason::UnknownClient)?
        }
    };
    Ok(Claim { client, profile, basic })
}

/// RFC 6749 §2.3: never more than one method, and all names of the client are one name (TE-02, TE-06).
fn one_method(basic: Option<&(String, String)>, params: &Params) -> Result<(), Reason> {
    let (secret, assertion) = (params.has("client_secret"), params.has("client_assertion"));
    let two = match basic {
        Some((id, _)) => secret || assertion || params.get("client_id").is_some_and(|form| form != id),
        None => secret && assertion,
    };
    if two { Err(Reason::UndecodableClientAuthentication) } else { Ok(()) }
}

#[cfg(test)]
mod tests;

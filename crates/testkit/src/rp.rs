//! A tiny relying party with a browser's cookie jar: PKCE, the authorization address, the login form, the code exchange
//! (RFC 6749 §4.1, RFC 7636).

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::golden::{Jar, Page};
use crate::http1::{Answer, Connection, Exchange};
use crate::pace::random;

/// A PKCE pair (RFC 7636 §4).
#[derive(Clone, Debug)]
pub struct Pkce {
    /// 43 characters.
    pub verifier: String,
    /// `BASE64URL(SHA256(verifier))`.
    pub challenge: String,
}

impl Pkce {
    /// A fresh pair.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> Result<Self> {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let verifier = URL_SAFE_NO_PAD.encode(random(32)?);
        Ok(Self { challenge: crate::golden::s256(&verifier), verifier })
    }
}

/// Who the relying party is.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Realm's name.
    pub realm: String,
    /// `client_id`.
    pub client_id: String,
    /// Sent in the form of the token request, for confidential clients.
    pub client_secret: Option<String>,
    /// Registered address.
    pub redirect_uri: String,
}

/// A browser and a relying party in one.
#[derive(Debug)]
pub struct RelyingParty {
    registration: Registration,
    server: Connection,
    /// The browser's cookies.
    pub jar: Jar,
}

impl RelyingParty {
    /// For a server at `base` (`http://host:port`).
    ///
    /// # Errors
    /// When the base is not plain http.
    pub fn new(base: &str, registration: Registration) -> Result<Self> {
        Ok(Self { registration, server: Connection::to(base)?, jar: Jar::default() })
    }

    /// Path of an endpoint of the realm: `auth`, `token`, `userinfo`, ...
    #[must_use]
    pub fn endpoint(&self, name: &str) -> String {
        format!("/realms/{}/protocol/openid-connect/{name}", self.registration.realm)
    }

    /// Target of an authorization request; `more` is appended after the usual parameters.
    #[must_use]
    pub fn authorize_target(&self, pkce: &Pkce, more: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.registration.client_id)
            .append_pair("redirect_uri", &self.registration.redirect_uri)
            .append_pair("code_challenge", &pkce.challenge)
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(more);
        format!("{}?{}", self.endpoint("auth"), query.finish())
    }

    /// Sends a request as the browser does: with cookies, keeping new ones, following nothing.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn send(&mut self, mut exchange: Exchange) -> Result<Answer> {
        if let Some(cookies) = self.jar.header(&exchange.target) {
            exchange = exchange.header("Cookie", &cookies);
        }
        let answer = self.server.send(&exchange).await?;
        self.jar.update(&answer);
        Ok(answer)
    }

    /// Opens an address of this server, absolute or not.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn open(&mut self, address: &str) -> Result<Answer> {
        let target = target(address);
        self.send(Exchange::get(&target)).await
    }

    /// Fills the login form of `page` and posts it.
    ///
    /// # Errors
    /// When the page has no such form.
    pub async fn post_credentials(&mut self, page: &Answer, user: &str, password: &str) -> Result<Answer> {
        let page = Page::read(&page.text());
        let form = page.form("kc-form-login").context("no login form")?;
        let action = form.action.clone().context("a form without action")?;
        let target = target(&action);
        let fields = [("username", user), ("password", password), ("credentialId", "")];
        self.send(Exchange::form(&target, &fields)).await
    }

    /// The whole way to a code: authorization request, login page, credentials. Returns the code.
    ///
    /// # Errors
    /// When any step answers something else; the message says what.
    pub async fn code(&mut self, pkce: &Pkce, more: &[(&str, &str)], user: &str, password: &str) -> Result<String> {
        let target = self.authorize_target(pkce, more);
        let page = self.open(&target).await?;
        let answer = match page.status {
            200 => self.post_credentials(&page, user, password).await?,
            _ => page,
        };
        let location = answer.header("location").unwrap_or_default();
        let found = parameter(location, "code");
        match found {
            Some(code) if location.starts_with(&self.registration.redirect_uri) => Ok(code),
            _ => bail!("no code: {} {location} {}", answer.status, answer.text()),
        }
    }

    /// A token request with the client's own credentials added.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn token(&mut self, fields: &[(&str, &str)]) -> Result<Answer> {
        let registration = self.registration.clone();
        let mut all = vec![("client_id", registration.client_id.as_str())];
        if let Some(secret) = &registration.client_secret {
            all.push(("client_secret", secret));
        }
        all.extend_from_slice(fields);
        let target = self.endpoint("token");
        self.server.send(&Exchange::form(&target, &all)).await
    }

    /// Exchanges a code.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn exchange(&mut self, code: &str, pkce: &Pkce) -> Result<Answer> {
        let redirect_uri = self.registration.redirect_uri.clone();
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &pkce.verifier),
        ])
        .await
    }

    /// The whole login: the token endpoint's JSON.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn login(&mut self, scope: &str, user: &str, password: &str) -> Result<Value> {
        let pkce = Pkce::new()?;
        let code = self.code(&pkce, &[("scope", scope)], user, password).await?;
        let answer = self.exchange(&code, &pkce).await?;
        if answer.status != 200 {
            bail!("the code exchange: {} {}", answer.status, answer.text());
        }
        Ok(answer.json())
    }
}

/// The path on the wire: whichever name the server gives itself, this connection leads to it.
fn target(address: &str) -> String {
    crate::golden::origin_form(address)
}

/// A parameter of an address, in its query or its fragment.
#[must_use]
pub fn parameter(address: &str, name: &str) -> Option<String> {
    let (_, text) = address.split_once(['?', '#'])?;
    text.split(['#', '?'])
        .flat_map(|part| url::form_urlencoded::parse(part.as_bytes()))
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_query_and_fragment() {
        for (address, want) in [
            ("http://h/cb?state=1&code=a.b", Some("a.b")),
            ("http://h/cb#code=c", Some("c")),
            ("http://h/cb?x=1#code=d", Some("d")),
            ("http://h/cb?error=x", None),
            ("http://h/code=", None),
        ] {
            assert_eq!(parameter(address, "code").as_deref(), want, "{address}");
        }
    }

    #[test]
    fn rfc_7636_the_authorization_address_carries_the_challenge() {
        let registration = Registration {
            realm: "demo".into(),
            client_id: "spa".into(),
            client_secret: None,
            redirect_uri: "http://127.0.0.1:9876/callback".into(),
        };
        let rp = RelyingParty::new("http://127.0.0.1:1", registration).unwrap();
        let pkce = Pkce::new().unwrap();
        let target = rp.authorize_target(&pkce, &[("state", "s 1")]);
        assert!(target.starts_with("/realms/demo/protocol/openid-connect/auth?"));
        assert_eq!(parameter(&target, "code_challenge").as_deref(), Some(pkce.challenge.as_str()));
        assert_eq!(parameter(&target, "state").as_deref(), Some("s 1"));
        assert_eq!(pkce.verifier.len(), 43);
    }
}

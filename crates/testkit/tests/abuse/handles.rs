//! SE-14: every handle that opens something is made of at least 128 bits of the given source, and of nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::entropy::Entropy;
use portcullis_idp::{Deps, Idp, IdpConfig};
use portcullis_store::MemoryEphemeral;
use portcullis_testkit::clock::SeededEntropy;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Connection, Exchange};
use portcullis_testkit::rp::{Pkce, RelyingParty, parameter};
use tokio::net::TcpListener;

use crate::forge::claims;
use crate::ground::{House, REALM, open, registration, tokens};
use crate::limits::OIDC;

/// A source that remembers what it gave.
struct Remembering {
    from: SeededEntropy,
    given: Mutex<Vec<Vec<u8>>>,
}

impl Entropy for Remembering {
    fn fill(&self, out: &mut [u8]) {
        self.from.fill(out);
        self.given.lock().unwrap_or_else(PoisonError::into_inner).push(out.to_vec());
    }
}

impl Remembering {
    /// Bits of the largest draw that stands in a value, as hexadecimal digits or as base64url.
    fn bits_in(&self, value: &str) -> usize {
        let plain = value.replace('-', "");
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = |draw: &&Vec<u8>| {
            let hex: String = draw.iter().map(|byte| format!("{byte:02x}")).collect();
            draw.len() >= 8 && (plain.contains(&hex) || value.contains(&URL_SAFE_NO_PAD.encode(draw)))
        };
        given.iter().filter(stands).map(|draw| draw.len() * 8).max().unwrap_or(0)
    }
}

#[tokio::test]
async fn se_14_pc_16_every_handle_is_made_of_128_bits_at_least() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let source = Arc::new(Remembering { from: SeededEntropy::new(99), given: Mutex::default() });
        let idp = Idp::open(Deps {
            db: server.db.clone(),
            ephemeral: Arc::new(MemoryEphemeral::new("handles")),
            clock: server.clock.clone(),
            entropy: source.clone(),
            config: IdpConfig::default(),
        })
        .await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let serving = axum::serve(listener, idp.router());
        let task = tokio::spawn(async move { serving.await });
        let mut browser = RelyingParty::new(&base, registration(REALM, "app"))?;
        let pkce = Pkce::new()?;
        let ask = browser.authorize_target(&pkce, &[("scope", "openid")]);
        let page = browser.open(&ask).await?;
        let action = Page::read(&page.text()).form("kc-form-login").and_then(|f| f.action.clone()).context("a form")?;
        let cookie = browser.jar.get("AUTH_SESSION_ID").context("a cookie")?.to_owned();
        let (id, _signature) = cookie.split_once('.').unwrap_or((&cookie, ""));
        let id =
            URL_SAFE_NO_PAD.decode(id).ok().and_then(|b| String::from_utf8(b).ok()).unwrap_or_else(|| id.to_owned());
        let answer = browser.post_credentials(&page, "alice", "alice-password").await?;
        let code = parameter(answer.header("location").unwrap_or_default(), "code").context("a code")?;
        let held = tokens(&browser.exchange(&code, &pkce).await?)?;
        let mut wire = Connection::to(&base)?;
        let form = [
            ("client_id", "app"),
            ("redirect_uri", crate::ground::BACK),
            ("response_type", "code"),
            ("scope", "openid"),
            ("code_challenge", &pkce.challenge),
            ("code_challenge_method", "S256"),
        ];
        let pushed = wire.send(&Exchange::form(&format!("{OIDC}/ext/par/request"), &form)).await?.json();
        let form = [("client_id", "tv"), ("scope", "openid")];
        let device = wire.send(&Exchange::form(&format!("{OIDC}/auth/device"), &form)).await?.json();
        let said = claims(&held.access)?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        for (what, handle) in [
            ("the browser's id", id),
            ("the page's code", parameter(&action, "session_code").context("session_code")?),
            ("the authorization code", code.split('.').next().unwrap_or_default().to_owned()),
            ("the session", text(&said["sid"])),
            ("the access token's name", text(&said["jti"])),
            ("the device cookie", browser.jar.get("PORTCULLIS_DEVICE").unwrap_or_default().to_owned()),
            ("a pushed request", text(&pushed["request_uri"])),
            ("a device code", text(&device["device_code"])),
        ] {
            // Only a strict realm, or one with brute force protection, knows browsers again.
            if handle.is_empty() && house == House::Keycloak && what == "the device cookie" {
                continue;
            }
            assert!(source.bits_in(&handle) >= 128, "{house:?} {what}: {handle:?} has {}", source.bits_in(&handle));
        }
        assert_eq!(source.bits_in("00000000-0000-0000-0000-000000000000"), 0, "what was not drawn is not found");
        task.abort();
    }
    Ok(())
}

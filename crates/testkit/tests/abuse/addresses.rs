//! RU: one corpus of addresses through every door that takes one, and P-02.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::plan::Write;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::{Pkce, RelyingParty, parameter};
use portcullis_testkit::server::TestServer;
use serde_json::json;

use crate::ground::{
    BACK, House, REALM, TWIN, Tokens, code, edit_client, login, open, open_both, party, records, tokens, write,
};

const GOOD: &str = "https://app.test/cb";
const FOLDER: &str = "https://app.test/folder/";
const QUERY: &str = "https://app.test/cb?x=Y";
/// Registered for `second`.
const NEIGHBOUR: &str = "https://second.test/cb";
/// Registered for `app` of the other realm.
const ABROAD: &str = "https://annex.test/cb";

/// What must not pass for [`GOOD`], [`FOLDER`] or [`QUERY`].
const CORPUS: &[(&str, &str)] = &[
    ("ru_01", "https://app.test.evil.test/cb"),
    ("ru_01", "https://app.testevil.test/cb"),
    ("ru_02", "https://app.test/folder/../cb"),
    ("ru_02", "https://app.test/folder/%2e%2e/cb"),
    ("ru_02", "https://app.test/folder/..;/cb"),
    ("ru_03", "https://app.test@evil.test/cb"),
    ("ru_03", "https://user@app.test/cb"),
    ("ru_04", "https://app.test\\@evil.test/cb"),
    ("ru_04", "//app.test/cb"),
    ("ru_04", "https:/app.test/cb"),
    ("ru_04", "https:\\\\app.test\\cb"),
    ("ru_04", " https://app.test/cb"),
    ("ru_04", "https://app.test/cb "),
    ("ru_04", "https://app.test/c\tb"),
    ("ru_04", "https://app.test/cb\r\nSet-Cookie: a=b"),
    ("ru_05", "https://app.test/cb#x"),
    ("ru_05", "https://app.test/cb#"),
    ("ru_06", "https://app.test/cb?code=1"),
    ("ru_07", "https://app.test/cb?y=1"),
    ("ru_07", "https://app.test/cb?x=Y&x=Z"),
    ("ru_08", "HTTPS://app.test/cb"),
    ("ru_08", "Https://app.test/cb"),
    ("ru_08", "https://APP.test/cb"),
    ("ru_08", "https://app.tesT/cb"),
    ("ru_08", "https://app.test/CB"),
    ("ru_08", "https://app.test/Folder/"),
    ("ru_08", "https://app.test/cb?x=y"),
    ("ru_08", "https://app.test/cb?X=Y"),
    ("ru_09", "https://app.test:443/cb"),
    ("ru_09", "https://app.test:/cb"),
    ("ru_09", "https://app.test./cb"),
    ("ru_09", "https://app.test/cb/"),
    ("ru_09", "https://app.test//cb"),
    ("ru_09", "https://app.test/folder"),
    ("ru_09", "https://app.test/folder//"),
    ("ru_09", "https://app.test/"),
    ("ru_09", "https://app.test"),
    ("ru_09", "https://app.test/%63b"),
    ("ru_10", "http://app.test/cb"),
    ("ru_12", "javascript:alert(1)//https://app.test/cb"),
    ("ru_12", "data:text/html,https://app.test/cb"),
    ("ru_14", "https://app\u{ff0e}test/cb"),
    ("ru_16", NEIGHBOUR),
    ("ru_16", ABROAD),
];

/// The doors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Query,
    Form,
    /// The answer would be a page that posts itself.
    FormPost,
    Fragment,
    Pushed,
    /// With a fresh code that was asked for at [`BACK`].
    Token,
    LogoutByName,
    LogoutByForm,
    LogoutByHint,
    /// The parameter of old clients.
    LogoutOld,
    /// The way back to the client from a login that is over.
    Return,
}

const WAYS: [Way; 11] = [
    Way::Query,
    Way::Form,
    Way::FormPost,
    Way::Fragment,
    Way::Pushed,
    Way::Token,
    Way::LogoutByName,
    Way::LogoutByForm,
    Way::Return,
    Way::LogoutOld,
    // Ends the session where it is honest, so it comes last.
    Way::LogoutByHint,
];

impl Way {
    async fn go(self, app: &mut RelyingParty, held: &Tokens, uri: &str) -> Result<Answer> {
        let pkce = Pkce::new()?;
        let ask = |mode: &'static str| {
            vec![
                ("response_type", "code"),
                ("client_id", "app"),
                ("redirect_uri", uri),
                ("scope", "openid"),
                ("state", "s"),
                ("response_mode", mode),
                ("code_challenge", pkce.challenge.as_str()),
                ("code_challenge_method", "S256"),
            ]
        };
        let (auth, logout) = (app.endpoint("auth"), app.endpoint("logout"));
        let leave = |more: (&'static str, &str)| query(&logout, &[more, ("post_logout_redirect_uri", uri)]);
        let exchange = match self {
            Self::Query => Exchange::get(&query(&auth, &ask("query"))),
            Self::Form => Exchange::form(&auth, &ask("query")),
            Self::FormPost => Exchange::get(&query(&auth, &ask("form_post"))),
            Self::Fragment => Exchange::get(&query(&auth, &ask("fragment"))),
            Self::Pushed => Exchange::form(&app.endpoint("ext/par/request"), &ask("query")),
            Self::Token => {
                let (code, pkce) = code(app).await?;
                let fields = [("code", code.as_str()), ("redirect_uri", uri), ("code_verifier", &pkce.verifier)];
                let grant = [("grant_type", "authorization_code")];
                return app.token(&[&grant[..], &fields].concat()).await;
            }
            Self::LogoutByName => Exchange::get(&leave(("client_id", "app"))),
            Self::LogoutByForm => Exchange::form(&logout, &[("client_id", "app"), ("post_logout_redirect_uri", uri)]),
            Self::LogoutByHint => Exchange::get(&leave(("id_token_hint", &held.id))),
            Self::LogoutOld => Exchange::get(&query(&logout, &[("client_id", "app"), ("redirect_uri", uri)])),
            Self::Return => {
                let data = URL_SAFE_NO_PAD.encode(json!({ "ru": uri, "rt": "code", "st": "s" }).to_string());
                let path = format!("/realms/{REALM}/login-actions/authenticate");
                Exchange::get(&query(&path, &[("client_id", "app"), ("tab_id", "gone"), ("client_data", &data)]))
            }
        };
        app.send(exchange).await
    }

    /// The refusal: an answer of this server alone, without any way to the address.
    fn refused(self, answer: &Answer, (case, uri): (&str, &str)) {
        let what = format!("{case} {self:?} {uri:?}: {}", answer.text());
        let status = if self == Self::Return { 200 } else { 400 };
        assert_eq!((answer.status, answer.header("location")), (status, None), "{what}");
        let page = Page::read(&answer.text());
        let links = page.links.iter().chain(&page.frames).chain(page.forms.iter().filter_map(|f| f.action.as_ref()));
        for link in links {
            assert!(!link.contains("app.test") && !link.contains("evil.test") && link != uri, "{what}: {link}");
        }
        if matches!(self, Self::Pushed | Self::Token) {
            let error = if self == Self::Token { "invalid_grant" } else { "invalid_request" };
            assert_eq!(answer.json()["error"], error, "{what}");
        }
    }

    /// The honest twin: the way is open for exactly what was registered.
    fn passes(self, answer: &Answer, uri: &str) {
        let location = answer.header("location").unwrap_or_default();
        let what = format!("{self:?} {uri}: {} {location} {}", answer.status, answer.text());
        match self {
            Self::Query | Self::Form | Self::Fragment => {
                assert!(location.starts_with(uri) && parameter(location, "code").is_some(), "{what}");
            }
            Self::FormPost => {
                let page = Page::read(&answer.text());
                let to = page.forms.first().and_then(|form| form.action.as_deref());
                assert_eq!((answer.status, to, page.input("code").is_some()), (200, Some(uri), true), "{what}");
            }
            Self::Pushed => assert_eq!(answer.status, 201, "{what}"),
            Self::Token => assert_eq!(answer.status, 200, "{what}"),
            Self::LogoutByName | Self::LogoutByForm | Self::LogoutOld => {
                assert_eq!((answer.status, answer.header("location")), (200, None), "{what}: the person is asked");
                assert!(answer.text().contains("Do you want to log out?"), "{what}");
            }
            Self::LogoutByHint => assert!(answer.status == 302 && location.starts_with(uri), "{what}"),
            Self::Return => {
                assert!(location.starts_with(uri) && parameter(location, "error").is_some(), "{what}");
            }
        }
    }
}

fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{path}?{query}")
}

/// The addresses of a client, for logins and for logouts.
async fn registers(server: &TestServer, realm: &str, client_id: &str, uris: &[&str]) -> Result<()> {
    let records = records(server, realm).await?;
    let mut client = records.client(client_id).context("no such client")?.clone();
    client.redirect_uris = std::iter::once(BACK).chain(uris.iter().copied()).map(str::to_owned).collect();
    let attributes = &mut client.settings.attributes;
    attributes.insert("post.logout.redirect.uris".to_owned(), uris.join("##"));
    attributes.insert("portcullis.logout.redirect_uri".to_owned(), "true".to_owned());
    write(server, vec![Write::UpdateClient(records.realm.id.clone(), client)]).await
}

#[tokio::test]
async fn ru_08_ru_09_ru_10_ru_16_ru_19_every_door_takes_exactly_what_was_registered() -> Result<()> {
    for house in House::BOTH {
        let server = open_both(house).await?;
        registers(&server, REALM, "app", &[GOOD, FOLDER, QUERY]).await?;
        registers(&server, REALM, "second", &[NEIGHBOUR]).await?;
        registers(&server, TWIN, "app", &[ABROAD]).await?;
        let mut app = party(&server, "app")?;
        // With a session a wrong yes would hand out a code at once.
        let held = login(&mut app).await?;
        for way in WAYS {
            for &(case, uri) in CORPUS {
                way.refused(&way.go(&mut app, &held, uri).await?, (case, uri));
            }
            for uri in [GOOD, FOLDER, QUERY] {
                let twin = if way == Way::Token { BACK } else { uri };
                way.passes(&way.go(&mut app, &held, twin).await?, twin);
                if way == Way::LogoutByHint {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// What a native app asks with, wherever it happened to listen.
const NATIVE: &str = "http://127.0.0.1:51004/native";

#[tokio::test]
async fn p_02_ru_11_a_native_app_listens_on_any_port_of_a_loopback_literal() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut registered = vec!["http://127.0.0.1/native"];
        if house == House::Strict {
            registered.push("http://[::1]/native");
        }
        for client in ["app", "web"] {
            registers(&server, REALM, client, &registered).await?;
        }
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        for way in [Way::Query, Way::Form, Way::FormPost, Way::Fragment, Way::Pushed, Way::Return] {
            for port in ["51004", "1", "65535"] {
                let uri = NATIVE.replace("51004", port);
                way.passes(&way.go(&mut app, &held, &uri).await?, &uri);
                if house == House::Strict {
                    let uri = uri.replace("127.0.0.1", "[::1]");
                    way.passes(&way.go(&mut app, &held, &uri).await?, &uri);
                }
            }
            for bad in [
                "http://127.0.0.1:51004/other",
                "https://127.0.0.1:51004/native",
                "http://127.0.0.2:51004/native",
                "http://localhost:51004/native",
                "http://127.0.0.1.evil.test:51004/native",
                "http://127.1:51004/native",
                "http://[::ffff:127.0.0.1]:51004/native",
                "http://127.0.0.1:51004@evil.test/native",
                "http://127.0.0.1:x/native",
            ] {
                way.refused(&way.go(&mut app, &held, bad).await?, ("ru_11", bad));
            }
        }
        // The code is exchanged with the address it was sent to, and with no other port.
        for (second, good) in [("http://127.0.0.1:51005/native", false), (NATIVE, true)] {
            let pkce = Pkce::new()?;
            let ask = [
                ("response_type", "code"),
                ("client_id", "app"),
                ("redirect_uri", NATIVE),
                ("scope", "openid"),
                ("code_challenge", pkce.challenge.as_str()),
                ("code_challenge_method", "S256"),
            ];
            let sent = app.open(&query(&app.endpoint("auth"), &ask)).await?;
            let code = parameter(sent.header("location").unwrap_or_default(), "code").context("no code")?;
            let fields = [("code", code.as_str()), ("redirect_uri", second), ("code_verifier", &pkce.verifier)];
            let answer = app.token(&[&[("grant_type", "authorization_code")][..], &fields].concat()).await?;
            if good {
                tokens(&answer)?;
            } else {
                assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_grant")));
            }
        }
        // A server-side client has a port of its own: in a strict realm it registers it.
        edit_client(&server, "app", |client| client.settings.public_client = false).await?;
        if house == House::Strict {
            let answer = Way::Query.go(&mut app, &held, NATIVE).await?;
            Way::Query.refused(&answer, ("ru_11 web client", NATIVE));
        }
    }
    Ok(())
}

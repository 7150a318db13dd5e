//! A walk whose every text is a canary: who belongs to whom in the spans of it, and that none of the texts is there.

use std::path::Path;
use std::process::{Command, Output};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;

use crate::asking::{Answer, send};
use crate::collector::{Collector, hex, names_below, only, text};
use crate::served::{HOST, PASSWORD, Served};
use crate::{CALLER, PROGRAM, start, stop};

const TOKEN: &str = "POST /realms/acme/protocol/openid-connect/token";
const LOGOUT: &str = "POST /realms/acme/protocol/openid-connect/logout";
const GRANT: &str =
    "grant_type=password&client_id=app&client_secret=canary-client-secret&username=canary-user&scope=openid";

fn realm(collector: &Collector) -> String {
    let app = serde_json::json!({
        "clientId": "app", "enabled": true, "protocol": "openid-connect", "publicClient": false,
        "secret": "canary-client-secret", "directAccessGrantsEnabled": true, "standardFlowEnabled": true,
        "redirectUris": ["http://localhost/canary-callback"],
        "attributes": { "backchannel.logout.url": format!("{}/client/logout?canary=query", collector.url()) }
    });
    let user = serde_json::json!({
        "username": "canary-user", "enabled": true, "email": "canary@mail.test", "firstName": "Canary", "lastName": "C",
        "emailVerified": true, "credentials": [{ "type": "password", "value": "canary-password" }]
    });
    serde_json::json!({ "realm": "acme", "enabled": true, "sslRequired": "none", "clients": [app], "users": [user] })
        .to_string()
}

/// A login on the page: what nobody else may see of it, and where it leads.
fn browse(port: u16) -> (Vec<String>, String) {
    let page = send(
        port,
        "GET /realms/acme/protocol/openid-connect/auth?client_id=app&response_type=code&state=canary&redirect_uri=http://localhost/canary-callback",
        "",
    );
    assert_eq!(page.status(), 200, "{}", page.0);
    let cookies = |answer: &Answer| -> Vec<String> {
        let lines = answer.0.lines().filter_map(|l| l.strip_prefix("set-cookie: "));
        lines.map(|l| l.split(';').next().unwrap().to_owned()).filter(|pair| !pair.ends_with('=')).collect()
    };
    let action = page.0.split("action=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let target = action.split_once("/realms").map(|(_, rest)| format!("/realms{rest}")).unwrap();
    let held = cookies(&page);
    let posted = send(
        port,
        &format!("POST {target}\nCookie: {}\nOrigin: http://{HOST}", held.join("; ")),
        "username=canary-user&password=canary-password",
    );
    let location = posted.0.lines().find_map(|l| l.strip_prefix("location: "));
    let location = location.unwrap_or_else(|| panic!("no redirect: {}", posted.0)).to_owned();
    let query = target.split(['?', '&']).skip(1).filter_map(|pair| Some(pair.split_once('=')?.1.to_owned()));
    let mut secrets: Vec<String> = query.filter(|value| value.len() > 8).collect();
    let pairs = held.into_iter().chain(cookies(&posted));
    secrets.extend(pairs.filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())).filter(|value| value.len() > 8));
    (secrets, location)
}

fn why(folder: &Path, id: &str) -> Output {
    let data = folder.join("data");
    let arguments = ["60", PROGRAM, "why", id, "--data", data.to_str().unwrap()];
    Command::new("/usr/bin/timeout").args(arguments).env_clear().output().unwrap()
}

/// The caller's trace with another number.
fn other() -> String {
    CALLER.0.replace('4', "5")
}

/// A caller's trace goes on.
fn granted(served: &Served) -> Value {
    let (trace, parent) = CALLER;
    let head = format!("{TOKEN}\ntraceparent: 00-{trace}-{parent}-01\nCookie: canary-cookie=1");
    let given = send(served.main, &head, &format!("{GRANT}&password=canary-password"));
    assert_eq!(given.status(), 200, "{}", given.0);
    given.json()
}

/// Refusals: one that begins a trace, one in the caller's. The two traces.
fn refused(served: &Served, folder: &Path, tokens: &Value) -> (String, String) {
    let alone = send(served.main, TOKEN, &format!("{GRANT}&password=canary-wrong"));
    let (other, parent) = (other(), CALLER.1);
    let inside = send(
        served.main,
        &format!(
            "GET /realms/acme/protocol/openid-connect/auth?client_id=canary-nobody&state=canary\ntraceparent: 00-{other}-{parent}-00"
        ),
        "",
    );
    send(served.main, "BREW /realms/canary-realm/canary?canary=1", "");
    let token = tokens["access_token"].as_str().unwrap();
    let admin = send(
        served.port("admin"),
        &format!("GET /admin/realms/acme/users?username=canary\nAuthorization: Bearer {token}"),
        "",
    );
    assert!(admin.status() >= 400);
    for id in [&alone.trace(), &inside.trace(), &other] {
        let said = String::from_utf8(why(folder, id).stdout).unwrap();
        assert!(said.contains("refused   "), "{id}: {said}");
    }
    assert!(String::from_utf8(why(folder, &other).stdout).unwrap().contains("client    canary-nobody"));
    (alone.trace(), inside.trace())
}

/// A login in a browser and its code: everything of it that is secret.
fn redeemed(served: &Served) -> Vec<String> {
    let (mut secrets, location) = browse(served.main);
    let code = location.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let redeem = format!(
        "grant_type=authorization_code&client_id=app&client_secret=canary-client-secret&code={code}&redirect_uri=http://localhost/canary-callback"
    );
    let redeemed = send(served.main, TOKEN, &redeem);
    assert_eq!(redeemed.status(), 200, "{}", redeemed.0);
    assert_eq!(send(served.main, TOKEN, &redeem).status(), 400, "once");
    secrets.push(code.to_owned());
    for name in ["access_token", "refresh_token", "id_token"] {
        secrets.extend(redeemed.json()[name].as_str().map(str::to_owned));
    }
    secrets
}

/// A logout is told to the client; its own trace goes with it.
fn left(served: &Served, collector: &Collector, tokens: &Value) {
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let bye = format!("client_id=app&client_secret=canary-client-secret&refresh_token={refresh}");
    assert_eq!(send(served.main, LOGOUT, &bye).status(), 204);
    collector.waits_for("/client/logout?canary=query");
}

#[test]
fn lg_02_a_collector_sees_who_belongs_to_whom_and_no_secret() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (file, headers) = (folder.path().join("acme.json"), folder.path().join("headers"));
    std::fs::write(&file, realm(&collector)).unwrap();
    std::fs::write(&headers, "X-Api-Key: canary-key\n").unwrap();
    let tracing = format!("otlp = {:?}\nservice = \"login\"\nheaders_file = {headers:?}", collector.url());
    let more = format!("[outbound]\nallow_private = true\n[idp]\nimport = [{file:?}]\n");
    let served = start(folder.path(), &tracing, &more);
    let tokens = granted(&served);
    let refusals = refused(&served, folder.path(), &tokens);
    let mut secrets = redeemed(&served);
    secrets.extend(["access_token", "refresh_token", "id_token"].map(|name| tokens[name].as_str().unwrap().to_owned()));
    left(&served, &collector, &tokens);
    stop(served);
    let spans = collector.spans();
    a_request_has_its_parts(&spans);
    refusals_have_the_trace_that_their_answer_names(&spans, &refusals);
    logins_and_logouts_are_seen(&spans);
    a_logout_message_is_a_trace_of_its_own(&spans, &collector);
    the_batch_says_who_sends(&collector);
    nothing_is_told(&collector, secrets);
}

fn a_request_has_its_parts(spans: &[Span]) {
    let (trace, parent) = CALLER;
    let request = only(spans, "POST token", &[("portcullis.outcome", "answered"), ("portcullis.grant", "password")]);
    assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (trace.to_owned(), parent.to_owned()));
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/realms/{realm}/protocol/openid-connect/token"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("portcullis.face", "idp"),
        ("portcullis.realm", "acme"),
        ("portcullis.client_id", "app"),
        ("portcullis.grant", "password"),
    ] {
        assert_eq!(text(&request.attributes, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(request.kind, SpanKind::Server as i32);
    assert!(request.end_time_unix_nano > request.start_time_unix_nano);
    assert_eq!(names_below(spans, request), ["password", "sign", "store.apply"]);
}

fn refusals_have_the_trace_that_their_answer_names(spans: &[Span], (alone, inside): &(String, String)) {
    let refused = only(spans, "POST token", &[("portcullis.reason", "WrongPassword")]);
    assert_eq!(hex(&refused.trace_id), *alone, "the trace that the answer names");
    assert!(refused.parent_span_id.is_empty());
    assert_eq!(text(&refused.attributes, "portcullis.trace"), Some(alone.clone()));
    assert_eq!(text(&refused.attributes, "portcullis.class").as_deref(), Some("credentials"));
    let refused = only(spans, "GET authorize", &[("portcullis.reason", "ClientNotFound")]);
    assert_eq!(
        (hex(&refused.trace_id), text(&refused.attributes, "portcullis.trace")),
        (other(), Some(inside.clone()))
    );
}

fn logins_and_logouts_are_seen(spans: &[Span]) {
    only(spans, "GET authorize", &[("portcullis.client_id", "app"), ("http.response.status_code", "200")]);
    only(spans, "HTTP other", &[("http.request.method", "_OTHER")]);
    only(spans, "GET admin", &[("portcullis.face", "admin"), ("portcullis.outcome", "refused")]);

    let login = only(spans, "POST login", &[("http.response.status_code", "302"), ("portcullis.realm", "acme")]);
    assert_eq!(names_below(spans, login), ["password", "store.apply"]);
    only(spans, "POST token", &[("portcullis.grant", "authorization_code"), ("http.response.status_code", "200")]);
    only(spans, "POST token", &[("portcullis.grant", "authorization_code"), ("portcullis.class", "grant")]);
    only(spans, "POST logout", &[("portcullis.client_id", "app"), ("portcullis.outcome", "answered")]);
}

fn a_logout_message_is_a_trace_of_its_own(spans: &[Span], collector: &Collector) {
    let told = only(spans, "logout.deliver", &[("portcullis.client_id", "app")]);
    let call = only(spans, "POST", &[("server.address", "127.0.0.1"), ("http.response.status_code", "200")]);
    assert_eq!((&call.parent_span_id, &call.trace_id), (&told.span_id, &told.trace_id));
    assert_eq!(call.kind, SpanKind::Client as i32);
    let got = collector.at("/client/logout?canary=query");
    let sent = format!("traceparent: 00-{}-{}-01", hex(&call.trace_id), hex(&call.span_id));
    assert!(got[0].head.contains(&sent), "{sent} in {}", got[0].head);
}

fn the_batch_says_who_sends(collector: &Collector) {
    let batch = &collector.at("/v1/traces")[0];
    assert!(
        batch.head.contains("x-api-key: canary-key") && batch.head.contains("application/x-protobuf"),
        "{}",
        batch.head
    );
    let resource = collector.requests()[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(text(&resource.attributes, "service.name").as_deref(), Some("login"));
    assert_eq!(text(&resource.attributes, "service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
}

/// Everything that came, decoded, without what was secret in it, or somebody's name.
fn nothing_is_told(collector: &Collector, mut secrets: Vec<String>) {
    let mut all = format!("{:?}", collector.requests());
    // What a caller calls itself stands where it is refused, as in `portcullis why`.
    all = all.replace("canary-nobody", "");
    secrets.extend(["canary", PASSWORD, "openid email", "127.0.0.1:"].map(str::to_owned));
    assert!(secrets.len() > 12, "{}", secrets.len());
    for secret in secrets.iter().flat_map(|secret| secret.split(['.', '|'])).filter(|part| part.len() > 4) {
        assert!(!all.to_lowercase().contains(&secret.to_lowercase()), "{secret}");
    }
}

//! Traces: what a collector gets from the running program, decoded; and what happens when there is none.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use portcullis::clock::{Stopwatch, SystemEntropy};
use portcullis::listen::Listener;
use portcullis::start::Place;
use portcullis::telemetry::spans::{Face, Settings, Spans};
use portcullis::{data, demo};
use prost::Message as _;
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");
const CALLER: (&str, &str) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
const PASSWORD: &str = "a long passphrase";

/// One request that the collector, or the client next to it, got.
#[derive(Clone)]
struct Got {
    path: String,
    head: String,
    body: Vec<u8>,
}

/// Takes whatever comes and answers 200.
struct Collector {
    port: u16,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self { port: listener.local_addr().unwrap().port(), got: Arc::default() };
        let got = Arc::clone(&collector.got);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, got) = (stream.unwrap(), Arc::clone(&got));
                std::thread::spawn(move || take(stream, &got));
            }
        });
        collector
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn at(&self, path: &str) -> Vec<Got> {
        self.got.lock().unwrap().iter().filter(|got| got.path == path).cloned().collect()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let decoded = |got: Got| ExportTraceServiceRequest::decode(&*got.body).unwrap();
        self.at("/v1/traces").into_iter().map(decoded).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

fn take(stream: TcpStream, got: &Mutex<Vec<Got>>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let field = |name: &str| {
            let lower = head.to_lowercase();
            lower.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
        };
        let mut body = vec![0; field("content-length").map_or(0, |n| n.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        got.lock().unwrap().push(Got { path, head, body });
        let _hung_up = write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An answer: status, headers, body.
struct Answer(String);

impl Answer {
    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    fn trace(&self) -> String {
        let line = self.0.lines().find_map(|l| l.strip_prefix("portcullis-trace: "));
        line.unwrap_or_else(|| panic!("no trace id: {}", self.0)).to_owned()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.0.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }
}

fn send(port: u16, head: &str, body: &str) -> Answer {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return Answer(String::new()) };
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers.lines().map(|l| format!("{l}\r\n")).collect();
    let length = body.len();
    let _hung_up = write!(
        stream,
        "{line} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    let mut answer = String::new();
    let _cut_short = stream.read_to_string(&mut answer);
    Answer(answer)
}

struct Served {
    child: Child,
    main: u16,
    admin: u16,
    metrics: u16,
}

impl Served {
    fn start(folder: &Path, tracing: &str) -> Self {
        let (main, admin, metrics) = (free_port(), free_port(), free_port());
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:{main}\"\npublic_url = \"http://localhost:{main}\"\n[storage]\ndata = {data:?}\n\
             [admin]\nlisten = \"127.0.0.1:{admin}\"\n[metrics]\nlisten = \"127.0.0.1:{metrics}\"\n[outbound]\nallow_private = true\n\
             [tracing]\n{tracing}\n[idp]\n",
            data = folder.join("data"),
        );
        let realm = folder.join("acme.json");
        if realm.exists() {
            text.push_str(&format!("import = [{realm:?}]\n"));
        }
        let file = folder.join("portcullis.toml");
        std::fs::write(&file, text).unwrap();
        let child = Command::new(PROGRAM)
            .args(["serve", "--config", file.to_str().unwrap()])
            .env_clear()
            .envs([("KC_BOOTSTRAP_ADMIN_USERNAME", "admin"), ("KC_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD)])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut served = Self { child, main, admin, metrics };
        while send(admin, "GET /realms/master", "").status() != 200 || send(main, "GET /", "").0.is_empty() {
            assert!(served.child.try_wait().unwrap().is_none(), "it ended");
            std::thread::yield_now();
        }
        served
    }

    fn dropped(&self) -> u64 {
        let page = send(self.metrics, "GET /metrics", "").0;
        let line = page.lines().find_map(|l| l.strip_prefix("portcullis_trace_spans_total{outcome=\"dropped\"} "));
        line.unwrap().parse().unwrap()
    }

    /// Sends SIGTERM, waits for the end; what it logged.
    fn stop(mut self) -> String {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    match &found.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text.clone()),
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => Some(number.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

/// The spans of a name with these attributes.
fn find<'s>(spans: &'s [Span], name: &str, wanted: &[(&str, &str)]) -> Vec<&'s Span> {
    let fits = |span: &&Span| {
        span.name == name && wanted.iter().all(|(k, v)| text(&span.attributes, k).as_deref() == Some(*v))
    };
    spans.iter().filter(fits).collect()
}

/// The only one.
fn only<'s>(spans: &'s [Span], name: &str, wanted: &[(&str, &str)]) -> &'s Span {
    match &find(spans, name, wanted)[..] {
        [span] => span,
        found => {
            panic!("{} {name} {wanted:?} in {:#?}", found.len(), spans.iter().map(|s| &s.name).collect::<Vec<_>>())
        }
    }
}

fn names_below<'s>(spans: &'s [Span], parent: &Span) -> Vec<&'s str> {
    let below = spans.iter().filter(|s| s.parent_span_id == parent.span_id);
    let mut names: Vec<&str> = below.inspect(|s| assert_eq!(s.trace_id, parent.trace_id)).map(|s| &*s.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

const TOKEN: &str = "POST /realms/acme/protocol/openid-connect/token";
const LOGOUT: &str = "POST /realms/acme/protocol/openid-connect/logout";

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
        &format!("POST {target}\nCookie: {}\nOrigin: http://localhost:{port}", held.join("; ")),
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

#[test]
fn lg_02_a_collector_sees_who_belongs_to_whom_and_no_secret() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    std::fs::write(folder.path().join("acme.json"), realm(&collector)).unwrap();
    let headers = folder.path().join("headers");
    std::fs::write(&headers, "X-Api-Key: canary-key\n").unwrap();
    let tracing = format!("otlp = {:?}\nservice = \"login\"\nheaders_file = {headers:?}", collector.url());
    let served = Served::start(folder.path(), &tracing);

    // A caller's trace goes on.
    let (trace, parent) = CALLER;
    let head = format!("{TOKEN}\ntraceparent: 00-{trace}-{parent}-01\nCookie: canary-cookie=1");
    let grant =
        "grant_type=password&client_id=app&client_secret=canary-client-secret&username=canary-user&scope=openid";
    let given = send(served.main, &head, &format!("{grant}&password=canary-password"));
    assert_eq!(given.status(), 200, "{}", given.0);
    let tokens = given.json();
    // Refusals: one that begins a trace, one in the caller's.
    let alone = send(served.main, TOKEN, &format!("{grant}&password=canary-wrong"));
    let other = trace.replace('4', "5");
    let inside = send(
        served.main,
        &format!(
            "GET /realms/acme/protocol/openid-connect/auth?client_id=canary-nobody&state=canary\ntraceparent: 00-{other}-{parent}-00"
        ),
        "",
    );
    send(served.main, "BREW /realms/canary-realm/canary?canary=1", "");
    let token = tokens["access_token"].as_str().unwrap();
    let admin =
        send(served.admin, &format!("GET /admin/realms/acme/users?username=canary\nAuthorization: Bearer {token}"), "");
    assert!(admin.status() >= 400);
    for id in [&alone.trace(), &inside.trace(), &other] {
        let said = String::from_utf8(why(folder.path(), id).stdout).unwrap();
        assert!(said.contains("refused   "), "{id}: {said}");
    }
    assert!(String::from_utf8(why(folder.path(), &other).stdout).unwrap().contains("client    canary-nobody"));
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
        let given = [&tokens, &redeemed.json()].map(|tokens| tokens[name].as_str().map(str::to_owned));
        secrets.extend(given.into_iter().flatten());
    }
    // A logout is told to the client; its own trace goes with it.
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let bye = format!("client_id=app&client_secret=canary-client-secret&refresh_token={refresh}");
    assert_eq!(send(served.main, LOGOUT, &bye).status(), 204);
    while collector.at("/client/logout?canary=query").is_empty() {
        std::thread::yield_now();
    }
    served.stop();

    let spans = collector.spans();
    let request = only(&spans, "POST token", &[("portcullis.outcome", "answered"), ("portcullis.grant", "password")]);
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
    assert_eq!(names_below(&spans, request), ["password", "sign", "store.apply"]);

    let refused = only(&spans, "POST token", &[("portcullis.reason", "WrongPassword")]);
    assert_eq!(hex(&refused.trace_id), alone.trace(), "the trace that the answer names");
    assert!(refused.parent_span_id.is_empty());
    assert_eq!(text(&refused.attributes, "portcullis.trace"), Some(alone.trace()));
    assert_eq!(text(&refused.attributes, "portcullis.class").as_deref(), Some("credentials"));
    let refused = only(&spans, "GET authorize", &[("portcullis.reason", "ClientNotFound")]);
    assert_eq!((hex(&refused.trace_id), text(&refused.attributes, "portcullis.trace")), (other, Some(inside.trace())));
    only(&spans, "GET authorize", &[("portcullis.client_id", "app"), ("http.response.status_code", "200")]);
    only(&spans, "HTTP other", &[("http.request.method", "_OTHER")]);
    only(&spans, "GET admin", &[("portcullis.face", "admin"), ("portcullis.outcome", "refused")]);

    let login = only(&spans, "POST login", &[("http.response.status_code", "302"), ("portcullis.realm", "acme")]);
    assert_eq!(names_below(&spans, login), ["password", "store.apply"]);
    only(&spans, "POST token", &[("portcullis.grant", "authorization_code"), ("http.response.status_code", "200")]);
    only(&spans, "POST token", &[("portcullis.grant", "authorization_code"), ("portcullis.class", "grant")]);
    only(&spans, "POST logout", &[("portcullis.client_id", "app"), ("portcullis.outcome", "answered")]);

    let told = only(&spans, "logout.deliver", &[("portcullis.client_id", "app")]);
    let call = only(&spans, "POST", &[("server.address", "127.0.0.1"), ("http.response.status_code", "200")]);
    assert_eq!((&call.parent_span_id, &call.trace_id), (&told.span_id, &told.trace_id));
    assert_eq!(call.kind, SpanKind::Client as i32);
    let got = collector.at("/client/logout?canary=query");
    let sent = format!("traceparent: 00-{}-{}-01", hex(&call.trace_id), hex(&call.span_id));
    assert!(got[0].head.contains(&sent), "{sent} in {}", got[0].head);

    let batch = &collector.at("/v1/traces")[0];
    assert!(
        batch.head.contains("x-api-key: canary-key") && batch.head.contains("application/x-protobuf"),
        "{}",
        batch.head
    );
    let resource = collector.requests()[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(text(&resource.attributes, "service.name").as_deref(), Some("login"));
    assert_eq!(text(&resource.attributes, "service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));

    // LG-02: everything that came, decoded, without what was secret in it, or somebody's name.
    let mut all = format!("{:?}", collector.requests());
    // What a caller calls itself stands where it is refused, as in `portcullis why`.
    all = all.replace("canary-nobody", "");
    secrets.extend(["canary", PASSWORD, "openid email", "127.0.0.1:"].map(str::to_owned));
    assert!(secrets.len() > 12, "{}", secrets.len());
    for secret in secrets.iter().flat_map(|secret| secret.split(['.', '|'])).filter(|part| part.len() > 4) {
        assert!(!all.to_lowercase().contains(&secret.to_lowercase()), "{secret}");
    }
}

#[test]
fn a_callers_trace_is_linked_or_sampled_as_the_settings_say() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let served = Served::start(folder.path(), &format!("otlp = {:?}\ncallers = \"link\"", collector.url()));
    let (trace, parent) = CALLER;
    let answer = send(served.main, &format!("GET /realms/moon\ntraceparent: 00-{trace}-{parent}-01"), "");
    assert_eq!(answer.status(), 404);
    served.stop();
    let spans = collector.spans();
    let span = only(&spans, "GET realm", &[("portcullis.reason", "UnknownRealm")]);
    assert_eq!((hex(&span.trace_id), span.parent_span_id.len()), (answer.trace(), 0));
    assert_eq!((hex(&span.links[0].trace_id), hex(&span.links[0].span_id)), (trace.to_owned(), parent.to_owned()));
    assert_eq!(text(&span.attributes, "portcullis.realm"), None, "no stranger's text");

    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let served = Served::start(folder.path(), &format!("otlp = {:?}\nsample = 0.0", collector.url()));
    send(served.main, &format!("GET /realms/moon\ntraceparent: 00-{trace}-{parent}-01"), "");
    send(served.main, &format!("GET /realms/moon\ntraceparent: 00-{trace}-{parent}-00"), "");
    served.stop();
    assert_eq!(collector.spans().len(), 1, "the one that its caller records");
}

/// More requests than spans may wait, on one connection.
fn many(port: u16, count: usize) {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    for _ in 0..count {
        write!(stream.get_mut(), "GET /realms/moon HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0);
        }
        assert!(head.starts_with("HTTP/1.1 404"), "{head}");
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
    }
}

#[test]
fn ds_14_a_collector_that_is_away_or_silent_costs_spans_and_one_line() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [free_port(), silent.local_addr().unwrap().port()] {
        let folder = tempfile::tempdir().unwrap();
        let served = Served::start(folder.path(), &format!("otlp = \"http://127.0.0.1:{port}\""));
        // 2,048 wait, 512 are on their way.
        many(served.main, 2_048 + 512 + 40);
        let dropped = served.dropped();
        assert!(dropped >= 40, "{dropped}");
        let log = served.stop();
        assert!(log.matches("spans cannot be sent").count() <= 1, "{log}");
    }
    drop(silent);
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), &format!("otlp = \"http://127.0.0.1:{}\"", free_port()));
    let log = served.stop();
    assert_eq!(log.matches("spans cannot be sent").count(), 1, "{log}");
}

fn fails(arguments: &[&str], words: &str) {
    let output = Command::new("/usr/bin/timeout").args(["60", PROGRAM]).args(arguments).env_clear().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert!(error.contains(words) && error.trim_end().lines().count() == 1, "{error:?} does not say {words:?}");
}

#[test]
fn a_collector_that_is_none_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("portcullis.toml"), folder.path().join("data"));
    for (tracing, words) in [
        ("otlp = \"collector:4318\"", "tracing.otlp: OTLP travels by http or https, for example http://collector:4318"),
        ("otlp = \"https://u:p@c\"", "tracing.otlp: no user, query or fragment"),
        ("otlp = \"http://c\"\nratio = 1", "line 8, column 1: unknown field `ratio`"),
        ("otlp = \"http://[::1]\"\nheaders_file = \"/nowhere/headers\"", "tracing.headers_file /nowhere/headers: "),
    ] {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://localhost\"\n[storage]\ndata = {data:?}\n[tracing]\n{tracing}\n"
        );
        std::fs::write(&file, text).unwrap();
        let name = file.to_str().unwrap();
        fails(&["serve", "--config", name], words);
        fails(&["check-config", "--config", name], words);
    }
    assert!(!data.exists(), "nothing was begun");
    fails(&["--in-memory", "--otlp", "http://localhost:4317"], "--otlp: port 4317 speaks gRPC");
    fails(&["idp", "--in-memory", "--otlp", "localhost:4318"], "--otlp: OTLP travels by http or https");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_behind_the_guard_has_spans_and_its_refusals_the_traces_number() {
    let collector = Collector::start();
    let settings = Settings::to(&collector.url()).unwrap();
    let spans = Spans::open(&settings, Stopwatch::start(), Arc::new(SystemEntropy)).unwrap();
    tracing_subscriber::registry().with(spans.collector).init();
    let bound = async |face| {
        let mut listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        listener.spans = Some((spans.faces.clone(), face));
        listener
    };
    let listeners = [bound(Face::Idp).await, bound(Face::App).await, bound(Face::Api).await];
    let [idp, app, api] = listeners.each_ref().map(|listener| listener.address().unwrap().port());
    let addresses = demo::Addresses::on_ports(idp, app, api);
    let place = Place::Memory(data::passing_keys(&SystemEntropy));
    let (started, _) = demo::open(place, None, &addresses, true).await.unwrap();
    let sources = started.sources();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(async move { demo::serve_all(&started, listeners, &addresses, stopped).await });

    let refused = tokio::task::spawn_blocking(move || {
        send(app, "GET /index.html?canary=1", "");
        assert_eq!(send(api, "GET /public", "").status(), 200);
        send(api, "GET /me\nAuthorization: Bearer canary", "")
    });
    let refused = refused.await.unwrap();
    assert_eq!(refused.status(), 401, "{}", refused.0);
    // Its guard is seen, too, once it follows what ended.
    let mut page = String::new();
    while !page.contains("portcullis_guard_feed_state{state=\"following\"} 1\n") {
        page = sources.text().await;
        tokio::task::yield_now().await;
    }
    for line in [
        "portcullis_guard_feed_state{state=\"stale\"} 0\n",
        "portcullis_guard_feed_sequence 0\n",
        "portcullis_guard_cutoffs 0\n",
    ] {
        assert!(page.contains(line), "{line:?} is not in {page}");
    }
    stop.send_replace(true);
    serving.await.unwrap().unwrap();
    spans.exporter.run(stop.subscribe()).await;

    let spans = collector.spans();
    only(&spans, "GET app", &[("portcullis.face", "app"), ("http.response.status_code", "200")]);
    only(&spans, "GET /public", &[("portcullis.face", "api"), ("portcullis.outcome", "answered")]);
    let me = only(&spans, "GET /me", &[("portcullis.outcome", "refused"), ("http.route", "/me")]);
    assert!(text(&me.attributes, "portcullis.reason").is_some());
    assert_eq!(hex(&me.trace_id), refused.trace());
    assert!(refused.0.contains(&format!("\"trace\":\"{}\"", refused.trace())), "{}", refused.0);
    assert!(!format!("{:?}", collector.requests()).contains("canary"));
}

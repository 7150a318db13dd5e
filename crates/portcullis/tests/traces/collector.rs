//! A collector that decodes what it gets, and reading the spans of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// One request that the collector, or the client next to it, got.
#[derive(Clone)]
pub(crate) struct Got {
    path: String,
    pub(crate) head: String,
    body: Vec<u8>,
}

/// Takes whatever comes and answers 200.
pub(crate) struct Collector {
    port: u16,
    got: Arc<(Mutex<Vec<Got>>, Condvar)>,
}

impl Collector {
    pub(crate) fn start() -> Self {
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

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn at(&self, path: &str) -> Vec<Got> {
        self.got.0.lock().unwrap().iter().filter(|got| got.path == path).cloned().collect()
    }

    /// Returns once something came to `path`.
    pub(crate) fn waits_for(&self, path: &str) {
        let (got, more) = &*self.got;
        let missing = |got: &mut Vec<Got>| !got.iter().any(|got| got.path == path);
        let waited = more.wait_timeout_while(got.lock().unwrap(), Duration::from_secs(60), missing);
        assert!(!waited.unwrap().1.timed_out(), "nothing came to {path}");
    }

    pub(crate) fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let decoded = |got: Got| ExportTraceServiceRequest::decode(&*got.body).unwrap();
        self.at("/v1/traces").into_iter().map(decoded).collect()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

fn take(stream: TcpStream, (got, more): &(Mutex<Vec<Got>>, Condvar)) {
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
        more.notify_all();
        let _hung_up = write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    match &found.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text.clone()),
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => Some(number.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

/// The spans of a name with these attributes.
pub(crate) fn find<'s>(spans: &'s [Span], name: &str, wanted: &[(&str, &str)]) -> Vec<&'s Span> {
    let fits = |span: &&Span| {
        span.name == name && wanted.iter().all(|(k, v)| text(&span.attributes, k).as_deref() == Some(*v))
    };
    spans.iter().filter(fits).collect()
}

/// The only one.
pub(crate) fn only<'s>(spans: &'s [Span], name: &str, wanted: &[(&str, &str)]) -> &'s Span {
    match &find(spans, name, wanted)[..] {
        [span] => span,
        found => {
            panic!("{} {name} {wanted:?} in {:#?}", found.len(), spans.iter().map(|s| &s.name).collect::<Vec<_>>())
        }
    }
}

pub(crate) fn names_below<'s>(spans: &'s [Span], parent: &Span) -> Vec<&'s str> {
    let below = spans.iter().filter(|s| s.parent_span_id == parent.span_id);
    let mut names: Vec<&str> = below.inspect(|s| assert_eq!(s.trace_id, parent.trace_id)).map(|s| &*s.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

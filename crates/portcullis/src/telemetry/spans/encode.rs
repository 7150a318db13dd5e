//! Finished spans as an OTLP request (opentelemetry-proto 1.x, `ExportTraceServiceRequest`).

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

use super::collect::{Finished, Kind, Place, Value};

/// W3C flag "sampled", and OTLP's two that say whether the parent is of another process.
const SAMPLED: u32 = 1;
const KNOWN_WHERE: u32 = 0x100;
const ELSEWHERE: u32 = 0x200;

/// The body of a request.
pub(super) fn request(service: &str, spans: &[Finished]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let attributes = vec![text("service.name", service), text("service.version", version)];
    let scope = InstrumentationScope {
        name: "portcullis".to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = spans.iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    let resource = Resource { attributes, ..Resource::default() };
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, schema_url: String::new() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, any_value::Value::StringValue(value.to_owned()))
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn attribute((key, value): &(&'static str, Value)) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text.clone()),
        Value::Number(number) => any_value::Value::IntValue(*number),
        Value::Flag(flag) => any_value::Value::BoolValue(*flag),
    };
    pair(key, value)
}

fn link(place: &Place) -> Link {
    Link { trace_id: place.trace.to_vec(), span_id: place.span.to_vec(), ..Link::default() }
}

fn span(span: &Finished) -> Span {
    let kind = match span.kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
    };
    // Only a request has its parent in another process.
    let parent = if span.kind == Kind::Server { KNOWN_WHERE | ELSEWHERE } else { KNOWN_WHERE };
    let status = span.failed.then(|| Status { code: StatusCode::Error.into(), ..Status::default() });
    Span {
        trace_id: span.place.trace.to_vec(),
        span_id: span.place.span.to_vec(),
        parent_span_id: span.parent.map(|id| id.to_vec()).unwrap_or_default(),
        flags: SAMPLED | span.parent.map_or(0, |_| parent),
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: span.started,
        end_time_unix_nano: span.ended,
        attributes: span.attributes.iter().map(attribute).collect(),
        links: span.link.iter().map(link).collect(),
        status,
        ..Span::default()
    }
}

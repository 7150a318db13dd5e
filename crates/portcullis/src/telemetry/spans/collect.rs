//! From `tracing` spans to spans of a trace: ids, parents, sampling, and only what the table lets out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::entropy::Entropy;
use portcullis_core::refusal;
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Span, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use super::table;
use crate::clock::{Stopwatch, SystemClock};
use crate::telemetry::metrics;

/// Longest text of an attribute, bytes.
const LONGEST: usize = 256;

/// What a span is to the request that it belongs to (OTLP `SpanKind`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Work of this process.
    #[default]
    Internal,
    /// A request that was answered.
    Server,
    /// A call to another process.
    Client,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
}

/// A trace and a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) sampled: bool,
}

impl Place {
    /// A `traceparent` (W3C Trace Context §3.2).
    fn parse(text: &str) -> Option<Self> {
        let mut parts = refusal::traceparent(text)?.split('-').skip(1);
        let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace: digits(trace)?, span: digits(span)?, sampled: flags & 1 == 1 })
    }

    /// The `traceparent` of a call that is made from here.
    fn text(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("00-{}-{}-{:02x}", hex(&self.trace), hex(&self.span), u8::from(self.sampled))
    }
}

fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    (text.len() == 2 * N).then_some(bytes)
}

/// A span that is over.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) place: Place,
    pub(super) parent: Option<[u8; 8]>,
    pub(super) link: Option<Place>,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Nanoseconds since the epoch.
    pub(super) started: u64,
    pub(super) ended: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) failed: bool,
}

/// A span under way.
struct Open {
    place: Place,
    parent: Option<[u8; 8]>,
    /// When its trace began here: the wall clock, and the one that never jumps.
    anchor: (u64, Duration),
    began: Duration,
    fields: Fields,
}

/// The layer of the subscriber that makes spans of a trace.
pub struct Collector {
    queue: mpsc::Sender<Finished>,
    /// Traces whose last eight bytes are below it are sent.
    below: u64,
    clock: Stopwatch,
    entropy: Arc<dyn Entropy>,
}

impl Collector {
    pub(super) fn new(queue: mpsc::Sender<Finished>, sample: f64, clock: Stopwatch, entropy: Arc<dyn Entropy>) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share between 0 and 1, saturating"
        )]
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
        let below = (sample.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
        Self { queue, below, clock, entropy }
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        while bytes.iter().all(|byte| *byte == 0) {
            self.entropy.fill(&mut bytes);
        }
        bytes
    }

    /// The trace of a span without a parent in this process. Only requests and what says so begin one: the rest of what runs by
    /// itself (a sweep, a feed) is not worth a trace.
    fn root(&self, fields: &mut Fields) -> Option<Open> {
        let own = fields.trace.take()?;
        let caller = fields.caller.take();
        let trace = caller.map(|c| c.trace).or_else(|| digits(&own)).unwrap_or_else(|| self.random());
        let coin = self.random::<8>();
        let lucky = self.below == u64::MAX || u64::from_be_bytes(coin) < self.below;
        let sampled = lucky || caller.is_some_and(|c| c.sampled);
        let place = Place { trace, span: self.random(), sampled };
        let began = self.clock.elapsed();
        Some(Open {
            place,
            parent: caller.map(|c| c.span),
            anchor: (SystemClock.nanos(), began),
            began,
            fields: Fields::default(),
        })
    }

    fn child(&self, parent: &Open) -> Open {
        Open {
            place: Place { span: self.random(), ..parent.place },
            parent: Some(parent.place.span),
            anchor: parent.anchor,
            began: self.clock.elapsed(),
            fields: Fields::default(),
        }
    }

    fn finish(&self, open: Open, name: &'static str) {
        let (wall, since) = open.anchor;
        let at =
            |moment: Duration| wall.saturating_add(u64::try_from(moment.saturating_sub(since).as_nanos()).unwrap_or(0));
        let fields = open.fields;
        let finished = Finished {
            place: open.place,
            parent: open.parent,
            link: fields.link,
            name: fields.name.unwrap_or_else(|| name.to_owned()),
            kind: fields.kind,
            started: at(open.began),
            ended: at(self.clock.elapsed()),
            attributes: fields.attributes,
            failed: fields.failed,
        };
        if self.queue.try_send(finished).is_err() {
            metrics::count(&metrics::counters().spans_dropped);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let inside = span.parent().and_then(|parent| parent.extensions().get::<Open>().map(|open| self.child(open)));
        let Some(mut open) = inside.or_else(|| self.root(&mut fields)) else { return };
        if open.place.sampled {
            open.fields = fields;
        }
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>().filter(|open| open.place.sampled) {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let open = span.extensions_mut().remove::<Open>();
        if let Some(open) = open.filter(|open| open.place.sampled) {
            self.finish(open, span.name());
        }
    }
}

/// The `traceparent` of what is under way here, for a call that it makes. `None` outside of any trace.
#[must_use]
pub fn traceparent() -> Option<String> {
    let place = Span::current().with_subscriber(|(id, dispatch)| {
        let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
        let extensions = span.extensions();
        extensions.get::<Open>().map(|open| open.place)
    });
    place.flatten().map(|place| place.text())
}

/// What the fields of a span say.
#[derive(Default)]
struct Fields {
    name: Option<String>,
    kind: Kind,
    /// There: a trace may begin here; its text is the id, if it has one already.
    trace: Option<String>,
    caller: Option<Place>,
    link: Option<Place>,
    failed: bool,
    attributes: Vec<(&'static str, Value)>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        let Some(name) = table::attribute(field.name()) else { return };
        match self.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((name, value)),
        }
    }
}

/// The first so many bytes of a text, whole characters.
fn bounded(text: &str) -> String {
    let end = (0..=LONGEST.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, text: &str) {
        match field.name() {
            "span.name" => self.name = Some(bounded(text)),
            "span.kind" => {
                self.kind = match text {
                    "server" => Kind::Server,
                    "client" => Kind::Client,
                    _ => Kind::Internal,
                };
            }
            "trace.id" => self.trace = Some(bounded(text)),
            "trace.caller" => self.caller = Place::parse(text),
            "trace.link" => self.link = Place::parse(text),
            _ => self.set(field, Value::Text(bounded(text))),
        }
    }

    fn record_i64(&mut self, field: &Field, number: i64) {
        self.set(field, Value::Number(number));
    }

    fn record_u64(&mut self, field: &Field, number: u64) {
        self.set(field, Value::Number(i64::try_from(number).unwrap_or(i64::MAX)));
    }

    fn record_bool(&mut self, field: &Field, flag: bool) {
        match field.name() {
            "span.failed" => self.failed = flag,
            _ => self.set(field, Value::Flag(flag)),
        }
    }

    /// What is made by `Debug` may hold anything.
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::clock::SystemEntropy;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn collected(sample: f64, work: impl FnOnce()) -> Vec<Finished> {
        let (sender, mut receiver) = mpsc::channel(3);
        let collector = Collector::new(sender, sample, Stopwatch::start(), Arc::new(SystemEntropy));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(collector), work);
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    fn root(caller: Option<&str>) -> Span {
        tracing::info_span!("request", span.kind = "server", trace.id = "07".repeat(16), trace.caller = caller)
    }

    #[test]
    fn w3c_trace_context_3_2_a_place_reads_as_it_is_written() {
        assert_eq!(Place::parse(CALLER).unwrap().text(), CALLER);
        assert!(!Place::parse(&CALLER.replace("-01", "-02")).unwrap().sampled);
        assert_eq!(Place::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"), None);
    }

    #[test]
    fn children_belong_to_their_parent_and_to_the_callers_trace() {
        let spans = collected(1.0, || {
            let _request = root(Some(CALLER)).entered();
            let own = traceparent().unwrap();
            assert!(own.starts_with(&CALLER[..36]) && own != CALLER, "{own}");
            drop(tracing::info_span!("sign"));
        });
        let [child, request] = &spans[..] else { panic!("{spans:?}") };
        let caller = Place::parse(CALLER).unwrap();
        assert_eq!(
            (request.parent, request.place.trace, request.kind),
            (Some(caller.span), caller.trace, Kind::Server)
        );
        assert_eq!((child.parent, child.place.trace), (Some(request.place.span), caller.trace));
        assert!(request.started <= child.started && child.ended <= request.ended);
        let [alone] = &collected(1.0, || drop(root(None)))[..] else { panic!() };
        assert_eq!((alone.parent, alone.place.trace), (None, [7; 16]));
    }

    #[test]
    fn a_share_of_traces_is_sent_and_those_that_their_callers_record() {
        assert_eq!(collected(0.0, || drop(root(None))).len(), 0);
        assert_eq!(collected(0.0, || drop(root(Some(CALLER)))).len(), 1);
        assert_eq!(collected(0.0, || drop(root(Some(&CALLER.replace("-01", "-00"))))).len(), 0);
        let whole = collected(0.0, || {
            let _request = root(None).entered();
            assert!(traceparent().unwrap().ends_with("-00"), "nobody below records it either");
            drop(tracing::info_span!("sign"));
        });
        assert_eq!(whole.len(), 0, "all or nothing of a trace");
        let nothing = collected(1.0, || drop(tracing::info_span!("sign")));
        assert_eq!(nothing.len(), 0, "what runs by itself begins no trace");
    }

    #[test]
    fn lg_02_only_what_the_table_names_leaves() {
        let spans = collected(1.0, || {
            let span = tracing::info_span!(
                "request",
                trace.id = "",
                http.route = "/x",
                password = "canary",
                http.request.method = ?"canary",
                portcullis.realm = tracing::field::Empty,
            );
            span.record("portcullis.realm", "a".repeat(1000));
            span.record("code", "canary");
        });
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert!(!format!("{span:?}").contains("canary"), "{span:?}");
        let long = Value::Text("a".repeat(LONGEST));
        assert_eq!(span.attributes, [("http.route", Value::Text("/x".to_owned())), ("portcullis.realm", long)]);
        assert_eq!(bounded(&"\u{e9}".repeat(200)).len(), LONGEST);
        assert_eq!(bounded(&format!("a{}", "\u{e9}".repeat(200))).len(), LONGEST - 1);
    }

    #[test]
    fn a_full_queue_drops_and_never_waits() {
        let before = metrics::counters().spans_dropped.load(std::sync::atomic::Ordering::Relaxed);
        let spans = collected(1.0, || (0..10).for_each(|_| drop(root(None))));
        assert_eq!(spans.len(), 3);
        let after = metrics::counters().spans_dropped.load(std::sync::atomic::Ordering::Relaxed);
        assert!(after - before >= 7);
    }
}

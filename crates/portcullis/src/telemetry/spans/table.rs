//! Every span and every attribute that may leave. A field that stands in no row stays here, whoever recorded it (LG-02).

use std::fmt::Write as _;

/// What a span is: name, kind, meaning.
pub(super) struct Row(pub(super) &'static str, pub(super) &'static str, pub(super) &'static str);

/// Spans, as rooms open them.
const SPANS: &[Row] = &[
    Row(
        "`METHOD endpoint`",
        "server",
        "One request of the identity provider, the demo's app or its API, until its answer's head.",
    ),
    Row("`store.apply`", "internal", "A plan from its queue to its commit; durable when it ends well."),
    Row("`password`", "internal", "A password hashed or compared, the wait for a thread included."),
    Row("`sign`", "internal", "One signature of a token."),
    Row(
        "`logout.deliver`",
        "internal",
        "One try to tell a client of a logout; a trace of its own, because nobody waits for it.",
    ),
    Row(
        "`METHOD`",
        "client",
        "One outbound call: keys of clients, logout messages, the demo API's look at its issuer.",
    ),
];

/// Attributes.
const ATTRIBUTES: &[Row] = &[
    Row("http.request.method", "text", "The method; `_OTHER` for one that HTTP does not name."),
    Row("http.route", "text", "The route's pattern, never the path."),
    Row("http.response.status_code", "number", "The answer's status."),
    Row("url.scheme", "text", "`http` or `https`."),
    Row("network.protocol.version", "text", "HTTP's version."),
    Row("server.address", "text", "The host of an outbound call."),
    Row("server.port", "number", "Its port."),
    Row("error.type", "text", "Status or kind of what went wrong on our side, or on the other one's."),
    Row("portcullis.face", "text", "`idp`, `admin`, `app` or `api`."),
    Row("portcullis.endpoint", "text", "The endpoint's word, as in the metrics."),
    Row("portcullis.realm", "text", "A realm that is there."),
    Row(
        "portcullis.client_id",
        "text",
        "The client: proven where the request went well, as it named itself where it was refused.",
    ),
    Row("portcullis.outcome", "text", "`answered` or `refused`."),
    Row("portcullis.reason", "text", "Why it was refused: the reason's name, as `portcullis why` says it."),
    Row("portcullis.class", "text", "The class of that reason, as in the metrics."),
    Row("portcullis.trace", "text", "The number in `Portcullis-Trace`, for `portcullis why`."),
    Row("portcullis.grant", "text", "The grant of tokens that were given."),
    Row("portcullis.algorithm", "text", "The algorithm of a signature."),
    Row("portcullis.work", "text", "`hash` or `compare`."),
    Row("portcullis.lane", "text", "The lane of a plan: `gate`, `login`, `admin`, `sweep`."),
    Row("portcullis.writes", "number", "Writes of a plan."),
    Row("portcullis.attempt", "number", "Which try of a logout message it is."),
];

/// The name of an attribute that may leave.
pub(super) fn attribute(name: &str) -> Option<&'static str> {
    ATTRIBUTES.iter().map(|row| row.0).find(|known| *known == name)
}

/// The reference page.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Traces\n\nMade from the code by `cargo xtask docs`. What stands in no row is not sent: no token, code, cookie, query, user name, address of a caller or secret is an attribute.\n\n## Spans\n\n| span | kind | what |\n|---|---|---|\n",
    );
    for Row(name, kind, what) in SPANS {
        let _infallible = writeln!(text, "| {name} | {kind} | {what} |");
    }
    text.push_str(
        "\nResource: `service.name` (`tracing.service`), `service.version`.\n\n## Attributes\n\n| attribute | kind | what |\n|---|---|---|\n",
    );
    for Row(name, kind, what) in ATTRIBUTES {
        let _infallible = writeln!(text, "| `{name}` | {kind} | {what} |");
    }
    text
}

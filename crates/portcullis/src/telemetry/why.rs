//! `portcullis why ID`: asks the running server and says in words what happened.

use portcullis_core::refusal::{Record, TraceId};

use super::control;
use crate::command::WhyArgs;
use crate::failure::Failure;

/// Runs the command.
///
/// # Errors
/// Exit code 2 for what is no trace id, 3 when no server runs or it does not know the id.
pub fn run(arguments: &WhyArgs) -> Result<(), Failure> {
    let id = arguments.id.trim();
    if !TraceId::is_one(id) {
        return Err(Failure::configuration("a trace id has 32 hexadecimal digits, as in the header Portcullis-Trace"));
    }
    let folder = control::folder(arguments.data.as_deref());
    let (status, body) = control::ask(&folder, ("GET", &format!("/why/{}", id.to_ascii_lowercase())))?;
    match status {
        200 => {}
        404 => {
            return Err(Failure::not_found(format!(
                "the server on {} knows no refusal {id}: it is older than an hour, of another server, or was one of too many at once",
                folder.display()
            )));
        }
        _ => return Err(Failure::failed(format!("the server on {} answered {status}", folder.display()))),
    }
    let record: Record =
        serde_json::from_slice(&body).map_err(|e| Failure::failed(format!("the server's answer: {e}")))?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&record).map_err(|e| Failure::failed(e.to_string()))?;
        println!("{text}");
    } else {
        print!("{}", words(&record));
    }
    Ok(())
}

/// The record for a person.
#[must_use]
pub fn words(record: &Record) -> String {
    let time = jiff::Timestamp::from_millisecond(record.time).map_or_else(|_| String::new(), |t| format!("{t:.0}"));
    let place = match (&record.realm, record.source.as_str()) {
        (Some(realm), "guard") => format!("an API behind the guard, tokens of realm {realm}"),
        (None, "guard") => "an API behind the guard".to_owned(),
        (Some(realm), _) => format!("realm {realm}, endpoint {}", record.endpoint),
        (None, _) => format!("endpoint {}", record.endpoint),
    };
    let mut lines = vec![
        ("refused", format!("{} (HTTP {}) at {time}", record.reason, record.status)),
        ("where", place),
        ("client", record.client_id.clone().unwrap_or_else(|| "did not name itself".to_owned())),
        ("check", record.check.clone()),
        ("expected", record.expected.clone()),
        ("got", record.got.clone()),
        ("next", record.advice.clone()),
    ];
    if let Some(parent) = &record.traceparent {
        lines.push(("caller", format!("says it belongs to {parent}")));
    }
    lines.iter().map(|(name, text)| format!("{name:<9} {text}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_in_words() {
        let mut record = Record {
            trace: "0".repeat(32),
            time: 1_800_000_000_500,
            source: "idp".to_owned(),
            realm: Some("acme".to_owned()),
            client_id: Some("app".to_owned()),
            endpoint: "token".to_owned(),
            status: 400,
            reason: "PkceMismatch".to_owned(),
            check: "PKCE".to_owned(),
            expected: "the code_verifier of this login's code_challenge".to_owned(),
            got: "another one".to_owned(),
            advice: "Keep one verifier per login.".to_owned(),
            traceparent: None,
        };
        assert_eq!(
            words(&record),
            "refused   PkceMismatch (HTTP 400) at 2027-01-15T08:00:00Z\n\
             where     realm acme, endpoint token\n\
             client    app\n\
             check     PKCE\n\
             expected  the code_verifier of this login's code_challenge\n\
             got       another one\n\
             next      Keep one verifier per login.\n"
        );
        (record.source, record.client_id) = ("guard".to_owned(), None);
        record.traceparent = Some("00-x".to_owned());
        let text = words(&record);
        assert!(text.contains("where     an API behind the guard, tokens of realm acme\n"), "{text}");
        assert!(text.contains("client    did not name itself\n"), "{text}");
        assert!(text.ends_with("caller    says it belongs to 00-x\n"), "{text}");
    }
}

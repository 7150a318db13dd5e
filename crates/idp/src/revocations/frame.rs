//! One event of the feed: a JWS, `typ: revocation+jwt`, with cut-offs or none (a heartbeat).

use portcullis_core::cutoff::{Cursor, CutOff};
use serde_json::{Value, json};

use crate::signer;
use crate::state::{App, RealmView, Unavailable};

/// The `typ` of every event: no token of another kind is ever one, and no event ever a token.
const TYPE: &str = "revocation+jwt";

/// What an event says besides its cut-offs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// What came after this sequence.
    After(i64),
    /// A page of everything that is in force; the last one says so.
    Page(u64, bool),
    /// Nothing new.
    Heartbeat,
}

/// Signs one event. `at` is where its reader stands afterwards.
pub(super) async fn sign(
    app: &App,
    (view, issuer): (&RealmView, &str),
    at: Cursor,
    part: Part,
    cuts: &[(i64, CutOff)],
) -> Result<String, Unavailable> {
    let mut body = json!({ "iss": issuer, "iat": app.now().secs(), "epoch": at.epoch, "seq": at.sequence });
    let mut put = |name: &str, value: Value| {
        if let Some(members) = body.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    match part {
        Part::After(sequence) => put("after", sequence.into()),
        Part::Page(number, last) => {
            put("page", number.into());
            put("last", last.into());
        }
        Part::Heartbeat => {}
    }
    if !matches!(part, Part::Heartbeat) {
        let each = |(_, cut): &(i64, CutOff)| json!({ "kind": cut.ended.kind(), "value": cut.ended.value(), "before": cut.before, "exp": cut.expires_at });
        put("cuts", cuts.iter().map(each).collect());
    }
    let name = &view.records.realm.settings.default_signature_algorithm;
    let key = signer::algorithm(name).and_then(|algorithm| view.keys.signer(algorithm)).ok_or_else(|| {
        tracing::error!(realm = view.records.realm.name, algorithm = name, "no key signs the revocation feed");
        Unavailable
    })?;
    app.signer.sign(&key, TYPE, body.to_string().as_bytes()).await.map_err(|error| {
        tracing::error!(%error, "an event of the revocation feed could not be signed");
        Unavailable
    })
}

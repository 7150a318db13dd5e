#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at the writes it names")]

mod codes;
mod consents;
mod devices;
mod exchanges;
mod interleavings;
mod passwords;
mod refreshes;
mod services;

use serde_json::json;

use super::family::GRACE;
use super::{Login, authorization_code as code, client_credentials, password, refresh};
use crate::claims::fixture::{self, Counter, ISSUER};
use crate::client::Client;
use crate::flow::{CODE_FORMAT, ChallengeMethod, CodeChallenge, IssuedCode};
use crate::ids::{ClientUuid, SessionId};
use crate::oauth::client_auth;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::oauth::token::{Context, Decision};
use crate::pending::Consent;
use crate::plan::{LineageMove, Write};
use crate::records::RealmRecords;
use crate::session::{ClientSession, Lineage, UserSession};
use crate::time::Now;
use crate::user::User;

const START: i64 = 10_000;
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn params(pairs: &[(&str, &str)]) -> Params {
    Params::from_pairs(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
}

/// A realm with one login, as the store would hold it.
struct World {
    records: RealmRecords,
    user: Option<User>,
    session: Option<UserSession>,
    below: Option<ClientSession>,
    lineage: Option<Lineage>,
    code: Option<IssuedCode>,
    used: Option<(SessionId, ClientUuid)>,
    consent: Option<Consent>,
    now: i64,
    entropy: Counter,
}

impl World {
    fn new(settings: serde_json::Value) -> Self {
        let issued = IssuedCode {
            format: CODE_FORMAT,
            issued_at: START,
            expires_at: START + 60,
            realm: "realm-acme".into(),
            session: "session-1".into(),
            client: "uuid-app".into(),
            user: "user-alice".into(),
            grant: fixture::grant("openid phone"),
            challenge: Some(CodeChallenge { challenge: CHALLENGE.to_owned(), method: ChallengeMethod::S256 }),
            dpop_jkt: None,
        };
        Self {
            records: fixture::records_with(settings),
            user: Some(fixture::user()),
            session: Some(fixture::session(START)),
            below: None,
            lineage: None,
            code: Some(issued),
            used: None,
            consent: None,
            now: START + 5,
            entropy: Counter::default(),
        }
    }

    fn cx(&self) -> Context<'_> {
        Context {
            now: Now::from_secs(self.now),
            records: &self.records,
            base: "https://login.test",
            issuer: ISSUER,
            ip: "127.0.0.1",
            entropy: &self.entropy,
            resources: &[],
        }
    }

    fn client<'a>(&'a self, id: &str) -> client_auth::AuthenticatedClient<'a> {
        let secret = ("client_secret", "s3cr:et%+\u{e4}");
        fixture::proven(&self.records, &params(&[("client_id", id), secret])).unwrap()
    }

    fn stored(&self) -> Login<'_> {
        Login {
            session: self.session.as_ref(),
            client_session: self.below.as_ref(),
            shared: false,
            user: self.user.as_ref(),
            consent: self.consent.as_ref(),
        }
    }

    fn exchange(&self, client: &str, form: &[(&str, &str)]) -> Decision<'_> {
        let loaded = code::Loaded { code: self.code.as_ref(), used: self.used.as_ref(), login: self.stored() };
        code::decide(&self.cx(), &self.client(client), &params(form), loaded)
    }

    fn refresh(&self, client: &str, form: &[(&str, &str)], claims: Option<&refresh::RefreshClaims>) -> Decision<'_> {
        let loaded = refresh::Loaded {
            session: self.session.as_ref(),
            client_session: self.below.as_ref(),
            lineage: self.lineage.as_ref(),
            user: self.user.as_ref(),
            consent: self.consent.as_ref(),
        };
        let mut pairs = vec![("refresh_token", "x")];
        pairs.extend_from_slice(form);
        refresh::decide(&self.cx(), &self.client(client), &params(&pairs), claims, loaded)
    }

    /// What the store does with the writes that matter here; a lost gate is a panic of the test.
    fn apply(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::TakeCode { session, client, .. } => {
                    assert_eq!(self.used, None, "gate: CodeAlreadyUsed");
                    self.used = Some((session, client));
                }
                Write::PutClientSession(_, below) => self.below = Some(below),
                Write::TouchClientSession(_, _, _, at) => self.below.as_mut().unwrap().last_refresh = at,
                Write::EndClientSession(..) => (self.below, self.lineage) = (None, None),
                Write::CreateLineage(_, lineage) => self.lineage = Some(lineage),
                Write::EndLineage(..) => self.lineage = None,
                Write::RotateLineage { from, to, .. } => self.rotate(from, to),
                _ => {}
            }
        }
    }

    fn rotate(&mut self, from: (i64, i64), to: LineageMove) {
        let lineage = self.lineage.as_mut().unwrap();
        assert_eq!((lineage.generation, lineage.reuses), from, "gate: LineageMoved");
        let LineageMove { generation, reuses, rotated_at, expires_at, key } = to;
        *lineage = Lineage { generation, reuses, rotated_at, expires_at, key, ..lineage.clone() };
    }

    /// Logs in with the code and returns the refresh token's claims.
    fn login(&mut self) -> refresh::RefreshClaims {
        self.code.as_mut().unwrap().client = "uuid-app".into();
        let (writes, claims) = outcome(self.exchange("app", GOOD));
        self.apply(writes);
        claims.unwrap()
    }

    /// One refresh, applied.
    fn turn(&mut self, claims: &refresh::RefreshClaims) -> Result<refresh::RefreshClaims, Reason> {
        let (writes, claims) = outcome(self.refresh("app", &[], Some(claims)));
        self.apply(writes);
        claims
    }
}

const GOOD: &[(&str, &str)] = &[("code", "c"), ("redirect_uri", "https://app.test/cb"), ("code_verifier", VERIFIER)];

fn outcome(decision: Decision<'_>) -> (Vec<Write>, Result<refresh::RefreshClaims, Reason>) {
    let claims = decision.answer.map(|issue| {
        let (payload, _) = issue.refresh(true).unwrap();
        serde_json::from_slice(&payload).unwrap()
    });
    (decision.plan.writes, claims)
}

fn name(write: &Write) -> &'static str {
    match write {
        Write::TakeCode { .. } => "TakeCode",
        Write::EndClientSession(..) => "EndClientSession",
        Write::EndLineage(..) => "EndLineage",
        Write::CutOff(..) => "CutOff",
        Write::PutClientSession(..) => "PutClientSession",
        Write::TouchClientSession(..) => "TouchClientSession",
        Write::CreateLineage(..) => "CreateLineage",
        Write::RotateLineage { .. } => "RotateLineage",
        Write::CreateUserSession(..) => "CreateUserSession",
        Write::ExpectClient(..) => "ExpectClient",
        Write::ExpectUser(..) => "ExpectUser",
        Write::ExpectUserSession(..) => "ExpectUserSession",
        Write::PollDevice { .. } => "PollDevice",
        Write::TakeDevice(..) => "TakeDevice",
        Write::Audit(_) => "Audit",
        _ => "other",
    }
}

fn names(decision: &Decision<'_>) -> Vec<&'static str> {
    decision.plan.writes.iter().map(name).collect()
}

fn strict() -> serde_json::Value {
    json!({ "attributes": { "portcullis.profile": "strict" } })
}

fn rotating(reuses: i64) -> serde_json::Value {
    json!({ "revokeRefreshToken": true, "refreshTokenMaxReuse": reuses })
}

fn refused(world: &World, client: &str, form: &[(&str, &str)]) -> (Reason, Vec<&'static str>) {
    let decision = world.exchange(client, form);
    let names = names(&decision);
    (decision.answer.unwrap_err(), names)
}

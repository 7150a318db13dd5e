use serde_json::json;

use super::family::GRACE;
use super::{authorization_code as code, password, refresh};
use crate::claims::fixture::{self, Counter, ISSUER};
use crate::client::Client;
use crate::flow::{CODE_FORMAT, ChallengeMethod, CodeChallenge, IssuedCode};
use crate::ids::{ClientUuid, SessionId};
use crate::oauth::client_auth;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::oauth::token::{Context, Decision};
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
    now: i64,
    entropy: Counter,
}

impl World {
    fn new(settings: serde_json::Value) -> Self {
        let issued = IssuedCode {
            format: CODE_FORMAT,
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
        }
    }

    fn client<'a>(&'a self, id: &str) -> client_auth::AuthenticatedClient<'a> {
        let secret = ("client_secret", "s3cr:et%+\u{e4}");
        client_auth::authenticate(&self.records, &[], &params(&[("client_id", id), secret])).unwrap()
    }

    fn exchange(&self, client: &str, form: &[(&str, &str)]) -> Decision<'_> {
        let loaded = code::Loaded {
            code: self.code.as_ref(),
            used: self.used.as_ref(),
            session: self.session.as_ref(),
            client_session: self.below.as_ref(),
            user: self.user.as_ref(),
        };
        code::decide(&self.cx(), &self.client(client), &params(form), loaded)
    }

    fn refresh(&self, client: &str, form: &[(&str, &str)], claims: Option<&refresh::RefreshClaims>) -> Decision<'_> {
        let loaded = refresh::Loaded {
            session: self.session.as_ref(),
            client_session: self.below.as_ref(),
            lineage: self.lineage.as_ref(),
            user: self.user.as_ref(),
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
        Write::PutClientSession(..) => "PutClientSession",
        Write::TouchClientSession(..) => "TouchClientSession",
        Write::CreateLineage(..) => "CreateLineage",
        Write::RotateLineage { .. } => "RotateLineage",
        Write::CreateUserSession(..) => "CreateUserSession",
        Write::ExpectClient(..) => "ExpectClient",
        Write::ExpectUser(..) => "ExpectUser",
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

mod codes {
    use super::*;

    #[test]
    fn rfc_6749_4_1_3_an_honest_exchange_is_one_plan() {
        let world = World::new(json!({}));
        let decision = world.exchange("app", GOOD);
        assert_eq!(names(&decision), ["ExpectClient", "ExpectUser", "PutClientSession", "TakeCode"]);
        let issue = decision.answer.unwrap();
        assert_eq!(issue.scopes.token_scope(), "openid phone profile email");
        assert_eq!(issue.access_expires_at, START + 305);
        let id: serde_json::Value = serde_json::from_slice(&issue.id("i", "h").unwrap()).unwrap();
        assert_eq!((&id["nonce"], &id["auth_time"]), (&json!("n-1"), &json!(START)));
        let access: serde_json::Value = serde_json::from_slice(&issue.access("u").json).unwrap();
        assert_eq!(access["jti"], "onrtac:u");
    }

    type Change = fn(&mut World);

    #[test]
    fn pc_01_to_pc_15_every_failure_spends_the_code() {
        let with = |name: &'static str, value: &'static str| -> Vec<(&'static str, &'static str)> {
            GOOD.iter().map(|(n, v)| if *n == name { (*n, value) } else { (*n, *v) }).collect()
        };
        let without = |name: &str| -> Vec<(&str, &str)> { GOOD.iter().copied().filter(|(n, _)| *n != name).collect() };
        let nothing: Change = |_| {};
        let cases: Vec<(&str, &str, Vec<(&str, &str)>, Change, Reason)> = vec![
            ("pc_01 another client", "web", GOOD.to_vec(), nothing, Reason::CodeOfAnotherClient),
            ("pc_04 old", "app", GOOD.to_vec(), |w| w.now = START + 60, Reason::CodeExpired),
            (
                "pc_05 other uri",
                "app",
                with("redirect_uri", "https://app.test/cb/"),
                nothing,
                Reason::IncorrectRedirectUri,
            ),
            ("pc_05 no uri", "app", without("redirect_uri"), nothing, Reason::IncorrectRedirectUri),
            ("pc_06 no verifier", "app", without("code_verifier"), nothing, Reason::PkceVerifierMissing),
            ("pc_07 wrong verifier", "app", with("code_verifier", CHALLENGE), nothing, Reason::PkceMismatch),
            (
                "pc_09 stripped challenge",
                "app",
                GOOD.to_vec(),
                |w| w.code.as_mut().unwrap().challenge = None,
                Reason::PkceVerifierUnexpected,
            ),
            ("pc_11 short verifier", "app", with("code_verifier", "short"), nothing, Reason::PkceVerifierMalformed),
            (
                "pc_12 another flow",
                "app",
                GOOD.to_vec(),
                |w| w.code.as_mut().unwrap().challenge.as_mut().unwrap().challenge = VERIFIER.to_owned(),
                Reason::PkceMismatch,
            ),
            (
                "pc_15 user disabled",
                "app",
                GOOD.to_vec(),
                |w| w.user.as_mut().unwrap().enabled = false,
                Reason::UserDisabled,
            ),
            ("pc_15 user deleted", "app", GOOD.to_vec(), |w| w.user = None, Reason::UserNotFound),
            (
                "pc_15 other user",
                "app",
                GOOD.to_vec(),
                |w| w.user.as_mut().unwrap().id = "user-bob".into(),
                Reason::UserNotFound,
            ),
            (
                "pc_15 uri removed",
                "app",
                GOOD.to_vec(),
                |w| w.code.as_mut().unwrap().grant.redirect_uri = Some("https://app.test/gone".to_owned()),
                Reason::IncorrectRedirectUri,
            ),
            (
                "pc_15 session idle",
                "app",
                GOOD.to_vec(),
                |w| w.session.as_mut().unwrap().last_seen = START - 1800,
                Reason::SessionNotActive,
            ),
        ];
        for (case, client, mut form, change, expected) in cases {
            if case == "pc_15 uri removed" {
                form = with("redirect_uri", "https://app.test/gone");
            }
            let mut world = World::new(json!({}));
            change(&mut world);
            assert_eq!(refused(&world, client, &form), (expected, vec!["TakeCode"]), "{case}");
        }
    }

    #[test]
    fn pc_02_pc_13_pc_14_what_is_no_code_of_this_realm_writes_nothing() {
        let mut world = World::new(json!({}));
        assert_eq!(refused(&world, "app", &[]), (Reason::MissingCode, vec![]));
        world.code.as_mut().unwrap().realm = "other".into();
        assert_eq!(refused(&world, "app", GOOD), (Reason::CodeNotValid, vec![]));
        world.code = None;
        assert_eq!(refused(&world, "app", GOOD), (Reason::CodeNotValid, vec![]));
        let mut world = World::new(json!({}));
        world.code.as_mut().unwrap().format = CODE_FORMAT + 1;
        assert_eq!(refused(&world, "app", GOOD), (Reason::CodeNotValid, vec![]));
        let mut world = World::new(json!({}));
        world.session = None;
        assert_eq!(refused(&world, "app", GOOD), (Reason::UserSessionNotFound, vec![]));
    }

    #[test]
    fn pc_03_pc_07_a_second_use_ends_what_the_first_gave() {
        let mut world = World::new(json!({}));
        let first = world.login();
        assert_eq!(refused(&world, "app", GOOD), (Reason::CodeNotValid, vec!["EndClientSession"]));
        let (writes, _) = outcome(world.exchange("app", GOOD));
        world.apply(writes);
        assert_eq!(world.turn(&first).unwrap_err(), Reason::SessionWithoutClient);
    }

    #[test]
    fn pc_09_a_strict_realm_takes_no_code_without_challenge() {
        for (settings, expected) in [(json!({}), None), (strict(), Some(Reason::PkceVerifierMissing))] {
            let mut world = World::new(settings);
            world.code.as_mut().unwrap().challenge = None;
            let form: Vec<_> = GOOD.iter().copied().filter(|(n, _)| *n != "code_verifier").collect();
            assert_eq!(world.exchange("app", &form).answer.err(), expected);
        }
    }

    #[test]
    fn refusals_and_successes_are_audited_where_events_are_kept() {
        let world = World::new(json!({ "eventsEnabled": true }));
        assert!(names(&world.exchange("app", GOOD)).contains(&"Audit"));
        assert_eq!(refused(&world, "app", &[]).1, ["Audit"]);
    }
}

mod refreshes {
    use super::*;

    #[test]
    fn without_rotation_old_tokens_stay_and_one_row_is_written() {
        let mut world = World::new(json!({}));
        let first = world.login();
        world.now += 100;
        let decision = world.refresh("app", &[], Some(&first));
        assert_eq!(names(&decision), ["TouchClientSession"]);
        let second = world.turn(&first).unwrap();
        assert_ne!(second.jti, first.jti);
        assert_eq!(second.exp, world.now + 1800);
        assert!(world.turn(&first).is_ok() && world.turn(&second).is_ok());
        assert_eq!((second.reuse_id, second.scope), (None, first.scope));
    }

    type Change = fn(&mut World, &mut refresh::RefreshClaims);

    #[test]
    fn rt_06_rt_10_to_rt_16_keycloaks_refusals() {
        let cases: &[(&str, Change, Reason)] = &[
            ("rt_14 kind", |_, c| c.typ = "Bearer".to_owned(), Reason::InvalidRefreshToken),
            ("rt_06 realm", |_, c| c.iss = "https://login.test/realms/b".to_owned(), Reason::InvalidRefreshToken),
            ("rt_06 client", |_, c| c.azp = "web".to_owned(), Reason::RefreshTokenOfAnotherClient),
            ("rt_13 expired", |w, c| w.now = c.exp, Reason::RefreshTokenExpired),
            ("rt_16 realm", |w, c| w.records.realm.settings.not_before = c.iat + 1, Reason::StaleToken),
            ("rt_16 user", |w, c| w.user.as_mut().unwrap().not_before = c.iat + 1, Reason::StaleToken),
            ("rt_10 logout", |w, _| w.session = None, Reason::SessionNotActive),
            ("rt_10 deleted", |w, _| w.user = None, Reason::SessionNotActive),
            ("rt_10 disabled", |w, _| w.user.as_mut().unwrap().enabled = false, Reason::UserDisabled),
            ("rt_11 subject", |_, c| c.sub = Some("user-bob".to_owned()), Reason::InvalidRefreshToken),
            ("rt_12 max", |w, _| w.session.as_mut().unwrap().started = START - 36_000, Reason::SessionNotActive),
            ("rt_13 idle", |w, _| w.session.as_mut().unwrap().last_seen = START - 1800, Reason::SessionNotActive),
            (
                "younger session",
                |w, c| w.session.as_mut().unwrap().started = c.iat + 1,
                Reason::RefreshTokenBeforeSession,
            ),
            (
                "younger client session",
                |w, c| w.below.as_mut().unwrap().started = c.iat + 1,
                Reason::RefreshTokenBeforeClientSession,
            ),
            ("detached", |w, _| w.below = None, Reason::SessionWithoutClient),
            ("family gone", |_, c| c.reuse_id = Some("f".to_owned()), Reason::SessionWithoutClient),
        ];
        for (case, change, expected) in cases {
            let mut world = World::new(json!({}));
            let mut claims = world.login();
            assert!(world.refresh("app", &[], Some(&claims)).answer.is_ok(), "honest twin of {case}");
            change(&mut world, &mut claims);
            let decision = world.refresh("app", &[], Some(&claims));
            assert_eq!(names(&decision), Vec::<&str>::new(), "{case}");
            assert_eq!(decision.answer.unwrap_err(), *expected, "{case}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_verified_or_is_missing() {
        let world = World::new(json!({}));
        assert_eq!(world.refresh("app", &[], None).answer.unwrap_err(), Reason::InvalidRefreshToken);
        let none = refresh::decide(&world.cx(), &world.client("app"), &params(&[]), None, refresh::Loaded::default());
        assert_eq!(none.answer.unwrap_err(), Reason::MissingRefreshToken);
    }

    #[test]
    fn p_10_rt_08_narrowing_does_not_stick() {
        let mut world = World::new(json!({}));
        let claims = world.login();
        let narrow = world.refresh("app", &[("scope", "openid")], Some(&claims)).answer.unwrap();
        assert_eq!(narrow.scopes.token_scope(), "openid profile email");
        let kept: refresh::RefreshClaims = serde_json::from_slice(&narrow.refresh(true).unwrap().0).unwrap();
        let back = world.refresh("app", &[], Some(&kept)).answer.unwrap();
        assert_eq!(back.scopes.token_scope(), "openid phone profile email");
        let wider = world.refresh("app", &[("scope", "openid address")], Some(&claims)).answer.unwrap();
        assert_eq!(wider.scopes.token_scope(), "openid profile email");
        let unknown = world.refresh("app", &[("scope", "nonsense")], Some(&claims)).answer.unwrap_err();
        assert_eq!(unknown, Reason::InvalidScopes("nonsense".to_owned()));
    }

    #[test]
    fn a_later_login_of_the_client_does_not_widen_older_tokens() {
        let mut world = World::new(json!({}));
        let claims = world.login();
        world.below.as_mut().unwrap().grant.scope = "openid phone address secret".to_owned();
        let issue = world.refresh("app", &[], Some(&claims)).answer.unwrap();
        assert_eq!(issue.scopes.token_scope(), "openid phone profile email");
    }

    #[test]
    fn rt_09_a_role_taken_away_is_gone_at_the_next_refresh() {
        let mut world = World::new(json!({}));
        let claims = world.login();
        world.user.as_mut().unwrap().roles.clear();
        let issue = world.refresh("app", &[], Some(&claims)).answer.unwrap();
        let access: serde_json::Value = serde_json::from_slice(&issue.access("u").json).unwrap();
        assert_eq!(access["realm_access"]["roles"], json!(["staff"]));
    }

    #[test]
    fn oidc_core_12_2_rt_17_a_refreshed_id_token_keeps_its_facts_without_nonce() {
        let mut world = World::new(json!({}));
        let claims = world.login();
        world.now += 60;
        let issue = world.refresh("app", &[], Some(&claims)).answer.unwrap();
        let id: serde_json::Value = serde_json::from_slice(&issue.id("i", "h").unwrap()).unwrap();
        assert_eq!((id.get("nonce"), &id["auth_time"], &id["acr"]), (None, &json!(START), &json!("1")));
    }

    #[test]
    fn keycloak_rotation_counts_reuses_of_the_last_used_token() {
        let mut world = World::new(rotating(1));
        let first = world.login();
        assert!(first.reuse_id.is_some());
        let second = world.turn(&first).unwrap();
        assert_eq!(world.turn(&first).unwrap(), second, "the same successor, byte for byte");
        assert_eq!(world.turn(&first).unwrap_err(), Reason::RefreshTokenReused);
        assert_eq!(world.turn(&second).unwrap_err(), Reason::SessionWithoutClient);
    }

    #[test]
    fn rt_02_rt_04_keycloak_rotation_without_reuse_detaches_at_once() {
        let mut world = World::new(rotating(0));
        let first = world.login();
        let decision = world.refresh("app", &[], Some(&first));
        assert_eq!(names(&decision), ["RotateLineage"], "one row");
        let second = world.turn(&first).unwrap();
        assert!(world.turn(&second).is_ok(), "honest twin");
        let mut world = World::new(rotating(0));
        let first = world.login();
        let second = world.turn(&first).unwrap();
        assert_eq!(world.turn(&first).unwrap_err(), Reason::RefreshTokenReused);
        assert!(world.below.is_none());
        assert_eq!(world.turn(&second).unwrap_err(), Reason::SessionWithoutClient);
    }

    #[test]
    fn p_11_rt_15_strict_gives_a_lost_answer_again_within_the_grace() {
        let mut world = World::new(strict());
        let first = world.login();
        world.now += 10;
        let second = world.turn(&first).unwrap();
        world.now += GRACE;
        assert_eq!(world.turn(&first).unwrap(), second);
        assert_eq!(world.turn(&first).unwrap(), second);
        assert!(world.turn(&second).is_ok(), "and the family goes on");
        world.now += 1;
        assert_eq!(world.turn(&first).unwrap_err(), Reason::StaleToken, "its successor was used");
        assert!(world.lineage.is_none() && world.below.is_some(), "only this family ends");
    }

    #[test]
    fn rt_02_rt_15_strict_ends_the_family_after_the_grace() {
        let mut world = World::new(strict());
        let first = world.login();
        let second = world.turn(&first).unwrap();
        world.now += GRACE + 1;
        assert_eq!(world.turn(&first).unwrap_err(), Reason::RefreshTokenReused);
        assert_eq!(world.turn(&second).unwrap_err(), Reason::SessionWithoutClient);
    }

    #[test]
    fn rt_01_a_family_of_another_session_or_client_is_none() {
        let mut world = World::new(strict());
        let first = world.login();
        world.lineage.as_mut().unwrap().client = "uuid-web".into();
        assert_eq!(world.turn(&first).unwrap_err(), Reason::InvalidRefreshToken);
    }

    #[test]
    fn rt_12_rotation_never_outlives_the_session() {
        let mut world = World::new(strict());
        let mut claims = world.login();
        while world.now < START + 36_000 - 1000 {
            world.now += 1000;
            world.session.as_mut().unwrap().last_seen = world.now;
            claims = world.turn(&claims).unwrap();
            assert!(claims.exp <= START + 36_000);
        }
        world.now = START + 36_000;
        assert_eq!(world.turn(&claims).unwrap_err(), Reason::RefreshTokenExpired);
    }
}

mod passwords {
    use super::*;

    fn asked<'a>(world: &'a World, form: &'a Params) -> Result<password::Asked<'a>, Reason> {
        password::admit(&world.cx(), &world.client("app"), form)
    }

    #[test]
    fn rfc_6749_4_3_parameters_come_before_the_password() {
        let world = World::new(json!({}));
        let form = |pairs: &[(&str, &str)]| asked(&world, &params(pairs)).map(|a| a.password.to_owned());
        let user = ("username", "alice");
        assert_eq!(form(&[("password", "x")]), Err(Reason::MissingUsername));
        assert_eq!(form(&[("username", ""), ("password", "x")]), Err(Reason::MissingUsername));
        assert_eq!(
            form(&[user, ("scope", "openid nonsense")]),
            Err(Reason::InvalidScopes("openid nonsense".to_owned()))
        );
        assert_eq!(form(&[user]), Ok(String::new()));
        assert_eq!(form(&[user, ("password", "p"), ("scope", "openid")]), Ok("p".to_owned()));
    }

    #[test]
    fn a_direct_grant_makes_a_session_of_its_own() {
        let world = World::new(json!({}));
        let form = params(&[("username", "alice"), ("password", "p"), ("scope", "openid")]);
        let user = fixture::user();
        let decide =
            |user, owes| password::decide(&world.cx(), &world.client("app"), asked(&world, &form).unwrap(), user, owes);
        let decision = decide(&user, false);
        assert_eq!(names(&decision), ["ExpectUser", "CreateUserSession", "PutClientSession"]);
        let issue = decision.answer.unwrap();
        let access: serde_json::Value = serde_json::from_slice(&issue.access("u").json).unwrap();
        assert_eq!((&access["jti"], access.get("auth_time")), (&json!("onrtro:u"), None));
        assert_eq!(decide(&user, true).answer.unwrap_err(), Reason::AccountNotSetUp);
        let disabled = User { enabled: false, ..fixture::user() };
        assert_eq!(decide(&disabled, false).answer.unwrap_err(), Reason::AccountDisabled);
        let service = User { service_account_client: Some("uuid-web".into()), ..fixture::user() };
        assert_eq!(decide(&service, false).answer.unwrap_err(), Reason::InvalidUserCredentials);
    }

    #[test]
    fn a_client_may_go_without_refresh_tokens() {
        let world = World::new(json!({}));
        let mut client: Client = world.records.client("app").unwrap().clone();
        client.settings.attributes.insert("use.refresh.tokens".to_owned(), "false".to_owned());
        let records = RealmRecords::new(
            world.records.realm.clone(),
            world.records.scopes.values().cloned().collect(),
            world.records.roles.clone(),
            world.records.groups.clone(),
            world.records.keys.clone(),
            vec![client],
        );
        let cx = Context { records: &records, ..world.cx() };
        let auth = client_auth::authenticate(&records, &[], &params(&[("client_id", "app")])).unwrap();
        let user = fixture::user();
        let asked = password::Asked { username: "alice", password: "p", scope: "" };
        let issue = password::decide(&cx, &auth, asked, &user, false).answer.unwrap();
        assert!(issue.refresh(true).is_none());
    }
}

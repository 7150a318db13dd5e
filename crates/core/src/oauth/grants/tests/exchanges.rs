//! TE-18, TE-35: what an exchange gives, and to whom.

use super::super::token_exchange::{self, Subject};
use super::*;

const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const REFRESH: &str = "urn:ietf:params:oauth:token-type:refresh_token";

/// A world where `web` exchanges, refresh tokens too.
fn world(settings: serde_json::Value, consent_required: bool) -> World {
    let mut world = World::new(settings);
    let base = &world.records;
    let mut clients: Vec<Client> = base.clients().cloned().collect();
    for client in clients.iter_mut().filter(|client| client.client_id == "web") {
        client.settings.consent_required = consent_required;
        for (name, value) in [("", "true"), (".enableRefreshRequestedTokenType", "SAME_SESSION")] {
            let name = if name.is_empty() { ".enabled" } else { name };
            client.settings.attributes.insert(format!("standard.token.exchange{name}"), value.to_owned());
        }
    }
    let scopes = base.scopes.values().cloned().collect();
    let (roles, groups, keys) = (base.roles.clone(), base.groups.clone(), base.keys.clone());
    world.records = RealmRecords::new(base.realm.clone(), scopes, roles, groups, keys, clients);
    world
}

/// Asks as `web` with a token of `app` that names `web`.
fn ask(world: &World, more: &[(&str, &str)]) -> Result<Vec<&'static str>, Reason> {
    let pairs = [("subject_token", "x"), ("subject_token_type", ACCESS)];
    let params = params(&pairs.iter().chain(more).copied().collect::<Vec<_>>());
    let (cx, client) = (world.cx(), world.client("web"));
    let asked = token_exchange::admit(&cx, &client, &params)?;
    let audience = ["web".to_owned()];
    let subject = world.user.as_ref().map(|user| Subject {
        user,
        holder: world.records.client("app").unwrap(),
        session: world.session.as_ref(),
        audience: &audience,
        scope: "openid profile",
        acr: None,
        consent: world.consent.as_ref(),
    });
    let decision = token_exchange::decide(&cx, &client, &asked, subject, world.below.as_ref());
    let names = names(&decision);
    decision.answer.map(|_| names)
}

#[test]
fn te_18_rt_14_a_refresh_token_comes_of_a_stored_online_session_only() {
    let world = world(json!({}), false);
    for wanted in [ACCESS, REFRESH] {
        assert!(ask(&world, &[("requested_token_type", wanted)]).is_ok(), "the honest twin: {wanted}");
    }
    let offline = World { session: Some(UserSession { offline: true, ..fixture::session(START) }), ..world };
    assert!(ask(&offline, &[("requested_token_type", ACCESS)]).is_ok());
    assert_eq!(ask(&offline, &[("requested_token_type", REFRESH)]), Err(Reason::ExchangeRequestedType));
    let sessionless = World { session: None, ..offline };
    let given = ask(&sessionless, &[("requested_token_type", ACCESS)]).unwrap();
    assert!(!given.contains(&"PutClientSession"), "nobody's session is made up: {given:?}");
    assert_eq!(ask(&sessionless, &[("requested_token_type", REFRESH)]), Err(Reason::ExchangeRequestedType));
}

#[test]
fn te_35_an_exchange_needs_the_users_consent_to_the_client_that_asks() {
    let mut world = world(json!({}), true);
    assert_eq!(ask(&world, &[]), Err(Reason::ExchangeMissingConsent("web".to_owned())));
    let scopes = ["basic", "profile", "email", "roles"].map(|s| format!("scope-{s}").as_str().into()).to_vec();
    let given = |client: &str| Consent {
        user: "user-alice".into(),
        client: client.into(),
        scopes: scopes.clone(),
        created: 1,
        updated: 1,
    };
    world.consent = Some(Consent { scopes: Vec::new(), ..given("uuid-web") });
    assert_eq!(ask(&world, &[]), Err(Reason::ExchangeMissingConsent("web".to_owned())), "to nothing");
    world.consent = Some(given("uuid-web"));
    assert!(ask(&world, &[]).is_ok(), "the honest twin");
}

#[test]
fn te_18_who_names_an_actor_gets_no_impersonation_in_a_strict_realm() {
    let actor = [("actor_token", "y")];
    assert_eq!(ask(&world(strict(), false), &actor), Err(Reason::ExchangeUnsupported("actor_token".to_owned())));
    assert!(ask(&world(json!({}), false), &actor).is_ok(), "Keycloak 26.4 does not look");
    assert!(ask(&world(strict(), false), &[]).is_ok());
}

#[test]
fn te_18_a_part_that_is_over_is_begun_anew() {
    let mut world = world(json!({}), false);
    let part = ClientSession {
        session: "session-1".into(),
        client: "uuid-web".into(),
        started: START,
        grant: fixture::grant("openid"),
        last_refresh: START,
    };
    world.below = Some(part.clone());
    assert!(!ask(&world, &[]).unwrap().contains(&"PutClientSession"), "it stands and stays as it is");
    world.below = Some(ClientSession { started: START - 40_000, last_refresh: START - 40_000, ..part });
    world.records.realm.settings.client_session_max_lifespan = 3600;
    assert!(ask(&world, &[]).unwrap().contains(&"PutClientSession"));
}

use serde_json::{Value, json};

use super::fixture::{self, everywhere, mapper};
use super::tokens::{self, Hashes, RefreshFacts, Stamp};
use super::*;
use crate::oauth::scope;

const HASHES: Hashes<'static> = Hashes { access: Some("hash"), code: None, state: None };
const STAMP: Stamp<'static> = Stamp { issued_at: 1000, expires_at: 1300, id: "onrtac:x" };

fn facts<'a>(
    records: &'a RealmRecords,
    client: &'a Client,
    user: &'a User,
    scopes: &'a ActiveScopes<'a>,
    rest: (&'a UserSession, &'a Grant),
) -> Facts<'a> {
    Facts {
        records,
        client,
        user,
        session: Some(rest.0),
        transient: false,
        grant: rest.1,
        scopes,
        audiences: None,
        issuer: fixture::ISSUER,
    }
}

fn with<T>(mappers: Vec<ProtocolMapper>, strict: bool, check: impl Fn(&Facts<'_>) -> T) -> T {
    let attributes = if strict { json!({ "attributes": { "portcullis.profile": "strict" } }) } else { json!({}) };
    let records = fixture::records_with(attributes);
    let mut client = records.client("web").unwrap().clone();
    client.mappers = mappers;
    let user = fixture::user();
    let (session, grant) = (fixture::session(900), fixture::grant("openid"));
    let scopes = scope::active(&records, &client, &grant.scope);
    check(&facts(&records, &client, &user, &scopes, (&session, &grant)))
}

fn access(mappers: Vec<ProtocolMapper>) -> Value {
    with(mappers, false, |f| serde_json::from_slice(&tokens::access(f, STAMP).json).unwrap())
}

#[test]
fn an_access_token_has_keycloaks_members_in_keycloaks_order() {
    let token = access(vec![]);
    assert_eq!(
        token,
        json!({
            "exp": 1300, "iat": 1000, "auth_time": 900, "jti": "onrtac:x", "iss": fixture::ISSUER, "aud": ["api", "app"],
            "sub": "user-alice", "typ": "Bearer", "azp": "web", "sid": "session-1", "acr": "1",
            "allowed-origins": ["https://app.test", "http://localhost:3000"],
            "realm_access": { "roles": ["manager", "staff", "user"] },
            "resource_access": { "api": { "roles": ["writer"] }, "app": { "roles": ["reader"] } },
            "scope": "openid profile email", "email_verified": true, "name": "Alice Adams", "preferred_username": "alice",
            "given_name": "Alice", "family_name": "Adams", "email": "alice@example.test"
        })
    );
    let names: Vec<&str> = token.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "exp",
            "iat",
            "auth_time",
            "jti",
            "iss",
            "aud",
            "sub",
            "typ",
            "azp",
            "sid",
            "acr",
            "allowed-origins",
            "realm_access",
            "resource_access",
            "scope",
            "email_verified",
            "name",
            "preferred_username",
            "given_name",
            "family_name",
            "email"
        ]
    );
}

#[test]
fn oidc_core_2_an_id_token_has_no_roles_and_names_its_client() {
    let id: Value =
        with(vec![], false, |f| serde_json::from_slice(&tokens::id(f, STAMP, HASHES, Some("n-1"))).unwrap());
    let names: Vec<&str> = id.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "exp",
            "iat",
            "auth_time",
            "jti",
            "iss",
            "aud",
            "sub",
            "typ",
            "azp",
            "nonce",
            "sid",
            "at_hash",
            "acr",
            "email_verified",
            "name",
            "preferred_username",
            "given_name",
            "family_name",
            "email"
        ]
    );
    assert_eq!((&id["aud"], &id["typ"], &id["nonce"]), (&json!("web"), &json!("ID"), &json!("n-1")));
}

#[test]
fn oidc_core_5_3_2_userinfo_leaks_nothing_else() {
    let userinfo: Value = with(vec![], false, |f| serde_json::from_slice(&tokens::userinfo(f, false)).unwrap());
    assert_eq!(
        userinfo,
        json!({ "sub": "user-alice", "email_verified": true, "name": "Alice Adams", "preferred_username": "alice",
                "given_name": "Alice", "family_name": "Adams", "email": "alice@example.test" })
    );
    let signed: Value = with(vec![], false, |f| serde_json::from_slice(&tokens::userinfo(f, true)).unwrap());
    assert_eq!((&signed["aud"], &signed["iss"]), (&json!("web"), &json!(fixture::ISSUER)));
}

#[test]
fn a_lightweight_token_says_only_what_the_protocol_needs() {
    let token: Value = with(
        vec![mapper(
            "x",
            "oidc-hardcoded-claim-mapper",
            &[
                ("claim.name", "plan"),
                ("claim.value", "gold"),
                ("access.token.claim", "true"),
                ("lightweight.claim", "true"),
            ],
        )],
        false,
        |f| {
            let mut client = f.client.clone();
            client.settings.attributes.insert(LIGHTWEIGHT_ATTRIBUTE.to_owned(), "true".to_owned());
            let payload = tokens::access(&Facts { client: &client, ..*f }, STAMP);
            assert!(!payload.has_subject);
            serde_json::from_slice(&payload.json).unwrap()
        },
    );
    assert_eq!(
        token,
        json!({ "exp": 1300, "iat": 1000, "jti": "onrtac:x", "iss": fixture::ISSUER, "typ": "Bearer", "azp": "web",
                "sid": "session-1", "scope": "openid profile email", "plan": "gold" })
    );
}

#[test]
fn every_mapper_writes_what_keycloaks_does() {
    let fixed = "oidc-hardcoded-claim-mapper";
    let attribute = "oidc-usermodel-attribute-mapper";
    let cases: Vec<(ProtocolMapper, &str, Value)> = vec![
        (everywhere(fixed, "plan", &[("claim.value", "gold")]), "/plan", json!("gold")),
        (
            everywhere(fixed, "nested.level.count", &[("claim.value", "7"), ("jsonType.label", "int")]),
            "/nested/level/count",
            json!(7),
        ),
        (everywhere(fixed, r"dotted\.name", &[("claim.value", "x")]), "/dotted.name", json!("x")),
        (
            everywhere(fixed, "conf", &[("claim.value", r#"{"a":1}"#), ("jsonType.label", "JSON")]),
            "/conf",
            json!({"a": 1}),
        ),
        (everywhere(fixed, "flag", &[("claim.value", "yes"), ("jsonType.label", "boolean")]), "/flag", json!(false)),
        (everywhere(attribute, "department", &[("user.attribute", "department")]), "/department", json!("R&D")),
        (
            everywhere(attribute, "teams", &[("user.attribute", "teams"), ("multivalued", "true")]),
            "/teams",
            json!(["red", "blue"]),
        ),
        (everywhere(attribute, "team", &[("user.attribute", "teams")]), "/team", json!("red")),
        (everywhere(attribute, "site", &[("user.attribute", "site")]), "/site", json!("lab")),
        (
            everywhere(
                attribute,
                "sites",
                &[("user.attribute", "site"), ("multivalued", "true"), ("aggregate.attrs", "true")],
            ),
            "/sites",
            json!(["lab", "north"]),
        ),
        (everywhere(attribute, "none", &[("user.attribute", "none")]), "/none", Value::Null),
        (
            everywhere("oidc-usermodel-property-mapper", "mail", &[("user.attribute", "email")]),
            "/mail",
            json!("alice@example.test"),
        ),
        (everywhere("oidc-group-membership-mapper", "groups", &[]), "/groups", json!(["/staff/engineering"])),
        (
            everywhere("oidc-group-membership-mapper", "groups", &[("full.path", "false")]),
            "/groups",
            json!(["engineering"]),
        ),
        (
            everywhere(
                "oidc-usermodel-realm-role-mapper",
                "flat",
                &[("multivalued", "true"), ("usermodel.realmRoleMapping.rolePrefix", "r-")],
            ),
            "/flat",
            json!(["r-manager", "r-staff", "r-user"]),
        ),
        (
            everywhere(
                "oidc-usermodel-client-role-mapper",
                "api_roles",
                &[("multivalued", "true"), ("usermodel.clientRoleMapping.clientId", "api")],
            ),
            "/api_roles",
            json!(["writer"]),
        ),
        (everywhere("oidc-address-mapper", "ignored", &[]), "/address", json!({})),
        (
            mapper("r", "oidc-hardcoded-role-mapper", &[("role", "api.admin")]),
            "/resource_access/api/roles",
            json!(["admin", "writer"]),
        ),
        (
            mapper("r", "oidc-role-name-mapper", &[("role", "manager"), ("new.role.name", "boss")]),
            "/realm_access/roles",
            json!(["boss", "staff", "user"]),
        ),
        (
            mapper(
                "a",
                "oidc-audience-mapper",
                &[("included.client.audience", "limited"), ("access.token.claim", "true")],
            ),
            "/aud",
            json!(["api", "app", "limited"]),
        ),
        (
            mapper(
                "a",
                "oidc-audience-mapper",
                &[("included.custom.audience", "urn:x"), ("access.token.claim", "true")],
            ),
            "/aud",
            json!(["api", "app", "urn:x"]),
        ),
        (
            mapper(
                "a",
                "oidc-audience-mapper",
                &[("included.custom.audience", "urn:x"), ("access.token.claim", "false")],
            ),
            "/aud",
            json!(["api", "app"]),
        ),
        (everywhere("oidc-script-mapper", "x", &[]), "/x", Value::Null),
    ];
    for (mapper, at, expected) in cases {
        let name = format!("{} {:?}", mapper.protocol_mapper, mapper.config);
        let token = access(vec![mapper]);
        let got = token.pointer(at).cloned().unwrap_or_default();
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn jw_28_data_of_users_never_writes_reserved_claims() {
    let honest = access(vec![]);
    for name in
        ["sub", "iss", "aud", "exp", "cnf", "azp", "realm_access.roles", "resource_access.api.roles", "acr", "scope"]
    {
        let attacked = access(vec![everywhere("oidc-usermodel-attribute-mapper", name, &[("user.attribute", "evil")])]);
        assert_eq!(attacked, honest, "{name}");
    }
    let written =
        access(vec![everywhere("oidc-usermodel-attribute-mapper", "nickname", &[("user.attribute", "evil")])]);
    assert_eq!(written["nickname"], "mallory");
    let roles = |strict| {
        let mappers = vec![everywhere("oidc-usermodel-attribute-mapper", "roles", &[("user.attribute", "evil")])];
        with(mappers, strict, |f| gather(f, Target::Access).members.get("roles").cloned())
    };
    assert_eq!((roles(false), roles(true)), (Some(json!("mallory")), None));
}

#[test]
fn full_scope_off_lets_only_mapped_roles_through() {
    let records = fixture::records();
    let mut client = records.client("limited").unwrap().clone();
    let (user, session, grant) = (fixture::user(), fixture::session(900), fixture::grant(""));
    let token = |client: &Client| -> Value {
        let scopes = scope::active(&records, client, "");
        serde_json::from_slice(
            &tokens::access(&facts(&records, client, &user, &scopes, (&session, &grant)), STAMP).json,
        )
        .unwrap()
    };
    let none = token(&client);
    assert_eq!((none.get("aud"), none.get("realm_access"), none.get("resource_access")), (None, None, None));
    client.scope_mappings = vec!["role-manager".into()];
    let some = token(&client);
    assert_eq!(some["realm_access"]["roles"], json!(["manager"]));
    assert_eq!(some["resource_access"], json!({ "api": { "roles": ["writer"] } }));
}

#[test]
fn older_files_without_the_newer_switches_keep_their_meaning() {
    let kind = "oidc-usermodel-attribute-mapper";
    for (config, access, id, userinfo, introspection) in [
        (&[("id.token.claim", "true")][..], false, true, true, false),
        (&[("access.token.claim", "true")], true, false, false, true),
        (&[("id.token.claim", "true"), ("userinfo.token.claim", "false")], false, true, false, false),
        (&[("access.token.claim", "true"), ("introspection.token.claim", "false")], true, false, false, false),
    ] {
        let mapper = mapper("m", kind, config);
        let got = [Target::Access, Target::Id, Target::Userinfo, Target::Introspection].map(|t| t.wants(&mapper));
        assert_eq!(got, [access, id, userinfo, introspection], "{config:?}");
    }
    assert!(Target::Access.wants(&mapper("m", "oidc-audience-resolve-mapper", &[])));
}

#[test]
fn a_refresh_token_is_made_of_its_facts_alone() {
    let make = |reuse_id, resources: &[String]| {
        let facts = RefreshFacts {
            stamp: STAMP,
            issuer: fixture::ISSUER,
            subject: Some("user-alice"),
            client_id: "web",
            session: "session-1",
            offline: false,
            scope: "openid basic email",
            reuse_id,
            resources,
        };
        String::from_utf8(tokens::refresh(&facts)).unwrap()
    };
    assert_eq!(
        make(None, &[]),
        r#"{"exp":1300,"iat":1000,"jti":"onrtac:x","iss":"https://login.test/realms/acme","aud":"https://login.test/realms/acme","sub":"user-alice","typ":"Refresh","azp":"web","sid":"session-1","scope":"openid basic email"}"#
    );
    assert_eq!(make(Some("f"), &[]), make(Some("f"), &[]));
    assert!(make(Some("f"), &[]).ends_with(r#","reuse_id":"f"}"#));
    assert!(make(None, &["https://a.test/".to_owned()]).ends_with(r#","resource":["https://a.test/"]}"#));
}

#[test]
fn rfc_7662_2_2_mappers_never_speak_for_the_server() {
    let audience = ["https://login.test".to_owned()];
    let introspected = |mappers: Vec<ProtocolMapper>| {
        with(mappers, false, |f| {
            let token =
                tokens::Introspected { stamp: STAMP, typ: "Bearer", audience: &audience, scope: Some("openid") };
            let full = tokens::introspection(f, &token);
            let party = tokens::introspection_of_party(f, &token);
            assert_eq!(full.audience, party.audience);
            (String::from_utf8(full.json).unwrap(), String::from_utf8(party.json).unwrap())
        })
    };
    let honest = introspected(vec![]);
    let ends = r#""client_id":"web","username":"alice","token_type":"Bearer","active":true}"#;
    assert!(honest.0.ends_with(ends), "{}", honest.0);
    let fixed = |claim| everywhere("oidc-hardcoded-claim-mapper", claim, &[("claim.value", "false")]);
    for name in ["client_id", "username", "token_type", "active", "sub", "aud", "scope", "typ"] {
        assert_eq!(introspected(vec![fixed(name)]), honest, "{name}");
    }
    let written = introspected(vec![fixed("plan")]);
    assert!(written.0.contains(r#""plan":"false""#), "honest twin: {}", written.0);
    assert_eq!(
        honest.1,
        r#"{"exp":1300,"iat":1000,"jti":"onrtac:x","aud":["https://login.test","api","app"],"typ":"Bearer","acr":"1","active":true}"#
    );
}

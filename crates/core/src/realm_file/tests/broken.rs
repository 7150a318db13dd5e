//! Broken files: each with the one line it gets.

use super::{MINI, import};

fn cause(text: &str) -> String {
    match import(text) {
        Ok(_) => "accepted".to_owned(),
        Err(refusal) => refusal.to_string(),
    }
}

fn strict(rest: &str) -> String {
    format!(r#"{{"realm":"r","attributes":{{"portcullis.profile":"strict"}},{rest}}}"#)
}

#[test]
fn each_broken_file_gets_one_line_with_place_and_cause() {
    let table = [
        (r#"{"realm":"#, "EOF while parsing a value at line 1 column 9"),
        ("{\n \"realm\": \"r\",\n}", "trailing comma at line 3 column 1"),
        (r#"{"realm":"r"} x"#, "trailing characters at line 1 column 15"),
        ("[]", "expected an object"),
        (r#"{"enabled":true}"#, "realm: Realm name cannot be empty"),
        (r#"{"realm":"a/b"}"#, "realm: Character '/' not allowed."),
        (r#"{"realm":".."}"#, "realm: Character '.' not allowed."),
        (r#"{"realm":"a","realm":"b"}"#, "line 1 column 20: the member \"realm\" stands there twice"),
        (
            r#"{"realm":"r","nonsense":1}"#,
            "Invalid json representation for RealmRepresentation. Unrecognized field \"nonsense\"",
        ),
        (
            r#"{"realm":"r","clients":[{"clientId":"a"},{"clientId":"b","redirectUri":"x"}]}"#,
            "clients[1]: Invalid json representation for ClientRepresentation. Unrecognized field \"redirectUri\"",
        ),
        (r#"{"realm":"r","accessTokenLifespan":"soon"}"#, "accessTokenLifespan: expected a whole number"),
        (r#"{"realm":"r","accessTokenLifespan":99999999999}"#, "accessTokenLifespan: expected a number of 32 bits"),
        (r#"{"realm":"r","enabled":"maybe"}"#, "enabled: expected true or false"),
        (r#"{"realm":"r","clients":{}}"#, "clients: expected a list"),
        (r#"{"realm":"r","clients":["a"]}"#, "clients[0]: expected an object"),
        (
            r#"{"realm":"r","clients":[{"clientId":"a","redirectUris":"x"}]}"#,
            "clients[0].redirectUris: expected a list",
        ),
        (r#"{"realm":"r","clients":[{"name":"a"}]}"#, "clients[0].clientId: \"clientId\" is missing"),
        (
            r#"{"realm":"r","clients":[{"clientId":"a"},{"clientId":"a"}]}"#,
            "clients[1].clientId: the client \"a\" is taken",
        ),
        (r#"{"realm":"r","users":[{"enabled":true}]}"#, "users[0].username: \"username\" is missing"),
        (
            r#"{"realm":"r","users":[{"username":"a"},{"username":"A"}]}"#,
            "users[1].username: the username \"a\" is taken",
        ),
        (
            r#"{"realm":"r","users":[{"username":"a","email":"x@y.z"},{"username":"b","email":"X@y.z"}]}"#,
            "users[1].email: the e-mail \"x@y.z\" is taken",
        ),
        (r#"{"realm":"r","users":[{"username":"a","groups":["/x"]}]}"#, "users[0].groups[0]: there is no group \"/x\""),
        (
            r#"{"realm":"r","users":[{"username":"a","clientRoles":{"x":["y"]}}]}"#,
            "users[0].clientRoles: there is no client \"x\"",
        ),
        (
            r#"{"realm":"r","users":[{"username":"a","serviceAccountClientId":"x"}]}"#,
            "users[0].serviceAccountClientId: there is no client \"x\"",
        ),
        (
            r#"{"realm":"r","roles":{"realm":[{"name":"a","composites":{"realm":["b"]}}]}}"#,
            "roles.realm[0].composites: there is no realm role \"b\"",
        ),
        (
            r#"{"realm":"r","roles":{"realm":[{"name":"a"},{"name":"a"}]}}"#,
            "roles.realm[1].name: the role \"a\" is taken",
        ),
        (r#"{"realm":"r","roles":{"client":{"x":[{"name":"a"}]}}}"#, "roles.client.x: there is no client \"x\""),
        (r#"{"realm":"r","groups":[{"name":"a"},{"name":"a"}]}"#, "groups[1].name: the group \"/a\" is taken"),
        (
            r#"{"realm":"r","scopeMappings":[{"client":"x","roles":["a"]}]}"#,
            "scopeMappings[0]: there is no client \"x\"",
        ),
        (
            r#"{"realm":"r","users":[{"username":"a","clientRoles":{"x\ny":["z"]}}]}"#,
            "users[0].clientRoles: there is no client \"x\\ny\"",
        ),
        (
            r#"{"realm":"r","clientScopes":[{"name":"a b"}]}"#,
            "clientScopes[0].name: Unexpected name \"a b\" for ClientScope",
        ),
    ];
    for (text, want) in table {
        assert_eq!(cause(text), want, "{text}");
    }
    assert_eq!(cause(MINI), "accepted");
}

#[test]
fn ds_19_depth_is_bounded() {
    let deep = format!(r#"{{"realm":"r","smtpServer":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(cause(&deep).starts_with("nested too deeply"), "{}", cause(&deep));
    let fits = format!(r#"{{"realm":"r","organizations":{}{}}}"#, "[".repeat(50), "]".repeat(50));
    assert_eq!(cause(&fits), "accepted");
}

#[test]
fn en_17_absurd_or_unknown_password_hashes_are_refused() {
    let user = |data: &str, secret: &str| {
        let credential = serde_json::json!({"type": "password", "secretData": secret, "credentialData": data});
        let file = serde_json::json!({"realm": "r", "users": [{"username": "a", "credentials": [credential]}]});
        cause(&file.to_string())
    };
    let secret = r#"{"value":"aGFzaA==","salt":"c2FsdA=="}"#;
    let argon2 =
        r#"{"hashIterations":5,"algorithm":"argon2","additionalParameters":{"memory":["7168"],"parallelism":["1"]}}"#;
    assert_eq!(user(argon2, secret), "accepted");
    assert_eq!(user(r#"{"hashIterations":210000,"algorithm":"pbkdf2-sha512"}"#, secret), "accepted");
    let at = "users[0].credentials[0].credentialData";
    let table = [
        (
            r#"{"hashIterations":5,"algorithm":"argon2","additionalParameters":{"memory":["99999999"]}}"#,
            "absurd cost parameters",
        ),
        (r#"{"hashIterations":99999999,"algorithm":"pbkdf2-sha256"}"#, "absurd cost parameters"),
        (r#"{"hashIterations":0,"algorithm":"pbkdf2"}"#, "absurd cost parameters"),
        (r#"{"hashIterations":1,"algorithm":"md5"}"#, "the password algorithm \"md5\" is not supported"),
        ("nonsense", "expected a JSON object as text"),
    ];
    for (data, want) in table {
        assert_eq!(user(data, secret), format!("{at}: {want}"));
    }
    assert_eq!(user(argon2, "{}"), "users[0].credentials[0].secretData: \"value and salt\" is missing");
}

#[test]
fn ru_12_ru_13_strict_realms_refuse_what_is_not_an_exact_redirect_uri() {
    let client = |uri: &str| {
        let list = serde_json::json!([{"clientId": "a", "redirectUris": [uri]}]);
        cause(&strict(&format!("\"clients\":{list}")))
    };
    for good in
        ["https://app.example/cb", "http://127.0.0.1/cb", "http://localhost:9876/cb", "com.example.app:/cb", "/cb"]
    {
        assert_eq!(client(good), "accepted", "{good}");
    }
    for bad in [
        "*",
        "https://app.example/*",
        "https://app.example*",
        "https://*/cb",
        "https://*.example/cb",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "blob:x",
        "file:///etc/passwd",
        "http://app.example/cb",
        "https://user@app.example/cb",
        "https://app.example/cb#x",
        "//evil.example/cb",
        "myapp://cb",
        "",
    ] {
        let got = client(bad);
        assert!(got.starts_with("clients[0].redirectUris[0]: "), "{bad}: {got}");
        // The same file is a keycloak realm's as it is.
        let kept = serde_json::json!({"realm": "r", "clients": [{"clientId": "a", "redirectUris": [bad]}]});
        assert_eq!(cause(&kept.to_string()), "accepted", "{bad}");
    }
}

#[test]
fn ru_12_se_19_strict_realms_refuse_script_addresses_of_clients() {
    for member in ["rootUrl", "baseUrl", "adminUrl"] {
        let client =
            |url: &str| cause(&strict(&format!("\"clients\":[{{\"clientId\":\"a\",\"{member}\":\"{url}\"}}]")));
        assert_eq!(client("https://app.example/"), "accepted");
        assert!(client("javascript:alert(1)").starts_with(&format!("clients[0].{member}: ")));
    }
    let logo = |url: &str| {
        cause(&strict(&format!("\"clients\":[{{\"clientId\":\"a\",\"attributes\":{{\"logoUri\":\"{url}\"}}}}]")))
    };
    assert_eq!(logo("https://app.example/l.png"), "accepted");
    assert!(logo("data:text/html,x").starts_with("clients[0].attributes.logoUri: "));
}

#[test]
fn jw_28_strict_realms_refuse_mappers_that_write_protocol_claims() {
    let mapper = |kind: &str, claim: &str| {
        let mapper = serde_json::json!({"name": "m", "protocolMapper": kind, "config": {"claim.name": claim}});
        let client = serde_json::json!([{"clientId": "a", "protocolMappers": [mapper]}]);
        cause(&strict(&format!("\"clients\":{client}")))
    };
    for claim in ["sub", "iss", "aud", "exp", "cnf", "realm_access.roles", "roles"] {
        let got = mapper("oidc-usermodel-attribute-mapper", claim);
        assert!(got.starts_with("clients[0].protocolMappers[0]: the claim"), "{claim}: {got}");
    }
    assert_eq!(mapper("oidc-usermodel-attribute-mapper", "department"), "accepted");
    assert_eq!(mapper("oidc-usermodel-realm-role-mapper", "realm_access.roles"), "accepted");
}

#[test]
fn en_15_strict_realms_have_one_namespace_for_names_and_e_mails() {
    let users = r#""users":[{"username":"a","email":"a@x.y"},{"username":"a@x.y"}]"#;
    assert_eq!(cause(&strict(users)), "users[0].email: the username \"a@x.y\" is taken");
    let own = r#""users":[{"username":"a@x.y","email":"a@x.y"}]"#;
    assert_eq!(cause(&strict(own)), "accepted");
}

#[test]
fn en_15_strict_realms_refuse_names_that_look_like_others() {
    let users =
        |name: &str, email: &str| serde_json::json!([{"username": "admin"}, {"username": name, "email": email}]);
    for (name, email, line) in [
        (
            "\u{410}dmin",
            "a@x.y",
            "users[1].username: \"\\u{430}dmin\" mixes letters of Cyrillic and Latin, some of which look alike",
        ),
        (
            "admin\u{200b}",
            "a@x.y",
            "users[1].username: \"admin\\u{200b}\" holds U+200B, which may be overlooked or mistaken",
        ),
        (
            "\u{ff21}dmin",
            "a@x.y",
            "users[1].username: \"\\u{ff41}dmin\" holds U+FF41, which may be overlooked or mistaken",
        ),
        (
            "bob",
            "\u{430}dmin@x.y",
            "users[1].email: \"\\u{430}dmin@x.y\" mixes letters of Cyrillic and Latin, some of which look alike",
        ),
        ("Иван", "ivan@x.y", "accepted"),
        ("José", "jose@x.y", "accepted"),
    ] {
        assert_eq!(cause(&strict(&format!("\"users\":{}", users(name, email)))), line);
        let kept = import(&serde_json::json!({"realm": "r", "users": users(name, email)}).to_string()).unwrap();
        assert_eq!(kept.users[1].user.username, name.to_lowercase(), "a keycloak realm keeps it");
    }
}

#[test]
fn ds_18_attributes_and_memberships_of_one_user_are_bounded() {
    let attributes = |n: usize| {
        let values: Vec<String> = (0..n).map(|i| i.to_string()).collect();
        let file = serde_json::json!({"realm": "r", "users": [{"username": "a", "attributes": {"x": values}}]});
        cause(&file.to_string())
    };
    assert_eq!(attributes(900), "accepted");
    assert_eq!(attributes(901), "users[0].attributes: more attribute values than one change may hold");
    let roles = |n: usize| {
        let names: Vec<String> = (0..n).map(|i| format!("r{i}")).collect();
        let file = serde_json::json!({"realm": "r", "users": [{"username": "a", "realmRoles": names}]});
        cause(&file.to_string())
    };
    assert_eq!(roles(900), "accepted");
    assert_eq!(roles(901), "users[0]: more roles and groups than one change may hold");
}

#[test]
fn the_place_behind_an_unknown_member_is_that_of_keycloaks_parser() {
    use super::super::json::behind_member;
    let table = [
        // Recorded: `admin-realms/realms`, "update with unknown field".
        (r#"{"nonsense": 1}"#, Some((1, 15))),
        ("{\n \"a\": \"nonsense\",\n \"nonsense\" : [1]}", Some((3, 16))),
        (r#"{"a":{"nonsense":1},"nonsense":"x"}"#, Some((1, 33))),
        (r#"{"a":"\"nonsense\":1","nonsense":true}"#, Some((1, 38))),
        (r#"{"a":1}"#, None),
        ("", None),
    ];
    for (text, want) in table {
        assert_eq!(behind_member(text.as_bytes(), "nonsense"), want, "{text}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Damaged files are refused in one line, or are files: nothing panics.
    #[test]
    fn ds_19_damaged_files_are_refused_in_one_line(at in 0..super::DEMO.len(), byte: u8, cut in 1..super::DEMO.len()) {
        let mut bytes = super::DEMO.as_bytes().to_vec();
        bytes[at] = byte;
        if byte % 2 == 0 {
            bytes.truncate(cut);
        }
        if let Err(refusal) = super::super::RealmFile::read(&bytes) {
            proptest::prop_assert!(!refusal.to_string().contains('\n'), "{}", refusal);
        }
        let _ = super::super::json::behind_member(&bytes, "users");
    }
}

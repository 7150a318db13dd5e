//! The required actions `VERIFY_PROFILE` and `UPDATE_PROFILE`: who owes the page, what its form may do, and what it may not.

use anyhow::{Context as _, Result};
use portcullis_core::user::User;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::Options;
use serde_json::{Value, json};

use crate::stage::{Browser, Outcome, PROFILES, Stage, action, direct_grant, edited, outcome, part, relative, set};

/// A profile with attributes of every kind, beside the usual four.
fn components() -> Value {
    let attribute = |name: &str, edit: &[&str], more: Value| {
        let mut attribute = json!({ "name": name, "permissions": { "view": ["admin", "user"], "edit": edit } });
        for (member, value) in more.as_object().into_iter().flatten() {
            set(&mut attribute, member, value.clone());
        }
        attribute
    };
    let both = ["admin", "user"];
    let required = json!({ "required": { "roles": ["user"] } });
    let email = json!({ "required": { "roles": ["user"] }, "validations": { "email": {} } });
    let config = json!({ "unmanagedAttributePolicy": "ENABLED", "attributes": [
        attribute("username", &both, json!({ "validations": { "length": { "min": 3, "max": 255 } } })),
        attribute("email", &both, email),
        attribute("firstName", &both, required.clone()),
        attribute("lastName", &both, required),
        attribute("department", &["admin"], json!({ "displayName": "Department" })),
        attribute("phone", &both, json!({ "displayName": "Telephone", "validations": { "length": { "max": 9 } } })),
        attribute("teams", &both, json!({ "multivalued": true, "validations": { "multivalued": { "max": "3" } } })),
        json!({ "name": "rank", "permissions": { "view": ["admin"], "edit": ["admin"] } }),
    ]});
    let component = json!([{ "providerId": "declarative-user-profile", "config": { "kc.user.profile.config": [config.to_string()] } }]);
    json!({ "org.keycloak.userprofile.UserProfileProvider": component })
}

async fn stage(strict: bool, more: &Value) -> Result<Stage> {
    let mut changes = json!({ "components": components() });
    for (member, value) in more.as_object().into_iter().flatten() {
        set(&mut changes, member, value.clone());
    }
    Stage::with(strict, Options::default(), &changes).await
}

fn nameless(user: &mut User) {
    user.settings.last_name = None;
}

fn asked(user: &mut User) {
    user.settings.required_actions = vec!["UPDATE_PROFILE".to_owned()];
}

/// A login that comes to the page, and the page.
async fn owing(stage: &Stage, name: &str, execution: &str) -> Result<(Browser, Answer)> {
    let mut browser = stage.browser()?;
    let answer = browser.login(name, &format!("{name}-password")).await?;
    let Outcome::Onward(to) = outcome(&answer) else { anyhow::bail!("{name}: {:?}", outcome(&answer)) };
    assert_eq!(part(&to, "execution"), execution, "{to}");
    let page = browser.rp.open(&to).await?;
    assert_eq!(outcome(&page), Outcome::Profile, "{}", page.text());
    Ok((browser, page))
}

async fn send(browser: &mut Browser, page: &Answer, fields: &[(&str, &str)]) -> Result<Answer> {
    browser.rp.send(Exchange::form(&action(page)?, fields)).await
}

/// What stands about a user: nothing of it is anybody else's to change.
async fn stored(stage: &Stage, name: &str) -> Result<String> {
    let user = stage.user(name).await?;
    let credentials = stage.server.db.credentials(&stage.realm, &user.id).await?;
    let secrets: Vec<&str> = credentials.iter().map(|c| c.secret_data.expose()).collect();
    Ok(format!("{user:?} {secrets:?}"))
}

fn message(page: &Answer, at: &str) -> String {
    let text = page.text();
    let id = format!("id=\"input-error-{at}\"");
    let found = text.split_once(&id).and_then(|(_, rest)| rest.split_once('>')).map(|(_, rest)| rest);
    found.and_then(|rest| rest.split('<').next()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn az_30_a_profile_that_lacks_something_is_completed_before_the_code() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict, &json!({})).await?;
        stage.change_user("alice", nameless).await?;
        let (mut browser, page) = owing(&stage, "alice", "VERIFY_PROFILE").await?;
        assert_eq!(message(&page, "lastName"), "Please specify this field.");
        let events = stage.server.db.events(&stage.realm, 20).await?;
        let told = events.iter().find(|event| event.kind == "VERIFY_PROFILE").context("no audit row")?;
        assert_eq!(json!(told.details), json!({ "fields_to_update": "lastName" }));
        assert_eq!(message(&page, "email"), "", "what is there is not complained of");
        assert!(page.text().contains("value=\"alice@shop.test\""));
        assert_eq!(stage.sessions("alice").await?, 0, "nothing is given before the action is done");
        let wrong =
            send(&mut browser, &page, &[("email", "nomail"), ("lastName", ""), ("phone", "0123456789")]).await?;
        assert_eq!(outcome(&wrong), Outcome::Profile);
        for (at, told) in [
            ("email", "Invalid email address."),
            ("lastName", "Please specify this field."),
            ("phone", "Maximal length is 9."),
        ] {
            assert_eq!(message(&wrong, at), told);
        }
        assert!(wrong.text().contains("value=\"nomail\""), "what was typed stays");
        let fields = [
            ("email", "alice@shop.test"),
            ("firstName", "Alice"),
            ("lastName", "East"),
            ("teams", "red"),
            ("teams", ""),
        ];
        let done = send(&mut browser, &wrong, &fields).await?;
        browser.tokens(&done).await?;
        let user = stage.user("alice").await?;
        assert_eq!(user.settings.last_name.as_deref(), Some("East"));
        assert_eq!(user.settings.attributes.get("teams"), Some(&vec!["red".to_owned()]));
        assert!(user.settings.email_verified, "the address is the same");
        // The next login has nothing to ask; nor has that of somebody whose profile is whole.
        stage.browser()?.enter("alice").await?;
        stage.browser()?.enter("bob").await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_must_complete_a_profile_is_the_realms_word() -> Result<()> {
    let actions = |enabled: bool| {
        let action =
            |alias: &str, enabled| json!({ "alias": alias, "name": alias, "providerId": alias, "enabled": enabled });
        json!({ "requiredActions": [action("VERIFY_PROFILE", enabled), action("UPDATE_PASSWORD", true)] })
    };
    for strict in PROFILES {
        let off = stage(strict, &actions(false)).await?;
        off.change_user("alice", nameless).await?;
        off.browser()?.enter("alice").await?;
        let on = stage(strict, &actions(true)).await?;
        // One that an administrator wrote is owed while something is missing, and not longer.
        on.change_user("bob", |user| user.settings.required_actions = vec!["VERIFY_PROFILE".to_owned()]).await?;
        on.browser()?.enter("bob").await?;
        // What only an administrator can mend keeps nobody out.
        on.change_user("mallory", |user| {
            user.settings.attributes.insert("department".to_owned(), vec!["x".repeat(4000)]);
        })
        .await?;
        on.browser()?.enter("mallory").await?;
        on.change_user("alice", nameless).await?;
        owing(&on, "alice", "VERIFY_PROFILE").await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_administrators_wish_is_paid_once() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict, &json!({})).await?;
        stage.change_user("alice", asked).await?;
        let (mut browser, page) = owing(&stage, "alice", "UPDATE_PROFILE").await?;
        assert!(page.text().contains("You need to update your user profile to activate your account."));
        let fields = [("email", "New@shop.test"), ("firstName", "Alicia"), ("lastName", "Tester"), ("phone", "123")];
        let done = send(&mut browser, &page, &fields).await?;
        browser.tokens(&done).await?;
        let user = stage.user("alice").await?;
        assert_eq!((user.email.as_deref(), user.settings.email_verified), (Some("new@shop.test"), false));
        assert!(user.settings.required_actions.is_empty());
        let events = stage.server.db.events(&stage.realm, 20).await?;
        let told = events.iter().find(|event| event.kind == "UPDATE_PROFILE").context("no audit row")?;
        assert_eq!(told.user.as_ref(), Some(&user.id));
        let expected = json!({
            "context": "UPDATE_PROFILE", "custom_required_action": "UPDATE_PROFILE", "previous_email": "alice@shop.test", "updated_email": "new@shop.test",
            "previous_first_name": "alice", "updated_first_name": "Alicia", "updated_phone": "123",
        });
        assert_eq!(json!(told.details), expected);
        stage.browser()?.enter("alice").await?;
    }
    Ok(())
}

#[tokio::test]
async fn az_09_prompt_none_shows_no_profile_page() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict, &json!({})).await?;
        let mut browser = stage.browser()?;
        browser.enter("alice").await?;
        let silent = browser.copy()?.ask(&[("prompt", Some("none"))]).await?;
        assert!(matches!(outcome(&silent), Outcome::Code(_)), "{:?}", outcome(&silent));
        for change in [nameless, asked] {
            stage.change_user("alice", change).await?;
            let silent = browser.copy()?.ask(&[("prompt", Some("none"))]).await?;
            assert_eq!(outcome(&silent), Outcome::Error("interaction_required".to_owned()));
            let single = browser.copy()?.ask(&[]).await?;
            assert!(matches!(outcome(&single), Outcome::Onward(_)), "single sign-on comes to the page too");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_password_grant_waits_for_the_profile() -> Result<()> {
    let stage = stage(false, &json!({})).await?;
    let granted = async |name: &str| direct_grant(&stage.server.base, name, &format!("{name}-password")).await;
    assert_eq!(granted("alice").await?.status, 200);
    stage.change_user("alice", nameless).await?;
    stage.change_user("bob", asked).await?;
    for name in ["alice", "bob"] {
        let answer = granted(name).await?;
        assert_eq!(
            (answer.status, answer.text().contains("Account is not fully set up")),
            (400, true),
            "{}",
            answer.text()
        );
    }
    let (mut browser, page) = owing(&stage, "alice", "VERIFY_PROFILE").await?;
    send(&mut browser, &page, &[("lastName", "East")]).await?;
    assert_eq!(granted("alice").await?.status, 200);
    Ok(())
}

/// Everything a person might wish to be.
const WISHES: [(&str, &str); 20] = [
    ("username", "bob"),
    ("department", "Board"),
    ("rank", "general"),
    ("free", "x"),
    ("id", "bob"),
    ("user_id", "bob"),
    ("sub", "bob"),
    ("enabled", "false"),
    ("emailVerified", "true"),
    ("roles", "admin"),
    ("realmRoles", "admin"),
    ("groups", "/admins"),
    ("requiredActions", ""),
    ("attributes", "x"),
    ("attributes.department", "Board"),
    ("user.attributes.department", "Board"),
    ("user.attributes.free", "x"),
    ("credentials", "x"),
    ("password", "forged"),
    ("password-new", "forged"),
];

#[tokio::test]
async fn ad_13_a_form_sets_nothing_but_what_the_page_lets_the_user_edit() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict, &json!({})).await?;
        stage.change_user("alice", asked).await?;
        let (bob, mut before) = (stored(&stage, "bob").await?, stage.user("alice").await?);
        let (mut browser, page) = owing(&stage, "alice", "UPDATE_PROFILE").await?;
        let read = Page::read(&page.text());
        let names: Vec<&str> =
            read.forms.iter().flat_map(|form| &form.inputs).filter_map(|input| input.name.as_deref()).collect();
        assert!(!names.contains(&"username") && !names.contains(&"rank") && !names.contains(&"free"), "{names:?}");
        assert!(page.text().contains("name=\"department\"") && page.text().contains(" disabled>"));
        let done = send(&mut browser, &page, &WISHES).await?;
        browser.tokens(&done).await?;
        // What the page shows disabled is kept too, whatever is posted in its place.
        before.settings.required_actions.clear();
        let after = stage.user("alice").await?;
        assert_eq!(format!("{:?}", User { version: 0, ..after }), format!("{:?}", User { version: 0, ..before }));
        assert_eq!(stored(&stage, "bob").await?, bob);
        stage.browser()?.enter("alice").await?;
        stage.browser()?.enter("bob").await?;
    }
    Ok(())
}

#[tokio::test]
async fn en_15_a_name_or_address_of_another_account_is_not_taken() -> Result<()> {
    for strict in PROFILES {
        let more = json!({ "editUsernameAllowed": true });
        let stage = stage(strict, &more).await?;
        stage.change_user("alice", asked).await?;
        stage.change_user("mallory", |user| user.username = "root@shop.test".to_owned()).await?;
        let bob = stored(&stage, "bob").await?;
        let (mut browser, mut page) = owing(&stage, "alice", "UPDATE_PROFILE").await?;
        for (fields, at, told) in [
            ([("username", "alice"), ("email", "bob@shop.test")], "email", "Email already exists."),
            ([("username", "alice"), ("email", " BOB@Shop.test ")], "email", "Email already exists."),
            ([("username", "bob"), ("email", "alice@shop.test")], "username", "Username already exists."),
            ([("username", "BOB"), ("email", "alice@shop.test")], "username", "Username already exists."),
            ([("username", "alice"), ("email", "root@shop.test")], "email", "Email already exists."),
            ([("username", "bob@shop.test"), ("email", "alice@shop.test")], "username", "Username already exists."),
        ] {
            page = send(&mut browser, &page, &fields).await?;
            assert_eq!((outcome(&page), message(&page, at)), (Outcome::Profile, told.to_owned()), "{fields:?}");
        }
        assert_eq!(stored(&stage, "bob").await?, bob);
        assert_eq!(stage.user("alice").await?.email.as_deref(), Some("alice@shop.test"));
        let fields = [("username", "Alicia"), ("email", "alicia@shop.test")];
        let done = send(&mut browser, &page, &fields).await?;
        browser.tokens(&done).await?;
        assert!(matches!(outcome(&stage.browser()?.login("alicia", "alice-password").await?), Outcome::Code(_)));
    }
    Ok(())
}

#[tokio::test]
async fn az_30_se_04_only_the_page_shown_last_can_be_answered_and_only_by_who_owes_it() -> Result<()> {
    let fields = [("email", "forged@shop.test"), ("firstName", "Forged"), ("lastName", "Forged")];
    for strict in PROFILES {
        let stage = stage(strict, &json!({})).await?;
        stage.change_user("alice", nameless).await?;
        let before = stored(&stage, "alice").await?;
        let unchanged = async |what: &str, answer: &Answer| -> Result<()> {
            assert!(!matches!(outcome(answer), Outcome::Code(_)), "strict {strict} {what}");
            assert_eq!(stored(&stage, "alice").await?, before, "strict {strict} {what}");
            assert_eq!(stage.sessions("alice").await?, 0, "strict {strict} {what}");
            Ok(())
        };
        // Nobody proved anything in this tab.
        let mut early = stage.browser()?;
        let login = early.ask(&[]).await?;
        let jump = action(&login)?.replace("/authenticate?", "/required-action?");
        for execution in ["VERIFY_PROFILE", "UPDATE_PROFILE"] {
            let target = edited(&jump, &[("execution", Some(execution))]);
            unchanged("jump", &early.copy()?.rp.send(Exchange::form(&target, &fields)).await?).await?;
            unchanged("jump by GET", &early.copy()?.rp.send(Exchange::get(&target)).await?).await?;
        }
        let (mut browser, first) = owing(&stage, "alice", "VERIFY_PROFILE").await?;
        let owed = action(&first)?;
        let bare = edited(&owed, &[("session_code", None)]);
        let second = browser.rp.send(Exchange::get(&bare)).await?;
        assert_eq!(outcome(&second), Outcome::Profile);
        let current = action(&second)?;
        let mut stranger = stage.browser()?;
        stranger.ask(&[]).await?;
        unchanged("another browser", &stranger.rp.send(Exchange::form(&current, &fields)).await?).await?;
        for (what, target) in [
            ("an older page", owed.clone()),
            ("no session code", bare.clone()),
            ("another code", edited(&current, &[("session_code", Some("x"))])),
            ("another action", edited(&current, &[("execution", Some("UPDATE_PROFILE"))])),
            ("another tab", edited(&current, &[("tab_id", Some("AAAAAAAAAAA"))])),
            ("another client", edited(&current, &[("client_id", Some("second"))])),
        ] {
            unchanged(what, &browser.copy()?.rp.send(Exchange::form(&target, &fields)).await?).await?;
        }
        let foreign = Exchange::form(&current, &fields).header("Origin", "https://evil.test");
        unchanged("a foreign page", &browser.copy()?.rp.send(foreign).await?).await?;
        // The honest form, and its replay.
        let page = browser.rp.send(Exchange::get(&bare)).await?;
        let target = action(&page)?;
        let done = browser.rp.send(Exchange::form(&target, &[("lastName", "East")])).await?;
        let replay = browser.copy()?.rp.send(Exchange::form(&target, &fields)).await?;
        assert!(!matches!(outcome(&replay), Outcome::Code(_)), "{:?}", outcome(&replay));
        browser.tokens(&done).await?;
        let user = stage.user("alice").await?;
        assert_eq!(
            (user.email.as_deref(), user.settings.last_name.as_deref()),
            (Some("alice@shop.test"), Some("East"))
        );
    }
    Ok(())
}

#[tokio::test]
async fn ds_18_a_form_does_not_make_a_user_grow() -> Result<()> {
    let (long, longest) = ("x".repeat(300), "x".repeat(3000));
    for strict in PROFILES {
        let stage = stage(strict, &json!({ "editUsernameAllowed": true })).await?;
        stage.change_user("alice", asked).await?;
        let before = stored(&stage, "alice").await?;
        let (mut browser, mut page) = owing(&stage, "alice", "UPDATE_PROFILE").await?;
        let many: Vec<(&str, &str)> = std::iter::repeat_n(("teams", "x"), 50).collect();
        let email = format!("{}@shop.test", "x".repeat(60) + &".y".repeat(120));
        for fields in [
            vec![("username", long.as_str())],
            vec![("firstName", &longest)],
            vec![("teams", &longest)],
            vec![("email", &email)],
            many,
        ] {
            let name = fields.first().context("a field")?.0;
            page = send(&mut browser, &page, &fields).await?;
            assert_eq!(outcome(&page), Outcome::Profile, "{name}");
            assert_ne!(message(&page, name), "", "{name}");
            assert_eq!(stored(&stage, "alice").await?, before, "{name}");
        }
        let done = send(&mut browser, &page, &[("firstName", "Alice")]).await?;
        browser.tokens(&done).await?;
    }
    Ok(())
}

#[tokio::test]
async fn se_19_what_was_typed_is_shown_as_text() -> Result<()> {
    let stage = stage(true, &json!({})).await?;
    stage.change_user("alice", asked).await?;
    let (mut browser, page) = owing(&stage, "alice", "UPDATE_PROFILE").await?;
    let evil = "\"><script>alert(1)</script>";
    let page = send(&mut browser, &page, &[("email", evil), ("phone", evil), ("teams", evil)]).await?;
    assert_eq!(outcome(&page), Outcome::Profile);
    assert!(!page.text().contains("<script>alert") && page.text().contains("&lt;script&gt;"), "{}", page.text());
    Ok(())
}

#[tokio::test]
async fn several_actions_follow_one_another() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict, &json!({})).await?;
        stage
            .change_user("alice", |user| {
                nameless(user);
                user.settings.required_actions = vec!["UPDATE_PROFILE".to_owned(), "UPDATE_PASSWORD".to_owned()];
            })
            .await?;
        let mut browser = stage.browser()?;
        let mut answer = browser.login("alice", "alice-password").await?;
        for (execution, fields) in [
            ("UPDATE_PASSWORD", vec![("password-new", "alice-2-password"), ("password-confirm", "alice-2-password")]),
            ("UPDATE_PROFILE", vec![("lastName", "East")]),
        ] {
            let Outcome::Onward(to) = outcome(&answer) else { anyhow::bail!("{execution}: {:?}", outcome(&answer)) };
            assert_eq!(part(&to, "execution"), execution);
            let page = browser.rp.send(Exchange::get(&relative(&to)?)).await?;
            answer = send(&mut browser, &page, &fields).await?;
        }
        // What was owed because of what was stored is paid by the other one.
        browser.tokens(&answer).await?;
    }
    Ok(())
}

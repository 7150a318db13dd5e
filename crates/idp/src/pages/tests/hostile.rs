//! SE-19: whatever an attacker or an administrator writes stays text.

use minijinja::value::{Serde, Value};
use serde_json::Value as Json;

use super::markup::tags;
use super::*;
use crate::pages::security::{COPY_SCRIPT, FORM_POST_SCRIPT, FRONT_CHANNEL_SCRIPT};

const ATTACKS: [&str; 6] = [
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "</title></textarea><svg onload=alert(1)>",
    "{{ 7*7 }}{% raw %}<b>",
    "&lt;script&gt;\u{202e}\u{0}",
    "' onfocus=alert(1) autofocus x='",
];

/// Every text that a stranger or administrator can set begins with the attack; the words the code chose stay.
fn poison(value: &mut Json, attack: &str) {
    match value {
        Json::String(text) => text.insert_str(0, attack),
        Json::Array(items) => items.iter_mut().for_each(|item| poison(item, attack)),
        Json::Object(members) => {
            for (name, member) in members {
                if !matches!(name.as_str(), "kind" | "level" | "fault" | "username_label" | "complete") {
                    poison(member, attack);
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn shapes(html: &str) -> Vec<(String, Vec<String>)> {
    tags(html).iter().map(super::markup::Tag::shape).collect()
}

#[test]
fn se_19_every_field_of_every_page_is_escaped() {
    let pages = pages();
    for attack in ATTACKS {
        let realm = RealmName::new("demo", Some(attack), None);
        let link = |text: &str| LocaleLink { tag: text.into(), name: text.into(), url: text.into() };
        for sample in gallery() {
            let mut json: Json = serde_json::to_value(&sample.value).unwrap();
            poison(&mut json, attack);
            let poisoned = Sample { value: Value::from(Serde(&json)), ..sample.clone() };
            let calm = [link("xx")];
            let evil = [link(attack)];
            let honest_realm = demo();
            let honest = Chrome { trace: Some(TRACE), locales: &calm, ..Chrome::new(&honest_realm, "en", "/r") };
            let hostile = Chrome { trace: Some(attack), locales: &evil, ..Chrome::new(&realm, "en", "/r") };
            let (was, is) = (pages.render_sample(&sample, &honest), pages.render_sample(&poisoned, &hostile));
            let place = format!("{} {} {attack}", sample.template, sample.name);
            assert_eq!(shapes(&was), shapes(&is), "{place}");
            assert!(!is.contains("alert(1)</script>"), "{place}");
            assert!(!is.contains("49<b>") && !is.contains("7*7 }}<"), "{place}");
        }
    }
}

#[test]
fn se_19_an_attack_in_the_chrome_is_escaped() {
    let pages = pages();
    let attack = "\"><script>alert(1)</script>";
    let realm = demo();
    let texts =
        ["loginTitle", "doLogIn", "username", "loginAccountTitle"].map(|key| (key.to_owned(), attack.to_owned()));
    let texts = std::sync::Arc::new(texts.into());
    let honest = pages.render(&LoginPage::sample(), &Chrome::new(&realm, "en", "/r"));
    let chrome = Chrome { realm_texts: Some(texts), ..Chrome::new(&realm, attack, attack) };
    let hostile = pages.render(&LoginPage::sample(), &chrome);
    assert_eq!(shapes(&honest), shapes(&hostile));
}

#[test]
fn se_19_links_that_run_script_are_dropped_on_every_page() {
    let (pages, realm) = (pages(), demo());
    for sample in gallery() {
        let mut json: Json = serde_json::to_value(&sample.value).unwrap();
        poison(&mut json, " javascript:alert(1)");
        let poisoned = Sample { value: Value::from(Serde(&json)), ..sample.clone() };
        let html = pages.render_sample(&poisoned, &Chrome::new(&realm, "en", "/r"));
        for tag in tags(&html) {
            for name in ["href", "src", "action"] {
                let value = tag.attr(name).unwrap_or_default();
                assert!(!value.contains("javascript:"), "{} {name}", sample.template);
            }
        }
    }
}

#[test]
fn no_page_has_inline_script_style_or_handlers() {
    let (pages, realm) = (pages(), demo());
    for sample in gallery() {
        let html = pages.render_sample(&sample, &Chrome::new(&realm, "en", "/r"));
        // Those whose hash stands in the page's policy.
        let script = match sample.template {
            FormPostPage::TEMPLATE => Some(FORM_POST_SCRIPT),
            FrontChannelLogoutPage::TEMPLATE if sample.name == "on" => Some(FRONT_CHANNEL_SCRIPT),
            OutOfBandPage::TEMPLATE if sample.name == "code" => Some(COPY_SCRIPT),
            _ => None,
        };
        assert_eq!(html.matches("<script").count(), usize::from(script.is_some()), "{}", sample.template);
        assert!(script.is_none_or(|s| html.contains(&format!("<script>{s}</script>"))), "{}", sample.template);
        for tag in tags(&html) {
            assert!(tag.name != "style", "{}", sample.template);
            let handler = tag.attrs.iter().any(|(name, _)| name.starts_with("on") || name == "style");
            assert!(!handler, "{} {}", sample.template, tag.name);
        }
    }
}

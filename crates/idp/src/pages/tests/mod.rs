//! Tests of the pages as a whole: what clients read, what attackers write, what themes break.

mod hostile;
mod markup;
mod recorded;
mod style;
mod themes;

use super::*;

pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

pub(crate) fn pages() -> Pages {
    Pages::new(None).unwrap()
}

pub(crate) fn demo() -> RealmName {
    RealmName::new("demo", Some("Demo Realm"), None)
}

#[test]
fn every_page_renders_in_every_locale_twice_the_same() {
    let (pages, again, realm) = (pages(), pages(), demo());
    let base = pages.resource_base();
    let locales: Vec<String> = pages.catalogue().locales().map(str::to_owned).collect();
    assert_eq!(locales, ["de", "en"]);
    for sample in gallery() {
        for locale in &locales {
            let chrome = Chrome { trace: Some(TRACE), ..Chrome::new(&realm, locale, &base) };
            let html = pages.render_sample(&sample, &chrome);
            assert_eq!(html, again.render_sample(&sample, &chrome), "{} {}", sample.template, sample.name);
            assert!(html.starts_with("<!doctype html>"), "{}", sample.template);
            assert!(html.contains(&format!("lang=\"{locale}\"")), "{} {locale}", sample.template);
            assert!(html.trim_end().ends_with("</html>"), "{}", sample.template);
        }
    }
}

#[test]
fn languages_written_from_the_right_say_so() {
    let (pages, realm) = (pages(), demo());
    for (locale, dir) in [("ar", "rtl"), ("he-IL", "rtl"), ("fa", "rtl"), ("en", "ltr"), ("de-AT", "ltr")] {
        let html = pages.render(&LoginPage::sample(), &Chrome::new(&realm, locale, "/r"));
        assert!(html.contains(&format!("lang=\"{locale}\" dir=\"{dir}\"")), "{locale}");
    }
}

#[test]
fn a_realm_may_choose_colours_languages_and_words() {
    let (pages, realm) = (pages(), demo());
    let link =
        |tag: &str, name: &str| LocaleLink { tag: tag.into(), name: name.into(), url: format!("?kc_locale={tag}") };
    let locales = [link("en", "English"), link("de", "Deutsch")];
    let texts = std::collections::BTreeMap::from([("loginAccountTitle".to_owned(), "Come in".to_owned())]);
    let chrome = Chrome {
        scheme: ColourScheme::Dark,
        locales: &locales,
        realm_texts: Some(std::sync::Arc::new(texts)),
        ..Chrome::new(&realm, "en", "/r")
    };
    let html = pages.render(&LoginPage::sample(), &chrome);
    for part in [
        "data-scheme=\"dark\"",
        "content=\"dark\"",
        "<h1 id=\"kc-page-title\">Come in</h1>",
        "<a href=\"?kc_locale=en\" lang=\"en\" aria-current=\"true\">English</a>",
        "<a href=\"?kc_locale=de\" lang=\"de\">Deutsch</a>",
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
}

#[test]
fn the_error_page_tells_person_and_developer() {
    let (pages, realm) = (pages(), demo());
    let chrome = Chrome { trace: Some(TRACE), ..Chrome::new(&realm, "en", "/r") };
    let html = pages.render(&ErrorPage::sample(), &chrome);
    for part in [
        "<div id=\"kc-error-message\"><p class=\"instruction\">Invalid parameter: redirect_uri</p>",
        "The application sent a wrong request.",
        "Details for the developer",
        "<code>redirect_uri</code>",
        "<code>https://app.example/callback/</code>",
        "Valid redirect URIs",
        "portcullis why 0af7651916cd43dd8448eb211c80319c",
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    let silent = pages.render(&ErrorPage::sample(), &Chrome::new(&realm, "en", "/r"));
    assert!(!silent.contains("portcullis why"));
    let long = Developer::new(Advice::Request).received(&"ä".repeat(500));
    assert_eq!(long.received.unwrap().chars().count(), 201);
    assert_eq!(Developer::new(Advice::Request).received("").received, None);
}

#[test]
fn every_advice_has_its_sentence() {
    let (pages, realm) = (pages(), demo());
    let chrome = Chrome::new(&realm, "en", "/r");
    let mut seen = std::collections::BTreeSet::new();
    for advice in Advice::ALL {
        let page = ErrorPage::application(Text::key("invalidRequestMessage"), Developer::new(advice));
        let html = pages.render(&page, &chrome);
        assert!(!html.contains(">advice"), "{advice:?} has no sentence");
        assert!(seen.insert(html), "{advice:?} repeats another");
    }
}

//! Look: size, contrast, labels, no request to strangers.

use std::collections::BTreeMap;

use super::markup::{ids, tags};
use super::*;

#[test]
fn the_login_page_is_under_25_kb_cold() {
    let pages = pages();
    let (realm, base) = (demo(), pages.resource_base());
    let largest =
        LoginPage::samples().into_iter().map(|(_, page)| pages.render(&page, &Chrome::new(&realm, "de", &base)).len());
    let assets: usize =
        ["css/login.css", "img/favicon.svg"].map(|path| pages.asset(path).unwrap().bytes.len()).iter().sum();
    let cold = largest.max().unwrap() + assets;
    assert!(cold < 25 * 1024, "{cold} bytes");
}

#[test]
fn no_page_asks_strangers_for_anything() {
    let pages = pages();
    let (realm, base) = (demo(), pages.resource_base());
    for sample in gallery() {
        let html = pages.render_sample(&sample, &Chrome::new(&realm, "en", &base));
        for tag in tags(&html) {
            let loads = match tag.name.as_str() {
                "link" => tag.attr("href"),
                "img" | "script" => tag.attr("src"),
                _ => None,
            };
            if let Some(url) = loads {
                let path = url.strip_prefix(&format!("{base}/")).unwrap_or_else(|| panic!("{url}"));
                assert!(pages.asset(path).is_some(), "{url} is not served");
            }
        }
    }
    let css = String::from_utf8(pages.asset("css/login.css").unwrap().bytes.to_vec()).unwrap();
    assert!(!css.contains("url(") && !css.contains("@import") && !css.contains("//"));
}

#[test]
fn every_field_has_a_label_and_every_id_is_unique() {
    let (pages, realm) = (pages(), demo());
    for sample in gallery() {
        let html = pages.render_sample(&sample, &Chrome::new(&realm, "en", "/r"));
        let tags = tags(&html);
        let ids = ids(&tags);
        assert!(ids.values().all(|count| *count == 1), "{} {ids:?}", sample.template);
        let labels: Vec<&str> =
            tags.iter().filter(|tag| tag.name == "label").filter_map(|tag| tag.attr("for")).collect();
        for tag in tags.iter().filter(|tag| tag.name == "input" && tag.attr("hidden").is_none()) {
            if matches!(tag.attr("type"), Some("text" | "password")) {
                let id = tag.attr("id").unwrap();
                assert!(labels.contains(&id), "{} {id}", sample.template);
                assert!(tag.attr("autocomplete").is_some(), "{} {id}", sample.template);
            }
            assert!(tag.attr("placeholder").is_none());
        }
        for reference in tags.iter().filter_map(|tag| tag.attr("aria-describedby").or(tag.attr("for"))) {
            assert!(ids.contains_key(reference), "{} {reference}", sample.template);
        }
    }
}

#[test]
fn colours_have_contrast_aa() {
    let css = include_str!("../../../pages/css/tokens.css");
    let blocks: Vec<BTreeMap<String, String>> = css.split('{').map(tokens).filter(|block| block.len() > 5).collect();
    assert_eq!(blocks.len(), 3, "light, dark by the system, dark by the realm");
    assert_eq!(blocks[1], blocks[2]);
    for block in &blocks {
        for (front, back, least) in [
            ("ink", "paper", 7.0),
            ("ink", "paper-raised", 7.0),
            ("ink-soft", "paper", 4.5),
            ("ink-soft", "paper-raised", 4.5),
            ("accent", "paper", 4.5),
            ("accent", "paper-raised", 4.5),
            ("accent-strong", "paper-raised", 4.5),
            ("accent-ink", "accent", 4.5),
            ("accent-ink", "accent-strong", 4.5),
            ("good", "paper-raised", 4.5),
            ("warn", "paper-raised", 4.5),
            ("bad", "paper-raised", 4.5),
            ("line", "paper-raised", 3.0),
        ] {
            let ratio = contrast(&block[front], &block[back]);
            assert!(ratio >= least, "{front} on {back}: {ratio:.2}");
        }
    }
}

fn tokens(block: &str) -> BTreeMap<String, String> {
    let declarations = block.split('}').next().unwrap_or_default().split(';');
    let pairs = declarations.filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// WCAG 2.2, relative luminance and contrast ratio.
fn contrast(one: &str, two: &str) -> f64 {
    let (one, two) = (luminance(one), luminance(two));
    (one.max(two) + 0.05) / (one.min(two) + 0.05)
}

fn luminance(hex: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}

#[test]
fn assets_are_named_by_their_bytes() {
    let pages = pages();
    let css = pages.asset("css/login.css").unwrap();
    assert_eq!(css.content_type, "text/css;charset=utf-8");
    assert!(css.etag.starts_with('"') && css.etag.ends_with('"') && css.etag.len() == 18);
    assert!(Asset::CACHE_CONTROL.contains("immutable"));
    assert_eq!(pages.resource_base(), format!("/resources/{}/login", pages.version()));
    for path in ["", "css", "css/../css/login.css", "/css/login.css", "../templates/login.html", "css/tokens.css"] {
        assert!(pages.asset(path).is_none(), "{path}");
    }
}

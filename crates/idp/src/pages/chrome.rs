//! What stands around every page: realm name, language, colours, reference number.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

use super::face::escaped;

/// A realm's name as people see it. Make it once per realm, not per request: the HTML form is sanitised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmName {
    plain: String,
    html: String,
}

impl RealmName {
    /// `displayName`, else the realm's name; `displayNameHtml` keeps only harmless inline markup and `data:` or
    /// same-host images (Keycloak 26.4 `RealmBean`; an administrator's text must not run on the login page, SE-19).
    pub fn new(name: &str, display_name: Option<&str>, display_name_html: Option<&str>) -> Self {
        let given = |text: Option<&str>| text.filter(|text| !text.trim().is_empty()).map(str::to_owned);
        let plain = given(display_name).unwrap_or_else(|| name.to_owned());
        let html = match given(display_name_html) {
            Some(markup) => sanitised(&markup),
            None => escaped(&plain),
        };
        Self { plain, html }
    }

    /// The name without markup, not escaped.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// The name as safe HTML.
    pub fn html(&self) -> &str {
        &self.html
    }
}

fn sanitised(markup: &str) -> String {
    let tags = ["b", "br", "em", "i", "img", "small", "span", "strong", "sub", "sup"];
    let images: HashMap<&str, HashSet<&str>> = [("img", HashSet::from(["alt", "src"]))].into();
    ammonia::Builder::empty()
        .tags(tags.into())
        .tag_attributes(images)
        .clean_content_tags(HashSet::from(["script", "style"]))
        .url_schemes(HashSet::from(["data"]))
        .url_relative(ammonia::UrlRelative::Custom(Box::new(same_host)))
        .clean(markup)
        .to_string()
}

/// `//host/x` and `/\host/x` are relative references that leave the host.
fn same_host(url: &str) -> Option<std::borrow::Cow<'_, str>> {
    let leaves = url.trim_start().starts_with("//") || url.contains('\\');
    (!leaves).then_some(std::borrow::Cow::Borrowed(url))
}

/// Light or dark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColourScheme {
    /// As the reader's system has it.
    #[default]
    Auto,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl ColourScheme {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A link to the same page in another language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocaleLink {
    /// The language tag, e.g. `de`.
    pub tag: String,
    /// Its name in itself, e.g. `Deutsch`.
    pub name: String,
    /// Where it is.
    pub url: String,
}

/// What stands around a page.
#[derive(Debug, Clone)]
pub struct Chrome<'a> {
    /// The realm's name.
    pub realm: &'a RealmName,
    /// The reader's language, as [`super::Catalogue::choose`] gave it.
    pub locale: &'a str,
    /// Where assets are served: [`super::Pages::resource_base`], under a path prefix if the server has one.
    pub resources: &'a str,
    /// The trace id, shown as the reference number of error pages.
    pub trace: Option<&'a str>,
    /// Light or dark.
    pub scheme: ColourScheme,
    /// The realm's own texts for this locale (Keycloak's realm localisation), by message key.
    pub realm_texts: Option<Arc<BTreeMap<String, String>>>,
    /// Links to other languages; empty when the realm has one.
    pub locales: &'a [LocaleLink],
}

impl<'a> Chrome<'a> {
    /// Around an ordinary page: no reference number, the reader's colours, no other languages.
    pub fn new(realm: &'a RealmName, locale: &'a str, resources: &'a str) -> Self {
        let scheme = ColourScheme::Auto;
        Self { realm, locale, resources, trace: None, scheme, realm_texts: None, locales: &[] }
    }
}

/// Whether a language is written from right to left.
pub(crate) fn direction(locale: &str) -> &'static str {
    let language = locale.split(['-', '_']).next().unwrap_or(locale);
    let right_to_left = ["ar", "arc", "ckb", "dv", "fa", "he", "iw", "ps", "sd", "ug", "ur", "yi"];
    if right_to_left.contains(&language) { "rtl" } else { "ltr" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_19_markup_of_a_realm_name_is_harmless() {
        for (markup, html) in [
            ("<b>Demo</b>", "<b>Demo</b>"),
            ("<div class=\"kc-logo-text\"><span>Keycloak</span></div>", "<span>Keycloak</span>"),
            ("x<script>alert(1)</script>", "x"),
            ("<img src=x onerror=alert(1)>", "<img src=\"x\">"),
            ("<img src=\"//evil.example/x\">", "<img>"),
            ("<img src=\"https://evil.example/x\">", "<img>"),
            ("<img src=\"/\\evil.example/x\">", "<img>"),
            ("<a href=\"javascript:alert(1)\">x</a>", "x"),
            ("<svg onload=alert(1)>", ""),
            ("<b style=\"position:fixed\">x</b>", "<b>x</b>"),
            ("<style>*{display:none}</style>x", "x"),
        ] {
            assert_eq!(RealmName::new("demo", None, Some(markup)).html(), html, "{markup}");
        }
    }

    #[test]
    fn names_fall_back_to_the_realm() {
        let name = RealmName::new("demo", Some(""), Some(" "));
        assert_eq!((name.plain(), name.html()), ("demo", "demo"));
        let name = RealmName::new("demo", Some("A & <B>"), None);
        assert_eq!(name.plain(), "A & <B>");
        assert!(!name.html().contains('<'), "{}", name.html());
    }
}

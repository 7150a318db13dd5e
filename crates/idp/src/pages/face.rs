//! Renders pages: through the theme's templates, else through the built-in ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, context};

use super::assets::{Asset, Assets};
use super::catalogue::{FALLBACK, Msg, Reader, Sentence};
use super::chrome::direction;
use super::theme::Theme;
use super::{Catalogue, Chrome, Page, RealmName, Sample, ThemeError, gallery};

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../pages/templates/", $name)))),*]
    };
}

const TEMPLATES: [(&str, &str); 20] = built_in![
    "code.html",
    "error.html",
    "fields.html",
    "form-post.html",
    "front.html",
    "frontchannel-logout.html",
    "info.html",
    "layout.html",
    "login-oauth-grant.html",
    "login-oauth2-device-verify-user-code.html",
    "login-config-totp.html",
    "login-otp.html",
    "login-page-expired.html",
    "login-reset-password.html",
    "login-update-password.html",
    "login-update-profile.html",
    "login.html",
    "logout-confirm.html",
    "register.html",
    "sign.html",
];

/// Shown when even the built-in page fails, which the tests exclude.
const LAST_RESORT: &str = "<!doctype html>\n<html lang=\"en\"><head><title>Error</title></head><body>\
    <div id=\"kc-error-message\"><p>An internal server error has occurred</p></div></body></html>\n";

/// All pages, their assets and messages: one per server, shared by its handlers.
#[derive(Debug)]
pub struct Pages {
    theme: Option<Face>,
    built_in: Face,
    assets: Assets,
}

impl Pages {
    /// Loads the built-in pages and the theme folder, if there is one, and renders every sample in every locale.
    ///
    /// # Errors
    /// When the theme folder cannot be read or one of its files fails: with file, line and cause.
    pub fn new(theme: Option<&Path>) -> Result<Self, ThemeError> {
        let built_in = Face::new(None)?;
        built_in.try_all()?;
        let theme = theme.map(Theme::read).transpose()?;
        let assets = Assets::new(theme.as_ref());
        let theme = theme.as_ref().map(|theme| Face::new(Some(theme))).transpose()?;
        if let Some(face) = &theme {
            face.try_all()?;
        }
        Ok(Self { theme, built_in, assets })
    }

    /// The page as HTML in UTF-8. It never fails: a theme that errors is logged and the built-in page is shown.
    pub fn render<P: Page>(&self, page: &P, chrome: &Chrome<'_>) -> String {
        self.show(P::TEMPLATE, &Value::from(Serde(page)), chrome)
    }

    /// A sample as HTML, for galleries and tests.
    pub fn render_sample(&self, sample: &Sample, chrome: &Chrome<'_>) -> String {
        self.show(sample.template, &sample.value, chrome)
    }

    /// The messages of the pages: the locales there are, and the choice among them.
    pub fn catalogue(&self) -> &Catalogue {
        &self.theme.as_ref().unwrap_or(&self.built_in).catalogue
    }

    /// The path under which [`Pages::asset`] is served: `/resources/{version}/login`.
    pub fn resource_base(&self) -> String {
        format!("/resources/{}/login", self.assets.version)
    }

    /// The version in [`Pages::resource_base`]: it changes with any byte of any asset.
    pub fn version(&self) -> &str {
        &self.assets.version
    }

    /// An asset by its path under [`Pages::resource_base`], e.g. `css/login.css`.
    pub fn asset(&self, path: &str) -> Option<&Asset> {
        self.assets.get(path)
    }

    fn show(&self, template: &str, page: &Value, chrome: &Chrome<'_>) -> String {
        for (face, own) in [(self.theme.as_ref(), true), (Some(&self.built_in), false)] {
            match face.map(|face| face.render(template, page, chrome)) {
                Some(Ok(html)) => return html,
                Some(Err(error)) => tracing::error!(template, theme = own, %error, "a page cannot be rendered"),
                None => {}
            }
        }
        LAST_RESORT.to_owned()
    }
}

/// Templates and messages of one theme.
#[derive(Debug)]
struct Face {
    environment: Environment<'static>,
    catalogue: Arc<Catalogue>,
    folder: Option<PathBuf>,
}

impl Face {
    fn new(theme: Option<&Theme>) -> Result<Self, ThemeError> {
        let mut environment = Environment::new();
        environment.set_debug(false);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_formatter(write_value);
        environment.add_filter("href", href);
        let folder = theme.map(|theme| theme.folder.clone());
        let catalogue = theme.map_or_else(Catalogue::built_in, Theme::catalogue)?;
        let mut face = Self { environment, catalogue: Arc::new(catalogue), folder };
        let own = theme.iter().flat_map(|theme| &theme.templates);
        let all = TEMPLATES.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned()));
        for (name, source) in all.chain(own.map(|(name, source)| (name.clone(), source.clone()))) {
            let added = face.environment.add_template_owned(name, source);
            added.map_err(|error| face.refused(&error, ""))?;
        }
        Ok(face)
    }

    fn render(&self, template: &str, page: &Value, chrome: &Chrome<'_>) -> Result<String, Error> {
        let reader = Arc::new(Reader {
            catalogue: Arc::clone(&self.catalogue),
            locale: chrome.locale.to_owned(),
            realm_texts: chrome.realm_texts.clone(),
        });
        let context = context! {
            page => page,
            realm => context! {
                name => chrome.realm.plain(),
                html => Value::from_safe_string(chrome.realm.html().to_owned()),
            },
            lang => chrome.locale,
            dir => direction(chrome.locale),
            resources => chrome.resources,
            trace => chrome.trace,
            scheme => chrome.scheme.word(),
            locales => Serde(chrome.locales),
            msg => Value::from_object(Msg(Arc::clone(&reader))),
            text => Value::from_object(Sentence(reader)),
        };
        self.environment.get_template(template)?.render(context)
    }

    /// Every sample in every locale, with and without what the chrome may lack.
    fn try_all(&self) -> Result<(), ThemeError> {
        let realm = RealmName::new("demo", Some("Demo Realm"), None);
        let locales: Vec<String> = self.catalogue.locales().map(str::to_owned).collect();
        for sample in gallery() {
            for locale in locales.iter().map(String::as_str).chain([FALLBACK]) {
                let plain = Chrome::new(&realm, locale, "/resources/0/login");
                let traced = Chrome { trace: Some("0af7651916cd43dd8448eb211c80319c"), ..plain.clone() };
                for chrome in [plain, traced] {
                    let rendered = self.render(sample.template, &sample.value, &chrome);
                    let place = format!(" (sample `{}`, locale {locale})", sample.name);
                    rendered.map_err(|error| self.refused(&error, &place))?;
                }
            }
        }
        Ok(())
    }

    /// The innermost error knows the file and line that a person must open.
    fn refused(&self, error: &Error, place: &str) -> ThemeError {
        let mut inner = error;
        while let Some(next) = std::error::Error::source(inner).and_then(|next| next.downcast_ref::<Error>()) {
            inner = next;
        }
        let name = inner.name().unwrap_or_default();
        let own = self.folder.as_ref().map(|folder| folder.join("templates").join(name));
        let file = own.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name));
        let cause = match inner.detail() {
            Some(detail) => format!("{}: {detail}{place}", inner.kind()),
            None => format!("{}{place}", inner.kind()),
        };
        ThemeError::Template { file, line: inner.line().unwrap_or(0), cause }
    }
}

/// Escapes for text and quoted attributes. Unlike the engine's own it leaves `/` alone: clients scrape form actions
/// from the raw page (Keycloak 26.4). Printing nothing is a mistake of the template.
fn write_value(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_none() || value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "a value that is not there is printed"));
    }
    let text = value.to_string();
    if value.is_safe() {
        return out.write_str(&text).map_err(Error::from);
    }
    out.write_str(&escaped(&text)).map_err(Error::from)
}

/// Text as it stands in HTML or in a quoted attribute.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            plain => out.push(plain),
        }
    }
    out
}

/// An address that runs script becomes `#`; browsers drop control characters and leading blanks, so they count.
fn href(url: &str) -> String {
    let clean: String = url.chars().filter(|c| !c.is_ascii_control() && *c != ' ').collect();
    let scheme = clean.split(['/', '?', '#']).next().and_then(|head| head.split_once(':')).map(|(scheme, _)| scheme);
    let runs = ["javascript", "data", "vbscript", "blob", "filesystem"];
    let bad = scheme.is_some_and(|scheme| runs.iter().any(|word| scheme.eq_ignore_ascii_case(word)));
    if bad { "#".to_owned() } else { url.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_19_addresses_that_run_script_are_dropped() {
        for (url, kept) in [
            ("https://app.example/a?b=javascript:1", true),
            ("/realms/demo", true),
            ("myapp://back", true),
            ("", true),
            ("javascript:alert(1)", false),
            (" JavaScript:alert(1)", false),
            ("java\tscript:alert(1)", false),
            ("java\nscript:alert(1)", false),
            ("\u{1}javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("vbscript:x", false),
        ] {
            assert_eq!(href(url) == url, kept, "{url:?}");
        }
    }
}

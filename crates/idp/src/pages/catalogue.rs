//! The message bundles of all locales, and the look-up in one reader's language.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use minijinja::value::{Object, Value};
use minijinja::{Error, ErrorKind, State};

use super::{ThemeError, message_format, properties};

/// The locale that has every key.
pub(crate) const FALLBACK: &str = "en";

const BUILT_IN: [(&str, &str); 2] = [
    ("de", include_str!("../../pages/messages/messages_de.properties")),
    ("en", include_str!("../../pages/messages/messages_en.properties")),
];

/// Message patterns by locale and key.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    bundles: BTreeMap<String, BTreeMap<String, String>>,
}

impl Catalogue {
    /// The bundles that are compiled in.
    ///
    /// # Errors
    /// Only when a compiled-in bundle is broken, which a test excludes.
    pub fn built_in() -> Result<Self, ThemeError> {
        let mut catalogue = Self::default();
        for (locale, source) in BUILT_IN {
            catalogue.add(locale, source, &PathBuf::from(format!("messages_{locale}.properties")))?;
        }
        Ok(catalogue)
    }

    /// Adds or overrides messages of one locale; `file` is for the error.
    pub(crate) fn add(&mut self, locale: &str, source: &str, file: &std::path::Path) -> Result<(), ThemeError> {
        let refused = |line, cause: String| ThemeError::Message { file: file.to_owned(), line, cause };
        let entries = properties::parse(source).map_err(|bad| refused(bad.line, bad.cause))?;
        let bundle = self.bundles.entry(locale.to_owned()).or_default();
        for entry in entries {
            if let Err(bad) = message_format::arguments(&entry.value) {
                return Err(refused(entry.line, format!("{}: {bad}", entry.key)));
            }
            bundle.insert(entry.key, entry.value);
        }
        Ok(())
    }

    /// The locales that have a bundle, sorted.
    pub fn locales(&self) -> impl Iterator<Item = &str> {
        self.bundles.keys().map(String::as_str)
    }

    /// The first wanted locale that has a bundle, by the whole tag or its language (`de-AT` -> `de`); else English.
    pub fn choose<'a>(&self, wanted: impl IntoIterator<Item = &'a str>) -> &str {
        let exact = |tag: &str| self.bundles.keys().find(|locale| locale.eq_ignore_ascii_case(tag));
        wanted.into_iter().find_map(|tag| exact(tag).or_else(|| exact(language(tag)))).map_or(FALLBACK, String::as_str)
    }

    /// The pattern of a key: of the locale, its language, or English.
    pub(crate) fn pattern(&self, locale: &str, key: &str) -> Option<&str> {
        [locale, language(locale), FALLBACK]
            .into_iter()
            .find_map(|tag| self.bundles.get(tag).and_then(|bundle| bundle.get(key)))
            .map(String::as_str)
    }

    #[cfg(test)]
    pub(crate) fn bundle(&self, locale: &str) -> &BTreeMap<String, String> {
        &self.bundles[locale]
    }
}

fn language(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

/// What a template calls as `msg("key", ..)`: the catalogue in one language, under the realm's own texts.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) locale: String,
    pub(crate) realm_texts: Option<Arc<BTreeMap<String, String>>>,
}

impl Reader {
    /// A realm's pattern that Java would refuse is shown as it stands: it must not take the login page down.
    fn lookup(&self, key: &str, args: &[String]) -> Option<String> {
        let own = self.realm_texts.as_ref().and_then(|texts| texts.get(key)).map(String::as_str);
        let pattern = own.or_else(|| self.catalogue.pattern(&self.locale, key))?;
        Some(message_format::format(pattern, args).unwrap_or_else(|_| pattern.to_owned()))
    }

    fn reference(&self, text: &str) -> String {
        let key = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        match key {
            Some(key) => self.lookup(key, &[]).unwrap_or_else(|| key.to_owned()),
            None => text.to_owned(),
        }
    }

    fn text(&self, value: &Value) -> Result<String, Error> {
        let part = |name: &str| value.get_attr(name);
        let word = |name: &str| part(name).map(|found| found.to_string());
        match part("kind")?.as_str() {
            Some("key") => {
                let key = word("key")?;
                let args: Vec<String> = part("args")?.try_iter()?.map(|arg| arg.to_string()).collect();
                Ok(self.lookup(&key, &args).unwrap_or(key))
            }
            Some("plain") => word("text"),
            Some("reference") => Ok(self.reference(&word("text")?)),
            _ => Err(Error::new(ErrorKind::InvalidOperation, "text() takes a text of the page")),
        }
    }
}

/// `msg(key, ..)`: an unknown key is an error, so that a theme with a misspelt key is refused at start.
#[derive(Debug)]
pub(crate) struct Msg(pub(crate) Arc<Reader>);

impl Object for Msg {
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let (key, rest) = match args.split_first() {
            Some((key, rest)) => (key.to_string(), rest),
            None => return Err(Error::new(ErrorKind::MissingArgument, "msg() takes a key")),
        };
        let rest: Vec<String> = rest.iter().map(ToString::to_string).collect();
        let found = self.0.lookup(&key, &rest);
        found
            .map(Value::from)
            .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("no message has the key `{key}`")))
    }
}

/// `text(value)`: a [`super::Text`] that the handler gave.
#[derive(Debug)]
pub(crate) struct Sentence(pub(crate) Arc<Reader>);

impl Object for Sentence {
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        match args {
            [value] => self.0.text(value).map(Value::from),
            _ => Err(Error::new(ErrorKind::TooManyArguments, "text() takes one text of the page")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wanted_locale_with_a_bundle_is_chosen() {
        let catalogue = Catalogue::built_in().unwrap();
        for (wanted, chosen) in [
            (vec!["de"], "de"),
            (vec!["de-AT", "en"], "de"),
            (vec!["DE"], "de"),
            (vec!["fr", "de"], "de"),
            (vec!["fr"], "en"),
            (vec!["<script>", "../de"], "en"),
            (vec![], "en"),
        ] {
            assert_eq!(catalogue.choose(wanted.clone()), chosen, "{wanted:?}");
        }
    }

    #[test]
    fn both_locales_have_the_same_keys_and_arguments() {
        let catalogue = Catalogue::built_in().unwrap();
        let (en, de) = (catalogue.bundle("en"), catalogue.bundle("de"));
        assert_eq!(en.keys().collect::<Vec<_>>(), de.keys().collect::<Vec<_>>());
        for (key, pattern) in en {
            let same = message_format::arguments(pattern) == message_format::arguments(&de[key]);
            assert!(same, "{key} takes other arguments in de");
        }
    }

    #[test]
    fn a_realms_text_wins_and_a_broken_one_is_shown_as_it_stands() {
        let catalogue = Arc::new(Catalogue::built_in().unwrap());
        let texts = [("doLogIn", "Enter"), ("loginTitle", "{broken"), ("client_x", "The X")];
        let texts = texts.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        let reader = Reader { catalogue, locale: "de-CH".to_owned(), realm_texts: Some(Arc::new(texts)) };
        let no = &[];
        assert_eq!(reader.lookup("doLogIn", no).as_deref(), Some("Enter"));
        assert_eq!(reader.lookup("loginTitle", no).as_deref(), Some("{broken"));
        assert_eq!(reader.lookup("password", no).as_deref(), Some("Passwort"));
        assert_eq!(reader.lookup("nothing", no), None);
        assert_eq!(reader.reference("${client_x}"), "The X");
        assert_eq!(reader.reference("${nothing}"), "nothing");
        assert_eq!(reader.reference("My app"), "My app");
    }
}

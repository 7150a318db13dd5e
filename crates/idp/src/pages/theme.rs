//! A theme folder: what it may override, and why one is refused.
//!
//! `templates/*.html`, `messages/messages_{locale}.properties`, `tokens.css` (added to the tokens), `login.css` (in
//! place of ours) and `img/*`. Nothing else in the folder is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Catalogue;

/// Why a theme folder is refused at start.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    /// The folder or a file in it cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A template cannot be parsed, or fails with a sample page.
    #[error("{}:{line}: {cause}", file.display())]
    Template {
        /// The template.
        file: PathBuf,
        /// Its line, 0 when unknown.
        line: usize,
        /// The cause, with the sample and locale where it failed.
        cause: String,
    },
    /// A message bundle cannot be read.
    #[error("{}:{line}: {cause}", file.display())]
    Message {
        /// The bundle.
        file: PathBuf,
        /// Its line.
        line: usize,
        /// The cause.
        cause: String,
    },
}

/// A theme folder, read.
#[derive(Debug, Default)]
pub(crate) struct Theme {
    pub(crate) folder: PathBuf,
    pub(crate) templates: BTreeMap<String, String>,
    pub(crate) messages: Vec<(String, PathBuf, String)>,
    pub(crate) tokens: Option<String>,
    pub(crate) style: Option<String>,
    pub(crate) images: BTreeMap<String, Vec<u8>>,
}

impl Theme {
    pub(crate) fn read(folder: &Path) -> Result<Self, ThemeError> {
        std::fs::read_dir(folder).map_err(|source| ThemeError::Read { path: folder.to_owned(), source })?;
        let mut theme = Self { folder: folder.to_owned(), ..Self::default() };
        for path in files(&folder.join("templates"))? {
            if let Some(name) = name_with(&path, "html") {
                theme.templates.insert(name, read_text(&path)?);
            }
        }
        for path in files(&folder.join("messages"))? {
            let name = name_with(&path, "properties").unwrap_or_default();
            let locale = name.strip_prefix("messages_").and_then(|rest| rest.strip_suffix(".properties"));
            if let Some(locale) = locale {
                theme.messages.push((locale.replace('_', "-"), path.clone(), read_text(&path)?));
            }
        }
        for path in files(&folder.join("img"))? {
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                theme.images.insert(name.to_owned(), read(&path)?);
            }
        }
        theme.tokens = optional(&folder.join("tokens.css"))?;
        theme.style = optional(&folder.join("login.css"))?;
        Ok(theme)
    }

    /// The built-in messages under the theme's own.
    pub(crate) fn catalogue(&self) -> Result<Catalogue, ThemeError> {
        let mut catalogue = Catalogue::built_in()?;
        for (locale, path, source) in &self.messages {
            catalogue.add(locale, source, path)?;
        }
        Ok(catalogue)
    }
}

/// The files of a folder in the order of their names; a folder that is not there has none.
fn files(folder: &Path) -> Result<Vec<PathBuf>, ThemeError> {
    let refused = |source| ThemeError::Read { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(refused)?.path();
        if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn name_with(path: &Path, extension: &str) -> Option<String> {
    let fits = path.extension().is_some_and(|found| found == extension);
    fits.then(|| path.file_name()?.to_str().map(str::to_owned)).flatten()
}

fn read(path: &Path) -> Result<Vec<u8>, ThemeError> {
    std::fs::read(path).map_err(|source| ThemeError::Read { path: path.to_owned(), source })
}

fn read_text(path: &Path) -> Result<String, ThemeError> {
    std::fs::read_to_string(path).map_err(|source| ThemeError::Read { path: path.to_owned(), source })
}

fn optional(path: &Path) -> Result<Option<String>, ThemeError> {
    if path.exists() { read_text(path).map(Some) } else { Ok(None) }
}

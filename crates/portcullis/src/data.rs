//! The data folder: database, server key, and the mark of a demo.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use portcullis_core::entropy::Entropy;
use portcullis_store::ServerKeys;

use crate::failure::Failure;

/// A data folder that exists.
#[derive(Clone, Debug)]
pub struct DataFolder {
    path: PathBuf,
}

impl DataFolder {
    /// Opens or makes the folder (0700).
    ///
    /// # Errors
    /// Exit code 1 with the folder and the cause.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| {
            let next = "it must be a folder that this user may write";
            Failure::failed(format!("data folder {}: {e}; {next}", path.display()))
        })?;
        Ok(Self { path: path.to_owned() })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join("portcullis.db")
    }

    /// A file in the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The server key: `given`, else `DIR/server.key`, made when neither key nor database exists.
    ///
    /// # Errors
    /// Exit code 2 when an existing database has lost its key or the key is unreadable.
    pub fn server_keys(&self, given: Option<&Path>, entropy: &dyn Entropy) -> Result<ServerKeys, Failure> {
        let own = self.file("server.key");
        let path = given.unwrap_or(&own);
        if path.exists() {
            return read_key(path);
        }
        if given.is_some() {
            return Err(Failure::configuration(format!("server key {}: there is no such file", path.display())));
        }
        if self.database().exists() {
            return Err(Failure::configuration(format!(
                "server key {}: missing, but the database {} was sealed with it; put the key back",
                path.display(),
                self.database().display()
            )));
        }
        let mut key = [0u8; 32];
        entropy.fill(&mut key);
        let text: String = key.iter().map(|b| format!("{b:02x}")).collect();
        write_private(path, &format!("{text}\n"))?;
        Ok(ServerKeys { current: (1, key), previous: None })
    }
}

/// Keys for a database that is kept in memory.
#[must_use]
pub fn passing_keys(entropy: &dyn Entropy) -> ServerKeys {
    let mut key = [0u8; 32];
    entropy.fill(&mut key);
    ServerKeys { current: (1, key), previous: None }
}

/// One key a line, newest first: 64 hex digits each.
fn read_key(path: &Path) -> Result<ServerKeys, Failure> {
    let refused = |cause: &str| Failure::configuration(format!("server key {}: {cause}", path.display()));
    let mut text = String::new();
    fs::File::open(path).and_then(|mut f| f.read_to_string(&mut text)).map_err(|e| refused(&e.to_string()))?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let mut keys = Vec::new();
    for line in &lines {
        keys.push(hex(line).ok_or_else(|| refused("expected 64 hex digits a line"))?);
    }
    let id = |at: usize| u32::try_from(lines.len() - at).unwrap_or(1);
    match keys.as_slice() {
        [only] => Ok(ServerKeys { current: (1, *only), previous: None }),
        [new, old] => Ok(ServerKeys { current: (id(0), *new), previous: Some((id(1), *old)) }),
        _ => Err(refused("expected one key, or two while they are being changed")),
    }
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let mut key = [0u8; 32];
    if text.len() != 64 {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(key)
}

/// Writes a file that only its owner may read; an existing one is not touched.
///
/// # Errors
/// Exit code 1 with the file and the cause.
pub fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|e| {
            let next = "the folder must belong to the user that runs portcullis";
            Failure::failed(format!("{}: {e}; {next}", path.display()))
        })
}

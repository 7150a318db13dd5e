//! Sealing at rest: AES-256-GCM under the server key, bound to table, column, realm and row. The key is never in the database.
//!
//! A sealed text is `s1.<key id>.<base64url(nonce | ciphertext | tag)>`; nonces come from the system's source inside aws-lc-rs.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The server's keys: sealing uses `current`, opening either.
#[derive(Clone)]
pub struct ServerKeys {
    /// Key id and bytes used for new values.
    pub current: (u32, [u8; 32]),
    /// The key before it, while values sealed under it remain.
    pub previous: Option<(u32, [u8; 32])>,
}

impl fmt::Debug for ServerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerKeys")
            .field("current", &self.current.0)
            .field("previous", &self.previous.map(|k| k.0))
            .finish()
    }
}

/// Where a sealed value stands: its associated data. A value moved to another row does not open.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) realm: &'a str,
    pub(crate) row: &'a str,
}

impl Cell<'_> {
    /// Lengths first, so that no two cells have the same text.
    fn aad(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for part in [self.table, self.column, self.realm, self.row] {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out
    }
}

/// Why a text did not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unsealed {
    /// Sealed under a key that was not given.
    KeyMissing(u32),
    /// The key is there; text, cell or key bytes are wrong.
    Refused,
}

struct ServerKey {
    id: u32,
    aead: RandomizedNonceKey,
    mark: hmac::Key,
}

impl ServerKey {
    fn new((id, bytes): (u32, [u8; 32])) -> Option<Self> {
        let derive = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let mark = hmac::sign(&derive, b"portcullis store: credential marks");
        Some(Self {
            id,
            aead: RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok()?,
            mark: hmac::Key::new(hmac::HMAC_SHA256, mark.as_ref()),
        })
    }
}

/// The keys made ready.
pub(crate) struct Sealer {
    current: ServerKey,
    previous: Option<ServerKey>,
}

impl Sealer {
    pub(crate) fn new(keys: &ServerKeys) -> Option<Self> {
        let previous = match keys.previous {
            Some(key) => Some(ServerKey::new(key)?),
            None => None,
        };
        Some(Self { current: ServerKey::new(keys.current)?, previous })
    }

    /// The id of the key that seals.
    pub(crate) const fn key_id(&self) -> u32 {
        self.current.id
    }

    /// `None` only if the cryptography itself fails.
    pub(crate) fn seal(&self, cell: Cell<'_>, plain: &[u8]) -> Option<String> {
        let mut body = plain.to_vec();
        let nonce = self.current.aead.seal_in_place_append_tag(Aad::from(cell.aad()), &mut body).ok()?;
        let mut bytes = nonce.as_ref().to_vec();
        bytes.append(&mut body);
        Some(format!("s1.{}.{}", self.current.id, URL_SAFE_NO_PAD.encode(bytes)))
    }

    pub(crate) fn open(&self, cell: Cell<'_>, sealed: &str) -> Result<Vec<u8>, Unsealed> {
        let rest = sealed.strip_prefix("s1.").ok_or(Unsealed::Refused)?;
        let (id, body) = rest.split_once('.').ok_or(Unsealed::Refused)?;
        let id: u32 = id.parse().map_err(|_| Unsealed::Refused)?;
        let key = self.key(id).ok_or(Unsealed::KeyMissing(id))?;
        let mut bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| Unsealed::Refused)?;
        let (nonce, body) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(Unsealed::Refused)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealed::Refused)?;
        key.aead
            .open_in_place(nonce, Aad::from(cell.aad()), body)
            .map(|plain| plain.to_vec())
            .map_err(|_| Unsealed::Refused)
    }

    fn key(&self, id: u32) -> Option<&ServerKey> {
        if self.current.id == id {
            return Some(&self.current);
        }
        self.previous.as_ref().filter(|k| k.id == id)
    }

    /// A keyed fingerprint of a secret, so that SQL can ask "is it still this one" without holding it. The second is the previous key's.
    pub(crate) fn marks(&self, cell: Cell<'_>, secret: &str) -> (String, String) {
        let mut text = cell.aad();
        text.extend_from_slice(secret.as_bytes());
        let mark = |key: &ServerKey| {
            let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&key.mark, &text));
            format!("{}.{mac}", key.id)
        };
        let current = mark(&self.current);
        let previous = self.previous.as_ref().map_or_else(|| current.clone(), mark);
        (current, previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(current: (u32, u8), previous: Option<(u32, u8)>) -> Sealer {
        Sealer::new(&ServerKeys {
            current: (current.0, [current.1; 32]),
            previous: previous.map(|(id, byte)| (id, [byte; 32])),
        })
        .unwrap()
    }

    const CELL: Cell<'_> = Cell { table: "clients", column: "secret", realm: "r", row: "1" };

    #[test]
    fn a_sealed_value_opens_in_its_own_cell_only() {
        let sealer = sealer((1, 7), None);
        let sealed = sealer.seal(CELL, b"hush").unwrap();
        assert!(!sealed.contains("hush"));
        assert_eq!(sealer.open(CELL, &sealed), Ok(b"hush".to_vec()));
        for other in [
            Cell { table: "users", ..CELL },
            Cell { column: "doc", ..CELL },
            Cell { realm: "s", ..CELL },
            Cell { row: "2", ..CELL },
            Cell { realm: "r1", row: "", ..CELL },
        ] {
            assert_eq!(sealer.open(other, &sealed), Err(Unsealed::Refused));
        }
    }

    #[test]
    fn the_same_value_is_never_sealed_to_the_same_text() {
        let sealer = sealer((1, 7), None);
        assert_ne!(sealer.seal(CELL, b"hush"), sealer.seal(CELL, b"hush"));
    }

    #[test]
    fn the_previous_key_still_opens_and_a_lost_one_is_named() {
        let sealed = sealer((1, 7), None).seal(CELL, b"hush").unwrap();
        let rotated = sealer((2, 8), Some((1, 7)));
        assert_eq!(rotated.open(CELL, &sealed), Ok(b"hush".to_vec()));
        assert!(rotated.seal(CELL, b"x").unwrap().starts_with("s1.2."));
        assert_eq!(sealer((2, 8), None).open(CELL, &sealed), Err(Unsealed::KeyMissing(1)));
        assert_eq!(sealer((1, 9), None).open(CELL, &sealed), Err(Unsealed::Refused));
    }

    #[test]
    fn damaged_texts_are_refused() {
        let sealer = sealer((1, 7), None);
        for text in ["", "s1.", "s1.x.AAAA", "s1.1.", "s1.1.AAAA", "s1.1.%%", "s2.1.AAAA"] {
            assert_eq!(sealer.open(CELL, text), Err(Unsealed::Refused), "{text}");
        }
    }

    #[test]
    fn marks_follow_the_secret_and_the_key() {
        let one = sealer((1, 7), None);
        let two = sealer((2, 8), Some((1, 7)));
        assert_ne!(one.marks(CELL, "a").0, one.marks(CELL, "b").0);
        assert_eq!(one.marks(CELL, "a").0, two.marks(CELL, "a").1);
        assert_ne!(one.marks(CELL, "a").0, two.marks(CELL, "a").0);
    }
}

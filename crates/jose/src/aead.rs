//! Sealed bytes: AES-256-GCM under a named key, bound to a context.
//!
//! Layout: key id (4 bytes, big endian) | nonce (12) | ciphertext | tag (16). The key id and the caller's
//! associated data are authenticated, so a sealed value cannot move to another key, field or owner.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::BadKey;

const ID_LEN: usize = 4;
const HEAD_LEN: usize = ID_LEN + NONCE_LEN;

/// Sealing failed: the input is longer than the cipher allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealing failed")]
pub struct SealError;

/// Why sealed bytes did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Shorter than the envelope.
    #[error("sealed value is too short")]
    TooShort,
    /// No key of this id is held.
    #[error("sealed with an unknown key")]
    UnknownKey,
    /// Tampered with, or sealed for another context.
    #[error("sealed value is not authentic")]
    NotAuthentic,
}

/// One AES-256 key with its id.
pub struct SealKey {
    id: u32,
    key: LessSafeKey,
}

impl SealKey {
    /// Takes 32 key bytes.
    ///
    /// # Errors
    /// [`BadKey::Malformed`] if the cipher refuses the key.
    pub fn new(id: u32, key: &[u8; 32]) -> Result<Self, BadKey> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| BadKey::Malformed)?;
        Ok(Self { id, key: LessSafeKey::new(key) })
    }

    /// The id written in front of everything this key seals.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The key that seals, and older keys that still open.
#[derive(Debug)]
pub struct SealingKeys {
    current: SealKey,
    previous: Vec<SealKey>,
}

impl SealingKeys {
    /// Sets the current key and those it replaced.
    ///
    /// # Errors
    /// [`BadKey::DuplicateId`] if two keys share an id: one of them could never open anything.
    pub fn new(current: SealKey, previous: Vec<SealKey>) -> Result<Self, BadKey> {
        let mut ids: Vec<u32> = previous.iter().map(SealKey::id).chain([current.id]).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        if ids.len() < all {
            return Err(BadKey::DuplicateId);
        }
        Ok(Self { current, previous })
    }

    /// The id new values are sealed under.
    #[must_use]
    pub fn current_id(&self) -> u32 {
        self.current.id
    }

    /// Seals under the current key. `nonce` must be fresh random bytes: a repeat under one key breaks the cipher.
    ///
    /// # Errors
    /// [`SealError`] if `plaintext` exceeds the cipher's limit (64 GiB).
    pub fn seal(&self, plaintext: &[u8], aad: &[u8], nonce: [u8; 12]) -> Result<Vec<u8>, SealError> {
        let mut out = Vec::with_capacity(HEAD_LEN + plaintext.len() + AES_256_GCM.tag_len());
        out.extend_from_slice(&self.current.id.to_be_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plaintext);
        let aad = bound(self.current.id, aad);
        let body = out.get_mut(HEAD_LEN..).ok_or(SealError)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.current.key.seal_in_place_separate_tag(nonce, Aad::from(aad), body).map_err(|_| SealError)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens what any held key sealed with the same `aad`.
    ///
    /// # Errors
    /// [`OpenError`]; nothing of the plaintext is returned then.
    pub fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (id, rest) = sealed.split_first_chunk::<ID_LEN>().ok_or(OpenError::TooShort)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::TooShort)?;
        if body.len() < AES_256_GCM.tag_len() {
            return Err(OpenError::TooShort);
        }
        let id = u32::from_be_bytes(*id);
        let key =
            std::iter::once(&self.current).chain(&self.previous).find(|k| k.id == id).ok_or(OpenError::UnknownKey)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let len = key
            .key
            .open_in_place(nonce, Aad::from(bound(id, aad)), &mut body)
            .map_err(|_| OpenError::NotAuthentic)?
            .len();
        body.truncate(len);
        Ok(body)
    }
}

fn bound(id: u32, aad: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(ID_LEN + aad.len());
    all.extend_from_slice(&id.to_be_bytes());
    all.extend_from_slice(aad);
    all
}

//! Key derivation: Argon2 over one reused block of memory, PBKDF2 for moved-in users.

use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::{constant_time, pbkdf2};

use super::encoding::{BadCredential, Stored};

/// Argon2 memory in KiB (Keycloak 26.4 `argon2` provider).
pub(super) const MEMORY: u32 = 7168;
/// Argon2 passes.
pub(super) const ITERATIONS: u32 = 5;
/// Argon2 lanes.
pub(super) const LANES: u32 = 1;
/// Bytes of a hash.
pub(super) const HASH_LENGTH: usize = 32;

/// Most memory a stored credential may ask for, KiB.
const MAX_MEMORY: u32 = 64 * 1024;
/// Most Argon2 work a stored credential may ask for: KiB times passes.
const MAX_ARGON2_WORK: u64 = 512 * 1024;
/// Most PBKDF2 iterations (Keycloak's `pbkdf2` had 1.3 million).
const MAX_PBKDF2: u32 = 2_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Variant {
    Id,
    I,
    D,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kdf {
    Argon2 { variant: Variant, version_13: bool, memory: u32, iterations: u32, lanes: u32 },
    Pbkdf2 { digest: Digest, iterations: u32 },
}

impl Kdf {
    pub(super) const CURRENT: Self =
        Self::Argon2 { variant: Variant::Id, version_13: true, memory: MEMORY, iterations: ITERATIONS, lanes: LANES };

    pub(super) fn refuse_absurd(self, salt: usize) -> Result<(), BadCredential> {
        match self {
            Self::Argon2 { memory, iterations, lanes, .. } => {
                let work = u64::from(memory) * u64::from(iterations);
                if memory > MAX_MEMORY || work > MAX_ARGON2_WORK || iterations == 0 {
                    return Err(BadCredential::Absurd("argon2 memory or iterations"));
                }
                if lanes == 0 || lanes > 16 || memory < 8 * lanes || salt < 8 {
                    return Err(BadCredential::Absurd("argon2 lanes or salt"));
                }
                Ok(())
            }
            Self::Pbkdf2 { iterations, .. } if iterations == 0 || iterations > MAX_PBKDF2 => {
                Err(BadCredential::Absurd("pbkdf2 iterations"))
            }
            Self::Pbkdf2 { .. } => Ok(()),
        }
    }
}

/// The memory a thread keeps.
pub(super) struct Workspace {
    blocks: Vec<Block>,
}

impl Workspace {
    pub(super) fn new() -> Self {
        Self { blocks: vec![Block::default(); MEMORY as usize] }
    }
}

/// Hashes with today's parameters. `None` only when the cipher refuses its own constants.
pub(super) fn derive_current(workspace: &mut Workspace, password: &[u8], salt: &[u8]) -> Option<[u8; HASH_LENGTH]> {
    let mut out = [0; HASH_LENGTH];
    derive_argon2(workspace, Kdf::CURRENT, password, salt, &mut out)?;
    Some(out)
}

/// Whether `password` is the stored one. Without one, today's hash is computed all the same (EN-01).
pub(super) fn fits(workspace: &mut Workspace, stored: Option<&Stored>, password: &[u8]) -> bool {
    let Some(stored) = stored else {
        let _ = derive_current(workspace, password, &[0; 16]);
        return false;
    };
    match stored.kdf {
        Kdf::Argon2 { .. } => {
            let mut out = vec![0; stored.hash.len()];
            let derived = derive_argon2(workspace, stored.kdf, password, &stored.salt, &mut out);
            derived.is_some() && constant_time::verify_slices_are_equal(&out, &stored.hash).is_ok()
        }
        Kdf::Pbkdf2 { digest, iterations } => {
            let algorithm = match digest {
                Digest::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
                Digest::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
                Digest::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
            };
            let Some(iterations) = NonZeroU32::new(iterations) else { return false };
            pbkdf2::verify(algorithm, iterations, &stored.salt, password, &stored.hash).is_ok()
        }
    }
}

fn derive_argon2(workspace: &mut Workspace, kdf: Kdf, password: &[u8], salt: &[u8], out: &mut [u8]) -> Option<()> {
    let Kdf::Argon2 { variant, version_13, memory, iterations, lanes } = kdf else { return None };
    let algorithm = match variant {
        Variant::Id => Algorithm::Argon2id,
        Variant::I => Algorithm::Argon2i,
        Variant::D => Algorithm::Argon2d,
    };
    let version = if version_13 { Version::V0x13 } else { Version::V0x10 };
    let params = Params::new(memory, iterations, lanes, Some(out.len())).ok()?;
    let needed = params.block_count();
    if workspace.blocks.len() < needed {
        workspace.blocks.resize(needed, Block::default());
    }
    let blocks = workspace.blocks.get_mut(..needed)?;
    let done = Argon2::new(algorithm, version, params).hash_password_into_with_memory(password, salt, out, blocks);
    if workspace.blocks.len() > MEMORY as usize {
        workspace.blocks.truncate(MEMORY as usize);
        workspace.blocks.shrink_to_fit();
    }
    done.ok()
}

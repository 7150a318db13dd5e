//! Randomness as an argument. The binary has the system's source, tests a seeded one.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A source of random bytes fit for keys.
pub trait Entropy: Send + Sync {
    /// Fills `out`.
    fn fill(&self, out: &mut [u8]);
}

/// 128 random bits printed as a uuid, as Keycloak 26.4 prints codes and session ids (no version bits).
#[must_use]
pub fn uuid(entropy: &dyn Entropy) -> String {
    let mut bytes = [0u8; 16];
    entropy.fill(&mut bytes);
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `N` random bytes as base64url without padding.
#[must_use]
pub fn token<const N: usize>(entropy: &dyn Entropy) -> String {
    let mut bytes = [0u8; N];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

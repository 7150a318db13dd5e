//! Base32 (RFC 4648 §6), as authenticators and Keycloak write seeds.

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The text of bytes, without padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    let (mut word, mut bits) = (0_u32, 0_u32);
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let mut letter = |value: u32| out.extend(ALPHABET.get(value as usize & 31).map(|byte| char::from(*byte)));
    for byte in bytes {
        word = (word << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            letter(word >> bits);
        }
    }
    if bits > 0 {
        letter(word << (5 - bits));
    }
    out
}

/// The bytes of a text. Case, blanks and padding are forgiven; anything else is no seed.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let (mut word, mut bits) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes().filter(|b| *b != b' ') {
        let value = ALPHABET.iter().position(|letter| *letter == byte.to_ascii_uppercase())?;
        word = (word << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((word >> bits) & 0xff).ok()?);
        }
    }
    (!out.is_empty()).then_some(out)
}

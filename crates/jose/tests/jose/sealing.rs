//! Sealed bytes: round trip, rotation, and refusal of everything changed.

use portcullis_jose::BadKey;
use portcullis_jose::aead::{OpenError, SealKey, SealingKeys};

fn seal_key(id: u32, byte: u8) -> SealKey {
    SealKey::new(id, &[byte; 32]).unwrap()
}

#[test]
fn sealed_bytes_open_with_the_same_context_only() {
    let keys = SealingKeys::new(seal_key(7, 1), vec![]).unwrap();
    for plain in [&b""[..], b"x", &[9; 1000]] {
        let sealed = keys.seal(plain, b"session", [3; 12]).unwrap();
        assert_eq!(sealed.len(), 4 + 12 + plain.len() + 16);
        assert_eq!(&sealed[..16], [&7_u32.to_be_bytes()[..], &[3; 12]].concat());
        assert_eq!(keys.open(&sealed, b"session").as_deref(), Ok(plain));
        assert_eq!(keys.open(&sealed, b"refresh"), Err(OpenError::NotAuthentic));
    }
}

#[test]
fn every_changed_bit_of_a_sealed_value_is_refused() {
    let keys = SealingKeys::new(seal_key(7, 1), vec![seal_key(6, 1)]).unwrap();
    let sealed = keys.seal(b"secret", b"", [3; 12]).unwrap();
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(keys.open(&changed, b"").is_err(), "byte {at} bit {bit}");
        }
    }
    for len in 0..sealed.len() {
        assert!(keys.open(&sealed[..len], b"").is_err(), "cut to {len}");
    }
}

#[test]
fn st_05_a_replaced_key_opens_until_it_is_removed() {
    let old = SealingKeys::new(seal_key(1, 1), vec![]).unwrap();
    let sealed = old.seal(b"kept", b"a", [0; 12]).unwrap();
    let rotated = SealingKeys::new(seal_key(2, 2), vec![seal_key(1, 1)]).unwrap();
    assert_eq!(rotated.current_id(), 2);
    assert_eq!(rotated.open(&sealed, b"a").as_deref(), Ok(&b"kept"[..]));
    let removed = SealingKeys::new(seal_key(2, 2), vec![]).unwrap();
    assert_eq!(removed.open(&sealed, b"a"), Err(OpenError::UnknownKey));
}

#[test]
fn two_keys_of_one_id_are_refused() {
    assert_eq!(SealingKeys::new(seal_key(1, 1), vec![seal_key(1, 2)]).unwrap_err(), BadKey::DuplicateId);
}

#[test]
fn a_seal_key_does_not_print_itself() {
    assert_eq!(format!("{:?}", seal_key(5, 0xab)), "SealKey { id: 5, .. }");
}

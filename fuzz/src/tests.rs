//! Two thousand steps per target with every `cargo test`, and a proof that a broken invariant is seen.

use crate::runner::{Target, mutate, seeds};

fn run(name: &str, target: Target) {
    let broken = mutate(target, &seeds(name).unwrap(), 2_000, &mut |_| {});
    assert!(broken.is_none(), "{name}: {:?}", broken.map(|b| String::from_utf8_lossy(&b.input).into_owned()));
}

#[test]
fn jws() {
    run("jws", crate::jws);
}

#[test]
fn jwks() {
    run("jwks", crate::jwks);
}

#[test]
fn params() {
    run("params", crate::params);
}

#[test]
fn redirect_uri() {
    run("redirect_uri", crate::redirect_uri);
}

#[test]
fn cookies() {
    run("cookies", crate::cookies);
}

#[test]
fn authorize() {
    run("authorize", crate::authorize);
}

#[test]
fn realm_file() {
    run("realm_file", crate::realm_file);
}

#[test]
fn a_broken_invariant_is_found_and_its_input_told() {
    fn no_percent(input: &[u8]) {
        assert!(!input.contains(&b'%'));
    }
    let broken = mutate(no_percent, &[b"abc".to_vec()], 2_000, &mut |_| {}).unwrap();
    assert!(broken.input.contains(&b'%') && broken.step > 0);
}

/// Seeds that nothing accepts would fuzz only the refusals.
#[test]
fn the_honest_seeds_are_accepted() {
    use crate::fixture::{BASE, ISSUER, NOW, key, realm};
    use portcullis_core::{login::session_cookie, oauth::authorize::decide, oauth::params::Params, realm::Profile};
    let honest = |name: &str| -> Vec<u8> {
        std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name).join("honest")).unwrap()
    };
    let keys = portcullis_jose::KeySet::new([key().verifying_key()]);
    let cookie = String::from_utf8(honest("cookies")).unwrap();
    assert!(session_cookie::read(&cookie, &keys, ISSUER, NOW).is_some());
    let params = Params::parse(&honest("authorize")).unwrap();
    for profile in [Profile::Keycloak, Profile::Strict] {
        assert!(decide(&realm(profile), BASE, &params).is_ok(), "{profile:?}");
    }
    let set = portcullis_jose::JwkSet::parse(&honest("jwks")).unwrap();
    assert!(portcullis_jose::KeySet::from_jwks(&set).keys().len() >= 2);
    let file = portcullis_core::realm_file::RealmFile::read(&honest("realm_file")).unwrap();
    assert!(
        portcullis_core::realm_file::assemble(
            file,
            &crate::fixture::Counting,
            portcullis_core::time::Now::from_secs(NOW)
        )
        .is_ok()
    );
    let token = String::from_utf8(honest("jws")).unwrap();
    assert!(portcullis_jose::jws::parse(&token, &portcullis_jose::Limits::default()).is_ok());
}

//! The small world that targets run in: one key, one realm.

use portcullis_core::client::Client;
use portcullis_core::entropy::Entropy;
use portcullis_core::group::Groups;
use portcullis_core::realm::{Profile, RealmState};
use portcullis_core::realm_file::{RealmFile, assemble};
use portcullis_core::records::RealmRecords;
use portcullis_core::role::Roles;
use portcullis_core::time::Now;
use portcullis_jose::{Algorithm, SigningKey};
use serde_json::json;

/// The moment of every run, seconds.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://id.test/realms/r";
pub(crate) const BASE: &str = "https://id.test";
/// Every registered redirect URI; their hosts are the only ones an answer may go to.
pub(crate) const REGISTERED: [&str; 6] = [
    "https://app.test/cb",
    "https://app.test:8443/area/*",
    "https://wild.test*",
    "http://127.0.0.1/cb",
    "com.example.app:/cb",
    "/local/*",
];
pub(crate) const HOSTS: [&str; 4] = ["app.test", "127.0.0.1", "id.test", "wild.test"];

/// Bytes that count up: runs must repeat.
pub(crate) struct Counting;

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) {
        use std::sync::atomic::{AtomicU64, Ordering};
        static COUNT: AtomicU64 = AtomicU64::new(0);
        for chunk in out.chunks_mut(8) {
            let bytes = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let start = bytes.len() - chunk.len();
            chunk.copy_from_slice(bytes.get(start..).unwrap_or_default());
        }
    }
}

/// HS512 over 64 times 7; the seeds are signed with it.
pub(crate) fn key() -> SigningKey {
    SigningKey::from_hmac(Algorithm::HS512, "k", &[7; 64]).expect("64 bytes are enough")
}

/// A realm with one public client `app`.
pub(crate) fn realm(profile: Profile) -> RealmRecords {
    let file = json!({
        "realm": "r", "enabled": true,
        "clients": [{"clientId": "app", "publicClient": true, "redirectUris": ["https://app.test/cb"]}]
    });
    let file = RealmFile::read(file.to_string().as_bytes()).expect("the realm's file is right");
    let mut made = assemble(file, &Counting, Now::from_secs(NOW)).expect("the realm's file is right");
    made.realm.state = RealmState::Ready;
    if profile == Profile::Strict {
        let attribute = portcullis_core::realm::PROFILE_ATTRIBUTE.to_owned();
        made.realm.settings.attributes.insert(attribute, "strict".to_owned());
    }
    RealmRecords::new(made.realm, made.scopes, Roles::default(), Groups::default(), vec![], made.clients)
}

/// `app` with all of [`REGISTERED`].
pub(crate) fn client(realm: &RealmRecords) -> Client {
    let mut client = realm.client("app").expect("it is in the file").clone();
    client.redirect_uris = REGISTERED.iter().map(|u| (*u).to_owned()).collect();
    client
}

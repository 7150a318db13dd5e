//! Realms come into being: from a realm file, and the master realm at the first start.
//!
//! **Owns** the order of an import: read and lay over (core), make keys, hash passwords on the pool, apply the plans,
//! flip the realm to `Ready` in the last one. A realm whose import fails is removed again; one that a stop cut off stays
//! invisible and is removed at the next start ([`portcullis_store::Db::finish_removals`]).
//!
//! **Does not own** what a file may say and what a realm contains ([`portcullis_core::realm_file`]), who may import (admin).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use portcullis_core::entropy::{Entropy, uuid};
use portcullis_core::ids::{CredentialId, KeyId, RealmId, RoleId};
use portcullis_core::key::RealmKey;
use portcullis_core::plan::{Entity, Gate, Plan, Write};
use portcullis_core::realm::PROFILE_ATTRIBUTE;
use portcullis_core::realm_file::plans::{self, Hashes};
use portcullis_core::realm_file::{
    KeySource, KeySpec, NewCredential, RealmContents, RealmFile, Reason, Refusal, assemble, keys, master,
};
use portcullis_core::records::RealmRecords;
use portcullis_core::secret::{Secret, SecretBytes};
use portcullis_core::time::Now;
use portcullis_core::user::{User, name};
use portcullis_jose::{SigningKey, certificate};
use portcullis_store::ApplyError;

use crate::Idp;
use crate::password::{self, Unhashed};
use crate::state::App;

/// Told how many of how many passwords are hashed.
pub type Progress = Arc<dyn Fn(usize, usize) + Send + Sync>;

/// How a realm is imported.
#[derive(Clone, Default)]
pub struct ImportOptions {
    /// Makes the realm strict unless the file names a profile (realms made by our own tools are strict).
    pub strict: bool,
    /// Told about hashed passwords.
    pub progress: Option<Progress>,
}

impl fmt::Debug for ImportOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportOptions").field("strict", &self.strict).finish_non_exhaustive()
    }
}

/// A realm that came into being.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// Its id.
    pub id: RealmId,
    /// Its name.
    pub name: String,
    /// Users, service accounts included.
    pub users: usize,
    /// Clients, built-in ones included.
    pub clients: usize,
}

/// What the first start found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bootstrap {
    /// Master and its administrator were made.
    Made,
    /// Master was there: name and password were not looked at.
    AlreadyThere,
}

/// Why a realm did not come into being. One line each.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is refused: place and cause.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// A realm of this name is there.
    #[error("Realm {0} already exists")]
    Exists(String),
    /// A key could not be made.
    #[error("the keys of the realm cannot be made: {0}")]
    Keys(String),
    /// A password is longer than what is hashed.
    #[error("a password of the file cannot be hashed: longer than {} bytes", password::MAX_PASSWORD)]
    Password,
    /// The store or the password threads have no room now.
    #[error("the server is busy; try again")]
    Busy,
    /// The store refused.
    #[error("storage: {0}")]
    Storage(String),
}

impl Idp {
    /// Imports a realm file (Keycloak's `RealmRepresentation`).
    ///
    /// # Errors
    /// [`ImportError`]; then nothing of the realm is left.
    pub async fn import_realm(&self, bytes: &[u8], options: ImportOptions) -> Result<Imported, ImportError> {
        let file = RealmFile::read(bytes)?;
        import(&self.app, file, options, None).await
    }

    /// Makes the master realm with its first administrator; both become visible by one last plan. On later starts
    /// nothing happens.
    ///
    /// # Errors
    /// [`ImportError`].
    pub async fn bootstrap_master(&self, username: &str, password: &Secret) -> Result<Bootstrap, ImportError> {
        if records(&self.app, master::NAME).await?.is_some() {
            return Ok(Bootstrap::AlreadyThere);
        }
        let file = RealmFile::from_value(serde_json::json!({
            "realm": master::NAME,
            "enabled": true,
            "users": [{
                "username": username,
                "enabled": true,
                "realmRoles": [portcullis_core::realm_file::defaults::default_role_name(master::NAME), master::ADMIN],
                "credentials": [{"type": "password", "value": password.expose()}],
            }],
        }))?;
        let now = self.app.now();
        let mut contents = assemble(file, &*self.app.entropy, now)?;
        let mut hashes = hash(&self.app, &contents, None).await?;
        let keys = make_keys(&self.app, &contents, now).await?;
        let mut last = Vec::new();
        for user in std::mem::take(&mut contents.users) {
            last.extend(plans::user_writes(&contents.realm.id, user, &mut hashes)?);
        }
        let (id, name) = (contents.realm.id.clone(), contents.realm.name.clone());
        apply(&self.app, &id, &name, plans::plans(contents, keys, hashes, last)?).await?;
        Ok(Bootstrap::Made)
    }
}

/// Imports `file`. `creator` is the administrator of master who asked: without the role `admin` it receives every right
/// over the new realm (Keycloak 26.4).
pub(crate) async fn import(
    app: &App,
    mut file: RealmFile,
    options: ImportOptions,
    creator: Option<User>,
) -> Result<Imported, ImportError> {
    if options.strict {
        let attributes = &mut file.settings.attributes;
        attributes.entry(PROFILE_ATTRIBUTE.to_owned()).or_insert_with(|| "strict".to_owned());
    }
    let now = app.now();
    let contents = assemble(file, &*app.entropy, now)?;
    check_stored(&contents)?;
    tell_doubtful(&contents);
    let name = contents.realm.name.clone();
    if records(app, &name).await?.is_some() {
        return Err(ImportError::Exists(name));
    }
    let of_master = records(app, master::NAME).await?;
    if of_master.as_ref().is_some_and(|m| m.client(&master::realm_client_id(&name)).is_some()) {
        return Err(ImportError::Exists(name));
    }
    let hashes = hash(app, &contents, options.progress).await?;
    let keys = make_keys(app, &contents, now).await?;
    let last = of_master.map_or_else(Vec::new, |of_master| for_master(&of_master, &name, &*app.entropy, creator));
    let imported = Imported {
        id: contents.realm.id.clone(),
        name: name.clone(),
        users: contents.users.len(),
        clients: contents.clients.len(),
    };
    apply(app, &imported.id, &name, plans::plans(contents, keys, hashes, last)?).await?;
    tracing::info!(realm = name, users = imported.users, clients = imported.clients, "realm imported");
    Ok(imported)
}

async fn records(app: &App, name: &str) -> Result<Option<RealmRecords>, ImportError> {
    app.db.realm_records(name).await.map_err(|e| ImportError::Storage(e.to_string()))
}

fn for_master(of_master: &RealmRecords, name: &str, entropy: &dyn Entropy, creator: Option<User>) -> Vec<Write> {
    let mut writes = master::for_realm(of_master, name, entropy);
    let admin = of_master.roles.named(None, master::ADMIN).map(|role| &role.id);
    if let Some(mut user) = creator
        && !admin.is_some_and(|admin| portcullis_core::admin::effective_roles(of_master, &user).contains(admin))
    {
        let made: Vec<RoleId> = writes.iter().filter_map(created_role).collect();
        user.roles.extend(made);
        writes.push(Write::UpdateUser(of_master.realm.id.clone(), user));
    }
    writes
}

fn created_role(write: &Write) -> Option<RoleId> {
    if let Write::CreateRole(_, role) = write { Some(role.id.clone()) } else { None }
}

/// EN-15: Keycloak's import looks at no name, so moved-in realms keep theirs; a strict realm's were refused before.
fn tell_doubtful(contents: &RealmContents) {
    let doubtful = || contents.users.iter().map(|u| &u.user).filter(|user| name::check(&user.username).is_err());
    if let Some(first) = doubtful().next() {
        tracing::warn!(
            realm = contents.realm.name,
            users = doubtful().count(),
            first = first.id.as_str(),
            "user names that can be mistaken for others are imported; a strict realm refuses them"
        );
    }
}

/// Stored password hashes that this server could not verify later are refused now.
fn check_stored(contents: &RealmContents) -> Result<(), Refusal> {
    for user in &contents.users {
        for credential in &user.credentials {
            let NewCredential::Stored(stored) = credential else { continue };
            if stored.kind != "password" {
                continue;
            }
            if let Err(cause) = password::check_stored(stored.secret_data.expose(), &stored.credential_data) {
                let place = format!("user {}: password", user.user.username);
                return Err(Refusal::at(place, Reason::NotAllowed(cause.to_string())));
            }
        }
    }
    Ok(())
}

/// Hashes all passwords, as many at once as there are hashing threads.
async fn hash(app: &App, contents: &RealmContents, progress: Option<Progress>) -> Result<Hashes, ImportError> {
    let passwords: Vec<(CredentialId, Secret)> =
        contents.passwords().map(|(id, password)| (id.clone(), password.clone())).collect();
    let total = passwords.len();
    let done = AtomicUsize::new(0);
    let (realm, done, progress) = (&contents.realm.id, &done, &progress);
    stream::iter(passwords)
        .map(|(id, password)| async move {
            let hashed = hash_one(app, realm, &password).await?;
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(progress) = progress {
                progress(count, total);
            }
            Ok((id, hashed))
        })
        .buffer_unordered(app.config.hash_threads.max(1))
        .try_collect()
        .await
}

/// How often a password is offered to a busy pool; each time waits for [`password::MAX_WAIT`].
const HASH_TRIES: usize = 30;

async fn hash_one(app: &App, realm: &RealmId, password: &Secret) -> Result<(Secret, String), ImportError> {
    for _ in 0..HASH_TRIES {
        match app.passwords.hash(realm, password).await {
            Ok(hashed) => return Ok((hashed.secret_data, hashed.credential_data)),
            Err(Unhashed::Unacceptable) => return Err(ImportError::Password),
            Err(Unhashed::Busy) => {}
        }
    }
    Err(ImportError::Busy)
}

/// How long a realm's certificate holds (Keycloak 26.4: ten years).
const CERTIFICATE_SECONDS: i64 = 10 * 365 * 86_400;

async fn make_keys(app: &App, contents: &RealmContents, now: Now) -> Result<Vec<RealmKey>, ImportError> {
    let (specs, name) = (contents.keys.clone(), contents.realm.name.clone());
    let entropy = Arc::clone(&app.entropy);
    // An RSA key takes a fraction of a second: not on a thread that serves requests.
    tokio::task::spawn_blocking(move || {
        specs.into_iter().map(|spec| make_key(spec, &name, &*entropy, now)).collect::<Result<Vec<_>, String>>()
    })
    .await
    .map_err(|e| ImportError::Keys(e.to_string()))?
    .map_err(ImportError::Keys)
}

/// Makes or takes over one key. It costs up to a tenth of a second: call it where blocking is allowed.
pub(crate) fn make_key(spec: KeySpec, realm: &str, entropy: &dyn Entropy, now: Now) -> Result<RealmKey, String> {
    let (kid, private, certificate) = match spec.source {
        KeySource::Generate => generate(&spec.algorithm, entropy)?,
        KeySource::Private { kid, pkcs8, certificate } => (kid, pkcs8, certificate),
        KeySource::Symmetric { kid, secret } => (kid, secret, None),
    };
    let certificate = match certificate {
        None if spec.algorithm.starts_with("RS") || spec.algorithm.starts_with("PS") => {
            Some(self_signed(&spec.algorithm, &private, realm, now)?)
        }
        given => given,
    };
    Ok(RealmKey {
        kid,
        provider: spec.provider,
        algorithm: spec.algorithm,
        key_use: spec.key_use,
        status: spec.status,
        priority: spec.priority,
        private,
        certificate,
        created: now.secs(),
    })
}

type Made = (KeyId, SecretBytes, Option<Vec<u8>>);

fn generate(algorithm: &str, entropy: &dyn Entropy) -> Result<Made, String> {
    if algorithm == "AES" {
        let mut key = vec![0; 16];
        entropy.fill(&mut key);
        return Ok((KeyId::new(uuid(entropy)), SecretBytes::new(key), None));
    }
    let alg = keys::parsed_as(algorithm).ok_or_else(|| format!("unknown algorithm {algorithm}"))?;
    let mut fill = |out: &mut [u8]| entropy.fill(out);
    let (_, stored) = SigningKey::generate(alg, "", &mut fill).map_err(|e| e.to_string())?;
    let private = SecretBytes::new(stored.expose().to_vec());
    let kid = if alg.is_symmetric() {
        KeyId::new(uuid(entropy))
    } else {
        keys::kid_of_private(algorithm, private.expose()).ok_or("a new key does not parse")?
    };
    Ok((kid, private, None))
}

fn self_signed(algorithm: &str, private: &SecretBytes, realm: &str, now: Now) -> Result<Vec<u8>, String> {
    let alg = keys::parsed_as(algorithm).ok_or_else(|| format!("unknown algorithm {algorithm}"))?;
    let key = SigningKey::from_pkcs8(alg, "", private.expose()).map_err(|e| e.to_string())?;
    let from = now.secs();
    certificate::self_signed(&key, realm, from, from.saturating_add(CERTIFICATE_SECONDS)).map_err(|e| e.to_string())
}

/// Applies the plans in order. The first makes the realm; when a later one fails, the realm is removed.
async fn apply(app: &App, id: &RealmId, name: &str, plans: Vec<Plan>) -> Result<(), ImportError> {
    for (i, plan) in plans.into_iter().enumerate() {
        let Err(error) = apply_one(app, plan).await else {
            continue;
        };
        let first = i == 0;
        let failed = match error {
            ApplyError::Gate(Gate::Taken(Entity::Realm)) if first => return Err(ImportError::Exists(name.to_owned())),
            // It may have been committed: the next start finds it whole or removes it.
            ApplyError::Unknown => return Err(ImportError::Storage(error.to_string())),
            ApplyError::Busy => ImportError::Busy,
            ApplyError::Gate(_) | ApplyError::Storage(_) => ImportError::Storage(error.to_string()),
        };
        if !first && let Err(error) = app.db.remove_realm(id).await {
            tracing::error!(realm = name, %error, "a realm that was not imported is removed at the next start");
        }
        return Err(failed);
    }
    Ok(())
}

const APPLY_TRIES: usize = 5;

async fn apply_one(app: &App, plan: Plan) -> Result<(), ApplyError> {
    for _ in 1..APPLY_TRIES {
        match app.db.apply(plan.clone()).await {
            Err(ApplyError::Busy) => {}
            done => return done,
        }
    }
    app.db.apply(plan).await
}

//! # Identity: realms and everything in them
//!
//! **Owns** the statements, one file per owner, and the compilation of a plan into steps. **Does not own** connections,
//! queues and transactions. **Flow** `Write` -> owner's function -> [`Step`]s, sorted parents first -> writer thread.

use std::collections::HashMap;

use portcullis_core::ids::RealmId;
use portcullis_core::plan::Write;
use serde::Serialize;

use crate::error::{ApplyError, ReadError};
use crate::sealing::{Cell, Sealer};
use crate::sql::{Source, Sql, Step, values};

pub(crate) mod cleanup;
pub(crate) mod clients;
pub(crate) mod consents;
pub(crate) mod credentials;
pub(crate) mod cutoffs;
pub(crate) mod events;
pub(crate) mod failures;
pub(crate) mod found;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod lineages;
pub(crate) mod members;
pub(crate) mod realms;
pub(crate) mod records;
pub(crate) mod rewrap;
pub(crate) mod roles;
pub(crate) mod scopes;
pub(crate) mod sessions;
#[cfg(test)]
mod tests;
pub(crate) mod users;
pub(crate) mod waiting;

/// Most writes in one plan; what is larger is several plans behind a realm's state.
pub(crate) const WRITES_PER_PLAN: usize = 1000;

/// Most rows of one plan, counting the rows below a record.
const STEPS_PER_PLAN: usize = 20_000;

/// Every identity statement, for the tests that read and prepare them.
#[cfg(test)]
pub(crate) fn all_statements() -> Vec<&'static Sql> {
    [
        clients::ALL,
        cleanup::ALL,
        consents::ALL,
        credentials::ALL,
        cutoffs::ALL,
        events::ALL,
        failures::ALL,
        groups::ALL,
        keys::ALL,
        lineages::ALL,
        members::ALL,
        realms::ALL,
        rewrap::ALL,
        roles::ALL,
        scopes::ALL,
        sessions::ALL,
        users::ALL,
        waiting::ALL,
    ]
    .concat()
}

/// A plan becoming steps.
pub(crate) struct Compile<'a> {
    pub(crate) sealer: &'a Sealer,
    steps: Vec<Step>,
    configured: Vec<RealmId>,
}

/// A plan as statements.
pub(crate) struct Compiled {
    pub(crate) steps: Vec<Step>,
    /// Realms whose configuration changes with it.
    pub(crate) configured: Vec<RealmId>,
}

impl Compile<'_> {
    fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The plan changes this realm's configuration: caches must load it again.
    fn configures(&mut self, realm: &RealmId) {
        if self.configured.last() != Some(realm) {
            self.configured.push(realm.clone());
        }
    }

    fn seal(&self, cell: Cell<'_>, plain: &[u8]) -> Result<String, ApplyError> {
        Self::seal_with(self.sealer, cell, plain)
    }

    fn seal_with(sealer: &Sealer, cell: Cell<'_>, plain: &[u8]) -> Result<String, ApplyError> {
        sealer.seal(cell, plain).ok_or_else(|| ApplyError::Storage("sealing failed".to_owned()))
    }
}

/// Statements of a plan, in the order in which they run.
pub(crate) fn compile(writes: &[Write], sealer: &Sealer) -> Result<Compiled, ApplyError> {
    if writes.len() > WRITES_PER_PLAN {
        return Err(ApplyError::Storage(format!(
            "a plan holds at most {WRITES_PER_PLAN} writes, not {}",
            writes.len()
        )));
    }
    let mut out = Compile { sealer, steps: Vec::with_capacity(writes.len()), configured: Vec::new() };
    for write in writes {
        one(&mut out, write)?;
    }
    if out.steps.len() > STEPS_PER_PLAN {
        return Err(ApplyError::Storage(format!(
            "a plan changes at most {STEPS_PER_PLAN} rows, not {}",
            out.steps.len()
        )));
    }
    out.steps.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(Compiled { steps: out.steps, configured: out.configured })
}

/// The table of contents of all writes; longer than other functions because it names each of them.
fn one(out: &mut Compile<'_>, write: &Write) -> Result<(), ApplyError> {
    match write {
        Write::ExpectRealm(realm, version) => realms::expect(out, realm, *version),
        Write::ExpectClient(realm, id, version) => clients::expect(out, realm, id, *version),
        Write::ExpectUser(realm, id, version) => users::expect(out, realm, id, *version),
        Write::ExpectUserSession(realm, id) => sessions::expect(out, realm, id),
        Write::ExpectClientSession(realm, id, client) => {
            sessions::expect_client(out, realm, id, client);
        }
        Write::CreateRealm(realm) => realms::create(out, realm)?,
        Write::UpdateRealm(realm) => realms::update(out, realm)?,
        Write::SetRealmState(realm, from, to) => realms::set_state(out, realm, *from, *to),
        Write::CreateClient(realm, client) => clients::create(out, realm, client)?,
        Write::UpdateClient(realm, client) => clients::update(out, realm, client)?,
        Write::DeleteClient(realm, id) => clients::delete(out, realm, id),
        Write::AddClientScopeMappings(realm, id, roles) => {
            clients::add_scope_mappings(out, realm, id, roles);
        }
        Write::CreateClientScope(realm, scope) => scopes::create(out, realm, scope)?,
        Write::CreateRole(realm, role) => roles::create(out, realm, role)?,
        Write::AddComposites(realm, role, children) => {
            roles::add_composites(out, realm, role, children);
        }
        Write::DeleteRole(realm, role) => roles::delete(out, realm, role),
        Write::CreateGroup(realm, group) => groups::create(out, realm, group)?,
        Write::DeleteGroup(realm, group) => groups::delete(out, realm, group),
        Write::CreateKey(realm, key) => keys::create(out, realm, key)?,
        Write::SetKeyStatus(realm, kid, status) => keys::set_status(out, realm, kid, *status),
        Write::CreateUser(realm, user) => users::create(out, realm, user)?,
        Write::UpdateUser(realm, user) => users::update(out, realm, user)?,
        Write::DeleteUser(realm, id) => users::delete(out, realm, id),
        Write::AddCredential(realm, user, credential) => {
            credentials::add(out, realm, user, credential)?;
        }
        Write::ReplaceCredential { realm, user, from, to } => credentials::replace(out, (realm, user), from, to)?,
        Write::DeleteCredential(realm, user, id) => credentials::delete(out, realm, user, id),
        Write::TakeCode { realm, hash, session, client, expires_at } => {
            lineages::take_code(out, &lineages::Code { realm, hash, session, client, expires_at: *expires_at })
        }
        Write::ExpectUserSessions(realm, user, known) => sessions::expect_only(out, realm, user, known),
        Write::CreateUserSession(realm, session) => sessions::create(out, realm, session)?,
        Write::TouchUserSession(realm, id, at) => sessions::touch(out, realm, id, *at),
        Write::ReauthenticateUserSession { realm, session, auth_time, notes } => {
            sessions::reauthenticate(out, (realm, session), *auth_time, notes)?;
        }
        Write::MakeOffline { realm, session, client, at } => sessions::make_offline(out, realm, (session, client), *at),
        Write::EndUserSession(realm, id) => sessions::end(out, realm, id),
        Write::EndUserSessions { realm, user, except } => sessions::end_of_user(out, realm, user, except.as_ref()),
        Write::PutClientSession(realm, session) => sessions::put_client(out, realm, session)?,
        Write::TouchClientSession(realm, id, client, at) => {
            sessions::touch_client(out, realm, (id, client), *at);
        }
        Write::EndClientSession(realm, id, client) => {
            sessions::end_client(out, realm, id, client);
        }
        Write::CreateLineage(realm, lineage) => lineages::create(out, realm, lineage)?,
        Write::RotateLineage { realm, lineage, from, to } => lineages::rotate(out, realm, lineage, *from, to),
        Write::EndLineage(realm, lineage) => lineages::end(out, realm, lineage),
        Write::CutOff(realm, cut) => cutoffs::cut(out, realm, cut),
        Write::Spend { realm, kind, hash, expires_at } => waiting::spend(out, realm, *kind, hash, *expires_at),
        Write::CreatePushed(realm, pushed) => waiting::create_pushed(out, realm, pushed),
        Write::TakePushed(realm, hash) => waiting::take_pushed(out, realm, hash),
        Write::CreateDevice(realm, device) => waiting::create_device(out, realm, device)?,
        Write::DecideDevice(realm, hash, to) => waiting::decide_device(out, realm, hash, to),
        Write::PollDevice { realm, hash, from, at, interval } => {
            waiting::poll_device(out, realm, hash, (*from, *at, *interval));
        }
        Write::TakeDevice(realm, hash) => waiting::take_device(out, realm, hash),
        Write::DropDevice(realm, hash) => waiting::drop_device(out, realm, hash),
        Write::QueueLogout(realm, delivery) => waiting::queue_logout(out, realm, delivery),
        Write::RetryLogout(realm, id, attempts, due_at) => waiting::retry_logout(out, realm, id, (*attempts, *due_at)),
        Write::DropLogout(realm, id) => waiting::drop_logout(out, realm, id),
        Write::PutConsent(realm, consent) => consents::put(out, realm, consent)?,
        Write::DeleteConsent(realm, user, client) => consents::delete(out, realm, user, client),
        Write::PutLoginFailures(realm, row) => failures::put(out, realm, row),
        Write::ClearLoginFailures(realm, key) => failures::clear(out, realm, key),
        Write::RememberDevice { realm, account, device, at } => failures::remember(out, realm, account, device, *at),
        Write::Audit(event) => events::audit(out, event)?,
    }
    Ok(())
}

/// A document as stored.
fn json<T: Serialize>(value: &T) -> Result<String, ApplyError> {
    serde_json::to_string(value).map_err(|e| ApplyError::Storage(format!("a document cannot be written: {e}")))
}

/// A position in a collection.
fn ordinal(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

/// `(owner, value)` rows of a realm, already in order, by owner.
fn grouped(db: &dyn Source, sql: &'static Sql, realm: &RealmId) -> Result<HashMap<String, Vec<String>>, ReadError> {
    let mut out: HashMap<String, Vec<String>> = HashMap::new();
    for mut row in db.rows(sql, values![realm.as_str()])? {
        out.entry(row.text(0)?).or_default().push(row.text(1)?);
    }
    Ok(out)
}

fn ids<T: From<String>>(texts: Option<Vec<String>>) -> Vec<T> {
    texts.unwrap_or_default().into_iter().map(T::from).collect()
}

fn unseal(sealer: &Sealer, cell: Cell<'_>, sealed: &str) -> Result<Vec<u8>, ReadError> {
    sealer.open(cell, sealed).map_err(|_| ReadError::Sealed(cell.table))
}

fn unseal_text(sealer: &Sealer, cell: Cell<'_>, sealed: &str) -> Result<String, ReadError> {
    String::from_utf8(unseal(sealer, cell, sealed)?).map_err(|_| ReadError::Sealed(cell.table))
}

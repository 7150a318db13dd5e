//! Refresh-token families and used codes: the narrow rows that make single use single.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::ids::{ClientUuid, LineageId, RealmId, SessionId};
use portcullis_core::plan::{Gate, LineageMove};
use portcullis_core::session::Lineage;

use super::{Compile, json};
use crate::error::{ApplyError, ReadError};
use crate::sql::{Phase, Source, Step, Table, statements, values};

statements! {
    TAKE_CODE = "INSERT INTO used_codes (realm_id, code_hash, session_id, client_id, expires_at) VALUES ($1, $2, $3, $4, $5)";
    CODE_USED = "SELECT session_id, client_id FROM used_codes WHERE realm_id = $1 AND code_hash = $2";
    INSERT = "INSERT INTO lineages (realm_id, id, session_id, client_id, generation, reuses, rotated_at, expires_at, key_id) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    INSERT_GRANT = "INSERT INTO lineage_grants (realm_id, lineage_id, grant_doc) VALUES ($1, $2, $3)";
    ROTATE = "UPDATE lineages SET generation = $5, reuses = $6, rotated_at = $7, expires_at = $8, key_id = $9 \
              WHERE realm_id = $1 AND id = $2 AND generation = $3 AND reuses = $4";
    END = "DELETE FROM lineages WHERE realm_id = $1 AND id = $2";
    BY_ID = "SELECT l.session_id, l.client_id, l.generation, l.reuses, l.rotated_at, l.expires_at, l.key_id, g.grant_doc \
             FROM lineages l JOIN lineage_grants g ON g.realm_id = $1 AND g.lineage_id = l.id \
             WHERE l.realm_id = $1 AND l.id = $2";
}

/// A code on its way to being used.
pub(super) struct Code<'a> {
    pub(super) realm: &'a RealmId,
    pub(super) hash: &'a [u8; 32],
    pub(super) session: &'a SessionId,
    pub(super) client: &'a ClientUuid,
    pub(super) expires_at: i64,
}

pub(super) fn take_code(out: &mut Compile<'_>, code: &Code<'_>) {
    let hash = URL_SAFE_NO_PAD.encode(code.hash);
    let params = values![code.realm.as_str(), &hash, code.session.as_str(), code.client.as_str(), code.expires_at,];
    out.push(
        Step::new(Table::UsedCodes, Phase::Gate, &TAKE_CODE, params)
            .key(&hash)
            .unique(Gate::CodeAlreadyUsed)
            .foreign(Gate::SessionEnded),
    );
}

pub(crate) fn code_used(
    db: &dyn Source,
    realm: &RealmId,
    hash: &[u8; 32],
) -> Result<Option<(SessionId, ClientUuid)>, ReadError> {
    let params = values![realm.as_str(), URL_SAFE_NO_PAD.encode(hash)];
    db.row(&CODE_USED, params)?.map(|mut row| Ok((row.id(0)?, row.id(1)?))).transpose()
}

pub(super) fn create(out: &mut Compile<'_>, realm: &RealmId, lineage: &Lineage) -> Result<(), ApplyError> {
    let id = lineage.id.as_str();
    let params = values![
        realm.as_str(),
        id,
        lineage.session.as_str(),
        lineage.client.as_str(),
        lineage.generation,
        lineage.reuses,
        lineage.rotated_at,
        lineage.expires_at,
        lineage.key.as_str(),
    ];
    out.push(Step::new(Table::Lineages, Phase::Create, &INSERT, params).key(id).foreign(Gate::ClientSessionEnded));
    let params = values![realm.as_str(), id, json(&lineage.grant)?];
    out.push(
        Step::new(Table::LineageParts, Phase::Create, &INSERT_GRANT, params).key(id).foreign(Gate::ClientSessionEnded),
    );
    Ok(())
}

pub(super) fn rotate(out: &mut Compile<'_>, realm: &RealmId, lineage: &LineageId, from: (i64, i64), to: &LineageMove) {
    let params = values![
        realm.as_str(),
        lineage.as_str(),
        from.0,
        from.1,
        to.generation,
        to.reuses,
        to.rotated_at,
        to.expires_at,
        to.key.as_str(),
    ];
    out.push(Step::new(Table::Lineages, Phase::Update, &ROTATE, params).key(lineage.as_str()).one(Gate::LineageMoved));
}

pub(super) fn end(out: &mut Compile<'_>, realm: &RealmId, lineage: &LineageId) {
    let params = values![realm.as_str(), lineage.as_str()];
    out.push(Step::new(Table::Lineages, Phase::Delete, &END, params).key(lineage.as_str()));
}

pub(crate) fn by_id(db: &dyn Source, realm: &RealmId, lineage: &LineageId) -> Result<Option<Lineage>, ReadError> {
    db.row(&BY_ID, values![realm.as_str(), lineage.as_str()])?
        .map(|mut row| {
            Ok(Lineage {
                id: lineage.clone(),
                session: row.id(0)?,
                client: row.id(1)?,
                generation: row.int(2)?,
                reuses: row.int(3)?,
                rotated_at: row.int(4)?,
                expires_at: row.int(5)?,
                key: row.id(6)?,
                grant: row.json(7)?,
            })
        })
        .transpose()
}

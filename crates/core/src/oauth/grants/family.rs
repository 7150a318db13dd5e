//! Refresh-token families ([`Lineage`]): the stored row mints the live token, so nothing that could be stolen is stored.
//!
//! Two rules. *Keycloak* (`revokeRefreshToken`): the last used token may be used `refreshTokenMaxReuse` times more; anything else
//! detaches the client from the session. *Strict* (public clients): the last used token gets its unused successor again for
//! [`GRACE`] seconds, byte for byte; anything else ends the family.

use portcullis_jose::digest;

use crate::client::Client;
use crate::entropy::uuid;
use crate::ids::LineageId;
use crate::key::RealmKey;
use crate::oauth::error::Reason;
use crate::oauth::token::{Context, FamilyTerms, active_hmac};
use crate::plan::{LineageMove, Write};
use crate::realm::{Profile, Realm};
use crate::session::{ClientSession, Grant, Lineage, UserSession};
use crate::session_limits;

/// Seconds in which a lost answer may be asked for again (RT-15).
pub const GRACE: i64 = 30;

/// Which rule a client's refresh tokens follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// No rotation: a token holds until it expires.
    None,
    /// Keycloak's, with its number of reuses.
    Keycloak(i64),
    /// Ours.
    Strict,
}

/// The rule in force for a client now.
#[must_use]
pub fn rule(realm: &Realm, client: &Client) -> Rule {
    match realm.profile() {
        Profile::Keycloak if realm.settings.revoke_refresh_token => {
            Rule::Keycloak(realm.settings.refresh_token_max_reuse)
        }
        Profile::Strict if client.is_public() => Rule::Strict,
        Profile::Keycloak | Profile::Strict => Rule::None,
    }
}

/// `jti` of one generation: only who has the key can tell which generation a token is.
fn token_id(key: &RealmKey, lineage: &LineageId, generation: i64) -> String {
    let text = format!("refresh\0{}\0{generation}", lineage.as_str());
    let hash = digest::hmac_sha256(key.private.expose(), text.as_bytes());
    let mut out = String::with_capacity(36);
    for (i, byte) in hash.iter().take(16).enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    out
}

/// The terms of a family's live token.
///
/// # Errors
/// [`Reason::InvalidRefreshToken`] when its key is gone.
pub(crate) fn live(cx: &Context<'_>, lineage: &Lineage) -> Result<FamilyTerms, Reason> {
    let key = cx.records.keys.iter().find(|k| k.kid == lineage.key).ok_or(Reason::InvalidRefreshToken)?;
    Ok(FamilyTerms {
        reuse_id: lineage.id.as_str().to_owned(),
        id: token_id(key, &lineage.id, lineage.generation),
        issued_at: lineage.rotated_at,
        expires_at: lineage.expires_at,
        key: lineage.key.clone(),
    })
}

/// The row of a client's part in a session.
pub(crate) fn part(cx: &Context<'_>, client: &Client, session: &UserSession, grant: &Grant, started: i64) -> Write {
    let below = ClientSession {
        session: session.id.clone(),
        client: client.id.clone(),
        started,
        grant: grant.clone(),
        last_refresh: cx.now.secs(),
    };
    Write::PutClientSession(cx.records.realm.id.clone(), below)
}

/// A client's part in a session, given anew: its row, and a family where its refresh tokens rotate. `started` is when the client
/// first took part, seconds. The writes stand behind that of the session.
///
/// # Errors
/// [`Reason::Unavailable`] when the realm has no key.
pub(crate) fn join(
    cx: &Context<'_>,
    client: &Client,
    session: &UserSession,
    grant: &Grant,
    started: i64,
) -> Result<(Vec<Write>, Option<FamilyTerms>), Reason> {
    let (now, realm) = (cx.now.secs(), &cx.records.realm);
    let row = part(cx, client, session, grant, started);
    match rule(realm, client) {
        Rule::None => Ok((vec![row], None)),
        Rule::Keycloak(_) | Rule::Strict => {
            let expires_at = session_limits::refresh_expires_at(realm, client, session, started, now);
            let (family, terms) = begin(cx, client, session, grant.clone(), expires_at)?;
            Ok((vec![row, family], Some(terms)))
        }
    }
}

/// A new family and the terms of its first token.
///
/// # Errors
/// [`Reason::Unavailable`] when the realm has no key.
pub(crate) fn begin(
    cx: &Context<'_>,
    client: &Client,
    session: &UserSession,
    grant: Grant,
    expires_at: i64,
) -> Result<(Write, FamilyTerms), Reason> {
    let lineage = Lineage {
        id: uuid(cx.entropy).into(),
        session: session.id.clone(),
        client: client.id.clone(),
        grant,
        generation: 1,
        rotated_at: cx.now.secs(),
        expires_at,
        key: active_hmac(cx.records).ok_or(Reason::Unavailable)?.kid.clone(),
        reuses: 0,
    };
    let terms = live(cx, &lineage)?;
    Ok((Write::CreateLineage(cx.records.realm.id.clone(), lineage), terms))
}

/// What a presented token of a family leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// The family as it shall be; its live token is the answer.
    Next(Box<Lineage>),
    /// The family is over.
    Over(Reason),
}

/// Judges a token by its `jti` (RT-01, RT-02, RT-04: never by its time).
pub(crate) fn turn(cx: &Context<'_>, rule: Rule, lineage: &Lineage, jti: &str, expires_at: i64) -> Turn {
    let now = cx.now.secs();
    let Some(key) = cx.records.keys.iter().find(|k| k.kid == lineage.key) else {
        return Turn::Over(Reason::InvalidRefreshToken);
    };
    let is = |generation: i64| {
        generation > 0 && digest::constant_time_eq(token_id(key, &lineage.id, generation).as_bytes(), jti.as_bytes())
    };
    if is(lineage.generation) {
        let Some(active) = active_hmac(cx.records) else { return Turn::Over(Reason::Unavailable) };
        return Turn::Next(Box::new(Lineage {
            generation: lineage.generation.saturating_add(1),
            rotated_at: now,
            expires_at,
            // A family keeps its key while that verifies: generations are told apart by it.
            key: if key.status == crate::key::KeyStatus::Disabled { active.kid.clone() } else { key.kid.clone() },
            reuses: 0,
            ..lineage.clone()
        }));
    }
    if !is(lineage.generation.saturating_sub(1)) {
        return Turn::Over(Reason::StaleToken);
    }
    // Only Keycloak's rule counts: where nothing is counted, retries at the same time do not lose their gate to each other (RT-01).
    let (again, counted) = match rule {
        // Rotation was switched off meanwhile: the answer may be asked for again like any other.
        Rule::None => (true, 0),
        Rule::Keycloak(reuses) => (lineage.reuses < reuses, 1),
        Rule::Strict => (now.saturating_sub(lineage.rotated_at) <= GRACE, 0),
    };
    if again {
        Turn::Next(Box::new(Lineage { reuses: lineage.reuses.saturating_add(counted), ..lineage.clone() }))
    } else {
        Turn::Over(Reason::RefreshTokenReused)
    }
}

/// The write from one state to the next. It is the gate of the refresh.
pub(crate) fn moved(cx: &Context<'_>, from: &Lineage, to: &Lineage) -> Write {
    Write::RotateLineage {
        realm: cx.records.realm.id.clone(),
        lineage: from.id.clone(),
        from: (from.generation, from.reuses),
        to: LineageMove {
            generation: to.generation,
            reuses: to.reuses,
            rotated_at: to.rotated_at,
            expires_at: to.expires_at,
            key: to.key.clone(),
        },
    }
}

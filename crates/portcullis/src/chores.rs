//! What runs beside the requests: the sweep of what expired, and what the start log says of each realm.

use std::time::Duration;

use portcullis_core::realm::{Profile, RealmSettings};
use portcullis_core::records::RealmRecords;
use portcullis_core::time::Clock as _;
use portcullis_idp::Idp;
use portcullis_store::{Db, RealmLimits};
use tokio::sync::watch;

use crate::clock::{Stopwatch, SystemClock};
use crate::telemetry::metrics;

/// How often expired rows are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Realms named one by one at start; of more only the number is told.
const NAMED_REALMS: usize = 50;

/// Client attribute that lets a client of a strict realm use the password grant.
const PASSWORD_GRANT: &str = "portcullis.password.grant";

/// Sweeps until `stop`. It rests while the wall clock cannot be trusted: a clock that jumped ahead would make everything look expired.
pub async fn sweep(db: Db, clock: Stopwatch, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            _ = stop.changed() => return,
        }
        if clock.is_astray() {
            tracing::error!("the system clock jumped; nothing is swept until the process is started again");
            continue;
        }
        sweep_once(&db).await;
    }
}

/// Ends the streams of the revocation feed at `stop`: a stop waits for answers that are under way.
pub async fn end_streams(idp: Idp, mut stop: watch::Receiver<bool>) {
    let _sender_gone = stop.wait_for(|stop| *stop).await;
    idp.end_streams();
}

async fn sweep_once(db: &Db) {
    let Ok(names) = db.realm_names().await else { return };
    let mut limits = Vec::new();
    for (_, name) in names {
        if let Ok(Some(records)) = db.realm_records(&name).await {
            limits.push(limits_of(&records));
        }
    }
    match db.sweep(SystemClock.now(), &limits).await {
        Err(error) => {
            metrics::count(&metrics::counters().sweeps_alarmed);
            tracing::warn!(%error, "sweep");
        }
        Ok(report) if report.alarm() => {
            metrics::count(&metrics::counters().sweeps_alarmed);
            tracing::error!(
                ?report,
                "a sweep would have removed more than a fifth of a table and left it; look at the clock"
            );
        }
        Ok(report) => {
            metrics::count(&metrics::counters().swept);
            tracing::debug!(?report, "swept");
        }
    }
}

fn limits_of(records: &RealmRecords) -> RealmLimits {
    let settings = &records.realm.settings;
    RealmLimits {
        realm: records.realm.id.clone(),
        session_max: settings.sso_session_max_lifespan,
        remember_me_max: settings.sso_session_max_lifespan_remember_me.max(settings.sso_session_max_lifespan),
        offline_idle: settings.offline_session_idle_timeout,
        offline_max: offline_max(settings),
        failure_reset: settings.max_delta_time_seconds,
    }
}

fn offline_max(settings: &RealmSettings) -> Option<i64> {
    settings.offline_session_max_lifespan_enabled.then_some(settings.offline_session_max_lifespan)
}

/// Says which profile each realm has, and which clients of strict realms keep the password grant.
pub async fn tell_profiles(db: &Db) {
    let Ok(names) = db.realm_names().await else { return };
    if names.len() > NAMED_REALMS {
        tracing::info!(realms = names.len(), "realms");
        return;
    }
    for (_, name) in names {
        let Ok(Some(records)) = db.realm_records(&name).await else { continue };
        let profile = match records.realm.profile() {
            Profile::Keycloak => "keycloak",
            Profile::Strict => "strict",
        };
        tracing::info!(realm = name, profile, "realm");
        for client in records.clients().filter(|c| profile == "strict" && c.flag(PASSWORD_GRANT)) {
            tracing::warn!(
                realm = name,
                client = client.client_id,
                "this client keeps the password grant in a strict realm"
            );
        }
    }
}

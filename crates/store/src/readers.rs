//! The connections that reads go through.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::error::{OpenError, ReadError};
use crate::sqlite;

/// Connections that several threads share, one at a time each.
pub(crate) struct Readers {
    /// For key lookups.
    points: Vec<Arc<Mutex<Connection>>>,
    /// For what takes longer: it never stands in a lookup's way.
    wide: Arc<Mutex<Connection>>,
    next: AtomicUsize,
}

impl Readers {
    /// `count` connections for key lookups (at least one) and the wide one, to the file at `path`.
    pub(crate) fn open(path: &Path, count: usize) -> Result<Self, OpenError> {
        let reader = || {
            let conn = sqlite::reader(path).map_err(|e| OpenError::Storage(e.to_string()))?;
            Ok(Arc::new(Mutex::new(conn)))
        };
        let points = (0..count.max(1)).map(|_| reader()).collect::<Result<_, OpenError>>()?;
        Ok(Self { points, wide: reader()?, next: AtomicUsize::new(0) })
    }

    /// One connection for everything: a database in memory has no second.
    pub(crate) fn sharing(conn: &Arc<Mutex<Connection>>) -> Self {
        Self { points: vec![Arc::clone(conn)], wide: Arc::clone(conn), next: AtomicUsize::new(0) }
    }

    /// The connection for long reads, when it becomes free.
    pub(crate) fn wide(&self) -> MutexGuard<'_, Connection> {
        locked(&self.wide)
    }

    /// A free connection, or the next one when it becomes free.
    pub(crate) fn point(&self) -> Result<MutexGuard<'_, Connection>, ReadError> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.points.len().max(1);
        let free = (0..count).filter_map(|at| self.points.get((start + at) % count)).find_map(|conn| {
            // A panic while it was held left it whole (DS-26).
            conn.clear_poison();
            conn.try_lock().ok()
        });
        if let Some(conn) = free {
            return Ok(conn);
        }
        let next = self.points.get(start % count);
        next.map(|conn| locked(conn)).ok_or_else(|| ReadError::Storage("no reader".to_owned()))
    }
}

fn locked(conn: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    conn.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Searching users: window by window over the index of names, so that no statement reads more than a window of a realm.
//!
//! **Owns** the narrowing of a window by columns. **Does not own** what a search means ([`portcullis_core::user::search`]), the walk
//! over windows and its time limit ([`crate::searches`]), the statements of users ([`super::users`]).

use portcullis_core::ids::RealmId;
use portcullis_core::user::User;
use portcullis_core::user::search::{Name, UserSearch};

use super::users::{COUNT, FIND, WINDOW_END, bare, whole};
use crate::error::ReadError;
use crate::sql::{Source, Value, values};

/// Names of one window.
pub(crate) const WINDOW: i64 = 2000;

/// More than any username.
const END: &str = "\u{10FFFF}";

/// Usernames `(after, to]`.
pub(crate) struct Window {
    after: String,
    to: String,
    /// Whether nobody comes behind it.
    pub(crate) last: bool,
}

impl Window {
    /// The window behind a username.
    pub(crate) fn behind(db: &dyn Source, realm: &RealmId, after: &str, names: i64) -> Result<Self, ReadError> {
        let end = db.row(&WINDOW_END, values![realm.as_str(), after, names.saturating_sub(1)])?;
        let to = end.map(|mut row| row.text(0)).transpose()?;
        let last = to.is_none();
        Ok(Self { after: after.to_owned(), to: to.unwrap_or_else(|| END.to_owned()), last })
    }

    /// Its last username.
    pub(crate) fn into_end(self) -> String {
        self.to
    }

    fn params(&self, realm: &RealmId, search: &UserSearch) -> Vec<Value> {
        let enabled = search.enabled().map_or(2, i64::from);
        values![
            realm.as_str(),
            &self.after,
            &self.to,
            part(search.needle()),
            name(search.username()),
            name(search.email()),
            search.service_accounts(),
            enabled,
        ]
    }

    /// How many match by their columns.
    pub(crate) fn count(&self, db: &dyn Source, realm: &RealmId, search: &UserSearch) -> Result<usize, ReadError> {
        let row = db.row(&COUNT, self.params(realm, search))?;
        let n = row.map_or(Ok(0), |row| row.int(0))?;
        Ok(usize::try_from(n).unwrap_or(0))
    }

    /// Those who match by their columns, `(leave out, at most)`, without roles and groups.
    pub(crate) fn users(
        &self,
        db: &dyn Source,
        realm: &RealmId,
        search: &UserSearch,
        (skip, most): (usize, usize),
    ) -> Result<Vec<User>, ReadError> {
        let number = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let mut params = self.params(realm, search);
        params.extend([number(most), number(skip)]);
        db.rows(&FIND, params)?.into_iter().map(bare).collect()
    }
}

/// With roles and groups.
pub(crate) fn completed(db: &dyn Source, realm: &RealmId, users: Vec<User>) -> Result<Vec<User>, ReadError> {
    users.into_iter().map(|user| whole(db, realm, user)).collect()
}

/// What stands anywhere in a column; the signs that `LIKE` gives a meaning lose it (DS-21).
fn part(text: &str) -> String {
    format!("%{}%", literal(text))
}

fn name(asked: Option<&Name>) -> String {
    match asked {
        None => "%".to_owned(),
        Some(Name::Is(text)) => literal(text),
        Some(Name::Holds(text)) => part(text),
    }
}

fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            out.push('!');
        }
        out.push(c);
    }
    out
}

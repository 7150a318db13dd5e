//! One SQL text for both engines, neutral values and rows, and the step: one statement with what it must change.

use std::sync::OnceLock;

use portcullis_core::plan::Gate;
use serde::de::DeserializeOwned;

use crate::error::ReadError;

/// A statement written with `$1..$n`.
pub(crate) struct Sql {
    text: &'static str,
    sqlite: OnceLock<String>,
}

impl Sql {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text, sqlite: OnceLock::new() }
    }

    /// The text as written.
    #[cfg(test)]
    pub(crate) const fn text(&self) -> &'static str {
        self.text
    }

    /// With `?1..?n`: SQLite takes `$1` for a name numbered by first appearance, which binds wrongly without an error.
    pub(crate) fn sqlite(&self) -> &str {
        self.sqlite.get_or_init(|| question_marks(self.text))
    }
}

fn question_marks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let marker = c == '$' && rest.peek().is_some_and(char::is_ascii_digit);
        out.push(if marker { '?' } else { c });
    }
    out
}

/// Declares an owner's statements and the list of them.
macro_rules! statements {
    ($($name:ident = $text:expr;)+) => {
        $(pub(super) static $name: $crate::sql::Sql = $crate::sql::Sql::new($text);)+
        /// Every statement of this owner.
        #[cfg(test)]
        pub(super) static ALL: &[&$crate::sql::Sql] = &[$(&$name),+];
    };
}
pub(crate) use statements;

/// A column's value: ids and documents are text; times, flags and counters are whole numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Int(i64::from(flag))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// `values![realm, 3, Some("x")]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::sql::Value::from($value)),*] };
}
pub(crate) use values;

/// A row as read: columns are taken out once, by position.
pub(crate) struct Row(pub(crate) Vec<Value>);

fn shape(at: usize) -> ReadError {
    ReadError::Storage(format!("column {at} has an unexpected shape"))
}

impl Row {
    pub(crate) fn text(&mut self, at: usize) -> Result<String, ReadError> {
        self.opt_text(at)?.ok_or_else(|| shape(at))
    }

    pub(crate) fn opt_text(&mut self, at: usize) -> Result<Option<String>, ReadError> {
        match self.0.get_mut(at).map(|v| std::mem::replace(v, Value::Null)) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            Some(Value::Int(_)) | None => Err(shape(at)),
        }
    }

    /// An identifier.
    pub(crate) fn id<T: From<String>>(&mut self, at: usize) -> Result<T, ReadError> {
        self.text(at).map(T::from)
    }

    pub(crate) fn opt_id<T: From<String>>(&mut self, at: usize) -> Result<Option<T>, ReadError> {
        Ok(self.opt_text(at)?.map(T::from))
    }

    pub(crate) fn int(&self, at: usize) -> Result<i64, ReadError> {
        self.opt_int(at)?.ok_or_else(|| shape(at))
    }

    pub(crate) fn opt_int(&self, at: usize) -> Result<Option<i64>, ReadError> {
        match self.0.get(at) {
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            Some(Value::Text(_)) | None => Err(shape(at)),
        }
    }

    pub(crate) fn flag(&self, at: usize) -> Result<bool, ReadError> {
        Ok(self.int(at)? != 0)
    }

    /// A JSON document.
    pub(crate) fn json<T: DeserializeOwned>(&mut self, at: usize) -> Result<T, ReadError> {
        from_json(&self.text(at)?)
    }
}

/// A stored document; the message names the fault, never the content.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, ReadError> {
    serde_json::from_str(text).map_err(|e| {
        ReadError::Storage(format!("a stored document does not parse ({:?} at column {})", e.classify(), e.column()))
    })
}

/// Where rows come from: a connection of one engine.
pub(crate) trait Source {
    /// All rows of a statement.
    fn rows(&self, sql: &'static Sql, params: Vec<Value>) -> Result<Vec<Row>, ReadError>;

    /// The first row.
    fn row(&self, sql: &'static Sql, params: Vec<Value>) -> Result<Option<Row>, ReadError> {
        Ok(self.rows(sql, params)?.into_iter().next())
    }
}

/// Tables in the order of their foreign keys: parents first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Table {
    UsedCodes,
    Spent,
    Realms,
    RealmKeys,
    ClientScopes,
    ScopeParts,
    Clients,
    ClientParts,
    Roles,
    RoleParts,
    Groups,
    GroupParts,
    Users,
    UserParts,
    Credentials,
    Consents,
    Pushed,
    Devices,
    DeviceParts,
    UserSessions,
    UserSessionParts,
    ClientSessions,
    ClientSessionParts,
    Lineages,
    LineageParts,
    LoginFailures,
    KnownDevices,
    Logouts,
    Events,
    /// Last: whoever takes a sequence holds the realm's counter until the commit, so order equals commit order.
    CutOffs,
}

/// What a step does to its table. Gates and expectations of the whole plan come before anything that changes a row,
/// because ending a parent takes the expected child with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    /// A single-use row.
    Gate,
    /// `SET version = version`.
    Expect,
    /// Before creating: a name may be given to its successor in one plan.
    Delete,
    Create,
    Update,
    /// A version raised because something below it changed; after the update that expects the old one.
    Raise,
}

/// A step's place in its plan.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    stage: u8,
    pub(crate) table: Table,
    phase: Phase,
    key: String,
}

impl Place {
    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// The name of what is changed; empty where the statement names none.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

/// How many rows a step must change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rows {
    Any,
    /// One, or the gate is lost.
    One(Gate),
}

/// One statement of a plan.
pub(crate) struct Step {
    pub(crate) sql: &'static Sql,
    pub(crate) params: Vec<Value>,
    pub(crate) rows: Rows,
    /// The gate that a violated unique key means.
    pub(crate) unique: Option<Gate>,
    /// The gate that a missing parent means.
    pub(crate) foreign: Option<Gate>,
    /// The second up to which a cut-off of this step reaches.
    pub(crate) cuts: Option<i64>,
    pub(crate) place: Place,
}

impl Step {
    pub(crate) fn new(table: Table, phase: Phase, sql: &'static Sql, params: Vec<Value>) -> Self {
        let stage = match phase {
            Phase::Gate => 0,
            Phase::Expect => 1,
            Phase::Delete | Phase::Create | Phase::Update | Phase::Raise => 2,
        };
        Self {
            sql,
            params,
            rows: Rows::Any,
            unique: None,
            foreign: None,
            cuts: None,
            place: Place { stage, table, phase, key: String::new() },
        }
    }

    /// Sorted by this among the steps of its table.
    pub(crate) fn key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.place.key);
        self
    }

    pub(crate) fn one(mut self, gate: Gate) -> Self {
        self.rows = Rows::One(gate);
        self
    }

    pub(crate) fn unique(mut self, gate: Gate) -> Self {
        self.unique = Some(gate);
        self
    }

    pub(crate) fn foreign(mut self, gate: Gate) -> Self {
        self.foreign = Some(gate);
        self
    }

    pub(crate) fn cuts(mut self, before: i64) -> Self {
        self.cuts = Some(before);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_numbered_for_sqlite() {
        assert_eq!(question_marks("a = $2 AND b = $10 AND c = '$x'"), "a = ?2 AND b = ?10 AND c = '$x'");
    }
}

//! Why a realm file is refused: the place in the file and the cause, one line.

use std::fmt;

/// What is wrong with a realm file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Not JSON; the parser's words, with line and column.
    Syntax(String),
    /// More bytes than allowed.
    TooLarge(usize),
    /// A member stands there twice.
    Duplicate(String),
    /// A member that Keycloak's representation does not have: representation, member.
    UnknownMember(&'static str, String),
    /// Another type was expected.
    Expected(&'static str),
    /// A required member is absent or empty.
    Missing(&'static str),
    /// `realm` is absent or empty.
    NoName,
    /// A character that may not stand in a name.
    ReservedCharacter(char),
    /// Something the file names is not in it.
    Unknown(&'static str, String),
    /// A name is used twice.
    Taken(&'static str, String),
    /// A value is not allowed: why.
    NotAllowed(String),
    /// More entries than one change may hold.
    TooMany(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(text) | Self::NotAllowed(text) => f.write_str(text),
            Self::TooLarge(limit) => write!(f, "the file is larger than {limit} bytes"),
            Self::Duplicate(name) => write!(f, "the member \"{name}\" stands there twice"),
            Self::UnknownMember(representation, name) => {
                write!(f, "Invalid json representation for {representation}. Unrecognized field \"{name}\"")
            }
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::Missing(name) => write!(f, "\"{name}\" is missing"),
            Self::NoName => f.write_str("Realm name cannot be empty"),
            Self::ReservedCharacter(c) => {
                write!(f, "Character '{}' not allowed.", c.escape_debug())
            }
            Self::Unknown(what, name) => write!(f, "there is no {what} \"{name}\""),
            Self::Taken(what, name) => write!(f, "the {what} \"{name}\" is taken"),
            Self::TooMany(what) => write!(f, "more {what} than one change may hold"),
        }
    }
}

/// A refused realm file: where and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The place, for example `clients[3].redirectUris`; empty for the file as a whole.
    pub place: String,
    /// The cause.
    pub reason: Reason,
}

impl Refusal {
    /// A refusal at `place`.
    pub fn at(place: impl Into<String>, reason: Reason) -> Self {
        Self { place: place.into(), reason }
    }
}

impl fmt::Display for Refusal {
    /// One line: control characters of the file's names are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            if self.place.is_empty() { self.reason.to_string() } else { format!("{}: {}", self.place, self.reason) };
        for c in text.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_debug())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

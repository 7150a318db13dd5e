//! What an administrator's search of users means (Keycloak 26.4's `GET /admin/realms/{realm}/users`).
//!
//! **Owns** the reading of the query and the judgement of one user. **Does not own** pages and time limits (store), who may
//! search ([`crate::admin`]). **Flow** query -> [`UserSearch::read`] -> store narrows by [`UserSearch::needle`] and the columns
//! -> [`UserSearch::matches`] decides where columns do not say it all.
//!
//! | asked | meaning |
//! |---|---|
//! | `search` | words, each at the start of username, e-mail, first or last name; `*` is anything, `"x"` is the whole name, `id:` an id |
//! | `username`, `email`, `firstName`, `lastName` | contained, with `exact=true` equal |
//! | `q` | attributes `name:value`, equal but for capitals |
//! | nothing, or `search` | service accounts are left out |

use crate::ids::UserId;
use crate::oauth::params::Params;
use crate::user::User;

/// Users of a page when nothing is said (Keycloak 26.4).
pub const PAGE: usize = 100;
/// Most users of a page; `max=-1` and larger numbers get this many (AD-18).
pub const PAGE_MAX: usize = 1000;
/// Most words of `search` and most pairs of `q`.
const WORDS_MAX: usize = 16;

/// A page of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// How many are left out before it.
    pub first: usize,
    /// How many it holds at most.
    pub max: usize,
}

impl Page {
    /// `first` and `max`: a negative `first` is 0, a negative `max` everything, which is `cap` here.
    ///
    /// # Errors
    /// A number that is none.
    pub fn read(query: &Params, default: usize, cap: usize) -> Result<Self, Unreadable> {
        let number = |name: &str| query.get(name).map(str::parse::<i64>).transpose().map_err(|_| Unreadable);
        let first = number("first")?.map_or(0, |n| usize::try_from(n).unwrap_or(0));
        let max = number("max")?.map_or(default, |n| usize::try_from(n).unwrap_or(cap));
        Ok(Self { first, max: max.min(cap) })
    }
}

/// A query that cannot be read: 404 in Keycloak 26.4, as for every parameter of a wrong type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreadable;

/// One word of `search`.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Word {
    /// `"x"`
    Is(String),
    /// The pieces between `*`: the first at the start, the others behind it in this order.
    Pieces(Vec<String>),
}

impl Word {
    fn read(text: &str) -> Self {
        let lower = text.to_lowercase();
        match lower.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(whole) => Self::Is(whole.to_owned()),
            None => Self::Pieces(lower.split('*').map(str::to_owned).collect()),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Is(whole) => name == whole,
            Self::Pieces(pieces) => {
                let mut rest = Some(name);
                for (at, piece) in pieces.iter().enumerate() {
                    rest = rest.and_then(|text| match at {
                        0 => text.strip_prefix(piece.as_str()),
                        _ => text.split_once(piece.as_str()).map(|(_, behind)| behind),
                    });
                }
                rest.is_some()
            }
        }
    }

    fn longest(&self) -> &str {
        match self {
            Self::Is(whole) => whole,
            Self::Pieces(pieces) => pieces.iter().map(String::as_str).max_by_key(|p| p.len()).unwrap_or_default(),
        }
    }
}

/// How a name is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Name {
    /// The whole name, lower case.
    Is(String),
    /// A part of it, lower case.
    Holds(String),
}

impl Name {
    fn text(&self) -> &str {
        match self {
            Self::Is(text) | Self::Holds(text) => text,
        }
    }

    fn matches(&self, name: Option<&str>) -> bool {
        let name = name.unwrap_or_default().to_lowercase();
        match self {
            Self::Is(text) => name == *text,
            Self::Holds(text) => name.contains(text.as_str()),
        }
    }
}

/// A search as asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserSearch {
    id: Option<UserId>,
    words: Vec<Word>,
    username: Option<Name>,
    email: Option<Name>,
    first_name: Option<Name>,
    last_name: Option<Name>,
    enabled: Option<bool>,
    email_verified: Option<bool>,
    attributes: Vec<(String, String)>,
    idp: (Option<String>, Option<String>),
    service_accounts: bool,
}

impl UserSearch {
    /// Reads the query.
    ///
    /// # Errors
    /// More words than one search may have.
    pub fn read(query: &Params) -> Result<Self, Unreadable> {
        // What is not true is false (Keycloak 26.4.2).
        let flag = |name: &str| query.get(name).map(|text| text.eq_ignore_ascii_case("true"));
        let mut out = Self { enabled: flag("enabled"), email_verified: flag("emailVerified"), ..Self::default() };
        let exact = flag("exact");
        if let Some(search) = query.get("search") {
            if let Some(id) = search.strip_prefix("id:") {
                out.id = Some(UserId::new(id.trim()));
                return Ok(out);
            }
            out.words = search.split_whitespace().map(Word::read).collect();
            return if out.words.len() > WORDS_MAX { Err(Unreadable) } else { Ok(out) };
        }
        let name = |member: &str| {
            let text = query.get(member).map(str::to_lowercase);
            text.map(|text| if exact == Some(true) { Name::Is(text) } else { Name::Holds(text) })
        };
        out.username = name("username");
        out.email = name("email");
        out.first_name = name("firstName");
        out.last_name = name("lastName");
        let owned = |member: &str| query.get(member).map(str::to_owned);
        out.idp = (owned("idpAlias"), owned("idpUserId"));
        out.attributes = attributes(query.get("q").unwrap_or_default());
        if out.attributes.len() > WORDS_MAX {
            return Err(Unreadable);
        }
        out.service_accounts = exact.is_some() || out != Self::default();
        Ok(out)
    }

    /// `search=id:`: one user, whoever it is.
    #[must_use]
    pub fn id(&self) -> Option<&UserId> {
        self.id.as_ref()
    }

    /// A text that stands in the names of every user who matches, lower case; empty: no such text.
    #[must_use]
    pub fn needle(&self) -> &str {
        let names = [&self.username, &self.email, &self.first_name, &self.last_name];
        let names = names.into_iter().flatten().map(Name::text);
        self.words.iter().map(Word::longest).chain(names).max_by_key(|text| text.len()).unwrap_or_default()
    }

    /// What is asked of the username.
    #[must_use]
    pub fn username(&self) -> Option<&Name> {
        self.username.as_ref()
    }

    /// What is asked of the e-mail.
    #[must_use]
    pub fn email(&self) -> Option<&Name> {
        self.email.as_ref()
    }

    /// Only accounts that may log in, or may not.
    #[must_use]
    pub fn enabled(&self) -> Option<bool> {
        self.enabled
    }

    /// Whether service accounts are among the found.
    #[must_use]
    pub fn service_accounts(&self) -> bool {
        self.service_accounts
    }

    /// Whether columns say it all: username, e-mail, `enabled` and what a service account is.
    #[must_use]
    pub fn columns_suffice(&self) -> bool {
        let asked = [&self.first_name, &self.last_name].into_iter().any(Option::is_some)
            || self.email_verified.is_some()
            || self.idp != (None, None);
        !asked && self.words.is_empty() && self.attributes.is_empty()
    }

    /// Whether a user is meant.
    #[must_use]
    pub fn matches(&self, user: &User) -> bool {
        let settings = &user.settings;
        let (first, last) = (settings.first_name.as_deref(), settings.last_name.as_deref());
        let named = |asked: &Option<Name>, name| asked.as_ref().is_none_or(|asked| asked.matches(name));
        let names: Vec<String> = [Some(user.username.as_str()), user.email.as_deref(), first, last]
            .into_iter()
            .flatten()
            .map(str::to_lowercase)
            .collect();
        named(&self.username, Some(&user.username))
            && named(&self.email, user.email.as_deref())
            && named(&self.first_name, first)
            && named(&self.last_name, last)
            && self.words.iter().all(|word| names.iter().any(|name| word.matches(name)))
            && self.enabled.is_none_or(|enabled| enabled == user.enabled)
            && self.email_verified.is_none_or(|verified| verified == settings.email_verified)
            && (self.service_accounts || user.service_account_client.is_none())
            && self.attributes.iter().all(|(name, value)| has_attribute(user, name, value))
            && is_linked(user, &self.idp)
    }
}

/// `name:value` pairs; a value may stand in double quotes. What has no colon is not looked at (Keycloak 26.4).
fn attributes(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, behind)) = rest.split_once(':') {
        let name = name.rsplit(char::is_whitespace).next().unwrap_or(name).trim_matches('"');
        let (value, more) = match behind.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
            Some(pair) => pair,
            None => behind.split_once(char::is_whitespace).unwrap_or((behind, "")),
        };
        out.push((name.to_lowercase(), value.to_lowercase()));
        rest = more.trim_start();
    }
    out
}

fn has_attribute(user: &User, name: &str, value: &str) -> bool {
    let of_name = user.settings.attributes.iter().filter(|(n, _)| n.to_lowercase() == name);
    of_name.flat_map(|(_, values)| values).any(|v| v.to_lowercase() == value)
}

fn is_linked(user: &User, (alias, id): &(Option<String>, Option<String>)) -> bool {
    let links = user.settings.other.get("federatedIdentities").and_then(|links| links.as_array());
    let is = |link: &serde_json::Value, member: &str, asked: &Option<String>| {
        asked.as_ref().is_none_or(|asked| link.get(member).and_then(|v| v.as_str()) == Some(asked))
    };
    let found = |link: &serde_json::Value| is(link, "identityProvider", alias) && is(link, "userId", id);
    (alias.is_none() && id.is_none()) || links.is_some_and(|links| links.iter().any(found))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::user::UserSettings;

    fn search(query: &str) -> UserSearch {
        UserSearch::read(&Params::parse(query.as_bytes()).unwrap()).unwrap()
    }

    fn user(name: &str, first: &str, last: &str) -> User {
        User {
            id: name.into(),
            username: name.to_owned(),
            email: Some(format!("{name}@example.test")),
            version: 1,
            enabled: name != "carol",
            not_before: 0,
            service_account_client: name.starts_with("service-").then(|| "c".into()),
            settings: UserSettings {
                first_name: Some(first.to_owned()),
                last_name: Some(last.to_owned()),
                email_verified: name == "alice",
                attributes: [("Team".to_owned(), vec!["Red Roses".to_owned()])].into(),
                other: json!({ "federatedIdentities": [{ "identityProvider": "up", "userId": "1" }] })
                    .as_object()
                    .cloned()
                    .unwrap_or_default(),
                ..UserSettings::default()
            },
            roles: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Recorded: `admin-users/search`.
    #[test]
    fn a_search_means_what_keycloak_means() {
        let alice = user("alice", "Alice", "Adams");
        let service = user("service-account-light", "", "");
        let table = [
            ("", true, false),
            ("search=ali", true, false),
            ("search=lic", false, false),
            ("search=*lic*", true, false),
            ("search=a*ice", true, false),
            ("search=a*z", false, false),
            ("search=alice+bob", false, false),
            ("search=alice+adams", true, false),
            ("search=adams", true, false),
            ("search=ALICE", true, false),
            ("search=%22alice%22", true, false),
            ("search=%22alic%22", false, false),
            ("search=example.test", false, false),
            ("search=%25", false, false),
            ("search=_", false, false),
            ("search=service", false, false),
            ("username=li", true, true),
            ("username=LI", true, true),
            ("username=%25", false, false),
            ("username=ALICE&exact=true", true, false),
            ("username=ali&exact=true", false, false),
            ("email=alice@", true, false),
            ("firstName=a&lastName=Ad", true, false),
            ("firstName=d", false, false),
            ("enabled=true", true, true),
            ("enabled=false", false, false),
            ("enabled=maybe", false, false),
            ("exact=1&username=lic", true, false),
            ("emailVerified=false", false, true),
            ("q=team:red+x:y", false, false),
            ("q=team:%22red+roses%22", true, true),
            ("q=department", true, false),
            ("exact=false", true, true),
            ("idpAlias=up", true, true),
            ("idpAlias=up&idpUserId=2", false, false),
        ];
        for (query, of_alice, of_service) in table {
            let search = search(query);
            assert_eq!(search.matches(&alice), of_alice, "{query}");
            assert_eq!(search.matches(&service), of_service, "{query}");
            for user in [&alice, &service].into_iter().filter(|user| search.matches(user)) {
                let names = [&user.username, user.email.as_ref().unwrap(), user.settings.first_name.as_ref().unwrap()];
                let all =
                    names.into_iter().chain(&user.settings.last_name).map(|n| n.to_lowercase()).collect::<Vec<_>>();
                assert!(all.join(" ").contains(search.needle()), "{query}: the needle is in every match");
            }
        }
        assert_eq!(search("search=id:x").id(), Some(&"x".into()));
    }

    #[test]
    fn ad_18_pages_are_bounded_and_numbers_are_numbers() {
        let page = |query: &str| Page::read(&Params::parse(query.as_bytes()).unwrap(), PAGE, PAGE_MAX);
        let is = |first, max| Ok(Page { first, max });
        let table = [
            ("", is(0, 100)),
            ("first=2&max=3", is(2, 3)),
            ("first=-1&max=2", is(0, 2)),
            ("max=-1", is(0, PAGE_MAX)),
            ("max=0", is(0, 0)),
            ("max=1000000000", is(0, PAGE_MAX)),
            ("first=9223372036854775807", is(usize::MAX / 2, 100)),
            ("first=x", Err(Unreadable)),
            ("max=1e9", Err(Unreadable)),
            ("max=99999999999999999999", Err(Unreadable)),
        ];
        for (query, want) in table {
            assert_eq!(page(query), want, "{query}");
        }
        let many = format!("search={}", "a+".repeat(WORDS_MAX + 1));
        assert_eq!(UserSearch::read(&Params::parse(many.as_bytes()).unwrap()), Err(Unreadable));
    }
}

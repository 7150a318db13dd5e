//! Scope values (RFC 6749 §3.3) as Keycloak's client scopes.

use std::collections::BTreeSet;

use crate::claims::roles;
use crate::client::Client;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::realm::Profile;
use crate::records::RealmRecords;
use crate::scope::ClientScope;
use crate::user::User;

/// The OIDC scope value (OIDC Core §3.1.2.1).
pub const OPENID: &str = "openid";
/// Asks for a session that outlives the login (OIDC Core §11).
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// The `scope` of a request, as [`Params::sent`].
#[must_use]
pub(crate) fn asked<'p>(records: &RealmRecords, params: &'p Params) -> Option<&'p str> {
    params.sent(records.realm.profile(), "scope")
}

/// The client scopes that a request put in force.
#[derive(Clone, Debug, Default)]
pub struct ActiveScopes<'a> {
    openid: bool,
    scopes: Vec<&'a ClientScope>,
}

impl<'a> ActiveScopes<'a> {
    /// Whether an ID token is made.
    #[must_use]
    pub fn openid(&self) -> bool {
        self.openid
    }

    /// Whether an offline session was asked for. Whether it is given: [`super::grants`].
    #[must_use]
    pub fn offline(&self) -> bool {
        self.scopes.iter().any(|scope| scope.name == OFFLINE_ACCESS)
    }

    /// The client scopes: the asked optional ones, then the default ones.
    pub fn iter(&self) -> impl Iterator<Item = &'a ClientScope> + '_ {
        self.scopes.iter().copied()
    }

    /// The `scope` of access token and answer: `openid` and the names that may be shown.
    #[must_use]
    pub fn token_scope(&self) -> String {
        self.words(ClientScope::in_token_scope)
    }

    /// The `scope` of a refresh token: every name.
    #[must_use]
    pub fn all_names(&self) -> String {
        self.words(|_| true)
    }

    fn words(&self, wanted: impl Fn(&ClientScope) -> bool) -> String {
        let names = self.scopes.iter().filter(|s| wanted(s)).map(|s| s.name.as_str());
        let words: Vec<&str> = self.openid.then_some(OPENID).into_iter().chain(names).collect();
        words.join(" ")
    }

    /// Without the scopes whose role mappings the user has none of (Keycloak 26.4).
    #[must_use]
    pub fn permitted(mut self, records: &'a RealmRecords, user: &User) -> Self {
        if self.scopes.iter().any(|s| !s.scope_mappings.is_empty()) {
            let of_user = roles::effective(records, user);
            self.scopes.retain(|scope| {
                scope.scope_mappings.is_empty()
                    || records.roles.expand(&scope.scope_mappings).iter().any(|id| of_user.contains(id))
            });
        }
        self
    }
}

fn is_oidc(scope: &ClientScope) -> bool {
    scope.protocol == "openid-connect"
}

fn named<'a>(records: &'a RealmRecords, client: &Client, name: &str) -> Option<&'a ClientScope> {
    let mut ids = client.default_scopes.iter().chain(&client.optional_scopes);
    ids.find_map(|id| records.scopes.get(id).filter(|s| s.name == name && is_oidc(s)))
}

/// Whether a `scope` parameter makes the request an OpenID Connect one.
#[must_use]
pub(crate) fn names_openid(parameter: &str) -> bool {
    parameter.split(' ').any(|word| word == OPENID)
}

/// Whether every word of a `scope` parameter is `openid` or a client scope of the client. One blank stands between two words (RFC 6749
/// §3.3), so two blanks hold an empty word; blanks at the end hold none, and blanks alone ask for nothing (Keycloak 26.4).
///
/// # Errors
/// [`Reason::InvalidScopes`] with the parameter, also when it is empty.
pub fn validate(records: &RealmRecords, client: &Client, parameter: &str) -> Result<(), Reason> {
    let words = parameter.trim_end_matches(' ');
    let known = |word: &str| word == OPENID || named(records, client, word).is_some();
    let valid = if words.is_empty() { !parameter.is_empty() } else { words.split(' ').all(known) };
    if valid { Ok(()) } else { Err(Reason::InvalidScopes(parameter.to_owned())) }
}

/// The scopes in force for a validated parameter: what was asked for, and the client's default ones. A word that lost its client
/// scope since is dropped.
#[must_use]
pub fn active<'a>(records: &'a RealmRecords, client: &'a Client, parameter: &str) -> ActiveScopes<'a> {
    let mut seen = BTreeSet::new();
    let asked = parameter.split(' ').filter_map(|word| named(records, client, word));
    let defaults = client.default_scopes.iter().filter_map(|id| records.scopes.get(id)).filter(|s| is_oidc(s));
    let is_default = |scope: &ClientScope| client.default_scopes.contains(&scope.id);
    let scopes =
        asked.filter(|scope| !is_default(scope)).chain(defaults).filter(|scope| seen.insert(&scope.id)).collect();
    ActiveScopes { openid: names_openid(parameter), scopes }
}

/// RFC 6749 §6: the scopes of a refresh. What was not granted at first is dropped silently; default scopes stay, and so does `openid`
/// in a keycloak realm (Keycloak 26.4).
///
/// # Errors
/// [`Reason::InvalidScopes`] when a word is no scope of the client.
pub fn narrowed<'a>(
    records: &'a RealmRecords,
    client: &'a Client,
    granted: &str,
    asked: Option<&str>,
) -> Result<ActiveScopes<'a>, Reason> {
    let Some(asked) = asked else { return Ok(active(records, client, granted)) };
    validate(records, client, asked)?;
    let stays = |word: &str| word == OPENID && records.realm.profile() == Profile::Keycloak;
    let kept = |word: &&str| stays(word) || asked.split(' ').any(|a| a == *word);
    let both: Vec<&str> = granted.split(' ').filter(kept).collect();
    Ok(active(records, client, &both.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::fixture;

    #[test]
    fn rfc_6749_3_3_words_outside_the_clients_scopes_are_refused() {
        let records = fixture::records();
        let app = records.client("app").unwrap();
        for good in ["openid", "openid phone", "email openid openid  ", "profile", " "] {
            assert!(validate(&records, app, good).is_ok(), "{good}");
        }
        for bad in [
            "nonsense",
            "openid nonsense",
            "",
            "openid  phone",
            " openid",
            "openid\tphone",
            "Openid",
            "foreign",
            "saml",
        ] {
            assert_eq!(validate(&records, app, bad), Err(Reason::InvalidScopes(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn default_scopes_are_always_there_and_hidden_ones_only_in_refresh_tokens() {
        let records = fixture::records();
        let app = records.client("app").unwrap();
        let scopes = active(&records, app, "openid phone gone");
        assert_eq!(scopes.token_scope(), "openid phone profile email");
        assert_eq!(scopes.all_names(), "openid phone basic profile email roles");
        assert_eq!(active(&records, app, "").token_scope(), "profile email");
        assert!(!active(&records, app, "profile").openid());
    }

    #[test]
    fn p_10_rt_08_a_refresh_narrows_optional_scopes_only_and_never_widens() {
        let records = fixture::records();
        let app = records.client("app").unwrap();
        for (granted, asked, expected) in [
            ("openid phone", None, Ok("openid phone profile email")),
            ("openid phone", Some("openid"), Ok("openid profile email")),
            ("openid phone", Some("phone"), Ok("openid phone profile email")),
            ("openid", Some("openid phone"), Ok("openid profile email")),
            ("openid", Some("nonsense"), Err(Reason::InvalidScopes("nonsense".to_owned()))),
            ("openid", Some(""), Err(Reason::InvalidScopes(String::new()))),
        ] {
            let got = narrowed(&records, app, granted, asked).map(|s| s.token_scope());
            assert_eq!(got, expected.map(str::to_owned), "{granted} {asked:?}");
        }
    }

    #[test]
    fn a_scope_with_role_mappings_needs_one_of_them() {
        let records = fixture::records();
        let app = records.client("app").unwrap();
        let names = |user: &User| active(&records, app, "secret").permitted(&records, user).token_scope();
        assert_eq!(names(&fixture::user()), "secret profile email");
        let mut other = fixture::user();
        other.roles.clear();
        other.groups.clear();
        assert_eq!(names(&other), "profile email");
    }
}

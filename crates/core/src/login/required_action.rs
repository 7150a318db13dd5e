//! Actions that an account owes before a login is done (Keycloak's required actions).

use crate::realm::RealmSettings;
use crate::user::User;

/// An action that is owed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequiredAction {
    /// `UPDATE_PASSWORD`: a new password.
    UpdatePassword,
    /// `CONFIGURE_TOTP`: an authenticator app.
    ConfigureTotp,
    /// `VERIFY_EMAIL`: a mail with a link.
    VerifyEmail,
    /// Another one of the realm, by its alias. It cannot be done here, so the login ends (it is never jumped over).
    Other(String),
}

impl RequiredAction {
    /// Keycloak's alias: the `execution` of its page.
    #[must_use]
    pub fn alias(&self) -> &str {
        match self {
            Self::UpdatePassword => "UPDATE_PASSWORD",
            Self::ConfigureTotp => "CONFIGURE_TOTP",
            Self::VerifyEmail => "VERIFY_EMAIL",
            Self::Other(alias) => alias,
        }
    }

    fn of(alias: &str) -> Self {
        match alias {
            "UPDATE_PASSWORD" => Self::UpdatePassword,
            "CONFIGURE_TOTP" => Self::ConfigureTotp,
            "VERIFY_EMAIL" => Self::VerifyEmail,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// The first action owed: in the order of the realm's list (its `priority`), those switched off left out.
#[must_use]
pub fn first(settings: &RealmSettings, user: &User) -> Option<RequiredAction> {
    let mut owed: Vec<(i64, usize, &str)> = user
        .settings
        .required_actions
        .iter()
        .map(String::as_str)
        .chain(
            (settings.verify_email && !user.settings.email_verified && user.email.is_some()).then_some("VERIFY_EMAIL"),
        )
        .enumerate()
        .filter_map(|(at, alias)| priority(settings, alias).map(|priority| (priority, at, alias)))
        .collect();
    owed.sort_unstable();
    owed.first().map(|(_, _, alias)| RequiredAction::of(alias))
}

/// The action's place; `None` when the realm has it switched off. One the realm does not list stands last (Keycloak 26.4
/// refuses to go on there, so do we).
fn priority(settings: &RealmSettings, alias: &str) -> Option<i64> {
    match settings.required_actions.iter().find(|p| p.alias == alias) {
        None if settings.required_actions.is_empty() => Some(0),
        None => Some(i64::MAX),
        Some(provider) if !provider.enabled => None,
        Some(provider) => Some(provider.other.get("priority").and_then(serde_json::Value::as_i64).unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::fixture;

    #[test]
    fn az_30_owed_actions_come_in_the_realms_order() {
        let with = |json: serde_json::Value| fixture::realm(serde_json::json!({ "requiredActions": json })).settings;
        let realm = with(serde_json::json!([
            {"alias": "VERIFY_EMAIL", "enabled": true, "priority": 50},
            {"alias": "UPDATE_PASSWORD", "enabled": true, "priority": 30},
            {"alias": "TERMS", "enabled": false, "priority": 1},
        ]));
        for (owed, expected) in [
            (vec![], None),
            (vec!["TERMS"], None),
            (vec!["VERIFY_EMAIL", "UPDATE_PASSWORD"], Some(RequiredAction::UpdatePassword)),
            (vec!["TERMS", "VERIFY_EMAIL"], Some(RequiredAction::VerifyEmail)),
            (vec!["UNKNOWN"], Some(RequiredAction::Other("UNKNOWN".to_owned()))),
        ] {
            let mut user = fixture::user();
            user.settings.required_actions = owed.into_iter().map(str::to_owned).collect();
            assert_eq!(first(&realm, &user), expected);
        }
        let mut user = fixture::user();
        user.settings.email_verified = false;
        let mut realm = realm;
        realm.verify_email = true;
        assert_eq!(first(&realm, &user), Some(RequiredAction::VerifyEmail));
        user.settings.email_verified = true;
        assert_eq!(first(&realm, &user), None);
    }
}

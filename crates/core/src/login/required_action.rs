//! Actions that an account owes before a login is done (Keycloak's required actions).

use crate::realm::RealmSettings;
use crate::user::User;
use crate::user::profile::own::OwnProfile;

const VERIFY_PROFILE: &str = "VERIFY_PROFILE";

/// An action that is owed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequiredAction {
    /// `UPDATE_PASSWORD`: a new password.
    UpdatePassword,
    /// `CONFIGURE_TOTP`: an authenticator app.
    ConfigureTotp,
    /// `UPDATE_PROFILE`: names, e-mail and what else the realm asks, because an administrator wants it.
    UpdateProfile,
    /// `VERIFY_EMAIL`: a mail with a link.
    VerifyEmail,
    /// `VERIFY_PROFILE`: the same page, because what is stored does not satisfy the realm.
    VerifyProfile,
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
            Self::UpdateProfile => "UPDATE_PROFILE",
            Self::VerifyEmail => "VERIFY_EMAIL",
            Self::VerifyProfile => VERIFY_PROFILE,
            Self::Other(alias) => alias,
        }
    }

    fn of(alias: &str) -> Self {
        match alias {
            "UPDATE_PASSWORD" => Self::UpdatePassword,
            "CONFIGURE_TOTP" => Self::ConfigureTotp,
            "UPDATE_PROFILE" => Self::UpdateProfile,
            "VERIFY_EMAIL" => Self::VerifyEmail,
            VERIFY_PROFILE => Self::VerifyProfile,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// The first action owed: in the order of the realm's list (its `priority`), those switched off left out.
#[must_use]
pub fn first(own: &OwnProfile<'_>, user: &User) -> Option<RequiredAction> {
    let settings = &own.realm().settings;
    let listed = user.settings.required_actions.iter().map(String::as_str).filter(|alias| *alias != VERIFY_PROFILE);
    let unproven = settings.verify_email && !user.settings.email_verified && user.email.is_some();
    // An administrator may write `VERIFY_PROFILE` too: what is stored decides (Keycloak 26.4).
    let lacking = verifies(settings) && !own.faults(user).is_empty();
    let mut owed: Vec<(i64, usize, &str)> = listed
        .chain(unproven.then_some("VERIFY_EMAIL"))
        .chain(lacking.then_some(VERIFY_PROFILE))
        .enumerate()
        .filter_map(|(at, alias)| priority(settings, alias).map(|priority| (priority, at, alias)))
        .collect();
    owed.sort_unstable();
    owed.first().map(|(_, _, alias)| RequiredAction::of(alias))
}

/// Whether the realm looks at profiles at each login.
fn verifies(settings: &RealmSettings) -> bool {
    settings.required_actions.iter().any(|action| action.alias == VERIFY_PROFILE && action.enabled)
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
    use serde_json::{Value, json};

    use super::*;
    use crate::claims::fixture;

    fn owed(settings: Value, user: &User) -> Option<RequiredAction> {
        let records = fixture::records_with(settings);
        first(&OwnProfile::new(&records, records.client("app").unwrap(), "openid"), user)
    }

    #[test]
    fn az_30_owed_actions_come_in_the_realms_order() {
        let realm = json!({ "requiredActions": [
            {"alias": "VERIFY_EMAIL", "enabled": true, "priority": 50},
            {"alias": "UPDATE_PASSWORD", "enabled": true, "priority": 30},
            {"alias": "UPDATE_PROFILE", "enabled": true, "priority": 40},
            {"alias": "TERMS", "enabled": false, "priority": 1},
        ]});
        for (aliases, expected) in [
            (vec![], None),
            (vec!["TERMS"], None),
            (vec!["VERIFY_EMAIL", "UPDATE_PASSWORD"], Some(RequiredAction::UpdatePassword)),
            (vec!["VERIFY_EMAIL", "UPDATE_PROFILE"], Some(RequiredAction::UpdateProfile)),
            (vec!["TERMS", "VERIFY_EMAIL"], Some(RequiredAction::VerifyEmail)),
            (vec!["UNKNOWN"], Some(RequiredAction::Other("UNKNOWN".to_owned()))),
        ] {
            let mut user = fixture::user();
            user.settings.required_actions = aliases.into_iter().map(str::to_owned).collect();
            assert_eq!(owed(realm.clone(), &user), expected);
        }
        let mut user = fixture::user();
        user.settings.email_verified = false;
        let mut verifying = realm;
        verifying["verifyEmail"] = true.into();
        assert_eq!(owed(verifying.clone(), &user), Some(RequiredAction::VerifyEmail));
        user.settings.email_verified = true;
        assert_eq!(owed(verifying, &user), None);
    }

    #[test]
    fn az_30_a_profile_that_lacks_something_is_owed_where_the_realm_verifies_profiles() {
        let with = |actions: Value| json!({ "requiredActions": actions });
        let action = |alias: &str, enabled: bool, priority: i64| json!({ "alias": alias, "enabled": enabled, "priority": priority });
        let on = with(json!([action("VERIFY_PROFILE", true, 100), action("UPDATE_PASSWORD", true, 30)]));
        let off = with(json!([action("VERIFY_PROFILE", false, 100)]));
        let nameless = User { email: None, ..fixture::user() };
        let mut asked = fixture::user();
        asked.settings.required_actions = vec!["VERIFY_PROFILE".to_owned()];
        let mut both = nameless.clone();
        both.settings.required_actions = vec!["UPDATE_PASSWORD".to_owned()];
        for (realm, user, expected) in [
            (&on, &fixture::user(), None),
            (&on, &nameless, Some(RequiredAction::VerifyProfile)),
            (&on, &both, Some(RequiredAction::UpdatePassword)),
            (&off, &nameless, None),
            (&json!({}), &nameless, None),
            (&on, &asked, None),
            (&off, &asked, None),
        ] {
            assert_eq!(owed(realm.clone(), user), expected, "{realm} {:?}", user.settings.required_actions);
        }
    }
}

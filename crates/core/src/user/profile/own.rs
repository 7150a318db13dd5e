//! A user's own page in a login: which fields it has, whether what is stored satisfies the realm, what a form changes
//! (Keycloak 26.4, required actions `VERIFY_PROFILE` and `UPDATE_PROFILE`).
//!
//! Only what the user may edit is judged, and only that is read from a form: everything else in it is nobody's business.

use std::collections::BTreeMap;

use super::{Attribute, Fault, UserProfile, Who, misleading, too_many};
use crate::client::Client;
use crate::oauth::params::Params;
use crate::oauth::scope;
use crate::realm::Realm;
use crate::records::RealmRecords;
use crate::user::{User, canonical};

/// Longest name and e-mail that are stored, characters.
const COLUMN_MAX: usize = 255;

/// The profile as its user meets it in one login.
#[derive(Clone, Debug)]
pub struct OwnProfile<'a> {
    realm: &'a Realm,
    profile: &'a UserProfile,
    scopes: Vec<&'a str>,
}

/// One field of the page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// The attribute.
    pub name: &'a str,
    /// Its label, `${key}` or the realm's own words.
    pub label: &'a str,
    /// What stands in it.
    pub values: Vec<String>,
    /// Whether it must be filled.
    pub required: bool,
    /// Whether the user may only read it.
    pub read_only: bool,
    /// Whether it takes several values.
    pub multivalued: bool,
}

/// What a form came to.
#[derive(Clone, Debug)]
pub struct Edited {
    /// The user afterwards; its version is the one it replaces.
    pub user: User,
    /// What changed, as the audit row tells it: Keycloak's `previous_*` and `updated_*`.
    pub details: BTreeMap<String, String>,
}

impl<'a> OwnProfile<'a> {
    /// In a login of a client that asked for `scope`.
    #[must_use]
    pub fn new(records: &'a RealmRecords, client: &'a Client, scope: &str) -> Self {
        let profile = &records.profile;
        // Most profiles know no scopes: nothing is looked up for them.
        let asks = |a: &Attribute| !a.selector.scopes.is_empty() || a.required.iter().any(|r| !r.scopes.is_empty());
        let scopes = match profile.attributes.iter().any(asks) {
            true => scope::active(records, client, scope).iter().map(|scope| scope.name.as_str()).collect(),
            false => Vec::new(),
        };
        Self { realm: &records.realm, profile, scopes }
    }

    /// The realm.
    #[must_use]
    pub fn realm(&self) -> &'a Realm {
        self.realm
    }

    fn who(&self) -> Who<'_> {
        Who::User(&self.scopes)
    }

    fn selected(&self) -> impl Iterator<Item = &'a Attribute> + '_ {
        self.profile.attributes.iter().filter(|attribute| attribute.is_selected(self.who()))
    }

    /// Whether the page shows an attribute. Name and e-mail follow the realm's switches too.
    fn shows(&self, attribute: &Attribute, user: &User) -> bool {
        attribute.seen_by(self.who()) && self.switches_allow(attribute, user)
    }

    /// Whether the user may change an attribute.
    fn edits(&self, attribute: &Attribute, user: &User) -> bool {
        attribute.edited_by(self.who()) && self.switches_allow(attribute, user)
    }

    fn switches_allow(&self, attribute: &Attribute, user: &User) -> bool {
        let settings = &self.realm.settings;
        let email_is_name = settings.registration_email_as_username;
        match attribute.name.as_str() {
            "username" => settings.edit_username_allowed && !email_is_name,
            "email" => {
                // Where the realm has the action `UPDATE_EMAIL`, an address that is there changes by it only.
                let by_action = settings.required_actions.iter().any(|a| a.alias == "UPDATE_EMAIL" && a.enabled);
                let there = user.email.as_deref().is_some_and(|email| !email.is_empty());
                !(by_action && there || email_is_name && !settings.edit_username_allowed)
            }
            _ => true,
        }
    }

    /// The fields of the page, in the profile's order.
    #[must_use]
    pub fn fields(&self, user: &User) -> Vec<Field<'a>> {
        let field = |attribute: &'a Attribute| Field {
            name: &attribute.name,
            label: attribute.display_name.as_deref().filter(|label| !label.is_empty()).unwrap_or(&attribute.name),
            values: stored(user, &attribute.name),
            required: attribute.required_of(self.who()),
            read_only: !self.edits(attribute, user),
            multivalued: attribute.multivalued,
        };
        self.selected().filter(|attribute| self.shows(attribute, user)).map(field).collect()
    }

    /// What is wrong with what is stored. Empty where the user satisfies the realm; what an administrator alone may mend is
    /// not asked of the user.
    #[must_use]
    pub fn faults(&self, user: &User) -> Vec<Fault> {
        let mut faults = Vec::new();
        for attribute in self.selected().filter(|attribute| self.edits(attribute, user)) {
            self.profile.judge(self.who(), &attribute.name, &stored(user, &attribute.name), &mut faults);
        }
        faults
    }

    /// The user as a form has it. What the form does not carry stays, what the user may not edit is not read, and an address
    /// that changed is not proven any more.
    ///
    /// # Errors
    /// The faults of all values that the user may edit, also of those that stay.
    pub fn edited(&self, before: &User, form: &Params) -> Result<Edited, Vec<Fault>> {
        let (mut user, mut faults, mut details) = (before.clone(), Vec::new(), BTreeMap::new());
        for attribute in self.selected().filter(|attribute| self.edits(attribute, before)) {
            let name = attribute.name.as_str();
            let old = stored(before, name);
            let new = if form.has(name) { typed(form, name) } else { old.clone() };
            self.profile.judge(self.who(), name, &new, &mut faults);
            if new != old {
                tell(&mut details, name, &old, &new);
                store(&mut user, name, new);
            }
        }
        if user.email != before.email {
            user.settings.email_verified = false;
            if let Some(email) = user.email.as_ref().filter(|_| self.realm.settings.registration_email_as_username) {
                user.username.clone_from(email);
            }
        }
        misleading(self.realm, before, &user, &mut faults);
        self.limits(before, &user, &mut faults);
        if faults.is_empty() { Ok(Edited { user, details }) } else { Err(faults) }
    }

    fn limits(&self, before: &User, after: &User, faults: &mut Vec<Fault>) {
        let long = |text: &str| text.chars().count() > COLUMN_MAX;
        let too_long = |name| Fault::of(name, "error-invalid-length-too-long", &[0.into(), COLUMN_MAX.into()]);
        if after.username != before.username && long(&after.username) {
            faults.push(too_long("username"));
        }
        if after.email != before.email && after.email.as_deref().is_some_and(long) {
            faults.push(too_long("email"));
        }
        if too_many(&after.settings.attributes) && after.settings.attributes != before.settings.attributes {
            let grown =
                |(name, values): &(&String, &Vec<String>)| before.settings.attributes.get(*name) != Some(*values);
            let name = after.settings.attributes.iter().find(grown).map_or("username", |(name, _)| name.as_str());
            faults.push(Fault::of(name, "error-invalid-value", &[]));
        }
    }
}

/// The values of an attribute, wherever it is kept.
fn stored(user: &User, name: &str) -> Vec<String> {
    let one = |text: Option<&String>| text.filter(|text| !text.is_empty()).into_iter().cloned().collect();
    match name {
        "username" => vec![user.username.clone()],
        "email" => one(user.email.as_ref()),
        "firstName" => one(user.settings.first_name.as_ref()),
        "lastName" => one(user.settings.last_name.as_ref()),
        _ => user.settings.attributes.get(name).cloned().unwrap_or_default(),
    }
}

/// What was typed into the fields of one attribute; empty ones count for nothing.
fn typed(form: &Params, name: &str) -> Vec<String> {
    let spelled = |text: &str| match name {
        "username" | "email" => canonical(text),
        _ => text.to_owned(),
    };
    let values = form.iter().filter(|(found, _)| *found == name).map(|(_, text)| spelled(text));
    values.filter(|text| !text.trim().is_empty()).collect()
}

fn store(user: &mut User, name: &str, values: Vec<String>) {
    let first = || values.first().cloned();
    match name {
        "username" => user.username = first().unwrap_or_default(),
        "email" => user.email = first(),
        "firstName" => user.settings.first_name = first(),
        "lastName" => user.settings.last_name = first(),
        _ if values.is_empty() => {
            user.settings.attributes.remove(name);
        }
        _ => {
            user.settings.attributes.insert(name.to_owned(), values);
        }
    }
}

/// Keycloak 26.4's words in an audit row; several values stand in one text.
fn tell(details: &mut BTreeMap<String, String>, name: &str, old: &[String], new: &[String]) {
    let word = match name {
        "firstName" => "first_name",
        "lastName" => "last_name",
        other => other,
    };
    for (when, values) in [("previous", old), ("updated", new)] {
        if !values.is_empty() {
            details.insert(format!("{when}_{word}"), values.join("::"));
        }
    }
}

#[cfg(test)]
mod tests;

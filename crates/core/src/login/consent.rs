//! Consent: what a user allows a client (Keycloak's `consentRequired`).
//!
//! Per user, per client, per client scope (TE-35). What was allowed is stored; only what is missing is asked for again.

use crate::client::Client;
use crate::ids::{ClientScopeId, UserId};
use crate::oauth::authorize::AuthorizeRequest;
use crate::oauth::scope;
use crate::pending::Consent;
use crate::realm::Profile;
use crate::records::RealmRecords;
use crate::scope::ClientScope;

const SHOWN: &str = "display.on.consent.screen";
const TEXT: &str = "consent.screen.text";
const ORDER: &str = "gui.order";

/// One line of the page.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Line<'a> {
    /// Lines without a place of their own come last.
    place: i64,
    /// The scope's text, else its name.
    pub text: &'a str,
    /// The client scope; the client's own id where the client itself is shown (Keycloak counts it among its scopes).
    pub id: ClientScopeId,
}

/// What a request needs a yes for: its client scopes that are shown on the consent screen, and the client where it is.
#[must_use]
pub fn lines<'a>(records: &'a RealmRecords, client: &'a Client, scope: &str) -> Vec<Line<'a>> {
    let active = scope::active(records, client, scope);
    let line = |scope: &'a ClientScope| {
        let place = scope.attributes.get(ORDER).and_then(|v| v.parse().ok()).unwrap_or(i64::MAX);
        Some(Line { place, text: scope.consent_text()?, id: scope.id.clone() })
    };
    let mut lines: Vec<Line<'a>> = active.iter().filter_map(line).collect();
    if client.flag(SHOWN) {
        let text = client.attribute(TEXT).filter(|v| !v.is_empty()).unwrap_or(&client.client_id);
        lines.push(Line { place: i64::MAX, text, id: client.id.as_str().into() });
    }
    lines.sort();
    lines
}

/// What must be asked before the client gets anything. `stored`: what the user allowed it before; `given`: what it allowed in
/// this login.
#[must_use]
pub fn owed<'a>(
    records: &'a RealmRecords,
    client: &'a Client,
    request: &AuthorizeRequest,
    stored: Option<&Consent>,
    given: &[ClientScopeId],
) -> Vec<Line<'a>> {
    if !client.settings.consent_required {
        return Vec::new();
    }
    let stored = stored.filter(|_| !request.prompt.consent && !asks_always(records, client, request));
    let mut lines = lines(records, client, &request.scope);
    lines.retain(|line| !given.contains(&line.id) && !allows(stored, &line.id));
    lines
}

fn allows(stored: Option<&Consent>, id: &ClientScopeId) -> bool {
    stored.is_some_and(|consent| consent.scopes.contains(id))
}

/// RFC 8252 §8.6, AZ-26: another program may listen at a custom scheme or on this machine, so a strict realm does not let a
/// public client there use an earlier yes.
fn asks_always(records: &RealmRecords, client: &Client, request: &AuthorizeRequest) -> bool {
    let registered = || client.redirect_uris.first().map(String::as_str);
    let to = request.redirect_uri.as_deref().or_else(registered);
    let web = to.is_some_and(|uri| uri.starts_with("https://"));
    records.realm.profile() == Profile::Strict && client.is_public() && !web
}

/// Whether everything that was granted is still allowed: at the exchange of a code, and at each refresh (RT-09).
#[must_use]
pub fn still_given(records: &RealmRecords, client: &Client, scope: &str, stored: Option<&Consent>) -> bool {
    !client.settings.consent_required || lines(records, client, scope).iter().all(|line| allows(stored, &line.id))
}

/// The consent after a yes to what was shown. Nothing else comes in, and nothing that was allowed before goes. `now` in
/// milliseconds.
#[must_use]
pub fn accepted(
    stored: Option<&Consent>,
    (user, client): (&UserId, &Client),
    shown: &[ClientScopeId],
    now: i64,
) -> Consent {
    let before = stored.map(|consent| consent.scopes.clone()).unwrap_or_default();
    let fresh: Vec<ClientScopeId> = shown.iter().filter(|id| !before.contains(id)).cloned().collect();
    Consent {
        user: user.clone(),
        client: client.id.clone(),
        scopes: before.into_iter().chain(fresh).collect(),
        created: stored.map_or(now, |consent| consent.created),
        updated: now,
    }
}

/// The names of what was allowed, as administrators read them. What does not exist any more is left out.
#[must_use]
pub fn names<'a>(records: &'a RealmRecords, consent: &Consent) -> Vec<&'a str> {
    let name = |id: &ClientScopeId| match records.scopes.get(id) {
        Some(scope) => Some(scope.name.as_str()),
        None => records.client_by_uuid(&id.as_str().into()).map(|client| client.client_id.as_str()),
    };
    consent.scopes.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claims::fixture;
    use crate::login::flow::tests::request;
    use crate::oauth::authorize::Prompt;

    fn asking() -> (RealmRecords, Client) {
        let records = fixture::records();
        let mut client = records.client("app").unwrap().clone();
        client.settings.consent_required = true;
        (records, client)
    }

    fn consent(scopes: &[&str]) -> Consent {
        let scopes = scopes.iter().map(|s| format!("scope-{s}").as_str().into()).collect();
        Consent { user: "user-alice".into(), client: "uuid-app".into(), scopes, created: 5, updated: 5 }
    }

    fn ids(lines: &[Line<'_>]) -> Vec<String> {
        lines.iter().map(|line| line.id.to_string()).collect()
    }

    #[test]
    fn te_35_only_what_is_missing_is_asked_for() {
        let (records, client) = asking();
        let all = ["scope-basic", "scope-email", "scope-profile", "scope-roles"];
        let mut asked = request();
        for (scope, stored, given, expected) in [
            ("openid", None, &[][..], &all[..]),
            ("openid", Some(consent(&["basic", "profile"])), &[], &["scope-email", "scope-roles"]),
            ("openid", Some(consent(&["basic", "profile", "email", "roles"])), &[], &[]),
            ("openid phone", Some(consent(&["basic", "profile", "email", "roles"])), &[], &["scope-phone"]),
            ("openid phone", Some(consent(&["basic", "profile", "email", "roles"])), &["scope-phone"], &[]),
        ] {
            asked.scope = scope.to_owned();
            let given: Vec<ClientScopeId> = given.iter().map(|id: &&str| (*id).into()).collect();
            assert_eq!(ids(&owed(&records, &client, &asked, stored.as_ref(), &given)), expected, "{scope}");
            let whole = stored.as_ref().is_some_and(|_| expected.is_empty() && given.is_empty());
            assert_eq!(still_given(&records, &client, scope, stored.as_ref()), whole, "RT-09 {scope}");
        }
        // OIDC Core §3.1.2.1: `prompt=consent` asks for all of it, once.
        asked.prompt = Prompt::parse("consent");
        let whole = consent(&["basic", "profile", "email", "roles", "phone"]);
        assert_eq!(owed(&records, &client, &asked, Some(&whole), &[]).len(), 5);
        assert!(owed(&records, &client, &asked, Some(&whole), &whole.scopes).is_empty());
    }

    #[test]
    fn a_client_that_needs_no_consent_is_never_asked_about() {
        let (records, mut client) = asking();
        client.settings.consent_required = false;
        let mut asked = request();
        asked.prompt = Prompt::parse("consent");
        assert!(owed(&records, &client, &asked, None, &[]).is_empty());
        assert!(still_given(&records, &client, "openid phone", None));
    }

    #[test]
    fn az_26_a_strict_realm_asks_a_public_native_client_each_time() {
        let strict = json!({ "attributes": { "portcullis.profile": "strict" } });
        let (_, mut client) = asking();
        let stored = consent(&["basic", "profile", "email", "roles"]);
        for (settings, uri, public, again) in [
            (strict.clone(), "http://127.0.0.1:9/cb", true, true),
            (strict.clone(), "com.app:/cb", true, true),
            (strict.clone(), "https://app.test/cb", true, false),
            (strict, "http://127.0.0.1:9/cb", false, false),
            (json!({}), "http://127.0.0.1:9/cb", true, false),
        ] {
            let records = fixture::records_with(settings);
            client.settings.public_client = public;
            let mut asked = request();
            asked.redirect_uri = Some(uri.to_owned());
            assert_eq!(!owed(&records, &client, &asked, Some(&stored), &[]).is_empty(), again, "{uri}");
        }
    }

    #[test]
    fn az_25_a_yes_covers_what_was_shown() {
        let (records, client) = asking();
        let alice = "user-alice".into();
        let shown: Vec<ClientScopeId> = vec!["scope-phone".into(), "scope-email".into()];
        let first = accepted(None, (&alice, &client), &shown[..1], 10);
        assert_eq!((first.created, first.updated, names(&records, &first)), (10, 10, vec!["phone"]));
        let more = accepted(Some(&first), (&alice, &client), &shown, 20);
        assert_eq!((more.created, more.updated, names(&records, &more)), (10, 20, vec!["phone", "email"]));
    }

    #[test]
    fn scopes_are_shown_with_their_text_in_their_order() {
        let mut scopes: Vec<_> = fixture::records().scopes.into_values().collect();
        for scope in &mut scopes {
            let set: &[(&str, &str)] = match scope.name.as_str() {
                "email" => &[(TEXT, "${emailScopeConsentText}"), (ORDER, "2")],
                "profile" => &[(TEXT, ""), (ORDER, "1")],
                "basic" | "roles" => &[(SHOWN, "false")],
                _ => &[],
            };
            scope.attributes.extend(set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        }
        let plain = fixture::records();
        let records = RealmRecords::new(plain.realm, scopes, plain.roles, plain.groups, Vec::new(), Vec::new());
        let (_, mut client) = asking();
        let texts = |client: &Client| {
            lines(&records, client, "openid phone").iter().map(|line| line.text.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(texts(&client), ["profile", "${emailScopeConsentText}", "phone"]);
        client.settings.attributes.extend([(SHOWN.to_owned(), "true".to_owned()), (TEXT.to_owned(), "App".to_owned())]);
        assert_eq!(texts(&client), ["profile", "${emailScopeConsentText}", "App", "phone"]);
    }
}

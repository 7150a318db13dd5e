//! The success answer (RFC 6749 §5.1) in Keycloak's member order.

use super::Issue;
use crate::claims::tokens::bearer_type;
use crate::json::Object;

/// The signed tokens.
#[derive(Clone)]
pub struct Answer {
    /// `access_token`
    pub access: String,
    /// `refresh_token`
    pub refresh: Option<String>,
    /// `id_token`
    pub id: Option<String>,
}

/// The answer's JSON.
#[must_use]
pub fn answer(issue: &Issue<'_>, tokens: &Answer) -> Vec<u8> {
    let mut object = Object::new();
    object.text("access_token", &tokens.access);
    object.int("expires_in", issue.access_expires_at.saturating_sub(issue.issued_at));
    // 0 where there is no refresh token, and for one without end.
    let refresh_expires = issue.refresh.as_ref().map_or(0, |r| r.expires_at);
    object.int("refresh_expires_in", refresh_expires.saturating_sub(issue.issued_at).max(0));
    if let Some(token) = &tokens.refresh {
        object.text("refresh_token", token);
    }
    // RFC 8693 §2.2.1: what is no access token is no bearer either.
    object.text("token_type", if issue.is_id_alone() { "N_A" } else { bearer_type(issue.client) });
    if let Some(token) = &tokens.id {
        object.text("id_token", token);
    }
    let (realm, client) = (&issue.records.realm.settings, &issue.client.settings);
    object.int("not-before-policy", realm.not_before.max(client.not_before).max(issue.user.not_before));
    if !issue.transient {
        object.text("session_state", issue.session.id.as_str());
    }
    match &issue.answer_scope {
        Some(scope) => object.text("scope", scope),
        None => object.text("scope", &issue.scopes.token_scope()),
    }
    if let Some(kind) = issue.issued_token_type {
        object.text("issued_token_type", kind);
    }
    object.end()
}

//! The dispatcher: it alone chooses the next step of a login. Steps never call each other.
//!
//! The order is fixed (AZ-30): somebody proves who it is, then the second factor, then owed actions, then consent, then
//! the code. A step that cannot be shown here ends the login; it is never jumped over.

use crate::client::Client;
use crate::oauth::authorize::AuthorizeRequest;
use crate::oauth::error::Reason;
use crate::pending::Consent;
use crate::realm::Profile;
use crate::records::RealmRecords;
use crate::session::UserSession;
use crate::user::User;
use crate::user::profile::own::OwnProfile;

use super::consent;
use super::flow::{Proof, Stage};
use super::level::{self, Ladder};
use super::required_action::{self, RequiredAction};

/// What a flow does next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Show the page for name and password.
    Password,
    /// Show the page for the password of the session's user.
    Reauthenticate,
    /// Ask for the second factor.
    SecondFactor,
    /// Show an owed action.
    Action(RequiredAction),
    /// Ask the user whether the client may.
    Consent,
    /// Give the code.
    Issue(Proof),
    /// Tell the client that it does not go on.
    Refuse(Reason),
}

/// What the dispatcher looks at.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The realm.
    pub records: &'a RealmRecords,
    /// The client.
    pub client: &'a Client,
    /// What it asked for.
    pub request: &'a AuthorizeRequest,
    /// The user of the stage, loaded anew.
    pub user: Option<&'a User>,
    /// What that user allowed the client before.
    pub consent: Option<&'a Consent>,
}

/// The next step.
#[must_use]
pub fn next(stage: &Stage, at: &Situation<'_>) -> Step {
    let step = interactive(stage, at);
    if !at.request.prompt.none {
        return step;
    }
    // OIDC Core §3.1.2.1: `prompt=none` never shows a page (AZ-09).
    match step {
        Step::Password | Step::Reauthenticate => Step::Refuse(Reason::LoginRequired),
        Step::SecondFactor | Step::Action(_) | Step::Consent => Step::Refuse(Reason::InteractionRequired),
        Step::Issue(_) | Step::Refuse(_) => step,
    }
}

fn interactive(stage: &Stage, at: &Situation<'_>) -> Step {
    let proof = match stage {
        Stage::Fresh => return Step::Password,
        Stage::Reauthenticate { .. } => return Step::Reauthenticate,
        Stage::Authenticated(proof) => proof,
    };
    // The account may have gone or been switched off since (AZ-21).
    let Some(user) = at.user.filter(|u| u.enabled && u.id == proof.user) else { return Step::Password };
    // AZ-11: the request is about somebody else.
    if at.request.subject.as_ref().is_some_and(|subject| *subject != proof.user) {
        return Step::Refuse(Reason::LoginRequired);
    }
    if proof.second_factor_owed {
        return Step::SecondFactor;
    }
    // Never silently lower (AZ-31, MF-09). A session whose level is too low did not come this far.
    let reached = Ladder::of(&at.records.realm).reached(&proof.notes);
    if proof.fresh && !level::asked(at.records, at.client, at.request).is_met_by(reached) {
        return Step::Refuse(Reason::UnmetAuthenticationRequirements);
    }
    let own = OwnProfile::new(at.records, at.client, &at.request.scope);
    if let Some(action) = required_action::first(&own, user) {
        return Step::Action(action);
    }
    // RFC 8628 §5.4: a device is never approved without a question, whatever was allowed before.
    let owed = consent::owed(at.records, at.client, at.request, at.consent, &proof.consented);
    if at.request.device.is_some() || !owed.is_empty() {
        return Step::Consent;
    }
    Step::Issue(proof.clone())
}

/// Where a login of a client begins, given the browser's live session.
#[must_use]
pub fn entry(
    records: &RealmRecords,
    client: Option<&Client>,
    request: &AuthorizeRequest,
    session: Option<&UserSession>,
    now: i64,
) -> Stage {
    let (Some(session), Some(client)) = (session, client) else { return Stage::Fresh };
    let too_old = request.max_age.is_some_and(|max| match records.realm.profile() {
        // Keycloak 26.4 compares whole seconds, so that `max_age=0` passes within the second of the login.
        Profile::Keycloak => now - session.auth_time > max,
        // AZ-10: `max_age=0` is `prompt=login`.
        Profile::Strict => max == 0 || now - session.auth_time > max,
    });
    let anew = request.prompt.login || too_old;
    let step_up = !anew && level::asked(records, client, request).level > Ladder::of(&records.realm).kept(session, now);
    if anew || step_up {
        return Stage::Reauthenticate { session: session.id.clone(), user: session.user.clone(), step_up };
    }
    Stage::single_sign_on(session.user.clone(), session.id.clone(), session.auth_time, session.remember_me)
}

#[cfg(test)]
mod tests;

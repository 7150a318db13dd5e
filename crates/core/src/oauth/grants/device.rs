//! The device code grant (RFC 8628 §3.4, §3.5): a device polls until somebody has decided.
//!
//! Another client's poll touches nothing. An approved grant is taken with the tokens it gives, or with the refusal that ends it.

use super::{Login, family, login, offline};
use crate::client::Client;
use crate::login::consent;
use crate::oauth::client_auth::AuthenticatedClient;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::oauth::token::{self, Context, Decision, GrantType, Issue};
use crate::oauth::{pkce, scope};
use crate::pending::{DeviceGrant, DeviceState};
use crate::plan::{Lane, Plan, Write};
use crate::realm::Profile;
use crate::session::{Grant, UserSession};
use crate::session_limits;
use crate::user::User;

/// RFC 8628 §3.5: what `slow_down` adds to the interval, seconds.
const SLOWER: i64 = 5;

/// The interval grows no longer, and a device that polls on costs no more writes.
const SLOWEST: i64 = 60;

/// What was loaded for a device code.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded<'a> {
    /// The grant under the hash of the code.
    pub grant: Option<&'a DeviceGrant>,
    /// The login in which it was approved.
    pub login: Login<'a>,
}

/// Whether a grant makes an offline session.
#[must_use]
pub fn asks_offline(cx: &Context<'_>, client: &Client, grant: &DeviceGrant) -> bool {
    scope::active(cx.records, client, &grant.request.scope).offline()
}

/// Decides a poll.
pub fn decide<'a>(
    cx: &Context<'a>,
    client: &AuthenticatedClient<'a>,
    params: &Params,
    loaded: Loaded<'a>,
) -> Decision<'a> {
    let client = client.client();
    if !params.has("device_code") {
        return Decision::refuse(Reason::MissingDeviceCode);
    }
    let Some(grant) = loaded.grant else { return refuse(cx, client, None, Reason::DeviceCodeNotValid) };
    if grant.client != client.id {
        return refuse(cx, client, None, Reason::DeviceCodeOfAnotherClient);
    }
    if grant.expires_at <= cx.now.secs() {
        return refuse(cx, client, None, Reason::DeviceCodeExpired);
    }
    if let Some(decision) = too_fast(cx, grant) {
        return decision;
    }
    match &grant.state {
        DeviceState::Denied => refuse(cx, client, None, Reason::DeviceDenied),
        DeviceState::Pending => Decision {
            plan: Plan::new(Lane::Gate, vec![polled(cx, grant, grant.interval)]),
            answer: Err(Reason::AuthorizationPending),
        },
        DeviceState::Approved { user, .. } => {
            let take = Write::TakeDevice(cx.records.realm.id.clone(), grant.hash);
            let parties = check(cx, client, params, grant, loaded).and_then(|(session, who)| {
                if who.id == *user { Ok((session, who)) } else { Err(Reason::UserNotFound) }
            });
            match parties.and_then(|parties| give(cx, client, grant, loaded, parties)) {
                Ok((issue, mut writes)) => {
                    writes.push(take);
                    Decision { plan: Plan::new(Lane::Gate, writes), answer: Ok(issue) }
                }
                // In a keycloak realm a verifier that does not fit costs nothing: the code stays with its device (Keycloak 26.4).
                Err(reason) if pkce::is_of_verifier(&reason) && cx.records.realm.profile() == Profile::Keycloak => {
                    refuse(cx, client, None, reason)
                }
                Err(reason) => refuse(cx, client, Some(take), reason),
            }
        }
    }
}

fn refuse<'a>(cx: &Context<'_>, client: &Client, write: Option<Write>, reason: Reason) -> Decision<'a> {
    let audit = token::audit_error(cx, "OAUTH2_DEVICE_CODE_TO_TOKEN_ERROR", client, "invalid_device_code");
    Decision { plan: Plan::new(Lane::Gate, write.into_iter().chain(audit).collect()), answer: Err(reason) }
}

/// RFC 8628 §3.5. Keycloak 26.4 leaves the interval as it is and counts from the poll that it took; a strict realm lets it grow
/// and counts from each poll.
fn too_fast<'a>(cx: &Context<'_>, grant: &DeviceGrant) -> Option<Decision<'a>> {
    if cx.now.secs().saturating_sub(grant.last_poll) >= grant.interval {
        return None;
    }
    let grows = cx.records.realm.profile() == Profile::Strict && grant.interval < SLOWEST;
    let write = grows.then(|| polled(cx, grant, grant.interval.saturating_add(SLOWER)));
    Some(Decision { plan: Plan::new(Lane::Gate, write.into_iter().collect()), answer: Err(Reason::SlowDown) })
}

fn polled(cx: &Context<'_>, grant: &DeviceGrant, interval: i64) -> Write {
    let (realm, hash, from) = (cx.records.realm.id.clone(), grant.hash, grant.last_poll);
    Write::PollDevice { realm, hash, from, at: cx.now.secs(), interval }
}

fn check<'a>(
    cx: &Context<'_>,
    client: &Client,
    params: &Params,
    grant: &DeviceGrant,
    loaded: Loaded<'a>,
) -> Result<(&'a UserSession, &'a User), Reason> {
    let required = client.attribute("pkce.code.challenge.method").is_some_and(|method| !method.is_empty());
    let _checked = pkce::check(grant.request.challenge.as_ref(), params.get("code_verifier"), required)?;
    let session = loaded.login.session.filter(|s| !s.offline).ok_or(Reason::UserSessionNotFound)?;
    let user = loaded.login.user.filter(|user| user.id == session.user).ok_or(Reason::UserNotFound)?;
    if !user.enabled {
        return Err(Reason::UserDisabled);
    }
    login::active(cx, client, (session, user), grant.request.asked_at)?;
    // The approval made it: whoever detached the client since took the approval back.
    if loaded.login.client_session.is_none() {
        return Err(Reason::SessionWithoutClient);
    }
    if !consent::still_given(cx.records, client, &grant.request.scope, loaded.login.consent) {
        return Err(Reason::ConsentWithdrawn);
    }
    Ok((session, user))
}

fn give<'a>(
    cx: &Context<'a>,
    client: &'a Client,
    grant: &DeviceGrant,
    loaded: Loaded<'a>,
    (session, user): (&'a UserSession, &'a User),
) -> Result<(Issue<'a>, Vec<Write>), Reason> {
    let (now, realm) = (cx.now.secs(), &cx.records.realm);
    let given = Grant {
        scope: grant.request.scope.clone(),
        nonce: grant.request.nonce.clone(),
        redirect_uri: None,
        acr: loaded.login.client_session.and_then(|c| c.grant.acr.clone()),
        browser: true,
        auth_time: loaded.login.client_session.and_then(|c| c.grant.auth_time),
        resources: cx.resources.to_vec(),
    };
    let mut writes = vec![
        Write::ExpectClient(realm.id.clone(), client.id.clone(), client.version),
        Write::ExpectUser(realm.id.clone(), user.id.clone(), user.version),
    ];
    let scopes = scope::active(cx.records, client, &given.scope);
    let offline = offline::admit(cx, client, user, &scopes)?;
    let (session, made) = if offline {
        offline::from_login(cx, client, session, loaded.login.shared)
    } else {
        (session.clone(), Write::ExpectUserSession(realm.id.clone(), session.id.clone()))
    };
    let known =
        loaded.login.client_session.filter(|c| session_limits::is_client_active(realm, client, &session, c, now));
    let started = known.filter(|_| !offline).map_or(now, |c| c.started);
    writes.push(made);
    let (joined, family) = family::join(cx, client, &session, &given, started)?;
    writes.extend(joined);
    writes.extend(token::audit(cx, "OAUTH2_DEVICE_CODE_TO_TOKEN", client, (&user.id, &session.id)));
    let scopes = scopes.permitted(cx.records, user);
    let all = scopes.all_names();
    let to = token::Recipient { client, user, session, grant: given, client_started: started };
    Ok((token::issue(cx, GrantType::DeviceCode, to, (scopes, &all), family)?, writes))
}

//! A user sets a new password: policy, history, and one plan that also pays the owed action.

use portcullis_core::entropy;
use portcullis_core::event::Event;
use portcullis_core::ids::{CredentialId, SessionId};
use portcullis_core::login::password_policy::{Owner, PasswordPolicy, Violation};
use portcullis_core::plan::{Entity, Gate, Lane, Plan, Write};
use portcullis_core::secret::Secret;
use portcullis_core::user::{Credential, User};
use portcullis_store::ApplyError;

use crate::ending;
use crate::password::{HashedPassword, Unhashed};
use crate::state::Unavailable;

use super::Cx;

/// Keycloak's type of older passwords.
const HISTORY: &str = "password-history";

/// Reloads when somebody else changed the user meanwhile.
const RETRIES: usize = 5;

/// How it went.
pub(super) enum Outcome {
    Set,
    Violates(Violation),
    Busy,
}

/// Sets the password and removes `UPDATE_PASSWORD`. `end_others`: also ends the user's sessions but the given one.
pub(super) async fn set(
    cx: &Cx<'_>,
    user: &User,
    password: &Secret,
    end_others: Option<Option<SessionId>>,
) -> Result<Outcome, Unavailable> {
    let policy = PasswordPolicy::parse(cx.view.records.realm.settings.password_policy.as_deref());
    let owner = Owner { username: &user.username, email: user.email.as_deref() };
    if let Err(violation) = policy.check(password.expose(), owner) {
        return Ok(Outcome::Violates(violation));
    }
    let realm = &cx.view.records.realm.id;
    let credentials = cx.app.db.credentials(realm, &user.id).await.map_err(|_| Unavailable)?;
    for old in remembered(&credentials, policy.history().unwrap_or(0)) {
        match cx.app.passwords.verify(realm, old, password).await {
            Ok(verdict) if verdict.ok => return Ok(Outcome::Violates(policy.history_violation())),
            Ok(_) => {}
            Err(refused) => return Ok(unhashed(refused)),
        }
    }
    let hashed = match cx.app.passwords.hash(realm, password).await {
        Ok(hashed) => hashed,
        Err(refused) => return Ok(unhashed(refused)),
    };
    let issuer = cx.issuer();
    let place = ending::Place { app: cx.app, view: cx.view, issuer: &issuer, now: cx.now };
    for _ in 0..RETRIES {
        let user = cx.app.db.user(realm, &user.id).await.map_err(|_| Unavailable)?.ok_or(Unavailable)?;
        let credentials = cx.app.db.credentials(realm, &user.id).await.map_err(|_| Unavailable)?;
        let ends = match &end_others {
            Some(except) => ending::of_user(place, &user.id, except.as_ref()).await?,
            None => Vec::new(),
        };
        let plan = plan(cx, user, &credentials, &hashed, &policy, ends);
        match cx.app.db.apply(plan).await {
            Ok(()) => {
                ending::wake(place);
                return Ok(Outcome::Set);
            }
            Err(ApplyError::Gate(Gate::Stale(_) | Gate::Gone(Entity::Client))) => {}
            Err(_) => return Err(Unavailable),
        }
    }
    Err(Unavailable)
}

fn unhashed(refused: Unhashed) -> Outcome {
    match refused {
        Unhashed::Busy => Outcome::Busy,
        Unhashed::Unacceptable => {
            let argument = Some(crate::password::MAX_PASSWORD);
            Outcome::Violates(Violation { message: "invalidPasswordMaxLengthMessage", argument })
        }
    }
}

/// The present password and the newest older ones, `n` in all.
fn remembered(credentials: &[Credential], n: usize) -> impl Iterator<Item = &Credential> {
    let mut found: Vec<&Credential> =
        credentials.iter().filter(|c| c.kind == "password" || c.kind == HISTORY).collect();
    found.sort_by_key(|c| (c.kind != "password", std::cmp::Reverse(c.created_date)));
    found.into_iter().take(n)
}

fn plan(
    cx: &Cx<'_>,
    mut user: User,
    credentials: &[Credential],
    hashed: &HashedPassword,
    policy: &PasswordPolicy,
    ends: Vec<Write>,
) -> Plan {
    let realm = cx.view.records.realm.id.clone();
    let id = user.id.clone();
    let fresh_id = || CredentialId::new(entropy::uuid(cx.app.entropy.as_ref()));
    let mut plan = Plan::new(Lane::Login, Vec::new());
    let present = credentials.iter().filter(|c| c.kind == "password").min_by_key(|c| c.priority);
    let to = Credential {
        id: present.map_or_else(fresh_id, |c| c.id.clone()),
        kind: "password".to_owned(),
        user_label: present.and_then(|c| c.user_label.clone()),
        created_date: cx.now.millis(),
        priority: present.map_or(10, |c| c.priority),
        secret_data: hashed.secret_data.clone(),
        credential_data: hashed.credential_data.clone(),
    };
    match present {
        Some(from) => {
            let from = from.clone();
            plan.push(Write::ReplaceCredential { realm: realm.clone(), user: id.clone(), from, to });
        }
        None => plan.push(Write::AddCredential(realm.clone(), id.clone(), to)),
    }
    keep_history(&mut plan, cx, (&user, present, credentials), policy.history().unwrap_or(0));
    user.settings.required_actions.retain(|alias| alias != "UPDATE_PASSWORD");
    plan.push(Write::UpdateUser(realm.clone(), user));
    plan.writes.extend(ends);
    plan.push(Write::Audit(Event { user: Some(id), ..cx.event("UPDATE_PASSWORD") }));
    plan
}

/// Puts the present password among the older ones and drops those that no rule asks for.
fn keep_history(
    plan: &mut Plan,
    cx: &Cx<'_>,
    (user, present, credentials): (&User, Option<&Credential>, &[Credential]),
    n: usize,
) {
    let realm = &cx.view.records.realm.id;
    let keep = n.saturating_sub(1);
    if let Some(present) = present.filter(|_| keep > 0) {
        let id = CredentialId::new(entropy::uuid(cx.app.entropy.as_ref()));
        let old = Credential { id, kind: HISTORY.to_owned(), priority: present.priority + 10, ..present.clone() };
        plan.push(Write::AddCredential(realm.clone(), user.id.clone(), old));
    }
    let mut older: Vec<&Credential> = credentials.iter().filter(|c| c.kind == HISTORY).collect();
    older.sort_by_key(|c| std::cmp::Reverse(c.created_date));
    for surplus in older.into_iter().skip(keep.saturating_sub(1)) {
        plan.push(Write::DeleteCredential(realm.clone(), user.id.clone(), surplus.id.clone()));
    }
}

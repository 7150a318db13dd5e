//! The required actions `VERIFY_PROFILE` and `UPDATE_PROFILE`: a person completes names, e-mail and what else the realm asks.
//!
//! Both are one page and one form. The first is owed because of what is stored, the second because an administrator wants it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::response::Response;
use portcullis_core::event::Event;
use portcullis_core::login::flow::LoginTab;
use portcullis_core::login::required_action::RequiredAction;
use portcullis_core::oauth::params::Params;
use portcullis_core::plan::{Entity, Gate, Lane, Plan, Write};
use portcullis_core::user::User;
use portcullis_core::user::profile::Fault;
use portcullis_core::user::profile::own::{Edited, Field, OwnProfile};
use portcullis_store::ApplyError;
use serde_json::Value;

use crate::pages::{Alert, ProfileField, Text, UpdateProfilePage};
use crate::state::Unavailable;
use crate::watch::Halt;

use super::flows::{self, Flow};
use super::page::{self, Say};
use super::{Cx, steps};

/// Reloads when somebody else changed the user meanwhile.
const RETRIES: usize = 5;

/// Keycloak's word for who writes: a detail of the audit row.
const CONTEXT: &str = "UPDATE_PROFILE";

/// What was typed and what was wrong with it.
struct Answer<'a> {
    form: &'a Params,
    faults: Vec<Fault>,
}

/// Shows the page. Where the profile must be completed it says at once what is missing, and an audit row does (Keycloak 26.4).
pub(super) async fn show(
    cx: &Cx<'_>,
    flow: Flow,
    action: &RequiredAction,
    user: &User,
) -> Result<Response, Unavailable> {
    if *action == RequiredAction::VerifyProfile
        && let Some(own) = flow.tab.login().and_then(|login| own(cx, login))
    {
        let mut fields: Vec<String> = own.faults(user).into_iter().map(|fault| fault.field).collect();
        fields.dedup();
        let details = BTreeMap::from([("fields_to_update".to_owned(), fields.join(","))]);
        let told = Plan::new(Lane::Login, vec![event(cx, "VERIFY_PROFILE", user, details)]);
        cx.app.db.apply(told).await.map_err(|_| Unavailable)?;
    }
    draw(cx, flow, action, user, None).await
}

async fn draw(
    cx: &Cx<'_>,
    mut flow: Flow,
    action: &RequiredAction,
    user: &User,
    answer: Option<Answer<'_>>,
) -> Result<Response, Unavailable> {
    let code = flow.tab.mint_code(cx.app.entropy.as_ref());
    let Some(login) = flow.tab.login_mut() else { return Ok(page::invalid_code(cx)) };
    action.alias().clone_into(&mut login.execution);
    let shown = login.clone();
    login.notice = None;
    flows::save(cx, &flow).await?;
    let Some(own) = own(cx, &shown) else { return Ok(page::invalid_code(cx)) };
    let faults = match (&answer, action) {
        (Some(answer), _) => answer.faults.clone(),
        (None, RequiredAction::VerifyProfile) => own.faults(user),
        (None, _) => Vec::new(),
    };
    let form = answer.as_ref().map(|answer| answer.form);
    let fields: Vec<ProfileField> = own.fields(user).iter().map(|one| field(one, form, &faults)).collect();
    let told = |fault: &&Fault| !fields.iter().any(|field| field.name == fault.field);
    let alert = match (shown.notice, faults.iter().find(told)) {
        (Some(first), _) if answer.is_none() => Some(page::notice(first)),
        // A fault of something that the page does not show stands above the form.
        (_, Some(fault)) => Some(Alert::error(sentence(fault))),
        _ => faults.is_empty().then(|| Alert::warning(Text::key("updateProfileMessage"))),
    };
    let filled = UpdateProfilePage { action: String::new(), fields, alert, cancellable: false };
    Ok(page::update_profile(cx, &flow, &shown, (&code, answer.map(|_| Halt::Profile)), filled))
}

fn own<'a>(cx: &'a Cx<'_>, login: &LoginTab) -> Option<OwnProfile<'a>> {
    let records = &cx.view.records;
    Some(OwnProfile::new(records, records.client(&login.request.client_id)?, &login.request.scope))
}

fn field(of: &Field<'_>, form: Option<&Params>, faults: &[Fault]) -> ProfileField {
    let typed = |form: &Params| form.iter().filter(|(name, _)| *name == of.name).map(|(_, v)| v.to_owned()).collect();
    let mut values: Vec<String> = match form.filter(|form| !of.read_only && form.has(of.name)) {
        Some(form) => typed(form),
        None => of.values.clone(),
    };
    values.retain(|value| !value.is_empty());
    let mut field = ProfileField::new(of.name, Text::reference(of.label), of.required);
    field.read_only = of.read_only;
    field.error = faults.iter().find(|fault| fault.field == of.name).map(sentence);
    let mut values = values.into_iter();
    field.value = values.next().unwrap_or_default();
    if of.multivalued {
        field.more = values.collect();
        // An empty field to add one; what stays empty counts for nothing.
        if !of.read_only && !field.value.is_empty() {
            field.more.push(String::new());
        }
    }
    field
}

/// A fault in the reader's words: Keycloak's key, the attribute as `{0}`.
fn sentence(fault: &Fault) -> Text {
    let arg = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    Text::Key { key: Cow::Borrowed(fault.message), args: fault.params.iter().map(arg).collect() }
}

/// The form.
pub(super) async fn submit(
    cx: &Cx<'_>,
    flow: Flow,
    login: LoginTab,
    (action, user): (&RequiredAction, &User),
    form: &Params,
) -> Result<Response, Unavailable> {
    let (db, realm) = (&cx.app.db, &cx.view.records.realm);
    let Some(own) = own(cx, &login) else { return Ok(page::invalid_code(cx)) };
    for _ in 0..RETRIES {
        let Some(user) = db.user(&realm.id, &user.id).await.map_err(|_| Unavailable)?.filter(|user| user.enabled)
        else {
            return steps::proceed(cx, flow, Say::default()).await;
        };
        let edited = match own.edited(&user, form) {
            Ok(edited) => edited,
            Err(faults) => return draw(cx, flow, action, &user, Some(Answer { form, faults })).await,
        };
        let faults = taken(cx, &user, &edited.user).await?;
        if !faults.is_empty() {
            return draw(cx, flow, action, &user, Some(Answer { form, faults })).await;
        }
        match db.apply(plan(cx, action, edited)).await {
            Ok(()) => return steps::proceed(cx, flow, Say::default()).await,
            Err(ApplyError::Gate(Gate::Stale(_) | Gate::Gone(_))) => {}
            Err(ApplyError::Gate(Gate::Taken(entity))) => {
                let faults = vec![if entity == Entity::Email { email_taken() } else { username_taken(cx) }];
                return draw(cx, flow, action, &user, Some(Answer { form, faults })).await;
            }
            Err(_) => return Err(Unavailable),
        }
    }
    Err(Unavailable)
}

/// EN-15: a new name or address must not lead to another account, whichever of the two it is there.
async fn taken(cx: &Cx<'_>, before: &User, after: &User) -> Result<Vec<Fault>, Unavailable> {
    let (db, realm) = (&cx.app.db, &cx.view.records.realm);
    let settings = &realm.settings;
    let others = |found: Option<User>| found.is_some_and(|user| user.id != before.id);
    let by_name = async |name: &str| db.user_by_username(&realm.id, name).await.map_err(|_| Unavailable);
    let by_email = async |email: &str| db.user_by_email(&realm.id, email).await.map_err(|_| Unavailable);
    let mut faults = Vec::new();
    if let Some(email) = after.email.as_deref().filter(|email| before.email.as_deref() != Some(*email))
        && !settings.duplicate_emails_allowed
        && (others(by_email(email).await?) || settings.login_with_email_allowed && others(by_name(email).await?))
    {
        faults.push(email_taken());
    }
    if after.username != before.username {
        let as_email = settings.login_with_email_allowed && after.username.contains('@');
        if others(by_name(&after.username).await?) || as_email && others(by_email(&after.username).await?) {
            faults.push(username_taken(cx));
        }
    }
    Ok(faults)
}

fn email_taken() -> Fault {
    Fault::of("email", "emailExistsMessage", &[])
}

fn username_taken(cx: &Cx<'_>) -> Fault {
    match cx.view.records.realm.settings.registration_email_as_username {
        true => email_taken(),
        false => Fault::of("username", "usernameExistsMessage", &[]),
    }
}

/// The user as edited, the action paid, and both told.
fn plan(cx: &Cx<'_>, action: &RequiredAction, edited: Edited) -> Plan {
    let realm = &cx.view.records.realm.id;
    let Edited { mut user, mut details } = edited;
    user.settings.required_actions.retain(|alias| alias != action.alias());
    details.insert("context".to_owned(), CONTEXT.to_owned());
    details.insert("custom_required_action".to_owned(), action.alias().to_owned());
    let told = event(cx, "UPDATE_PROFILE", &user, details);
    Plan::new(Lane::Login, vec![Write::UpdateUser(realm.clone(), user), told])
}

fn event(cx: &Cx<'_>, kind: &'static str, user: &User, details: BTreeMap<String, String>) -> Write {
    Write::Audit(Event { user: Some(user.id.clone()), details, ..cx.event(kind) })
}

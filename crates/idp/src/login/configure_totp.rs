//! The required action `CONFIGURE_TOTP`: a person adds an authenticator app.
//!
//! The seed waits sealed in the tab, bound to the user; it becomes a credential when the app showed a right code. Who has a
//! device already shows it first, whatever the session came from (MF-06).

use axum::response::Response;
use portcullis_core::entropy;
use portcullis_core::event::Event;
use portcullis_core::ids::CredentialId;
use portcullis_core::login::factors;
use portcullis_core::login::flow::{LoginTab, Proof, Stage};
use portcullis_core::login::one_time_code::{self as law, NewDevice, Terms};
use portcullis_core::login::required_action::RequiredAction;
use portcullis_core::oauth::params::Params;
use portcullis_core::plan::{Gate, Lane, Plan, Write};
use portcullis_core::secret::Secret;
use portcullis_core::user::{Credential, User};
use portcullis_store::ApplyError;

use crate::ending;
use crate::pages::{ConfigureTotpPage, QrCode, Text};
use crate::state::Unavailable;

use super::flows::{self, Flow};
use super::page::{self, Say};
use super::{Cx, one_time_code, steps};

/// Longest name of a device that is kept, characters (Keycloak's column).
const MAX_LABEL: usize = 255;

/// Reloads when somebody else changed the user meanwhile.
const RETRIES: usize = 5;

/// What was wrong with an answer, and the name that was typed.
#[derive(Default)]
pub(super) struct Wrong {
    code: Option<Text>,
    label: Option<Text>,
    typed: String,
}

/// Shows the page, or first the one for the code of a device that the person has.
pub(super) async fn show(cx: &Cx<'_>, flow: Flow, user: &User) -> Result<Response, Unavailable> {
    let credentials = cx.app.db.credentials(&cx.view.records.realm.id, &user.id).await.map_err(|_| Unavailable)?;
    match admitted(cx, &flow, &credentials).await? {
        true => again(cx, flow, user, &credentials, Wrong::default()).await,
        false => second_factor(cx, flow, user).await,
    }
}

/// Whether a device may be added: there is none yet, or one was shown in this login or in its session (MF-06).
async fn admitted(cx: &Cx<'_>, flow: &Flow, credentials: &[Credential]) -> Result<bool, Unavailable> {
    if !law::is_owed(credentials) {
        return Ok(true);
    }
    let Some(Stage::Authenticated(Proof { notes, session, .. })) = flow.tab.login().map(|login| &login.stage) else {
        return Ok(false);
    };
    let shown = |notes: &factors::Notes| factors::proven(notes).contains_key(factors::ONE_TIME_CODE);
    if shown(notes) {
        return Ok(true);
    }
    let Some(session) = session else { return Ok(false) };
    let found = cx.app.db.user_session(&cx.view.records.realm.id, session).await.map_err(|_| Unavailable)?;
    Ok(found.is_some_and(|session| shown(&session.notes)))
}

async fn second_factor(cx: &Cx<'_>, mut flow: Flow, user: &User) -> Result<Response, Unavailable> {
    if let Some(login) = flow.tab.login_mut()
        && let Stage::Authenticated(proof) = &mut login.stage
    {
        proof.second_factor_owed = true;
        login.execution = entropy::uuid(cx.app.entropy.as_ref());
    }
    one_time_code::show(cx, flow, user, None, Say::default()).await
}

fn context(user: &User) -> String {
    format!("TOTP_SEED\0{}", user.id)
}

/// The seed that the tab's page shows to this user.
fn seed(cx: &Cx<'_>, login: &LoginTab, user: &User) -> Option<Secret> {
    let bytes = flows::open_sealed(cx, &context(user), login.seed.as_deref()?)?;
    String::from_utf8(bytes).ok().map(Secret::new)
}

async fn again(
    cx: &Cx<'_>,
    mut flow: Flow,
    user: &User,
    credentials: &[Credential],
    wrong: Wrong,
) -> Result<Response, Unavailable> {
    let code = flow.tab.mint_code(cx.app.entropy.as_ref());
    let Some(login) = flow.tab.login_mut() else { return Ok(page::invalid_code(cx)) };
    let seed = match seed(cx, login, user) {
        Some(seed) => seed,
        None => {
            let seed = law::new_seed(cx.app.entropy.as_ref());
            login.seed = Some(flows::seal(cx, &context(user), seed.expose().as_bytes()).ok_or(Unavailable)?);
            seed
        }
    };
    RequiredAction::ConfigureTotp.alias().clone_into(&mut login.execution);
    let shown = login.clone();
    login.notice = None;
    flows::save(cx, &flow).await?;
    let realm = &cx.view.records.realm;
    let mut page = ConfigureTotpPage::new(&seed, Terms::of(&realm.settings.otp));
    page.qr = QrCode::of(law::uri(realm, user, &seed).expose());
    page.username.clone_from(&user.username);
    page.named = law::is_owed(credentials);
    page.label = wrong.typed;
    (page.code_error, page.label_error) = (wrong.code, wrong.label);
    Ok(page::configure_totp(cx, &flow, &shown, &code, page))
}

/// The form.
pub(super) async fn submit(
    cx: &Cx<'_>,
    mut flow: Flow,
    login: LoginTab,
    user: &User,
    form: &Params,
) -> Result<Response, Unavailable> {
    let (db, realm) = (&cx.app.db, &cx.view.records.realm);
    let typed: String = form.get("userLabel").unwrap_or_default().trim().chars().take(MAX_LABEL).collect();
    let code: String = form.get("totp").unwrap_or_default().split_ascii_whitespace().collect();
    let issuer = cx.issuer();
    let place = ending::Place { app: cx.app, view: cx.view, issuer: &issuer, now: cx.now };
    for _ in 0..RETRIES {
        let Some(user) = db.user(&realm.id, &user.id).await.map_err(|_| Unavailable)? else {
            return steps::proceed(cx, flow, Say::default()).await;
        };
        let credentials = db.credentials(&realm.id, &user.id).await.map_err(|_| Unavailable)?;
        if !admitted(cx, &flow, &credentials).await? {
            return second_factor(cx, flow, &user).await;
        }
        let Some(seed) = seed(cx, &login, &user) else { return show(cx, flow, &user).await };
        let mut wrong = Wrong { typed: typed.clone(), ..Wrong::default() };
        if code.is_empty() {
            wrong.code = Some(Text::key("missingTotpMessage"));
        }
        wrong.label = label_error(&credentials, &typed).map(Text::key);
        if wrong.code.is_some() || wrong.label.is_some() {
            return again(cx, flow, &user, &credentials, wrong).await;
        }
        let id = CredentialId::new(entropy::uuid(cx.app.entropy.as_ref()));
        let priority = credentials.iter().map(|c| c.priority).max().unwrap_or(0).saturating_add(10);
        let device = NewDevice { id, label: &typed, seed: &seed, priority };
        let Some(mut writes) = law::enrol(realm, &user.id, device, &code, cx.now) else {
            wrong.code = Some(Text::key("invalidTotpMessage"));
            return again(cx, flow, &user, &credentials, wrong).await;
        };
        writes.extend(paid(cx, place, &login, (user, form)).await?);
        match db.apply(Plan::new(Lane::Login, writes)).await {
            Ok(()) => {
                ending::wake(place);
                if let Some(login) = flow.tab.login_mut() {
                    login.seed = None;
                }
                return steps::proceed(cx, flow, Say::default()).await;
            }
            Err(ApplyError::Gate(Gate::Stale(_))) => {}
            // The same form twice at the same moment: the other one added the device.
            Err(ApplyError::Gate(_)) => return steps::proceed(cx, flow, Say::default()).await,
            Err(_) => return Err(Unavailable),
        }
    }
    Err(Unavailable)
}

/// A second device needs a name, and one of its own (Keycloak 26.4).
fn label_error(credentials: &[Credential], typed: &str) -> Option<&'static str> {
    let mut others = law::devices(credentials);
    if typed.is_empty() {
        return others.next().map(|_| "missingTotpDeviceNameMessage");
    }
    others.any(|c| c.user_label.as_deref() == Some(typed)).then_some("otpDeviceNameTakenMessage")
}

/// The action is paid; other sessions end where that was asked for.
async fn paid(
    cx: &Cx<'_>,
    place: ending::Place<'_>,
    login: &LoginTab,
    (mut user, form): (User, &Params),
) -> Result<Vec<Write>, Unavailable> {
    let realm = &cx.view.records.realm.id;
    let id = user.id.clone();
    user.settings.required_actions.retain(|alias| alias != RequiredAction::ConfigureTotp.alias());
    let mut writes = vec![Write::UpdateUser(realm.clone(), user)];
    if form.has("logout-sessions")
        && let Stage::Authenticated(proof) = &login.stage
    {
        writes.extend(ending::of_user(place, &id, proof.session.as_ref()).await?);
    }
    writes.push(Write::Audit(Event { user: Some(id), ..cx.event("UPDATE_TOTP") }));
    Ok(writes)
}

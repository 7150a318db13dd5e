//! A device waits for this login (RFC 8628 §3.3): the question at its end, and what the answer writes.
//!
//! Nobody's device is approved by an address alone: the page names client, scopes and the code to compare, and its form carries
//! the session code of this browser's tab (PC-20, AZ-24).

use axum::response::Response;
use http::{HeaderMap, Method};
use portcullis_core::client::Client;
use portcullis_core::login::consent;
use portcullis_core::login::flow::{LoginTab, Proof, Stage};
use portcullis_core::login::next::Step;
use portcullis_core::oauth::authorize::AuthorizeRequest;
use portcullis_core::oauth::device::{self as law, Approver, BadUserCode, DeviceCall};
use portcullis_core::plan::{Gate, Lane, Plan, Write};
use portcullis_core::session::UserSession;
use portcullis_core::user::User;
use portcullis_store::ApplyError;

use crate::pages::{ConsentPage, Text};
use crate::state::Unavailable;
use crate::watch::Entry;

use super::address::{self, Point};
use super::flows::{self, Closed, Flow};
use super::issue::{self, Device};
use super::page::{self, Say};
use super::{Cx, Visit, restart, sso, steps};

/// First try and two more after somebody changed what was decided upon.
const TRIES: usize = 3;

/// Whether a kept request may still be decided, and for which client; else the page that says it is over.
pub(super) async fn standing<'c>(
    cx: &'c Cx<'_>,
    request: &AuthorizeRequest,
) -> Result<Result<&'c Client, Response>, Unavailable> {
    let realm = &cx.view.records.realm.id;
    let found = match request.device.as_ref().and_then(DeviceCall::hash) {
        Some(hash) => cx.app.db.device_grant(realm, &hash).await.map_err(|_| Unavailable)?,
        None => None,
    };
    let judged = law::standing(&cx.view.records, cx.now.secs(), request, found.as_ref());
    Ok(judged.map_err(|bad| {
        tracing::debug!(?bad, "the device grant is over");
        over(cx, Some(bad))
    }))
}

/// 302 to the page that says how it ended.
fn over(cx: &Cx<'_>, bad: Option<BadUserCode>) -> Response {
    let error = match bad {
        Some(BadUserCode::Expired) => "expired_token",
        Some(BadUserCode::Invalid) | None => "server_error",
    };
    to_status(cx, Some(error))
}

fn to_status(cx: &Cx<'_>, error: Option<&str>) -> Response {
    let query = error.map(|error| format!("?error={error}")).unwrap_or_default();
    page::redirect(cx, &format!("{}/device/status{query}", cx.issuer()))
}

/// Shows the question.
pub(super) async fn ask(cx: &Cx<'_>, mut flow: Flow, login: LoginTab) -> Result<Response, Unavailable> {
    let client = match standing(cx, &login.request).await? {
        Ok(client) => client,
        Err(over) => return Ok(over),
    };
    let lines = consent::lines(&cx.view.records, client, &login.request.scope);
    let code = flow.tab.mint_code(cx.app.entropy.as_ref());
    if let Some(login) = flow.tab.login_mut() {
        login.shown = lines.iter().map(|line| line.id.clone()).collect();
    }
    flows::save(cx, &flow).await?;
    let name = client.settings.name.as_ref().filter(|name| !name.is_empty()).unwrap_or(&client.client_id);
    let question = ConsentPage {
        action: address::path(cx, "consent", Point::default(), &flow.tab.id, &login),
        code: code.expose().to_owned(),
        client: Text::reference(name.clone()),
        scopes: lines.iter().map(|line| Text::reference(line.text)).collect(),
        user_code: login.request.device.as_ref().map(|call| call.user_code.clone()),
    };
    Ok(page::shown(cx, &login, &question))
}

/// The answer to the question: yes or no.
pub(super) async fn decide(cx: &Cx<'_>, visit: &Visit, flow: Flow, login: LoginTab) -> Result<Response, Unavailable> {
    let Stage::Authenticated(proof) = &login.stage else { return steps::expired(cx, flow).await };
    let user = cx.app.db.user(&cx.view.records.realm.id, &proof.user).await.map_err(|_| Unavailable)?;
    let step = steps::decide(cx, &login.request, &login.stage, user.as_ref()).await?;
    if step != Step::Consent || visit.method != Method::POST {
        return steps::proceed(cx, flow, Say::default()).await;
    }
    // AZ-25: only the page that was shown last can be answered.
    if !flow.tab.code_matches(visit.form.get("code").unwrap_or_default()) {
        return steps::expired(cx, flow).await;
    }
    match (visit.form.has("accept"), visit.form.has("cancel")) {
        (true, false) => accept(cx, flow, &login, proof).await,
        (false, true) => refuse(cx, flow, &login).await,
        (true, true) | (false, false) => steps::expired(cx, flow).await,
    }
}

async fn refuse(cx: &Cx<'_>, mut flow: Flow, login: &LoginTab) -> Result<Response, Unavailable> {
    let client = match standing(cx, &login.request).await? {
        Ok(client) => client,
        Err(over) => return Ok(over),
    };
    if flows::close(cx, &mut flow).await? == Closed::Already {
        return Ok(page::invalid_code(cx));
    }
    let issuer = cx.issuer();
    match cx.app.db.apply(law::denial(&cx.context(&issuer), client, &login.request)).await {
        Ok(()) => Ok(to_status(cx, Some("access_denied"))),
        Err(ApplyError::Gate(_)) => Ok(over(cx, None)),
        Err(_) => Err(Unavailable),
    }
}

async fn accept(cx: &Cx<'_>, mut flow: Flow, login: &LoginTab, proof: &Proof) -> Result<Response, Unavailable> {
    let mut jar = HeaderMap::new();
    match flows::close(cx, &mut flow).await? {
        Closed::Already => return Ok(page::invalid_code(cx)),
        Closed::Last => restart::delete_cookie(cx, &mut jar),
        Closed::TabsLeft => {}
    }
    let Approved { session, user, mark } = match establish(cx, login, proof).await? {
        Ok(approved) => approved,
        Err(over) => return Ok(over),
    };
    cx.app.watch.figures.of(Some(cx.realm_name())).entered(Entry::Device);
    sso::set_cookies(cx, &mut jar, &session).map_err(|_| Unavailable)?;
    if proof.fresh {
        issue::set_login_cookies(cx, &mut jar, &session, &user, mark.as_ref());
    }
    Ok(page::with_cookies(to_status(cx, None), jar))
}

struct Approved {
    session: UserSession,
    user: User,
    mark: Option<Device>,
}

/// One plan: the session, the decision, the audit row. What changed meanwhile is loaded and decided again.
async fn establish(cx: &Cx<'_>, login: &LoginTab, proof: &Proof) -> Result<Result<Approved, Response>, Unavailable> {
    let mut stands = proof.session.clone();
    for _ in 0..TRIES {
        let view = cx.app.realm(cx.realm_name()).await?.ok_or(Unavailable)?;
        let cx = &Cx { view: &view, ..cx.clone() };
        let (db, realm) = (&cx.app.db, &view.records.realm.id);
        let client = match standing(cx, &login.request).await? {
            Ok(client) => client,
            Err(over) => return Ok(Err(over)),
        };
        let user = db.user(realm, &proof.user).await.map_err(|_| Unavailable)?;
        let Some(user) = user.filter(|user| user.enabled) else { return Ok(Err(over(cx, None))) };
        let found = match &stands {
            Some(id) => db.session_and_client(realm, id, &client.id).await.map_err(|_| Unavailable)?,
            None => None,
        };
        let (session, below, first) = match found.filter(|(session, _)| session.user == user.id) {
            Some((mut session, below)) => {
                let write = issue::continued(cx, proof, &mut session);
                (session, below, write)
            }
            None if proof.fresh => {
                let session = issue::new_session(cx, proof);
                (session.clone(), None, Write::CreateUserSession(realm.clone(), session))
            }
            // Single sign-on lost its session.
            None => return Ok(Err(over(cx, None))),
        };
        let mark = if proof.fresh { issue::device_of(cx, &user) } else { None };
        let details = [("username", login.attempted.as_deref()), ("grant_type", Some("device_code"))];
        let mut writes = vec![first, Write::Audit(issue::login_event(cx, client, (&user.id, &session.id), details))];
        writes.extend(mark.as_ref().map(|mark| mark.write.clone()));
        if client.settings.consent_required {
            let stored = db.consent(realm, &user.id, &client.id).await.map_err(|_| Unavailable)?;
            let given = consent::accepted(stored.as_ref(), (&user.id, client), &login.shown, cx.now.millis());
            writes.push(Write::PutConsent(realm.clone(), given));
        }
        let grant = issue::grant(cx, client, &session, (&login.request, proof));
        let by = Approver { user: &user, session: &session, below: below.as_ref(), grant: &grant };
        let issuer = cx.issuer();
        writes.extend(law::approval(&cx.context(&issuer), client, &login.request, by));
        match db.apply(Plan::new(Lane::Login, writes)).await {
            Ok(()) => return Ok(Ok(Approved { session, user, mark })),
            Err(ApplyError::Gate(Gate::SessionEnded)) => stands = None,
            Err(ApplyError::Gate(gate)) => tracing::debug!(?gate, "the approval is decided again"),
            Err(_) => return Err(Unavailable),
        }
    }
    Err(Unavailable)
}

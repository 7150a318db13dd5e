//! The login flows of a browser in `Ephemeral`, and the cookies that lead to them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use portcullis_core::key::KeyStatus;
use portcullis_core::login::flow::{self, Browser, FLOW_FORMAT, Purpose, Restart, Tab};
use portcullis_core::oauth::authorize::AuthorizeRequest;
use portcullis_core::oauth::params::Params;
use portcullis_jose::aead::{SealKey, SealingKeys};
use portcullis_jose::digest;
use portcullis_store::{Key, Kind};

use crate::respond::cookies::{self, Attributes};
use crate::state::{RealmView, Unavailable};

use super::Cx;

/// The browser of a request.
pub(crate) struct BrowserFlow {
    id: String,
    browser: Browser,
}

/// A tab of the browser.
pub(crate) struct Flow {
    /// Whose.
    pub(crate) browser: BrowserFlow,
    /// The tab.
    pub(crate) tab: Tab,
}

/// What was left when a tab was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Closed {
    /// Another request closed it first.
    Already,
    /// Other tabs stay.
    TabsLeft,
    /// It was the last one.
    Last,
}

/// The purpose of a restart cookie.
const RESTART: &str = "KC_RESTART";

/// Seconds of a restart cookie.
const RESTART_SECONDS: i64 = 12 * 3600;

/// Longest restart cookie that browsers keep; a longer one is not sent (SE-21).
const MAX_RESTART: usize = 3800;

/// The browser behind the signed cookie, if its flows are still there.
pub(crate) async fn browser(cx: &Cx<'_>) -> Result<Option<BrowserFlow>, Unavailable> {
    let Some(value) = cookies::get(cx.headers, cookies::AUTH_SESSION_ID) else { return Ok(None) };
    let Some(id) = secrets(cx.view).find_map(|key| flow::read_browser_cookie(value, key)) else { return Ok(None) };
    let found = cx.app.ephemeral.get(&key(cx, &id), cx.now).await.map_err(|_| Unavailable)?;
    Ok(found.and_then(|bytes| Browser::read(&bytes, cx.now.secs())).map(|browser| BrowserFlow { id, browser }))
}

/// The tab that an address names, of this browser (AZ-24) and of the client it names.
pub(crate) async fn lookup(cx: &Cx<'_>, query: &Params) -> Result<Option<Flow>, Unavailable> {
    let Some(tab_id) = query.get("tab_id") else { return Ok(None) };
    let Some(browser) = browser(cx).await? else { return Ok(None) };
    let found = cx.app.ephemeral.get(&tab_key(cx, &browser.id, tab_id), cx.now).await.map_err(|_| Unavailable)?;
    let tab = found.and_then(|bytes| Tab::read(&bytes, cx.now.secs())).filter(|tab| tab.id == tab_id);
    let client_fits = |tab: &Tab| match &tab.purpose {
        Purpose::Login(login) => query.get("client_id") == Some(&login.request.client_id),
        Purpose::Logout(logout) => query.get("client_id") == Some(&logout.client_id),
    };
    Ok(tab.filter(client_fits).map(|tab| Flow { browser, tab }))
}

/// Opens a tab in the browser, or in a new one: then its cookies are put into `jar`. `with_hash` for logins (Keycloak 26.4).
pub(crate) async fn open(
    cx: &Cx<'_>,
    live: Option<BrowserFlow>,
    purpose: Purpose,
    jar: &mut HeaderMap,
) -> Result<Flow, Unavailable> {
    let expires_at = cx.now.secs() + cx.view.records.realm.settings.access_code_lifespan_login.max(60);
    let with_hash = matches!(purpose, Purpose::Login(_));
    let tab = Tab::new(purpose, expires_at, cx.app.entropy.as_ref());
    let mut browser = match live {
        Some(browser) => browser,
        None => BrowserFlow { id: new_browser(cx, jar, with_hash), browser: Browser::new(expires_at) },
    };
    for dropped in browser.browser.add(&tab.id, expires_at) {
        cx.app.ephemeral.take(&tab_key(cx, &browser.id, &dropped), cx.now).await.map_err(|_| Unavailable)?;
    }
    let flow = Flow { browser, tab };
    save_browser(cx, &flow.browser).await?;
    save(cx, &flow).await?;
    Ok(flow)
}

/// Stores a tab as it is now.
pub(crate) async fn save(cx: &Cx<'_>, flow: &Flow) -> Result<(), Unavailable> {
    let key = tab_key(cx, &flow.browser.id, &flow.tab.id);
    cx.app.ephemeral.put(&key, flow.tab.to_bytes(), flow.tab.expires_at, cx.now).await.map_err(|_| Unavailable)
}

/// Ends a tab. One of many requests is told that it did.
pub(crate) async fn close(cx: &Cx<'_>, flow: &mut Flow) -> Result<Closed, Unavailable> {
    let key_of_tab = tab_key(cx, &flow.browser.id, &flow.tab.id);
    let taken = cx.app.ephemeral.take(&key_of_tab, cx.now).await.map_err(|_| Unavailable)?;
    if taken.is_none() {
        return Ok(Closed::Already);
    }
    if flow.browser.browser.remove(&flow.tab.id) {
        cx.app.ephemeral.take(&key(cx, &flow.browser.id), cx.now).await.map_err(|_| Unavailable)?;
        return Ok(Closed::Last);
    }
    save_browser(cx, &flow.browser).await?;
    Ok(Closed::TabsLeft)
}

/// Gives the tab a new id: who knew the old one knows nothing of what was proven since (SE-01). `false` when another
/// request did so first: one form is one login.
pub(crate) async fn rename(cx: &Cx<'_>, flow: &mut Flow) -> Result<bool, Unavailable> {
    let old = tab_key(cx, &flow.browser.id, &flow.tab.id);
    let fresh = Tab::new(flow.tab.purpose.clone(), flow.tab.expires_at, cx.app.entropy.as_ref());
    if cx.app.ephemeral.take(&old, cx.now).await.map_err(|_| Unavailable)?.is_none() {
        return Ok(false);
    }
    flow.browser.browser.remove(&flow.tab.id);
    flow.browser.browser.add(&fresh.id, fresh.expires_at);
    flow.tab = fresh;
    save_browser(cx, &flow.browser).await?;
    save(cx, flow).await?;
    Ok(true)
}

/// Forgets the browser with all its tabs: they are reached through it only.
pub(crate) async fn forget(cx: &Cx<'_>) -> Result<(), Unavailable> {
    if let Some(browser) = browser(cx).await? {
        cx.app.ephemeral.take(&key(cx, &browser.id), cx.now).await.map_err(|_| Unavailable)?;
    }
    Ok(())
}

async fn save_browser(cx: &Cx<'_>, browser: &BrowserFlow) -> Result<(), Unavailable> {
    let (bytes, end) = (browser.browser.to_bytes(), browser.browser.expires_at);
    cx.app.ephemeral.put(&key(cx, &browser.id), bytes, end, cx.now).await.map_err(|_| Unavailable)
}

fn key(cx: &Cx<'_>, id: &str) -> Key {
    Key::new(Kind::LoginFlow, cx.view.records.realm.id.clone(), id)
}

fn tab_key(cx: &Cx<'_>, browser: &str, tab: &str) -> Key {
    key(cx, &format!("{browser}.{tab}"))
}

/// Mints a browser id and sets its cookies.
pub(crate) fn new_browser(cx: &Cx<'_>, jar: &mut HeaderMap, with_hash: bool) -> String {
    let id = flow::new_browser_id(cx.app.entropy.as_ref());
    let (realm, secure) = (cx.realm_name(), cx.base.secure);
    let key = secrets(cx.view).next().unwrap_or_default();
    let own = |max_age, http_only| Attributes { max_age, http_only };
    let signed = flow::browser_cookie(&id, key);
    cookies::set(jar, realm, secure, cookies::AUTH_SESSION_ID, &signed, own(None, true));
    if with_hash {
        let hash = STANDARD_NO_PAD.encode(digest::sha256(id.as_bytes()));
        cookies::set(jar, realm, secure, cookies::KC_AUTH_SESSION_HASH, &hash, own(Some(60), false));
    }
    id
}

/// Sets `KC_RESTART`: the request, sealed.
pub(crate) fn set_restart(cx: &Cx<'_>, jar: &mut HeaderMap, request: &AuthorizeRequest) {
    let expires_at = cx.now.secs() + RESTART_SECONDS;
    let restart = Restart { format: FLOW_FORMAT, expires_at, request: request.clone() };
    let bytes = serde_json::to_vec(&restart).unwrap_or_default();
    let Some(value) = seal(cx, RESTART, &bytes) else { return };
    if value.len() <= MAX_RESTART {
        let attributes = Attributes { max_age: None, http_only: true };
        cookies::set(jar, cx.realm_name(), cx.base.secure, cookies::KC_RESTART, &value, attributes);
    }
}

/// The request of the `KC_RESTART` cookie. It is data, not a permission: whoever uses it validates it again (AZ-07).
pub(crate) fn restart(cx: &Cx<'_>) -> Option<AuthorizeRequest> {
    let bytes = open_sealed(cx, RESTART, cookies::get(cx.headers, cookies::KC_RESTART)?)?;
    Restart::read(&bytes, cx.now.secs()).map(|restart| restart.request)
}

/// Seals a value of this realm for one purpose: text that only [`open_sealed`] with the same purpose reads.
pub(super) fn seal(cx: &Cx<'_>, purpose: &str, bytes: &[u8]) -> Option<String> {
    let keys = secrets(cx.view).next().and_then(|secret| sealing(secret, purpose))?;
    let mut nonce = [0; 12];
    cx.app.entropy.fill(&mut nonce);
    keys.seal(bytes, &seal_context(cx, purpose), nonce).ok().map(|sealed| URL_SAFE_NO_PAD.encode(sealed))
}

/// Opens what [`seal`] made, also with the realm's older keys.
pub(super) fn open_sealed(cx: &Cx<'_>, purpose: &str, text: &str) -> Option<Vec<u8>> {
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let context = seal_context(cx, purpose);
    secrets(cx.view).find_map(|secret| sealing(secret, purpose)?.open(&sealed, &context).ok())
}

fn seal_context(cx: &Cx<'_>, purpose: &str) -> Vec<u8> {
    format!("{purpose}\0{}", cx.view.records.realm.id).into_bytes()
}

fn sealing(secret: &[u8], purpose: &str) -> Option<SealingKeys> {
    let key = SealKey::new(1, &digest::hmac_sha256(secret, purpose.as_bytes())).ok()?;
    SealingKeys::new(key, Vec::new()).ok()
}

/// The realm's HMAC keys: the one that signs first, then those that still verify.
fn secrets(view: &RealmView) -> impl Iterator<Item = &[u8]> {
    let mut keys: Vec<_> = view
        .records
        .keys
        .iter()
        .filter(|k| k.algorithm == "HS512" && k.status != KeyStatus::Disabled && !k.private.expose().is_empty())
        .collect();
    keys.sort_by_key(|k| (k.status != KeyStatus::Active, std::cmp::Reverse(k.priority), k.kid.clone()));
    keys.into_iter().map(|k| k.private.expose())
}

//! Signs what was decided. The plan is applied already: if signing fails, a code stays spent (PC-17).

use portcullis_core::claims::tokens::{AT_JWT_ATTRIBUTE, Hashes};
use portcullis_core::client::Client;
use portcullis_core::entropy::uuid;
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::introspect;
use portcullis_core::oauth::response_type::ResponseType;
use portcullis_core::oauth::token::{Answer, Issue, answer};
use portcullis_jose::{Algorithm, SigningKey, digest};
use tracing::Instrument as _;

use crate::signer;
use crate::state::{App, RealmView};

const ACCESS_ALGORITHM: &str = "access.token.signed.response.alg";
const ID_ALGORITHM: &str = "id.token.signed.response.alg";

/// Lets the tokens live although a cut-off of the same second names their user, or their client in their session: it ended what was
/// before. Asked after the plan was applied, and then whether they still stand: what a cut-off ended while this request was decided,
/// or since, gives nothing (RT-05, TE-16).
pub(crate) async fn after_cuts(app: &App, view: &RealmView, issue: &mut Issue<'_>) -> Result<(), Reason> {
    let (realm, user, session) = (&view.records.realm.id, &issue.user.id, &issue.session.id);
    let below = (session, issue.client.client_id.as_str());
    let unavailable = |_| Reason::Unavailable;
    let before = app.db.cut_off_of_login(realm, user, below, issue.issued_at).await.map_err(unavailable)?;
    let Some(before) = before.filter(|before| *before >= issue.issued_at) else { return Ok(()) };
    // Read after the cut-off: what it ended is ended in these rows.
    let now = app.db.shared_user(realm, user).await.map_err(unavailable)?;
    let behind = app.db.session_and_client(realm, session, &issue.client.id).await.map_err(unavailable)?;
    if issue.stands(now.as_deref(), behind.as_ref())? {
        issue.make_after(before);
    }
    Ok(())
}

/// The answer's JSON.
pub(super) async fn mint(app: &App, view: &RealmView, issue: &Issue<'_>) -> Result<Vec<u8>, Reason> {
    if issue.is_id_alone() {
        let key = key(view, issue.client, ID_ALGORITHM)?;
        let id = sign(app, &key, "JWT", &issue.front_id(&uuid(&*app.entropy), Hashes::default())).await?;
        return Ok(answer(issue, &Answer { access: id, refresh: None, id: None }));
    }
    let access_key = key(view, issue.client, ACCESS_ALGORITHM)?;
    let payload = issue.access(&uuid(&*app.entropy));
    let access = sign(app, &access_key, access_type(issue.client), &payload.json).await?;
    app.watch.figures.of(Some(&view.records.realm.name)).issued(issue.kind, access_key.alg());
    let refresh = match issue.refresh(payload.has_subject) {
        Some((json, kid)) => {
            let key = view.keys.by_kid(kid.as_str()).ok_or(Reason::Unavailable)?;
            Some(sign(app, key, "JWT", &json).await?)
        }
        None => None,
    };
    let id = if issue.scopes.openid() && !issue.without_id {
        let key = key(view, issue.client, ID_ALGORITHM)?;
        let hash = digest::at_hash(key.alg(), &access);
        match issue.id(&uuid(&*app.entropy), &hash) {
            Some(json) => Some(sign(app, &key, "JWT", &json).await?),
            None => None,
        }
    } else {
        None
    };
    Ok(answer(issue, &Answer { access, refresh, id }))
}

/// Tokens of an authorization answer.
pub(crate) struct FrontTokens {
    pub(crate) access: Option<String>,
    pub(crate) id: Option<String>,
}

/// What stands beside the tokens of an authorization answer.
pub(crate) struct Beside<'a> {
    pub(crate) response_type: ResponseType,
    pub(crate) code: Option<&'a str>,
    pub(crate) state: Option<&'a str>,
}

/// Signs the tokens of an authorization answer (OIDC Core §3.2.2.5, §3.3.2.5). The ID token vouches for all that travels with it.
pub(crate) async fn front(
    app: &App,
    view: &RealmView,
    issue: &Issue<'_>,
    beside: Beside<'_>,
) -> Result<FrontTokens, Reason> {
    let access = if beside.response_type.token {
        let key = key(view, issue.client, ACCESS_ALGORITHM)?;
        let payload = issue.access(&uuid(&*app.entropy));
        let access = sign(app, &key, access_type(issue.client), &payload.json).await?;
        app.watch.figures.of(Some(&view.records.realm.name)).issued(issue.kind, key.alg());
        Some(access)
    } else {
        None
    };
    let id = if beside.response_type.id_token {
        let key = key(view, issue.client, ID_ALGORITHM)?;
        let hash = |text: &str| digest::at_hash(key.alg(), text);
        let state = beside.state.filter(|state| !state.is_empty()).map(hash);
        let (at, code) = (access.as_deref().map(hash), beside.code.map(hash));
        let hashes = Hashes { access: at.as_deref(), code: code.as_deref(), state: state.as_deref() };
        Some(sign(app, &key, "JWT", &issue.front_id(&uuid(&*app.entropy), hashes)).await?)
    } else {
        None
    };
    Ok(FrontTokens { access, id })
}

/// Signs a logout token as the client's ID tokens are signed (OIDC Back-Channel Logout §2.4).
pub(crate) async fn logout_token(
    app: &App,
    view: &RealmView,
    client: &Client,
    payload: &[u8],
) -> Result<String, Reason> {
    let algorithm = algorithm(view, client, ID_ALGORITHM)?;
    if signer::ensure(app, view, algorithm).await.map_err(|_| Reason::Unavailable)? {
        // The next try finds the key that was made.
        return Err(Reason::Unavailable);
    }
    sign(app, &key(view, client, ID_ALGORITHM)?, "logout+jwt", payload).await
}

/// Signs an introspection answer as its reader asks for it (RFC 9701 §5, §6).
pub(crate) async fn introspection(
    app: &App,
    view: &RealmView,
    reader: &Client,
    payload: &[u8],
) -> Result<String, Reason> {
    let key = made_key(app, view, reader, introspect::SIGNATURE_ATTRIBUTE).await?;
    sign(app, &key, introspect::SIGNED_TYP, payload).await
}

/// Signs the claims of a token anew, as an access token of the client that asked about it would be (Keycloak 26.4).
pub(crate) async fn full(app: &App, view: &RealmView, reader: &Client, claims: &[u8]) -> Result<String, Reason> {
    let key = made_key(app, view, reader, ACCESS_ALGORITHM).await?;
    sign(app, &key, access_type(reader), claims).await
}

/// The key of a client's algorithm. One that the realm does not have yet is made.
async fn made_key(app: &App, view: &RealmView, client: &Client, attribute: &str) -> Result<SigningKey, Reason> {
    let algorithm = algorithm(view, client, attribute)?;
    if !signer::ensure(app, view, algorithm).await.map_err(|_| Reason::Unavailable)? {
        return key(view, client, attribute);
    }
    let newer = app.realm(&view.records.realm.name).await.map_err(|_| Reason::Unavailable)?;
    key(newer.as_deref().unwrap_or(view), client, attribute)
}

/// RFC 9068 §2.1 where the client asks for it.
fn access_type(client: &Client) -> &'static str {
    if client.flag(AT_JWT_ATTRIBUTE) { "at+jwt" } else { "JWT" }
}

async fn sign(app: &App, key: &SigningKey, typ: &str, payload: &[u8]) -> Result<String, Reason> {
    let algorithm = key.alg().as_str();
    let span = tracing::info_span!(target: "portcullis::span", "sign", portcullis.algorithm = algorithm);
    app.signer.sign(key, typ, payload).instrument(span).await.map_err(|error| {
        tracing::error!(%error, kid = key.kid(), "a token could not be signed");
        Reason::Unavailable
    })
}

/// Makes sure that the realm can sign what a client wants. `true`: a key was made, so the realm must be loaded again.
pub(crate) async fn prepare(app: &App, view: &RealmView, client: &Client) -> Result<bool, Reason> {
    let (access, id) = (algorithm(view, client, ACCESS_ALGORITHM)?, algorithm(view, client, ID_ALGORITHM)?);
    let mut made = false;
    // Each once: what the first call made is not in this view yet.
    for algorithm in std::iter::once(access).chain((id != access).then_some(id)) {
        made |= signer::ensure(app, view, algorithm).await.map_err(|_| Reason::Unavailable)?;
    }
    Ok(made)
}

fn algorithm(view: &RealmView, client: &Client, attribute: &str) -> Result<Algorithm, Reason> {
    let of_client = client.attribute(attribute).filter(|name| !name.is_empty());
    let name = of_client.unwrap_or(&view.records.realm.settings.default_signature_algorithm);
    signer::algorithm(name).ok_or_else(|| {
        tracing::error!(algorithm = name, client = client.client_id, "tokens are not signed with this algorithm");
        Reason::Unavailable
    })
}

/// The key of a client's algorithm, else of the realm's.
fn key(view: &RealmView, client: &Client, attribute: &str) -> Result<SigningKey, Reason> {
    view.keys.signer(algorithm(view, client, attribute)?).ok_or(Reason::Unavailable)
}

//! `POST /realms/{realm}/protocol/openid-connect/token/introspect` (RFC 7662, RFC 9701).
//!
//! **Owns** loading who stands behind a token, and the answer's headers. **Does not own** who may ask
//! ([`portcullis_core::oauth::introspect`]), whether an access token counts ([`crate::bearer`]), signing ([`crate::token`]).
//! **Flow** form -> [`law::open`] -> refresh token? else access token -> [`law::may_learn`] -> document or `{"active":false}` -> JSON or JWT.

mod remembered;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use portcullis_core::claims::Facts;
use portcullis_core::claims::tokens::{self, Introspected, IntrospectionPayload, Stamp};
use portcullis_core::client::Client;
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::grants::refresh::{self, Loaded, RefreshClaims};
use portcullis_core::oauth::introspect::{self as law, Asked, Form, Written};
use portcullis_core::oauth::scope;
use portcullis_core::oauth::token::Context;
use portcullis_core::session::{Grant, UserSession};
use portcullis_core::session_limits;
use portcullis_core::user::User;

pub use self::remembered::IntrospectionFigures;
pub(crate) use self::remembered::Remembered;
use self::remembered::{Disclosed, Document, Of, Until};
use crate::bearer::{self, Refused};
use crate::client_auth::{Manners, Posted};
use crate::respond;
use crate::state::{App, RealmView, Unavailable};
use crate::token;
use crate::watch::{self, Halt, Why};

const MANNERS: Manners =
    Manners { options: |_| respond::options(), refused: |_, reason| respond::uncached_error(reason) };

/// The endpoint.
pub(crate) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    let posted = match Posted::read(&app, &realm, request, &MANNERS).await {
        Ok(posted) => posted,
        Err(answer) => return answer,
    };
    let (view, proven) = (&posted.view, posted.client(&app).await);
    let asked = match law::open(&view.records, &proven, &posted.params, &accepted(&posted.headers)) {
        Ok(asked) => asked,
        Err(reason) => return posted.named(respond::uncached_error(&reason)),
    };
    let cx = posted.context(&app);
    match answer(&app, view, &cx, &asked).await {
        Ok(told) => written(&app, view, &cx, &asked, told).await,
        Err(Unavailable) => respond::unavailable(),
    }
}

/// All texts of `Accept` as one list (RFC 9110 §5.3).
fn accepted(headers: &HeaderMap) -> String {
    let texts = headers.get_all(ACCEPT).iter().filter_map(|text| text.to_str().ok());
    texts.collect::<Vec<_>>().join(",")
}

/// The answer as the caller wants it. A signed one is made for this caller at this second; the document inside may be a remembered one.
async fn written(app: &App, view: &RealmView, cx: &Context<'_>, asked: &Asked<'_>, told: Told<Disclosed>) -> Response {
    let (disclosed, why) = match told {
        Ok(disclosed) => (disclosed, None),
        Err(why) => (Disclosed { json: Bytes::from_static(law::INACTIVE), claims: 0 }, Some(why)),
    };
    let Ok(mut response) = render(app, view, cx, asked, disclosed).await else { return respond::unavailable() };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(why) = why {
        watch::mark(&mut response, why.of_client(Some(&asked.caller.client_id)));
    }
    response
}

async fn render(
    app: &App,
    view: &RealmView,
    cx: &Context<'_>,
    asked: &Asked<'_>,
    disclosed: Disclosed,
) -> Result<Response, Reason> {
    let Disclosed { json, claims } = disclosed;
    match asked.written {
        Written::Json => Ok(respond::raw_json(StatusCode::OK, json)),
        Written::JsonAndToken => {
            let Some(claims) = IntrospectionPayload::token(&json, claims) else {
                return Ok(respond::raw_json(StatusCode::OK, json));
            };
            let full = token::sign_full(app, view, asked.caller, &claims).await?;
            Ok(respond::raw_json(StatusCode::OK, law::with_token(&json, &full)))
        }
        Written::Jwt => {
            let claims = law::signed(cx.issuer, asked.caller, cx.now, &json);
            let jwt = token::sign_introspection(app, view, asked.caller, &claims).await?;
            let mut response = respond::raw_json(StatusCode::OK, jwt);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(law::SIGNED_TYPE));
            Ok(response)
        }
    }
}

/// What a token that holds and that the caller may know says; else why not.
type Told<T> = Result<T, Why>;

/// Looks at a token of either kind.
async fn answer(
    app: &App,
    view: &RealmView,
    cx: &Context<'_>,
    asked: &Asked<'_>,
) -> Result<Told<Disclosed>, Unavailable> {
    let of = Of::new(asked.token, asked.form, cx.issuer);
    let document = match app.introspected.get(&app.db, view, &of, cx.now.secs()) {
        Some(known) => known,
        None => match token::refresh_claims(view, asked.token) {
            Some(claims) => return of_refresh_token(app, cx, asked, &claims).await,
            None => match of_access_token(app, view, cx, asked).await? {
                Ok((document, until)) => app.introspected.put(&of, until, document),
                Err(why) => return Ok(Err(why)),
            },
        },
    };
    // Not remembered: who asks may be another than the one before.
    let Some(owner) = cx.records.client_by_uuid(&document.owner) else {
        return Ok(Err(Halt::TokenOfNoClient.into()));
    };
    let subject = law::Subject::Access(&document.audience);
    let told = law::may_learn(cx.records, asked.caller, owner, subject, asked.written);
    Ok(if told { Ok(document.disclosed.clone()) } else { Err(Halt::NotForThisCaller.into()) })
}

async fn of_access_token(
    app: &App,
    view: &RealmView,
    cx: &Context<'_>,
    asked: &Asked<'_>,
) -> Result<Told<(Document, Until)>, Unavailable> {
    let claims = match bearer::signed(view, cx.issuer, asked.token, cx.now) {
        Ok(claims) => claims,
        Err(flaw) => return Ok(Err(Refused::Token(flaw).into())),
    };
    // Before the rows are read: what changes meanwhile is seen the next time.
    let names = [claims.str("sid"), claims.sub(), claims.jti()];
    let looked = names.map(|name| app.db.look(name.unwrap_or_default()));
    let principal = match bearer::stand(app, view, claims, cx.now).await {
        Ok(principal) => principal,
        Err(Refused::Unavailable) => return Err(Unavailable),
        Err(refused) => return Ok(Err(refused.into())),
    };
    let claims = &principal.claims;
    let (Some(issued_at), Some(expires_at)) = (claims.iat(), claims.exp()) else {
        return Ok(Err(Halt::IncompleteToken.into()));
    };
    let sessionless = Grant { scope: claims.str("scope").unwrap_or_default().to_owned(), ..Grant::default() };
    let session = principal.session.as_ref();
    let subject = Subject {
        client: principal.client,
        user: &principal.user,
        session: session.map(|(session, _)| session),
        grant: session.map_or(&sessionless, |(_, below)| &below.grant),
    };
    let token = Introspected {
        stamp: Stamp { issued_at, expires_at, id: claims.jti().unwrap_or_default() },
        typ: claims.str("typ").unwrap_or_default(),
        audience: claims.aud(),
        scope: claims.str("scope"),
    };
    let payload = subject.payload(cx, asked.form, &token);
    let owner = principal.client.id.clone();
    let document = Document { owner, audience: payload.audience.clone(), disclosed: payload.into() };
    let ends_at = match session {
        // A lightweight token does not name its user, so a change of the user could not be seen.
        _ if claims.sub().is_none() => i64::MIN,
        Some((above, below)) => {
            expires_at.min(session_limits::ends_at(&cx.records.realm, principal.client, above, below))
        }
        None => expires_at,
    };
    let made_at = cx.now.secs();
    Ok(Ok((document, Until { generation: view.generation, looked, made_at, ends_at })))
}

async fn of_refresh_token(
    app: &App,
    cx: &Context<'_>,
    asked: &Asked<'_>,
    claims: &RefreshClaims,
) -> Result<Told<Disclosed>, Unavailable> {
    let realm = &cx.records.realm.id;
    let Some(client) = cx.records.client(&claims.azp) else { return Ok(Err(Halt::TokenOfNoClient.into())) };
    let both = app.db.session_and_client(realm, &claims.session(), &client.id).await.map_err(|_| Unavailable)?;
    let Some((session, Some(below))) = both else { return Ok(Err(Halt::SessionGone.into())) };
    let lineage = match claims.lineage() {
        Some(id) => app.db.lineage(realm, &id).await.map_err(|_| Unavailable)?,
        None => None,
    };
    let Some(user) = app.db.user(realm, &session.user).await.map_err(|_| Unavailable)? else {
        return Ok(Err(Halt::SessionGone.into()));
    };
    let consent = token::consent_of(app, realm, client, Some(&user)).await.map_err(|_| Unavailable)?;
    let loaded = Loaded {
        session: Some(&session),
        client_session: Some(&below),
        lineage: lineage.as_ref(),
        user: Some(&user),
        consent: consent.as_ref(),
    };
    if !refresh::is_live(cx, client, claims, loaded) {
        return Ok(Err(Halt::RefreshTokenNotLive.into()));
    }
    let token = Introspected {
        stamp: Stamp { issued_at: claims.iat, expires_at: claims.exp, id: &claims.jti },
        typ: &claims.typ,
        audience: &[cx.issuer.to_owned()],
        scope: Some(&claims.scope),
    };
    let subject = Subject { client, user: &user, session: Some(&session), grant: &below.grant };
    let told = law::may_learn(cx.records, asked.caller, client, law::Subject::Refresh, asked.written);
    Ok(if told { Ok(subject.payload(cx, asked.form, &token).into()) } else { Err(Halt::NotForThisCaller.into()) })
}

/// Who stands behind a token that holds.
struct Subject<'s> {
    client: &'s Client,
    user: &'s User,
    session: Option<&'s UserSession>,
    grant: &'s Grant,
}

impl Subject<'_> {
    fn payload(&self, cx: &Context<'_>, form: Form, token: &Introspected<'_>) -> IntrospectionPayload {
        let records = cx.records;
        let scopes = scope::active(records, self.client, token.scope.unwrap_or_default());
        let scopes = scopes.permitted(records, self.user);
        let facts = Facts {
            records,
            client: self.client,
            user: self.user,
            session: self.session,
            transient: false,
            grant: self.grant,
            scopes: &scopes,
            audiences: None,
            issuer: cx.issuer,
        };
        match form {
            Form::Full => tokens::introspection(&facts, token),
            Form::Party => tokens::introspection_of_party(&facts, token),
        }
    }
}

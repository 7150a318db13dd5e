//! A page as an answer: text from [`crate::pages`], headers of the realm, a reference number on errors.

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::pages::security::{self, BrowserHeaders, Policy};
use crate::pages::{
    Advice, Chrome, Developer, ErrorPage, FormPostPage, FrontChannelLogoutPage, OutOfBandPage, Page, RealmName, Text,
};
use crate::state::{App, RealmView};
use crate::watch::{self, Halt, Why};

/// Header of the reference number: made by us, 32 hex digits.
pub(crate) const TRACE: HeaderName = HeaderName::from_static("portcullis-trace");

/// What stands around the pages of one request.
pub(crate) struct Surroundings<'a> {
    app: &'a App,
    name: &'a RealmName,
    headers: &'a BrowserHeaders,
    strict: bool,
    locale: String,
}

impl<'a> Surroundings<'a> {
    /// Of a realm; `wanted` are language tags in order of preference.
    pub(crate) fn of<'w>(app: &'a App, view: &'a RealmView, wanted: impl IntoIterator<Item = &'w str>) -> Self
    where
        'a: 'w,
    {
        let settings = &view.records.realm.settings;
        let default = settings.default_locale.as_deref();
        // Keycloak 26.4: without internationalization a realm speaks English.
        let locale = if settings.internationalization_enabled {
            app.pages.catalogue().choose(wanted.into_iter().chain(default)).to_owned()
        } else {
            "en".to_owned()
        };
        Self { app, name: &view.name, headers: &view.browser_headers, strict: view.is_strict(), locale }
    }

    /// Where there is no realm.
    pub(crate) fn bare(app: &'a App) -> Self {
        let (name, headers) = (&app.no_realm.0, &app.no_realm.1);
        Self { app, name, headers, strict: false, locale: "en".to_owned() }
    }

    /// An ordinary page that nobody may keep (SE-24).
    pub(crate) fn page<P: Page>(&self, status: StatusCode, page: &P) -> Response {
        let mut response = self.html(status, page, &Policy::page(self.strict), None);
        response.headers_mut().insert(CACHE_CONTROL, security::NO_STORE);
        response
    }

    /// An error page with a reference number. Keycloak 26.4 sends no `Cache-Control` with errors of the authorization endpoint.
    pub(crate) fn error(&self, status: StatusCode, page: &ErrorPage, why: impl Into<Why>) -> Response {
        let trace = watch::trace_id(self.app.entropy.as_ref());
        let mut response = self.html(status, page, &Policy::page(self.strict), Some(&trace.text()));
        watch::mark(&mut response, why.into().shown_as(trace));
        response
    }

    /// The self-posting form of `response_mode=form_post`.
    pub(crate) fn form_post(&self, page: &FormPostPage) -> Response {
        let mut response = self.html(StatusCode::OK, page, &Policy::form_post(self.strict), None);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, security::NO_STORE);
        // Keycloak 26.4 writes this one page without charset and language.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        headers.remove(CONTENT_LANGUAGE);
        response
    }

    /// The page that tells clients of a logout by frames.
    pub(crate) fn front_channel(&self, page: &FrontChannelLogoutPage) -> Response {
        let framed = page.clients.iter().map(|client| client.url.as_str());
        self.html(StatusCode::OK, page, &Policy::front_channel(self.strict, framed), None)
    }

    /// The page that shows a code to copy; its one script is the button.
    pub(crate) fn out_of_band(&self, page: &OutOfBandPage) -> Response {
        self.html(StatusCode::OK, page, &Policy::out_of_band(self.strict), None)
    }

    fn html<P: Page>(&self, status: StatusCode, page: &P, policy: &Policy, trace: Option<&str>) -> Response {
        let resources = self.app.pages.resource_base();
        let mut chrome = Chrome::new(self.name, &self.locale, &resources);
        chrome.trace = trace;
        let mut response = Response::new(Body::from(self.app.pages.render(page, &chrome)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, security::HTML);
        if let Ok(value) = HeaderValue::from_str(&self.locale) {
            headers.insert(CONTENT_LANGUAGE, value);
        }
        self.shield(headers, policy);
        response
    }

    /// The headers of pages and of the login flow's redirects (profile `html` of the recordings).
    pub(crate) fn shield(&self, headers: &mut http::HeaderMap, policy: &Policy) {
        for (name, value) in security::html_headers(self.headers, policy) {
            headers.append(name, value);
        }
    }
}

/// No such realm: a page for a person, Keycloak's words for everybody else.
pub(crate) fn unknown_realm(app: &App, headers: &HeaderMap) -> Response {
    if !is_wanted(headers) {
        return super::unknown_realm();
    }
    let page = ErrorPage::plain(Text::key("pageNotFound")).developer(Developer::new(Advice::Realm));
    let mut response = Surroundings::bare(app).error(StatusCode::NOT_FOUND, &page, Halt::UnknownRealm);
    // Keycloak 26.4 has no language where it has no realm.
    response.headers_mut().remove(CONTENT_LANGUAGE);
    response
}

/// Whether a person looks at the answer.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    accepts(headers, "text/html")
}

/// Whether an answer of a media type is asked for by name.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers.get(ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|accept| accept.contains(media_type))
}

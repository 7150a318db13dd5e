//! Every page of the identity provider in every state that its samples have, wide and light, narrow and dark.

use std::sync::Arc;

use anyhow::{Result, ensure};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use portcullis_idp::pages::security::{BrowserHeaders, Policy, html_headers};
use portcullis_idp::pages::{Chrome, OutOfBandPage, Page as _, Pages, RealmName, Sample, gallery};
use portcullis_testkit::browser::ColorScheme;
use serde_json::json;

use crate::stage::person::Person;
use crate::stage::site::Place;

struct Wall {
    pages: Pages,
    samples: Vec<Sample>,
}

async fn sample(State(wall): State<Arc<Wall>>, Path(number): Path<usize>) -> Response {
    let Some(sample) = wall.samples.get(number) else { return StatusCode::NOT_FOUND.into_response() };
    let realm = RealmName::new("acme", Some("Acme"), None);
    let base = wall.pages.resource_base();
    let chrome = Chrome { trace: Some("0af7651916cd43dd8448eb211c80319c"), ..Chrome::new(&realm, "en", &base) };
    let mut headers = HeaderMap::new();
    let policy = match sample.template {
        OutOfBandPage::TEMPLATE => Policy::out_of_band(true),
        _ => Policy::page(true),
    };
    for (name, value) in html_headers(&BrowserHeaders::default(), &policy) {
        headers.append(name, value);
    }
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html;charset=utf-8"));
    (headers, wall.pages.render_sample(sample, &chrome)).into_response()
}

async fn asset(State(wall): State<Arc<Wall>>, Path(path): Path<String>) -> Response {
    match wall.pages.asset(&path) {
        Some(asset) => ([(header::CONTENT_TYPE, asset.content_type)], asset.bytes.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Pages whose work is to send the browser elsewhere: shown as they are without script, frames left out.
fn goes_elsewhere(sample: &Sample) -> bool {
    ["form-post.html", "frontchannel-logout.html"].contains(&sample.template)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_page_would_be_noticed() -> Result<()> {
    let page = "<!doctype html><link rel=\"stylesheet\" href=\"/missing.css\"><img src=\"http://127.0.0.1:9/foreign.png\">\
        <script>throw new Error('thrown')</script>";
    let router = Router::new().route("/", get(move || async move { Html(page) }));
    let site = Place::take().await?.serve(router);
    let person = Person::sit_down().await?;
    person.open(&site.base).await?;
    let heard = person.complaints(&site.base).await?.join("\n");
    for part in ["loads http://127.0.0.1:9/foreign.png", "missing.css", "thrown"] {
        assert!(heard.contains(part), "{part} in {heard}");
    }
    person.stand_up().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gallery_of_every_page() -> Result<()> {
    let wall = Arc::new(Wall { pages: Pages::new(None)?, samples: gallery() });
    ensure!(wall.samples.len() >= 15, "every page has a sample");
    let resources = format!("{}/{{*path}}", wall.pages.resource_base());
    let router = Router::new().route("/page/{number}", get(sample)).route(&resources, get(asset));
    let site = Place::take().await?.serve(router.with_state(Arc::clone(&wall)));
    let person = Person::sit_down().await?;
    person.open(&format!("{}/page/0", site.base)).await?;
    person.complaints(&site.base).await?;
    let mut found = Vec::new();
    for (scheme, width, height) in [(ColorScheme::Light, 1280, 800), (ColorScheme::Dark, 360, 740)] {
        person.browser.color_scheme(scheme).await?;
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        person.browser.cdp("Emulation.setDeviceMetricsOverride", screen).await?;
        for (number, sample) in wall.samples.iter().enumerate() {
            let name = format!("{}-{}", sample.template.trim_end_matches(".html"), sample.name.replace(' ', "-"));
            for trouble in look(&person, &site.base, number, sample).await? {
                found.push(format!("{name} ({width} wide): {trouble}"));
            }
            person.browser.screenshot(&format!("page-{name}-{scheme:?}").to_lowercase()).await?;
        }
    }
    assert_eq!(found, [] as [String; 0]);
    person.stand_up().await
}

/// What is wrong with a page: complaints of the console, foreign addresses, more than fits the width, an unnamed field.
async fn look(person: &Person, base: &str, number: usize, sample: &Sample) -> Result<Vec<String>> {
    let away = goes_elsewhere(sample);
    let no_script = json!({ "value": away });
    person.browser.cdp("Emulation.setScriptExecutionDisabled", no_script).await?;
    person.open(&format!("{base}/page/{number}")).await?;
    if away {
        person.complaints(base).await?;
        return Ok(Vec::new());
    }
    person.see("body").await?;
    let mut found = person.complaints(base).await?;
    let facts = person
        .browser
        .page
        .execute(
            "return [
                document.documentElement.scrollWidth <= innerWidth,
                [...document.styleSheets].length > 0,
                document.title !== '' && document.querySelectorAll('h1').length === 1,
                [...document.querySelectorAll('input:not([type=submit])')].every((i) => !i.checkVisibility() || i.labels.length > 0),
            ]",
            Vec::new(),
        )
        .await?;
    let wanted = ["fits the width", "has its style", "has a title and one heading", "names its fields"];
    let missing = wanted.iter().enumerate().filter(|(at, _)| facts[*at] != json!(true));
    found.extend(missing.map(|(_, what)| format!("not: {what}")));
    Ok(found)
}

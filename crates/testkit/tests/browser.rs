//! The browser of the testkit itself: window, colours, screenshots, and that nothing of it stays behind.

use anyhow::Result;
use portcullis_testkit::browser::{Browser, ColorScheme};
use serde_json::json;

const SEES_DARK: &str = "return [matchMedia('(prefers-color-scheme: dark)').matches, innerWidth, innerHeight]";

#[tokio::test]
async fn a_page_is_shown_light_and_dark_and_kept_as_a_picture() -> Result<()> {
    let browser = Browser::start().await?;
    browser.page.goto("data:text/html,<title>Hello</title><h1>Hello</h1>").await?;
    assert_eq!(browser.page.title().await?, "Hello");
    for (scheme, dark) in [(ColorScheme::Dark, true), (ColorScheme::Light, false)] {
        browser.color_scheme(scheme).await?;
        let seen = browser.page.execute(SEES_DARK, Vec::new()).await?;
        assert_eq!(seen, json!([dark, 1280, 800]));
    }
    let file = browser.screenshot("testkit-hello").await?;
    let picture = std::fs::read(file)?;
    assert!(picture.starts_with(b"\x89PNG"), "{} bytes", picture.len());
    browser.close().await
}

//! What a person does: look until something is there, click, type, log in.

use std::time::Duration;

use anyhow::{Context as _, Result};
use fantoccini::Locator;
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use portcullis_testkit::browser::Browser;
use serde_json::Value;

/// How long a page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One person before one browser.
pub(crate) struct Person {
    /// What they look at.
    pub(crate) browser: Browser,
}

impl Person {
    pub(crate) async fn sit_down() -> Result<Self> {
        Ok(Self { browser: Browser::start().await? })
    }

    pub(crate) async fn open(&self, address: &str) -> Result<()> {
        Ok(self.browser.page.goto(address).await?)
    }

    /// Waits for an element.
    pub(crate) async fn see(&self, css: &str) -> Result<Element> {
        let wait = self.browser.page.wait().at_most(PATIENCE).every(LOOK_EVERY);
        match wait.for_element(Locator::Css(css)).await {
            Ok(element) => Ok(element),
            Err(error) => {
                let place = self.browser.page.current_url().await.map(|u| u.to_string()).unwrap_or_default();
                // The test's name, which its thread has.
                let name = std::thread::current().name().unwrap_or_default().replace("::", "-");
                let kept = self.browser.screenshot(&format!("failed-{name}")).await.map(|f| f.display().to_string());
                Err(error).with_context(|| format!("waiting for {css} at {place}; {kept:?}"))
            }
        }
    }

    /// Waits until an element has this text.
    pub(crate) async fn read(&self, id: &str, text: &str) -> Result<()> {
        let path = format!("//*[@id='{id}'][normalize-space()='{text}']");
        let wait = self.browser.page.wait().at_most(PATIENCE).every(LOOK_EVERY);
        let found = wait.for_element(Locator::XPath(&path)).await;
        if let Err(error) = found {
            let seen = self.browser.page.source().await.unwrap_or_default();
            return Err(error).with_context(|| format!("waiting for #{id} to read {text:?} in {seen}"));
        }
        Ok(())
    }

    pub(crate) async fn text(&self, css: &str) -> Result<String> {
        let element = self.see(css).await?;
        Ok(element.prop("textContent").await?.unwrap_or_default().trim().to_owned())
    }

    pub(crate) async fn json(&self, css: &str) -> Result<Value> {
        let text = self.text(css).await?;
        serde_json::from_str(&text).with_context(|| format!("{css}: {text}"))
    }

    pub(crate) async fn property(&self, css: &str, name: &str) -> Result<String> {
        Ok(self.see(css).await?.prop(name).await?.unwrap_or_default())
    }

    pub(crate) async fn count(&self, css: &str) -> Result<usize> {
        Ok(self.browser.page.find_all(Locator::Css(css)).await?.len())
    }

    pub(crate) async fn click(&self, css: &str) -> Result<()> {
        Ok(self.see(css).await?.click().await?)
    }

    pub(crate) async fn type_into(&self, css: &str, text: &str) -> Result<()> {
        let field = self.see(css).await?;
        field.clear().await?;
        Ok(field.send_keys(text).await?)
    }

    /// Fills the login form of the identity provider and sends it.
    pub(crate) async fn log_in(&self, name: &str, password: &str) -> Result<()> {
        self.see("#kc-form-login").await?;
        self.type_into("#username", name).await?;
        self.type_into("#password", password).await?;
        self.click("#kc-login").await
    }

    /// Clicks, and gives the result that `#result` shows next (`data-count` rises by one with each).
    pub(crate) async fn result_of(&self, button: &str) -> Result<Value> {
        let count: u64 = self.see("#result").await?.attr("data-count").await?.unwrap_or_default().parse()?;
        self.click(button).await?;
        self.json(&format!("#result[data-count='{}']", count + 1)).await
    }

    /// The address in the address bar.
    pub(crate) async fn address(&self) -> Result<url::Url> {
        Ok(self.browser.page.current_url().await?)
    }

    /// Everything the page loaded from anywhere but `base`, and what the browser's console complains about since the last look.
    pub(crate) async fn complaints(&self, base: &str) -> Result<Vec<String>> {
        let loaded = "return performance.getEntriesByType('resource').map((entry) => entry.name)";
        let loaded = self.browser.page.execute(loaded, Vec::new()).await?;
        let strings = loaded.as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut out: Vec<String> = strings.filter(|u| !u.starts_with(base)).map(|u| format!("loads {u}")).collect();
        let log = self.browser.page.issue_cmd(ConsoleLog).await?;
        let entries = log.as_array().into_iter().flatten();
        out.extend(entries.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()));
        Ok(out)
    }

    pub(crate) async fn stand_up(self) -> Result<()> {
        self.browser.close().await
    }
}

/// The console's entries since the last call, chromedriver's own command.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(r#"{"type":"browser"}"#.to_owned()))
    }
}

//! What a person does: look until something is there, click, type, log in.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use fantoccini::Locator;
use fantoccini::elements::Element;
use fantoccini::error::{CmdError, ErrorStatus};
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
    pub(crate) async fn see(&self, css: &str) -> Result<()> {
        self.on(Locator::Css(css), css, async |_| Ok(Some(()))).await
    }

    /// Does something with an element, which is looked for again when its page was replaced in between, or when there is
    /// nothing to show yet (`None`).
    async fn on<T>(
        &self,
        place: Locator<'_>,
        wanted: &str,
        act: impl AsyncFn(Element) -> Result<Option<T>, CmdError>,
    ) -> Result<T> {
        let mut last = None;
        let done = tokio::time::timeout(PATIENCE, async {
            loop {
                let tried = async { act(self.browser.page.find(place).await?).await };
                match tried.await {
                    Ok(Some(done)) => return Ok(done),
                    Ok(None) => {}
                    Err(error) if passes(&error) => last = Some(error),
                    Err(error) => return Err(error),
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        match done.await {
            Ok(done) => done.with_context(|| wanted.to_owned()),
            Err(_) => Err(anyhow!("waited for {wanted} in vain; {}; last {last:?}", self.kept().await)),
        }
    }

    /// What is seen where somebody waited in vain.
    async fn kept(&self) -> String {
        let place = self.browser.page.current_url().await.map(|u| u.to_string()).unwrap_or_default();
        // The test's name, which its thread has.
        let name = std::thread::current().name().unwrap_or_default().replace("::", "-");
        let picture = self.browser.screenshot(&format!("failed-{name}")).await.map(|f| f.display().to_string());
        let source = self.browser.page.source().await.unwrap_or_default();
        format!("at {place}, pictured in {picture:?}: {source}")
    }

    /// Waits until an element has this text.
    pub(crate) async fn read(&self, css: &str, text: &str) -> Result<()> {
        let wanted = format!("{css} to read {text:?}");
        let reads = async |element: Element| {
            let seen = element.prop("textContent").await?.unwrap_or_default();
            Ok((seen.split_whitespace().collect::<Vec<_>>().join(" ") == text).then_some(()))
        };
        self.on(Locator::Css(css), &wanted, reads).await
    }

    pub(crate) async fn text(&self, css: &str) -> Result<String> {
        Ok(self.property(css, "textContent").await?.trim().to_owned())
    }

    pub(crate) async fn json(&self, css: &str) -> Result<Value> {
        let text = self.text(css).await?;
        serde_json::from_str(&text).with_context(|| format!("{css}: {text}"))
    }

    pub(crate) async fn property(&self, css: &str, name: &str) -> Result<String> {
        let property = async |element: Element| Ok(Some(element.prop(name).await?.unwrap_or_default()));
        self.on(Locator::Css(css), css, property).await
    }

    pub(crate) async fn count(&self, css: &str) -> Result<usize> {
        Ok(self.browser.page.find_all(Locator::Css(css)).await?.len())
    }

    pub(crate) async fn click(&self, css: &str) -> Result<()> {
        self.on(Locator::Css(css), css, async |element| element.click().await.map(Some)).await
    }

    pub(crate) async fn type_into(&self, css: &str, text: &str) -> Result<()> {
        let typed = async |field: Element| {
            field.clear().await?;
            field.send_keys(text).await.map(Some)
        };
        self.on(Locator::Css(css), css, typed).await
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
        let count = async |element: Element| Ok(element.attr("data-count").await?.and_then(|n| n.parse::<u64>().ok()));
        let count = self.on(Locator::Css("#result"), "a counted #result", count).await?;
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
        out.extend(self.console().await?);
        Ok(out)
    }

    async fn console(&self) -> Result<Vec<String>> {
        let log = self.browser.page.issue_cmd(ConsoleLog).await?;
        let entries = log.as_array().into_iter().flatten();
        Ok(entries.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Waits until the console complains of one of these.
    pub(crate) async fn hears(&self, words: &[&str]) -> Result<()> {
        let mut heard = Vec::new();
        let told = tokio::time::timeout(PATIENCE, async {
            while !heard.iter().any(|line: &String| words.iter().any(|word| line.contains(word))) {
                tokio::time::sleep(LOOK_EVERY).await;
                heard.extend(self.console().await?);
            }
            anyhow::Ok(())
        });
        let told = told.await;
        told.with_context(|| format!("waited for one of {words:?} in {heard:?}"))?
    }

    pub(crate) async fn stand_up(self) -> Result<()> {
        self.browser.close().await
    }
}

/// Whether an error says no more than that the page is not there yet, or is being replaced.
fn passes(error: &CmdError) -> bool {
    let CmdError::Standard(error) = error else { return false };
    matches!(
        error.error,
        ErrorStatus::NoSuchElement
            | ErrorStatus::StaleElementReference
            | ErrorStatus::DetachedShadowRoot
            | ErrorStatus::ElementClickIntercepted
            | ErrorStatus::ElementNotInteractable
            | ErrorStatus::JavascriptError
            | ErrorStatus::UnknownError
    )
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

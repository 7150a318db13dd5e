//! A real Chromium, driven over WebDriver.
//!
//! **Owns** chromedriver as a child in a process group of its own (ended by its id when the [`Browser`] is dropped), a
//! fresh profile folder (removed with it), screenshots under `target/screenshots`.
//!
//! **Does not own** waiting rules and page knowledge of the walks: they use [`Browser::page`].
//!
//! **Flow** [`Browser::start`] -> `page.goto(..)` -> find, click, look -> [`Browser::screenshot`] -> drop.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

const DRIVER: &str = "chromedriver";
const WIDTH: u32 = 1280;
const HEIGHT: u32 = 800;
const FLAGS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--force-prefers-reduced-motion",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// The person's preference that pages are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorScheme {
    /// `prefers-color-scheme: light`
    Light,
    /// `prefers-color-scheme: dark`
    Dark,
}

/// One browser with one window of 1280 by 800.
#[derive(Debug)]
pub struct Browser {
    /// The session; every WebDriver command is there.
    pub page: Client,
    _driver: Driver,
    _profile: TempDir,
}

impl Browser {
    /// Starts chromedriver on a free port and a browser in it.
    ///
    /// # Errors
    /// When chromedriver or Chromium is not installed (`cargo xtask test` installs them on Debian).
    pub async fn start() -> Result<Self> {
        let driver = tokio::task::spawn_blocking(Driver::start).await??;
        let profile = tempfile::Builder::new().prefix("portcullis-browser-").tempdir()?;
        let mut flags: Vec<String> = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--window-size={WIDTH},{HEIGHT}"));
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let mut wanted = Map::new();
        wanted.insert("browserName".to_owned(), json!("chrome"));
        wanted.insert("goog:chromeOptions".to_owned(), json!({ "args": flags }));
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .context("a session of chromedriver")?;
        let browser = Self { page, _driver: driver, _profile: profile };
        let metrics = json!({"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": false});
        browser.cdp("Emulation.setDeviceMetricsOverride", metrics).await?;
        Ok(browser)
    }

    /// A command of the DevTools protocol and its answer.
    ///
    /// # Errors
    /// When the browser refuses it.
    pub async fn cdp(&self, command: &str, parameters: Value) -> Result<Value> {
        let command = Cdp(json!({"cmd": command, "params": parameters}));
        Ok(self.page.issue_cmd(command).await?)
    }

    /// Makes pages light or dark from here on.
    ///
    /// # Errors
    /// When the browser refuses it.
    pub async fn color_scheme(&self, scheme: ColorScheme) -> Result<()> {
        let value = match scheme {
            ColorScheme::Light => "light",
            ColorScheme::Dark => "dark",
        };
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.cdp("Emulation.setEmulatedMedia", feature).await.map(drop)
    }

    /// Keeps what is seen as `target/screenshots/NAME.png`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn screenshot(&self, name: &str) -> Result<PathBuf> {
        let folder = target_folder()?.join("screenshots");
        std::fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{name}.png"));
        std::fs::write(&file, self.page.screenshot().await?)?;
        Ok(file)
    }

    /// Ends the session in good order; dropping ends it as well, less politely.
    ///
    /// # Errors
    /// When the browser is gone already.
    pub async fn close(self) -> Result<()> {
        Ok(self.page.clone().close().await?)
    }
}

/// The folder that cargo builds this test in.
fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let tagged = |dir: &&Path| dir.join("CACHEDIR.TAG").exists();
    let folder = program.ancestors().find(tagged);
    Ok(folder.context("not run by cargo")?.to_owned())
}

#[derive(Debug)]
struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    fn start() -> Result<Self> {
        let mut command = Command::new(DRIVER);
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().with_context(|| format!("{DRIVER} does not start: is it installed?"))?;
        let mut driver = Self { child, port: 0 };
        let output = driver.child.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        for line in &mut lines {
            // "ChromeDriver was started successfully on port 41234."
            let line = line?;
            let Some((_, port)) = line.split_once("successfully on port ") else {
                continue;
            };
            driver.port = port.trim_end_matches('.').parse()?;
            // Its later output has to go somewhere, or it stands still when the pipe is full.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(driver);
        }
        bail!("{DRIVER} ended without naming its port")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The browser's processes stand in the driver's group.
        #[cfg(unix)]
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
struct Cdp(Value);

impl WebDriverCompatibleCommand for Cdp {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.0.to_string()))
    }
}

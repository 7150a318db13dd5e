//! The files of the golden set: scenarios, recordings, realms, keys, and the two lists of expected failures.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Release of Keycloak whose answers are the truth.
pub const VERSION: &str = "26.4.2";

/// `crates/testkit/golden` of this checkout.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The page that explains every reason named in `differences.txt`.
#[must_use]
pub fn differences_page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/differences.md")
}

/// A named run of steps on freshly imported realms.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    #[serde(rename = "scenario")]
    pub(crate) name: String,
    #[serde(rename = "about")]
    _about: Option<String>,
    #[serde(default = "demo")]
    pub(crate) realms: Vec<String>,
    #[serde(default)]
    isolation: Option<String>,
    #[serde(default)]
    pub(crate) cleanup: Vec<String>,
    pub(crate) steps: Vec<Step>,
    /// Recorded answers, one for each step.
    #[serde(skip)]
    pub(crate) recorded: Vec<Value>,
}

impl Scenario {
    /// Leaves nothing behind that another scenario could see.
    pub(crate) fn shared(&self) -> bool {
        self.isolation.as_deref() == Some("shared")
    }
}

fn demo() -> Vec<String> {
    vec!["demo".to_owned()]
}

/// One exchange, or one wait for a call that the server makes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) sleep: f64,
    #[serde(default)]
    pub(crate) compute: Map<String, Value>,
    pub(crate) request: Option<RequestSpec>,
    pub(crate) listen: Option<ListenSpec>,
    #[serde(default)]
    pub(crate) capture: Map<String, Value>,
    #[serde(default)]
    pub(crate) compare: CompareSpec,
}

/// What is sent; every text in it is a template.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestSpec {
    pub(crate) method: String,
    pub(crate) path: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) query: Option<Pairs>,
    #[serde(default)]
    pub(crate) headers: Pairs,
    pub(crate) form: Option<Pairs>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) json: Option<Value>,
    pub(crate) raw: Option<String>,
    pub(crate) jar: Option<Value>,
}

impl RequestSpec {
    /// Name of the cookie jar; `false` in the file means none at all.
    pub(crate) fn jar_name(&self) -> Option<&str> {
        match &self.jar {
            None => Some("main"),
            Some(value) => value.as_str(),
        }
    }
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// Name and value pairs: an object, or a list where order or repetition matters.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Pairs {
    Object(Map<String, Value>),
    List(Vec<(String, Value)>),
}

impl Default for Pairs {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Pairs {
    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = (&String, &Value)> + '_> {
        match self {
            Self::Object(map) => Box::new(map.iter()),
            Self::List(list) => Box::new(list.iter().map(|(k, v)| (k, v))),
        }
    }
}

/// A call the server must make to the replayer within `timeout` seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenSpec {
    pub(crate) path: String,
    #[serde(default = "one")]
    pub(crate) count: usize,
    #[serde(default = "six")]
    pub(crate) timeout: u64,
}

fn one() -> usize {
    1
}

fn six() -> u64 {
    6
}

/// How an answer is compared; pointers are into the JSON body.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CompareSpec {
    pub(crate) ignore: Vec<String>,
    pub(crate) unordered: Vec<String>,
    pub(crate) ordered: Vec<String>,
    pub(crate) keep: Vec<String>,
    pub(crate) names: Option<String>,
    pub(crate) ignore_headers: Vec<String>,
    pub(crate) html: Option<String>,
    pub(crate) accept_status: Vec<u64>,
}

#[derive(Deserialize)]
struct Recording {
    steps: Vec<Value>,
}

/// Loads the scenarios whose name is `filter` or stands under it (`token`, `login/consent`); those that may share one
/// import of a realm come first.
pub(crate) fn scenarios(filter: Option<&str>) -> Result<Vec<Scenario>> {
    let root = folder();
    let mut found = Vec::new();
    for area in sorted(&root.join("scenarios"))? {
        for file in sorted(&area)? {
            let scenario: Scenario = read_json(&file)?;
            if selected(&scenario.name, filter) {
                found.push(with_recording(&root, scenario)?);
            }
        }
    }
    found.sort_by(|a, b| (!a.shared(), &a.name).cmp(&(!b.shared(), &b.name)));
    if found.is_empty() {
        bail!("no scenario is called {}", filter.unwrap_or("anything"));
    }
    Ok(found)
}

fn with_recording(root: &Path, mut scenario: Scenario) -> Result<Scenario> {
    let file = root.join("recorded").join(VERSION).join(format!("{}.json", scenario.name));
    let recording: Recording = read_json(&file)?;
    if recording.steps.len() != scenario.steps.len() {
        bail!("{}: not every step is recorded", scenario.name);
    }
    scenario.recorded = recording.steps;
    Ok(scenario)
}

/// Whether a scenario belongs to what was asked for.
pub(crate) fn selected(name: &str, filter: Option<&str>) -> bool {
    let Some(filter) = filter.map(|f| f.trim_end_matches('/')) else {
        return true;
    };
    name == filter || name.strip_prefix(filter).is_some_and(|rest| rest.starts_with('/'))
}

/// A realm's import file.
///
/// # Errors
/// When there is no such file.
pub fn realm(name: &str) -> Result<Value> {
    read_json(&folder().join("realms").join(format!("{name}.json")))
}

/// The static keys, PKCS#8 DER by name.
pub(crate) fn keys() -> Result<BTreeMap<String, Vec<u8>>> {
    let mut keys = BTreeMap::new();
    for file in sorted(&folder().join("keys"))? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&file)?;
        let body: String = text.lines().filter(|l| !l.starts_with("-----")).collect();
        use base64::Engine as _;
        let der = base64::engine::general_purpose::STANDARD.decode(body)?;
        keys.insert(name.into_owned(), der);
    }
    Ok(keys)
}

/// Lines of a list file without comments and blanks; a missing file is an empty list.
pub(crate) fn list(name: &str) -> Result<Vec<String>> {
    match fs::read_to_string(folder().join(name)) {
        Ok(text) => Ok(text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty() && !l.starts_with("# "))
            .map(str::to_owned)
            .collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e.into()),
    }
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        entries.push(entry?.path());
    }
    entries.sort();
    Ok(entries)
}

fn read_json<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| file.display().to_string())
}

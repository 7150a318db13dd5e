//! The tests that the SDK and the examples bring along, against this server: what `cargo xtask test` prepares, run here.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::stage::idp::Idp;
use crate::stage::{root, target};

/// Runs a program to its end and gives what it printed.
async fn output(mut command: Command) -> Result<(bool, String)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = tokio::task::spawn_blocking(move || command.output()).await?;
    let done = done.with_context(|| format!("{program} does not start"))?;
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    Ok((done.status.success(), text))
}

fn needs(path: &Path, told: &str) -> Result<()> {
    ensure!(path.exists(), "{} is missing: run `cargo xtask test`, or {told}", path.display());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_example_walks_against_this_server() -> Result<()> {
    let python = target().join("venv/bin/python");
    let told = "`python3 -m venv target/venv && target/venv/bin/pip install -r examples/login-and-api/backend/requirements.txt`";
    needs(&python, told)?;
    let folder = root().join("examples/login-and-api");
    let realm = serde_json::from_slice(&std::fs::read(folder.join("realm.json"))?)?;
    let idp = Idp::start(&realm).await?;
    let mut walk = Command::new(python);
    walk.arg("test.py").arg(&idp.base).current_dir(&folder);
    let (ended_well, text) = output(walk).await?;
    let last = text.lines().rfind(|line| line.ends_with(" failed")).unwrap_or_default();
    let passed: Option<u32> = last.split_once(" passed, 0 failed").and_then(|(count, _)| count.parse().ok());
    assert!(ended_well && passed.is_some_and(|count| count >= 30), "{text}");
    Ok(())
}

#[tokio::test]
async fn the_sdks_own_tests_pass() -> Result<()> {
    let folder = root().join("sdk");
    needs(&folder.join("node_modules"), "`npm ci` in sdk")?;
    let mut tests = Command::new("npm");
    tests.arg("test").current_dir(&folder);
    let (ended_well, text) = output(tests).await?;
    let count = |name: &str| {
        let line = text.lines().find_map(|l| l.trim_start_matches(['#', 'ℹ', ' ']).strip_prefix(name));
        line.and_then(|l| l.trim().parse::<u32>().ok())
    };
    assert!(ended_well && count("fail ") == Some(0) && count("pass ").is_some_and(|n| n >= 20), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_grant_and_every_logout_by_curl() -> Result<()> {
    let folder = root().join("examples/curl");
    let realm = serde_json::from_slice(&std::fs::read(folder.join("realm.json"))?)?;
    let idp = Idp::start(&realm).await?;
    let mut walk = Command::new("bash");
    walk.arg("walk.sh").env("BASE", &idp.base).current_dir(&folder);
    let (ended_well, text) = output(walk).await?;
    let script = std::fs::read_to_string(folder.join("walk.sh"))?;
    // A check of the script is a line that begins with one of its two words; each prints one line when it holds.
    let asked = script.lines().filter(|line| line.starts_with("ok ") || line.starts_with("want ")).count();
    let seen = text.lines().filter(|line| line.starts_with("ok  ")).count();
    assert!(asked >= 20, "{asked} checks are not every grant");
    assert!(ended_well && text.trim_end().ends_with("all of it") && seen == asked, "{seen} of {asked}: {text}");
    Ok(())
}

/// The blocks of a guide's page that a shell runs.
fn recipes(page: &str) -> Result<String> {
    let source = std::fs::read_to_string(root().join("docs/guide/src").join(page)).context(page.to_owned())?;
    let mut blocks = String::new();
    let mut inside = false;
    for line in source.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside && !command.starts_with("cargo ") && !command.starts_with("git ") => {
                blocks.push_str(line);
                blocks.push('\n');
            }
            _ => {}
        }
    }
    Ok(blocks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guides_recipes_run_as_they_are_written() -> Result<()> {
    let realm = serde_json::from_slice(&std::fs::read(root().join("examples/curl/realm.json"))?)?;
    let idp = Idp::start(&realm).await?;
    let tokens = recipes("getting-started.md")?;
    let tokens = tokens.split_once("OIDC=").context("the names that recipes use")?.1;
    let folder = tempfile::tempdir()?;
    for (page, seen) in [
        ("getting-started.md", "\"name\":\"Carol Curl\""),
        ("introspection.md", "\"active\":true"),
        ("revocation.md", "{\"active\":false}"),
        ("offline-access.md", "\"key\":\"Offline Token\""),
        ("token-exchange.md", "\"issued_token_type\""),
        ("pushed-requests.md", "\"request_uri\":\"urn:ietf:params:oauth:request_uri:"),
        ("device-login.md", "authorization_pending"),
        ("logout.md", "HTTP/1.1 204"),
        ("admin-api.md", "\"username\":\"carol\""),
    ] {
        let own = if page == "getting-started.md" { String::new() } else { recipes(page)? };
        let script = format!("set -eu\nOIDC={tokens}{own}").replace("http://localhost:8080", &idp.base);
        let mut walk = Command::new("bash");
        walk.args(["-c", &script]).current_dir(&folder);
        let (ended_well, text) = output(walk).await?;
        assert!(ended_well && text.contains(seen), "{page} does not show {seen}: {text}");
        assert!(page == "device-login.md" || !text.contains("\"error\""), "{page}: {text}");
    }
    Ok(())
}

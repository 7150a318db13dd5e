//! What the tests need beside Rust and a C compiler: installed with apt on Debian, named elsewhere.

use std::path::Path;

use anyhow::Result;

use crate::shell::{Missing, Shell, answers, command};

struct Need {
    program: &'static str,
    probe: &'static [&'static str],
    packages: &'static [&'static str],
}

const BROWSER: [Need; 2] = [
    Need { program: "chromium", probe: &["--version"], packages: &["chromium"] },
    Need { program: "chromedriver", probe: &["--version"], packages: &["chromium-driver"] },
];
const SCRIPTS: [Need; 5] = [
    Need { program: "node", probe: &["--version"], packages: &["nodejs"] },
    Need { program: "npm", probe: &["--version"], packages: &["npm"] },
    Need { program: "python3", probe: &["-c", "import venv, ensurepip"], packages: &["python3", "python3-venv"] },
    Need { program: "curl", probe: &["--version"], packages: &["curl"] },
    Need { program: "openssl", probe: &["version"], packages: &["openssl"] },
];

/// Everything the tests need.
pub(crate) fn all(shell: &Shell) -> Result<()> {
    provide(shell, BROWSER.iter().chain(&SCRIPTS))
}

/// Chromium and its driver.
pub(crate) fn browser(shell: &Shell) -> Result<()> {
    provide(shell, BROWSER.iter())
}

fn provide<'a>(shell: &Shell, needs: impl Iterator<Item = &'a Need>) -> Result<()> {
    let absent = |n: &&Need| !answers(n.program, n.probe);
    let packages: Vec<&str> = needs.filter(absent).flat_map(|n| n.packages).copied().collect();
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(", ");
    if !Path::new("/etc/debian_version").exists() || !answers("apt-get", &["--version"]) {
        let told = format!("please install what Debian calls: {list}; then run this again");
        return Err(Missing(told).into());
    }
    apt(shell, "apt-get update", &["update", "-q"])?;
    let mut install = vec!["install", "-y", "-q", "--no-install-recommends"];
    install.extend(&packages);
    apt(shell, &format!("install {list}"), &install)
}

fn apt(shell: &Shell, title: &str, args: &[&str]) -> Result<()> {
    let root = command("id", &["-u"]).output().is_ok_and(|o| o.stdout.trim_ascii() == b"0");
    let mut run = if root {
        command("apt-get", args)
    } else {
        let mut run = command("sudo", &["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
        run.args(args);
        run
    };
    run.env("DEBIAN_FRONTEND", "noninteractive");
    shell.run(title, run)
}

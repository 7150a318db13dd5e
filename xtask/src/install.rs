//! What the tests need beside Rust and a C compiler: installed with apt on Debian, named elsewhere.

use std::fs;

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
const INSTALL: [&str; 4] = ["install", "-y", "-q", "--no-install-recommends"];

/// Everything the tests need.
pub(crate) fn all(shell: &Shell) -> Result<()> {
    provide(shell, &BROWSER.iter().chain(&SCRIPTS).collect::<Vec<_>>())
}

/// Chromium and its driver.
pub(crate) fn browser(shell: &Shell) -> Result<()> {
    provide(shell, &BROWSER.iter().collect::<Vec<_>>())
}

fn provide(shell: &Shell, needs: &[&Need]) -> Result<()> {
    let absent = |needs: &[&Need]| -> Vec<&'static str> {
        needs.iter().filter(|n| !answers(n.program, n.probe)).flat_map(|n| n.packages).copied().collect()
    };
    let packages = absent(needs);
    if packages.is_empty() {
        return Ok(());
    }
    let machine = Machine::this();
    let apt = machine.apt(&packages).map_err(Missing)?;
    // Not the end: the lists at hand may do, and one broken source must not keep the others out.
    let _told_above = shell.run("apt-get update", command_of(&apt, &["update", "-q"]));
    let installed = shell.run(&format!("install {}", packages.join(", ")), {
        let mut install = command_of(&apt, &INSTALL);
        install.args(&packages);
        install
    });
    let left = absent(needs);
    if installed.is_err() || !left.is_empty() {
        let wanted = if left.is_empty() { packages } else { left };
        return Err(Missing(by_hand(&wanted, "apt-get did not get them here, its own words stand above")).into());
    }
    Ok(())
}

fn command_of(apt: &[&'static str], args: &[&str]) -> std::process::Command {
    let (program, before) = apt.split_first().map_or(("apt-get", &[][..]), |(first, rest)| (*first, rest));
    let mut run = command(program, before);
    run.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    run
}

fn by_hand(packages: &[&str], why: &str) -> String {
    let list = packages.join(" ");
    format!("{list}: missing, and {why}; run `apt-get {} {list}` as root, then this again", INSTALL.join(" "))
}

/// What is known of this machine.
struct Machine {
    /// `/etc/os-release`.
    release: String,
    apt: bool,
    root: bool,
    sudo: bool,
}

impl Machine {
    fn this() -> Self {
        Self {
            release: fs::read_to_string("/etc/os-release").unwrap_or_default(),
            apt: answers("apt-get", &["--version"]),
            root: command("id", &["-u"]).output().is_ok_and(|o| o.stdout.trim_ascii() == b"0"),
            sudo: answers("sudo", &["--version"]),
        }
    }

    /// How apt-get is started here, or what to do by hand.
    fn apt(&self, packages: &[&str]) -> Result<Vec<&'static str>, String> {
        // Ubuntu calls itself like Debian, but has Chromium as a snap only.
        if self.field("ID") != "debian" || !self.apt {
            let name = Some(self.field("PRETTY_NAME")).filter(|name| !name.is_empty()).unwrap_or("an unknown system");
            let list = packages.join(", ");
            return Err(format!(
                "missing on {name}; please install what Debian calls {list}, so that the programs are in PATH, then run this again"
            ));
        }
        match (self.root, self.sudo) {
            (true, _) => Ok(vec!["apt-get"]),
            (false, true) => Ok(vec!["sudo", "--preserve-env=DEBIAN_FRONTEND", "apt-get"]),
            (false, false) => Err(by_hand(packages, "there is no sudo to install them with")),
        }
    }

    fn field(&self, name: &str) -> &str {
        let value = self.release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches(['"', '\''])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
    const UBUNTU: &str = "PRETTY_NAME=\"Ubuntu 24.04 LTS\"\nID=ubuntu\nID_LIKE=debian\n";

    #[test]
    fn every_machine_gets_apt_or_one_line_that_says_what_to_do() {
        for (release, apt, root, sudo, expected) in [
            (DEBIAN, true, true, false, Ok("apt-get")),
            (DEBIAN, true, false, true, Ok("sudo --preserve-env=DEBIAN_FRONTEND apt-get")),
            (DEBIAN, true, false, false, Err("run `apt-get install -y -q --no-install-recommends npm curl` as root")),
            (DEBIAN, false, true, true, Err("missing on Debian GNU/Linux 12 (bookworm)")),
            (UBUNTU, true, true, true, Err("missing on Ubuntu 24.04 LTS; please install what Debian calls npm, curl")),
            ("", true, true, true, Err("missing on an unknown system; ")),
        ] {
            let machine = Machine { release: release.to_owned(), apt, root, sudo };
            match (machine.apt(&["npm", "curl"]), expected) {
                (Ok(words), Ok(expected)) => assert_eq!(words.join(" "), expected),
                (Err(told), Err(expected)) => {
                    assert!(told.contains(expected) && !told.contains('\n') && told.ends_with("this again"), "{told}");
                }
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        }
    }
}

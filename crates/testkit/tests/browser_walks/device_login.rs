//! The device example: a person in a browser says yes while the real program waits in its terminal.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use portcullis_testkit::browser::ColorScheme;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::stage::idp::Idp;
use crate::stage::person::Person;
use crate::stage::root;

/// The running program.
struct Program {
    child: Child,
    lines: UnboundedReceiver<String>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(base: &str) -> Result<Self> {
        let mut child = Command::new("python3")
            .arg(root().join("examples/device-login/device_login.py"))
            .arg(format!("{base}/realms/example"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("python3 does not start: is it installed?")?;
        let output = child.stdout.take().context("no output")?;
        let (told, lines) = unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// Address and code, as they stand on the terminal.
    async fn shown(&mut self) -> Result<(String, String)> {
        let mut words: Vec<String> = Vec::new();
        while let Some(line) = self.lines.recv().await {
            let text = line.trim_matches(['|', ' ']).to_owned();
            if text == "Waiting ..." {
                let address = words.iter().find(|word| word.starts_with("http")).context("no address")?;
                let code = words.iter().find(|word| word.len() == 9 && word.as_bytes().get(4) == Some(&b'-'));
                return Ok((address.clone(), code.context("no code")?.clone()));
            }
            words.push(text);
        }
        bail!("the program ended: {}", self.complaint()?)
    }

    fn complaint(&mut self) -> Result<String> {
        let mut text = String::new();
        if let Some(errors) = self.child.stderr.as_mut() {
            errors.read_to_string(&mut text)?;
        }
        Ok(text)
    }

    /// The rest of its output and whether it ended well.
    async fn ended(mut self) -> Result<(bool, String)> {
        let mut text = String::new();
        while let Some(line) = self.lines.recv().await {
            text.push_str(&line);
            text.push('\n');
        }
        // Its output is closed: it is ending.
        text.push_str(&self.complaint()?);
        Ok((self.child.wait()?.success(), text))
    }
}

fn realm() -> Result<Value> {
    let mut realm: Value = serde_json::from_slice(&std::fs::read(root().join("examples/device-login/realm.json"))?)?;
    realm["clients"][0]["attributes"]["oauth2.device.polling.interval"] = json!("1");
    Ok(realm)
}

/// Both colours of what is seen.
async fn picture(person: &Person, name: &str) -> Result<()> {
    for scheme in [ColorScheme::Dark, ColorScheme::Light] {
        person.browser.color_scheme(scheme).await?;
        person.browser.screenshot(&format!("{name}-{scheme:?}").to_lowercase()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc_8628_a_person_says_yes_while_the_program_waits() -> Result<()> {
    let idp = Idp::start(&realm()?).await?;
    let person = Person::sit_down().await?;
    let mut program = Program::start(&idp.base)?;
    let (address, code) = program.shown().await?;
    assert_eq!(address, format!("{}/realms/example/device", idp.base));
    person.open(&address).await?;
    person.see("#kc-user-verify-device-user-code-form").await?;
    assert_eq!(person.complaints(&idp.base).await?, [] as [String; 0]);
    picture(&person, "device-code").await?;
    person.type_into("#device-user-code", "BBBB-BBBB").await?;
    person.click("button[type='submit']").await?;
    person.read(".alert", "Invalid code, please try again.").await?;
    person.type_into("#device-user-code", &code.to_lowercase().replace('-', " ")).await?;
    person.click("button[type='submit']").await?;
    person.log_in("alice", "alice-password").await?;
    person.read("#kc-page-title", "Grant Access to Living room TV").await?;
    person.read(".shown-code", &code).await?;
    assert_eq!(person.complaints(&idp.base).await?, [] as [String; 0]);
    picture(&person, "device-approval").await?;
    person.click("#kc-login").await?;
    person.read("#kc-page-title", "Device Login Successful").await?;
    picture(&person, "device-done").await?;
    let (ended_well, text) = program.ended().await?;
    assert!(ended_well && text.contains("Hello, Alice Adams!"), "{text}");
    assert!(text.contains("preferred_username: alice") && text.contains("email: alice@example.test"), "{text}");

    // The honest twin's shadow: the address alone approves nothing, and a no reaches the program.
    let mut program = Program::start(&idp.base)?;
    let (address, code) = program.shown().await?;
    person.open(&format!("{address}?user_code={code}")).await?;
    person.read(".shown-code", &code).await?;
    person.click("#kc-cancel").await?;
    person.read("#kc-page-title", "Device Login Failed").await?;
    picture(&person, "device-refused").await?;
    let (ended_well, text) = program.ended().await?;
    assert!(!ended_well && text.contains("Not logged in: the login was refused"), "{text}");
    person.stand_up().await
}

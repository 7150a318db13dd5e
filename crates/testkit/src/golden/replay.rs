//! Runs scenarios against a server: realms are imported afresh, steps sent in order, answers masked and compared.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize as _;
use serde_json::{Map, Value, json};

use super::answer::{self, Body};
use super::capture::{Seen, capture};
use super::compare;
use super::context::{Context, plain};
use super::data::{self, ListenSpec, Pairs, RequestSpec, Scenario, Step};
use super::listener::Listener;
use super::mask::{Mask, pairs};
use super::report::Verdict;
use crate::http1::{Answer, Connection, Exchange};
use crate::pace::Pace;

/// Seconds after which the administrator's token is asked for anew (it lives for 60).
const TOKEN_AGE: i64 = 25;

pub(crate) struct Replayer {
    base: String,
    pace: Arc<dyn Pace>,
    server: Connection,
    statics: BTreeMap<String, Vec<u8>>,
    token: Option<(i64, String)>,
    listener: Option<Listener>,
    /// Header lines that the server may send beyond Keycloak's: (name, start of the value).
    added_headers: Vec<(String, String)>,
    /// Realms whose import a shared scenario left clean.
    clean: Vec<String>,
}

impl Replayer {
    pub(crate) fn new(base: &str, pace: Arc<dyn Pace>, added_headers: Vec<(String, String)>) -> Result<Self> {
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self {
            server: Connection::to(&base)?,
            base,
            pace,
            statics: data::keys()?,
            token: None,
            listener: None,
            added_headers,
            clean: Vec::new(),
        })
    }

    /// One verdict for each step.
    pub(crate) async fn run(&mut self, scenario: &Scenario) -> Vec<Verdict> {
        match self.prepare(scenario).await {
            Ok(mut context) => {
                let mut verdicts = Vec::new();
                for (step, want) in scenario.steps.iter().zip(&scenario.recorded) {
                    verdicts.push(self.judge(&mut context, step, want).await);
                }
                self.tidy(scenario).await;
                verdicts
            }
            Err(why) => {
                let why = format!("{why:#}");
                let not_run = |_| Verdict::NotRun(why.clone());
                scenario.steps.iter().map(not_run).collect()
            }
        }
    }

    /// Leaves no realm behind.
    pub(crate) async fn finish(&mut self) {
        for realm in std::mem::take(&mut self.clean) {
            // A realm that cannot be removed shows itself at the next import.
            let _ = self.drop_realm(&realm).await;
        }
    }

    async fn prepare(&mut self, scenario: &Scenario) -> Result<Context> {
        if !(scenario.shared() && self.clean == scenario.realms) {
            self.finish().await;
            for realm in &scenario.realms {
                self.import(realm).await?;
            }
        }
        self.clean = if scenario.shared() { scenario.realms.clone() } else { Vec::new() };
        if self.listener.is_none() && scenario.steps.iter().any(|s| s.listen.is_some()) {
            self.listener = Some(Listener::start().await?);
        }
        if let Some(listener) = &self.listener {
            listener.clear();
        }
        Context::new(&self.base, Arc::clone(&self.pace), &self.statics)
    }

    async fn tidy(&mut self, scenario: &Scenario) {
        let own = if scenario.shared() { [].as_slice() } else { scenario.realms.as_slice() };
        for realm in own.iter().chain(&scenario.cleanup) {
            let _ = self.drop_realm(realm).await;
        }
    }

    async fn import(&mut self, name: &str) -> Result<()> {
        let realm = data::realm(name)?;
        let id = realm.get("realm").map(plain).unwrap_or_default();
        self.drop_realm(&id).await?;
        let answer = self.admin("POST", "/admin/realms", Some(&realm)).await?;
        if answer.status != 201 {
            bail!("import of realm {name}: {} {}", answer.status, answer.text());
        }
        // The next token must know the roles over the new realm.
        self.token = None;
        Ok(())
    }

    async fn drop_realm(&mut self, name: &str) -> Result<()> {
        self.admin("DELETE", &format!("/admin/realms/{name}"), None).await.map(drop)
    }

    async fn admin(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let token = self.admin_token().await?;
        let exchange = match body {
            Some(body) => Exchange::json(method, path, body),
            None => Exchange::new(method, path),
        };
        let exchange =
            exchange.header("Authorization", &format!("Bearer {token}")).header("Accept", "application/json");
        self.server.send(&exchange).await
    }

    async fn admin_token(&mut self) -> Result<String> {
        let now = self.pace.secs();
        if let Some((made, token)) = &self.token
            && now - made <= TOKEN_AGE
        {
            return Ok(token.clone());
        }
        let login = Exchange::form(
            "/realms/master/protocol/openid-connect/token",
            &[("grant_type", "password"), ("client_id", "admin-cli"), ("username", "admin"), ("password", "admin")],
        );
        let answer = self.server.send(&login).await?;
        let body = answer.json();
        let token = body.get("access_token").and_then(Value::as_str);
        let Some(token) = token.filter(|_| answer.status == 200) else {
            bail!("the administrator's login: {} {}", answer.status, answer.text());
        };
        self.token = Some((now, token.to_owned()));
        Ok(token.to_owned())
    }

    async fn judge(&mut self, context: &mut Context, step: &Step, want: &Value) -> Verdict {
        match self.step(context, step).await {
            Ok(got) => match compare::step(want, &got, &step.compare) {
                same if same.is_empty() => Verdict::Equal,
                fields => Verdict::Differs(fields),
            },
            Err(why) => Verdict::NotRun(format!("{why:#}")),
        }
    }

    async fn step(&mut self, context: &mut Context, step: &Step) -> Result<Value> {
        if step.sleep > 0.0 {
            self.pace.pause(Duration::from_secs_f64(step.sleep)).await;
        }
        let token = self.admin_token().await?;
        context.set("admin_token", json!(token));
        for (name, spec) in &step.compute {
            context.compute(name, spec).await?;
        }
        match (&step.request, &step.listen) {
            (Some(request), _) => self.exchange(context, step, request).await,
            (None, Some(listen)) => self.listen(context, &step.name, listen).await,
            (None, None) => bail!("a step that neither asks nor listens"),
        }
    }

    async fn listen(&self, context: &Context, name: &str, spec: &ListenSpec) -> Result<Value> {
        let listener = self.listener.as_ref().context("no listener")?;
        let limit = Duration::from_secs(spec.timeout);
        let calls = listener.wait(&spec.path, spec.count, limit).await;
        listener.clear();
        let mask = self.mask(context);
        let received = calls.into_iter().map(|call| {
            let form: Map<String, Value> = pairs(&call.body)
                .into_iter()
                .map(|(k, v)| {
                    let masked = mask.value(Some(&k), &json!(v));
                    (k, masked)
                })
                .collect();
            json!({"method": call.method, "path": call.path, "content_type": call.content_type, "form": form})
        });
        Ok(json!({"name": name, "received": received.collect::<Vec<_>>()}))
    }

    fn mask(&self, context: &Context) -> Mask {
        Mask::new(&self.base, &context.captured, self.pace.secs())
    }

    async fn exchange(&mut self, context: &mut Context, step: &Step, spec: &RequestSpec) -> Result<Value> {
        let mut exchange = request(context, spec)?;
        let browsed = ["/realms", "/resources"].iter().any(|p| exchange.target.starts_with(p));
        let jar_name = spec.jar_name().filter(|_| browsed);
        if let Some(jar) = jar_name.and_then(|n| context.jars.get(n))
            && let Some(cookies) = jar.header(&exchange.target)
            && !exchange.has("cookie")
        {
            exchange = exchange.header("Cookie", &cookies);
        }
        if !exchange.has("accept") {
            exchange = exchange.header("Accept", "*/*");
        }
        let mut answer = self.server.send(&exchange).await?;
        answer.headers.retain(|(name, value)| {
            let mut added = self.added_headers.iter();
            !added.any(|(n, start)| n.eq_ignore_ascii_case(name) && value.starts_with(start))
        });
        if let Some(name) = jar_name {
            let jar = context.jars.entry(name.to_owned()).or_default();
            jar.update(&answer);
        }
        let body = Body::read(&answer);
        for (name, spec) in &step.capture {
            let seen = Seen {
                answer: &answer,
                text: &body.text,
                json: body.json.as_ref(),
                page: body.page.as_ref(),
                jar: jar_name.and_then(|n| context.jars.get(n)),
            };
            let value = capture(spec, &seen)?;
            context.capture(name, value);
        }
        let mask = self.mask(context);
        Ok(answer::record(&step.name, &answer, &body, &mask, &step.compare))
    }
}

/// The request of a step with every template filled; cookies and `Accept` are added by the caller.
fn request(context: &Context, spec: &RequestSpec) -> Result<Exchange> {
    let mut exchange = Exchange::new(&spec.method, &target(context, spec)?);
    exchange.headers = filled(context, &spec.headers)?;
    let typed = |exchange: Exchange, kind: &str| {
        if exchange.has("content-type") { exchange } else { exchange.header("Content-Type", kind) }
    };
    if let Some(form) = &spec.form {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(filled(context, form)?);
        exchange = typed(exchange, "application/x-www-form-urlencoded");
        exchange.body = Some(text.finish().into_bytes());
    } else if let Some(json) = &spec.json {
        exchange = typed(exchange, "application/json");
        exchange.body = Some(spaced(&context.fill(json)?)?);
    } else if let Some(raw) = &spec.raw {
        exchange.body = Some(context.text(raw)?.into_bytes());
    } else if ["POST", "PUT", "PATCH"].contains(&spec.method.as_str()) {
        exchange.body = Some(Vec::new());
    }
    Ok(exchange)
}

/// JSON with a space after `:` and `,`: Keycloak's errors name the column, and the recordings were asked like that.
fn spaced(value: &Value) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut out, Spaced);
    value.serialize(&mut writer)?;
    Ok(out)
}

struct Spaced;

impl Spaced {
    fn comma<W: ?Sized + io::Write>(out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }
}

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        Self::comma(out, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        Self::comma(out, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

fn target(context: &Context, spec: &RequestSpec) -> Result<String> {
    let mut target = match (&spec.url, &spec.path) {
        (Some(url), _) => origin_form(&context.text(url)?),
        (None, Some(path)) => context.text(path)?,
        (None, None) => bail!("a request without path"),
    };
    if let Some(query) = &spec.query {
        let query: Vec<String> = filled(context, query)?
            .iter()
            .map(|(k, v)| format!("{}={}", super::mask::quote(k), super::mask::quote(v)))
            .collect();
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(&query.join("&"));
    }
    Ok(target)
}

/// Path and query of an address, absolute or not; a fragment stays with the browser.
pub(crate) fn origin_form(address: &str) -> String {
    let rest = match address.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?']).map_or("/", |at| rest.split_at(at).1),
        None => address,
    };
    let rest = rest.split('#').next().unwrap_or_default();
    if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }
}

fn filled(context: &Context, pairs: &Pairs) -> Result<Vec<(String, String)>> {
    pairs.iter().map(|(name, value)| Ok((context.text(name)?, plain(&context.fill(value)?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_columns_of_the_recordings() {
        let given = json!({"a": [1, "x", {}], "b": null});
        assert_eq!(spaced(&given).unwrap(), br#"{"a": [1, "x", {}], "b": null}"#);
    }

    #[test]
    fn origin_forms() {
        for (given, want) in
            [("http://h:1/a?b=c#d", "/a?b=c"), ("/a/../b%2F", "/a/../b%2F"), ("http://h", "/"), ("http://h?x", "/?x")]
        {
            assert_eq!(origin_form(given), want);
        }
    }
}

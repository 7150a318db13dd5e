//! A tolerant reading of a page: only what scripts and suites rely on. Its look is free.

/// What a page says and asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Text of `<title>`.
    pub title: String,
    /// (id or `.class` of the element, its text), each once, in order.
    pub messages: Vec<(String, String)>,
    /// Forms in order.
    pub forms: Vec<Form>,
    /// `href` of every link.
    pub links: Vec<String>,
    /// `src` of every frame.
    pub frames: Vec<String>,
    /// Texts inside list items.
    pub items: Vec<String>,
}

/// One form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// `id`, when it has one.
    pub id: Option<String>,
    /// Lower case, `get` when absent.
    pub method: String,
    /// `action` as written.
    pub action: Option<String>,
    /// Inputs, buttons, selects and text areas in order.
    pub inputs: Vec<Input>,
}

/// One control of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// `name`, when it has one.
    pub name: Option<String>,
    /// `type`, else the element's name; lower case.
    pub kind: String,
    /// `value` of the kinds whose value is not the user's secret.
    pub value: Option<String>,
    /// Whether it is disabled.
    pub disabled: bool,
}

impl Page {
    /// Reads a page; whatever is no page gives an empty one.
    #[must_use]
    pub fn read(html: &str) -> Self {
        let mut reader = Reader::default();
        reader.feed(html);
        reader.page.title = squeeze(&reader.page.title);
        reader.page
    }

    /// The form with this id, or the first one for `*`.
    #[must_use]
    pub fn form(&self, id: &str) -> Option<&Form> {
        self.forms.iter().find(|f| id == "*" || f.id.as_deref() == Some(id))
    }

    /// Value of the first input of this name, in any form.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&str> {
        self.forms.iter().flat_map(|f| &f.inputs).find(|i| i.name.as_deref() == Some(name))?.value.as_deref()
    }
}

const VOID: [&str; 6] = ["input", "br", "img", "meta", "link", "hr"];
const SILENT: [&str; 3] = ["script", "style", "noscript"];
const MESSAGE_IDS: [&str; 6] =
    ["kc-page-title", "kc-error-message", "kc-info-message", "kc-header", "input-error", "kc-terms-text"];
const MESSAGE_CLASSES: [&str; 5] =
    ["kc-feedback-text", "alert", "instruction", "helper-text__item-text", "kc-feedback"];
const SHOWN_VALUES: [&str; 6] = ["hidden", "submit", "text", "email", "radio", "checkbox"];

struct Open {
    tag: String,
    message: Option<String>,
    text: String,
}

struct Attributes(Vec<(String, Option<String>)>);

impl Attributes {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    fn get(&self, name: &str) -> Option<&str> {
        // The last of two equal names wins.
        self.0.iter().rev().find(|(n, _)| n == name)?.1.as_deref()
    }
}

#[derive(Default)]
struct Reader {
    page: Page,
    stack: Vec<Open>,
    in_form: bool,
}

impl Reader {
    fn feed(&mut self, html: &str) {
        let mut rest = html;
        while let Some(at) = rest.find('<') {
            let (before, tail) = rest.split_at(at);
            self.text(before);
            rest = if let Some(comment) = tail.strip_prefix("<!--") {
                after(comment, "-->")
            } else if tail.starts_with("<!") || tail.starts_with("<?") {
                after(tail, ">")
            } else if let Some(name) = tail.strip_prefix("</") {
                let tag = name.split(['>', ' ', '\n', '\t']).next().unwrap_or_default();
                self.close(&tag.to_ascii_lowercase());
                after(tail, ">")
            } else if tail.chars().nth(1).is_some_and(|c| c.is_ascii_alphabetic()) {
                self.element(tail)
            } else {
                self.text("<");
                tail.strip_prefix('<').unwrap_or_default()
            };
        }
        self.text(rest);
    }

    /// Reads the start tag that `tail` begins with; gives what follows it.
    fn element<'a>(&mut self, tail: &'a str) -> &'a str {
        let tail = tail.strip_prefix('<').unwrap_or(tail);
        let end = tail.find(|c: char| c.is_whitespace() || c == '/' || c == '>').unwrap_or(tail.len());
        let (tag, rest) = tail.split_at(end);
        let tag = tag.to_ascii_lowercase();
        let (attributes, rest, closed) = attributes(rest);
        self.open(&tag, &attributes);
        if closed && !VOID.contains(&tag.as_str()) {
            self.close(&tag);
        } else if tag == "script" || tag == "style" {
            let end = format!("</{tag}");
            let at = rest.to_ascii_lowercase().find(&end);
            return at.map_or("", |at| rest.split_at(at).1);
        }
        rest
    }

    fn open(&mut self, tag: &str, attributes: &Attributes) {
        if !VOID.contains(&tag) {
            let nested = self.stack.iter().any(|o| o.message.is_some());
            self.stack.push(Open {
                tag: tag.to_owned(),
                message: message_place(attributes).filter(|_| !nested),
                text: String::new(),
            });
        }
        match tag {
            "form" => {
                self.in_form = true;
                self.page.forms.push(Form {
                    id: attributes.get("id").map(str::to_owned),
                    method: attributes.get("method").unwrap_or("get").to_ascii_lowercase(),
                    action: attributes.get("action").map(str::to_owned),
                    inputs: Vec::new(),
                });
            }
            "input" | "button" | "select" | "textarea" => self.input(tag, attributes),
            "a" => self.page.links.extend(attributes.get("href").map(str::to_owned)),
            "iframe" => self.page.frames.extend(attributes.get("src").map(str::to_owned)),
            _ => {}
        }
    }

    fn input(&mut self, tag: &str, attributes: &Attributes) {
        let kind = attributes.get("type").unwrap_or(tag).to_ascii_lowercase();
        let shown = SHOWN_VALUES.contains(&kind.as_str());
        let input = Input {
            name: attributes.get("name").map(str::to_owned),
            value: attributes.get("value").filter(|_| shown).map(str::to_owned),
            disabled: attributes.has("disabled"),
            kind,
        };
        if let (true, Some(form)) = (self.in_form, self.page.forms.last_mut()) {
            form.inputs.push(input);
        }
    }

    fn close(&mut self, tag: &str) {
        if tag == "form" {
            self.in_form = false;
        }
        let Some(at) = self.stack.iter().rposition(|o| o.tag == tag) else {
            return;
        };
        for open in self.stack.drain(at..) {
            let text = squeeze(&open.text);
            if let Some(place) = open.message.filter(|_| !text.is_empty()) {
                let message = (place, text);
                if !self.page.messages.contains(&message) {
                    self.page.messages.push(message);
                }
            }
        }
    }

    fn text(&mut self, raw: &str) {
        let silent = |o: &Open| SILENT.contains(&o.tag.as_str());
        if raw.is_empty() || self.stack.iter().any(silent) {
            return;
        }
        let text = unescape(raw);
        if self.stack.last().is_some_and(|o| o.tag == "title") {
            self.page.title.push_str(&text);
            return;
        }
        for open in self.stack.iter_mut().filter(|o| o.message.is_some()) {
            open.text.push_str(&text);
        }
        let text = squeeze(&text);
        if !text.is_empty() && self.stack.iter().any(|o| o.tag == "li") {
            self.page.items.push(text);
        }
    }
}

fn message_place(attributes: &Attributes) -> Option<String> {
    let id = attributes.get("id").unwrap_or_default();
    let class = attributes.get("class").unwrap_or_default();
    if MESSAGE_IDS.iter().any(|p| id.starts_with(p)) && !id.starts_with("input-error-container") {
        return Some(id.to_owned());
    }
    if class.contains("actions") {
        return None;
    }
    let hit = MESSAGE_CLASSES.iter().find(|m| class.contains(**m))?;
    Some(format!(".{hit}"))
}

/// Attributes up to the tag's end, what follows it, and whether it closed itself.
fn attributes(mut rest: &str) -> (Attributes, &str, bool) {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("/>") {
            return (Attributes(found), after, true);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (Attributes(found), after, false);
        }
        if let Some(after) = rest.strip_prefix('/') {
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(rest.len());
        if rest.is_empty() {
            return (Attributes(found), "", false);
        }
        let (name, tail) = rest.split_at(end.max(usize::from(end == 0)));
        let (value, tail) = attribute_value(tail);
        found.push((name.to_ascii_lowercase(), value));
        rest = tail;
    }
}

fn attribute_value(tail: &str) -> (Option<String>, &str) {
    let Some(value) = tail.trim_start().strip_prefix('=') else {
        return (None, tail);
    };
    let value = value.trim_start();
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote) {
            let (text, rest) = inner.split_once(quote).unwrap_or((inner, ""));
            return (Some(unescape(text)), rest);
        }
    }
    let end = value.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(value.len());
    let (text, rest) = value.split_at(end);
    (Some(unescape(text)), rest)
}

fn after<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).map_or("", |(_, rest)| rest)
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Character references that pages of this kind use, and all numeric ones.
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let name = tail.split_once(';').map(|(n, _)| n.trim_start_matches('&'));
        if let Some((name, character)) = name.and_then(|n| reference(n).map(|c| (n, c))) {
            out.push(character);
            rest = tail.get(name.len() + 2..).unwrap_or_default();
        } else {
            out.push('&');
            rest = tail.strip_prefix('&').unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "copy" => '©',
        "laquo" => '«',
        "raquo" => '»',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "times" => '×',
        "middot" => '·',
        "bull" => '•',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str = r#"<!doctype html><html><head><title> Sign in &amp; go </title>
      <style>p > a { } </style><SCRIPT>if (1 < 2) document.write("<form>");</SCRIPT></head><body>
      <!-- <form id="ghost"> --><h1 id="kc-page-title">Sign <b>in</b></h1>
      <form id="kc-form-login" method="POST" action="/x?a=1&amp;b=2">
        <input name=username type="text" value='a&#39;b' autofocus><input name="password" type="password" value="no">
        <button type="submit" name="login" disabled/>Go</button></form>
      <span id="input-error" class="alert">Invalid <span class="kc-feedback-text">username</span></span>
      <ul><li>One<li>Two</ul><input name="outside"><iframe src="/f"></iframe><a href="/y">y</a> 1 < 2</body>"#;

    #[test]
    fn reads_what_scripts_rely_on() {
        let page = Page::read(LOGIN);
        assert_eq!(page.title, "Sign in & go");
        assert_eq!(
            page.messages,
            [
                ("kc-page-title".to_owned(), "Sign in".to_owned()),
                ("input-error".to_owned(), "Invalid username".to_owned())
            ]
        );
        assert_eq!(page.forms.len(), 1);
        let form = page.form("kc-form-login").unwrap();
        assert_eq!((form.method.as_str(), form.action.as_deref()), ("post", Some("/x?a=1&b=2")));
        let names: Vec<_> = form.inputs.iter().map(|i| i.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["username", "password", "login"]);
        assert_eq!(page.input("username"), Some("a'b"));
        assert_eq!(page.input("password"), None);
        assert!(form.inputs[2].disabled);
        assert_eq!(page.items, ["One", "Two"]);
        assert_eq!((page.frames, page.links), (vec!["/f".to_owned()], vec!["/y".to_owned()]));
    }

    #[test]
    fn never_fails_on_broken_text() {
        for text in [
            "",
            "<",
            "<a",
            "<a href",
            "<a href=",
            "</",
            "<!--",
            "<!",
            "&",
            "&#xffffffff;",
            "<a =x>",
            "é<é>",
            "<script>",
        ] {
            let _ = Page::read(text);
        }
        assert_eq!(unescape("&unknown; &amp;&#x41;&"), "&unknown; &A&");
    }
}

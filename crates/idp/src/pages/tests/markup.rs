//! Reads our own markup into tags: enough to compare pages, not a parser for foreign ones.

use std::collections::BTreeMap;

/// One start or end tag with the text up to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) attrs: Vec<(String, Option<String>)>,
    pub(crate) text: String,
}

impl Tag {
    pub(crate) fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_deref().unwrap_or(""))
    }

    pub(crate) fn shape(&self) -> (String, Vec<String>) {
        (self.name.clone(), self.attrs.iter().map(|(name, _)| name.clone()).collect())
    }
}

/// All tags in order; attribute values must be quoted, as ours are.
pub(crate) fn tags(html: &str) -> Vec<Tag> {
    let mut found: Vec<Tag> = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        if let Some(last) = found.last_mut() {
            last.text.push_str(&decode(&rest[..start]));
        }
        rest = &rest[start + 1..];
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let (inner, tail) = rest.split_at(end.unwrap());
        rest = &tail[1..];
        found.push(tag(inner));
    }
    found
}

fn tag(inner: &str) -> Tag {
    let (name, mut rest) = inner.split_at(inner.find(char::is_whitespace).unwrap_or(inner.len()));
    let mut attrs = Vec::new();
    loop {
        rest = rest.trim_start().trim_end_matches('/');
        if rest.is_empty() {
            break;
        }
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let (attr, tail) = rest.split_at(end);
        if let Some(value) = tail.strip_prefix("=\"") {
            let (value, tail) = value.split_once('"').unwrap();
            attrs.push((attr.to_owned(), Some(decode(value))));
            rest = tail;
        } else {
            attrs.push((attr.to_owned(), None));
            rest = tail;
        }
    }
    Tag { name: name.trim_end_matches('/').to_owned(), attrs, text: String::new() }
}

fn decode(text: &str) -> String {
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    plain.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The words inside the element that starts at `at`, blanks folded.
pub(crate) fn words(tags: &[Tag], at: usize) -> String {
    let name = &tags[at].name;
    let mut depth = 0_usize;
    let mut text = String::new();
    for tag in &tags[at..] {
        if tag.name == *name {
            depth += 1;
        } else if tag.name.strip_prefix('/') == Some(name) {
            depth -= 1;
        }
        if depth == 0 {
            break;
        }
        text.push_str(&tag.text);
        text.push(' ');
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What of a page is compared with a recording.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) title: String,
    pub(crate) messages: Vec<(String, String)>,
    pub(crate) forms: Vec<String>,
    pub(crate) inputs: Vec<String>,
    pub(crate) list: Vec<String>,
    pub(crate) frames: Vec<String>,
}

const IDS: [&str; 4] = ["kc-page-title", "kc-error-message", "kc-info-message", "input-error"];
const CLASSES: [&str; 4] = ["kc-feedback-text", "alert", "instruction", "kc-feedback"];

pub(crate) fn compared(html: &str) -> Compared {
    let tags = tags(html);
    let mut out = Compared::default();
    let mut until = 0;
    for (at, tag) in tags.iter().enumerate() {
        match tag.name.as_str() {
            "title" => out.title = words(&tags, at),
            "form" => out.forms.push(format!(
                "{} {} {}",
                tag.attr("id").unwrap_or("-"),
                tag.attr("method").unwrap_or("get"),
                tag.attr("action").unwrap_or_default()
            )),
            "input" | "button" => out.inputs.extend(input(tag)),
            "li" => out.list.push(words(&tags, at)),
            "iframe" => out.frames.push(tag.attr("src").unwrap_or_default().to_owned()),
            _ => {}
        }
        let (id, class) = (tag.attr("id").unwrap_or_default(), tag.attr("class").unwrap_or_default());
        let by_id = IDS.iter().any(|start| id.starts_with(start)).then(|| id.to_owned());
        let by_class = CLASSES.iter().find(|word| class.contains(*word)).map(|word| format!(".{word}"));
        if let Some(place) = by_id.or(by_class)
            && at >= until
        {
            until = close(&tags, at);
            out.messages.push((place, words(&tags, at)));
        }
    }
    out.inputs.sort();
    out
}

fn close(tags: &[Tag], at: usize) -> usize {
    let end = format!("/{}", tags[at].name);
    tags[at..].iter().position(|tag| tag.name == end).map_or(tags.len(), |found| at + found)
}

fn input(tag: &Tag) -> Option<String> {
    let name = tag.attr("name").filter(|name| !name.is_empty())?;
    let kind = tag.attr("type").unwrap_or("text");
    let shown = ["hidden", "submit", "text", "radio", "checkbox"].contains(&kind);
    let value = tag.attr("value").filter(|_| shown).map(|value| format!("={value}")).unwrap_or_default();
    Some(format!("{name}:{kind}{value}"))
}

/// Ids and how often each stands on the page.
pub(crate) fn ids(tags: &[Tag]) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for id in tags.iter().filter_map(|tag| tag.attr("id")) {
        *all.entry(id.to_owned()).or_default() += 1;
    }
    all
}

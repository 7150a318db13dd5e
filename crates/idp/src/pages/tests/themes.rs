//! A theme folder: what it overrides, how it is refused, how it falls back.

use std::path::Path;

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

#[test]
fn a_theme_overrides_parts_and_keeps_the_rest() {
    let theme = folder(&[
        ("templates/sign.html", "<img src=\"{{ resources }}/img/logo.png\" alt=\"\">"),
        ("messages/messages_en.properties", "doLogIn=Enter\nown=Own"),
        ("messages/messages_fr.properties", "doLogIn=Entrer"),
        ("tokens.css", ":root { --accent: #123456; }"),
        ("img/logo.png", "png"),
        ("img/notes.txt", "not served"),
        ("notes.txt", "not read"),
    ]);
    let (themed, plain, realm) = (Pages::new(Some(theme.path())).unwrap(), pages(), demo());
    let html = themed.render(&LoginPage::sample(), &Chrome::new(&realm, "en", &themed.resource_base()));
    assert!(html.contains("/img/logo.png\"") && html.contains(">Enter</button>") && html.contains(">Password</label>"));
    let html = themed.render(&LoginPage::sample(), &Chrome::new(&realm, "fr", "/r"));
    assert!(html.contains(">Entrer</button>") && html.contains(">Password</label>"));
    assert_eq!(themed.catalogue().choose(["fr-CA"]), "fr");
    let css = String::from_utf8(themed.asset("css/login.css").unwrap().bytes.to_vec()).unwrap();
    assert!(css.contains("--accent: #123456") && css.contains("--accent: #0e5a4d") && css.contains(".card"));
    assert_eq!(themed.asset("img/logo.png").unwrap().content_type, "image/png");
    assert!(themed.asset("img/notes.txt").is_none());
    assert_ne!(themed.version(), plain.version());
    assert_eq!(pages().version(), plain.version());
}

#[test]
fn a_broken_theme_is_refused_with_file_line_and_cause() {
    let in_block =
        |body: &str| format!("{{% extends \"layout.html\" %}}\n{{% block content %}}\n{body}\n{{% endblock %}}");
    for (file, content, place, cause) in [
        ("templates/login.html", "a\n{% if %}".to_owned(), "templates/login.html:2", "syntax error"),
        ("templates/login.html", in_block("{{ page.pasword }}"), "templates/login.html:3", "undefined"),
        ("templates/login.html", in_block("{{ msg(\"dologin\") }}"), "templates/login.html:3", "dologin"),
        ("templates/login.html", in_block("{{ page.remember_me }}"), "templates/login.html:", "not there"),
        ("templates/sign.html", "\n\n{{ logo }}".to_owned(), "templates/sign.html:3", "undefined"),
        ("templates/login.html", "{% include \"gone.html\" %}".to_owned(), "templates/login.html:1", "gone.html"),
        (
            "messages/messages_en.properties",
            "a=b\nc={0".to_owned(),
            "messages_en.properties:2",
            "c: a brace is never closed",
        ),
        ("messages/messages_en.properties", "a=b\n\nc=\\u12".to_owned(), "messages_en.properties:3", "four hex digits"),
    ] {
        let theme = folder(&[(file, &content)]);
        let error = Pages::new(Some(theme.path())).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(cause), "{content}\n{error}");
    }
    let error = Pages::new(Some(Path::new("/nowhere/theme"))).unwrap_err();
    assert!(matches!(error, ThemeError::Read { .. }) && error.to_string().starts_with("/nowhere/theme: "));
}

#[test]
fn an_error_at_run_time_shows_the_built_in_page() {
    let boom = "{% if page.username == \"boom\" %}{{ page.nothing }}{% endif %}themed";
    let theme = folder(&[("templates/login.html", boom)]);
    let (pages, realm) = (Pages::new(Some(theme.path())).unwrap(), demo());
    let chrome = Chrome::new(&realm, "en", "/r");
    assert_eq!(pages.render(&LoginPage::sample(), &chrome), "themed");
    let html = pages.render(&LoginPage { username: "boom".into(), ..LoginPage::sample() }, &chrome);
    assert!(html.contains("id=\"kc-form-login\"") && html.contains("value=\"boom\""));
}

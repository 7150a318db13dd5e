//! Header sets of HTML answers.
//!
//! Two content security policies are sent: the realm's own (Keycloak's `browserSecurityHeaders`) first, then ours,
//! which allows only what our pages need; browsers enforce both. Ours has no `form-action`: Chromium applies it to
//! the redirect after a post too, and a login ends with a redirect to the client.

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{self, HeaderName, HeaderValue};
use url::Url;

use super::StaticPage;

/// `Cache-Control` of pages in a login (SE-24; Keycloak 26.4).
pub const NO_STORE: HeaderValue = HeaderValue::from_static("no-store, must-revalidate, max-age=0");

/// `Content-Type` of every page.
pub const HTML: HeaderValue = HeaderValue::from_static("text/html;charset=utf-8");

/// The one script of the form_post page; its hash stands in the policy, so a theme cannot change it.
pub const FORM_POST_SCRIPT: &str = "document.forms[0].submit()";

/// The one script of the front-channel logout page: on when every frame was loaded, or after five seconds.
pub const FRONT_CHANNEL_SCRIPT: &str = "(()=>{let gone=false;const go=()=>{const on=document.getElementById('continue');if(on&&!gone){gone=true;location.replace(on.href)}};addEventListener('load',go);setTimeout(go,5000)})()";

/// The one script of the page that shows a code: the button that copies it, where the browser can.
pub const COPY_SCRIPT: &str = "(()=>{const code=document.getElementById('code'),copy=document.getElementById('kc-code-copy-button'),told=document.getElementById('kc-code-copied');copy.hidden=!navigator.clipboard;copy.addEventListener('click',()=>navigator.clipboard.writeText(code.value).then(()=>{told.textContent=told.dataset.done},()=>code.select()))})()";

/// A realm's `browserSecurityHeaders`; an empty value is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserHeaders {
    /// `contentSecurityPolicy`.
    pub content_security_policy: String,
    /// `contentSecurityPolicyReportOnly`.
    pub content_security_policy_report_only: String,
    /// `xFrameOptions`.
    pub x_frame_options: String,
    /// `xContentTypeOptions`.
    pub x_content_type_options: String,
    /// `xRobotsTag`.
    pub x_robots_tag: String,
    /// `strictTransportSecurity`.
    pub strict_transport_security: String,
    /// `referrerPolicy`.
    pub referrer_policy: String,
}

impl Default for BrowserHeaders {
    /// What a new realm of Keycloak 26.4 has.
    fn default() -> Self {
        Self {
            content_security_policy: "frame-src 'self'; frame-ancestors 'self'; object-src 'none';".to_owned(),
            content_security_policy_report_only: String::new(),
            x_frame_options: "SAMEORIGIN".to_owned(),
            x_content_type_options: "nosniff".to_owned(),
            x_robots_tag: "none".to_owned(),
            strict_transport_security: "max-age=31536000; includeSubDomains".to_owned(),
            referrer_policy: "no-referrer".to_owned(),
        }
    }
}

impl BrowserHeaders {
    /// From a realm's map: a key that is not there keeps the default.
    pub fn from_realm<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let standard = Self::default();
        let value = |key: &str, default: String| get(key).map_or(default, str::to_owned);
        Self {
            content_security_policy: value("contentSecurityPolicy", standard.content_security_policy),
            content_security_policy_report_only: value(
                "contentSecurityPolicyReportOnly",
                standard.content_security_policy_report_only,
            ),
            x_frame_options: value("xFrameOptions", standard.x_frame_options),
            x_content_type_options: value("xContentTypeOptions", standard.x_content_type_options),
            x_robots_tag: value("xRobotsTag", standard.x_robots_tag),
            strict_transport_security: value("strictTransportSecurity", standard.strict_transport_security),
            referrer_policy: value("referrerPolicy", standard.referrer_policy),
        }
    }
}

/// Who may put a page into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// As the realm's headers say.
    Realm,
    /// Nobody (SE-17).
    Never,
    /// Everybody: the pages of keycloak-js.
    Anyone,
}

/// What a page needs beyond text, style and images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    framing: Framing,
    script: Option<String>,
    connects: bool,
    frames: Vec<Url>,
}

impl Policy {
    /// An ordinary page. In a realm of the strict profile nobody may frame it and it shares no window with others
    /// (SE-17, SE-33); else the realm's headers decide, as in Keycloak.
    pub fn page(strict: bool) -> Self {
        let framing = if strict { Framing::Never } else { Framing::Realm };
        Self { framing, script: None, connects: false, frames: Vec::new() }
    }

    /// The form_post page: its one script may run.
    pub fn form_post(strict: bool) -> Self {
        Self { script: Some(source_of(FORM_POST_SCRIPT)), ..Self::page(strict) }
    }

    /// The front-channel logout page: it may frame these addresses' hosts, and its one script may run. Addresses that are not http(s) are left out.
    pub fn front_channel<'a>(strict: bool, addresses: impl IntoIterator<Item = &'a str>) -> Self {
        let parsed = addresses.into_iter().filter_map(|address| Url::parse(address).ok());
        let web = parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        Self { frames: web.collect(), script: Some(source_of(FRONT_CHANNEL_SCRIPT)), ..Self::page(strict) }
    }

    /// The page that shows a code: its one script may run.
    pub fn out_of_band(strict: bool) -> Self {
        Self { script: Some(source_of(COPY_SCRIPT)), ..Self::page(strict) }
    }

    /// A static page of keycloak-js: anybody may frame it, its one script may run and call its own server.
    pub fn framable(page: &StaticPage) -> Self {
        let script = Some(source_of(page.script()));
        Self { framing: Framing::Anyone, script, connects: true, frames: Vec::new() }
    }

    /// Our policy.
    fn ours(&self) -> String {
        let mut policy =
            "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'".to_owned();
        if let Some(script) = &self.script {
            policy.push_str("; script-src ");
            policy.push_str(script);
        }
        if self.connects {
            policy.push_str("; connect-src 'self'");
        }
        if !self.frames.is_empty() {
            policy.push_str("; frame-src");
            for url in &self.frames {
                policy.push(' ');
                policy.push_str(&url.origin().ascii_serialization());
            }
        }
        if self.framing == Framing::Never {
            policy.push_str("; frame-ancestors 'none'");
        }
        policy
    }

    /// The realm's policy, with the framed hosts added as Keycloak does, and without `frame-ancestors` where
    /// anybody may frame.
    fn realms(&self, policy: &str) -> String {
        let mut out = String::with_capacity(policy.len() + 32);
        for directive in policy.split_inclusive(';') {
            let name = directive.trim_start().split([' ', ';']).next().unwrap_or_default();
            if name == "frame-ancestors" && self.framing == Framing::Anyone {
                continue;
            }
            if name == "frame-src" && !self.frames.is_empty() {
                out.push_str(directive.trim_end_matches(';'));
                for url in &self.frames {
                    out.push(' ');
                    out.push_str(&authority(url));
                }
                out.push_str(" ;");
            } else {
                out.push_str(directive);
            }
        }
        out
    }
}

/// Host and port as written, without the scheme.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn source_of(script: &str) -> String {
    let hash = digest::digest(&digest::SHA256, script.as_bytes());
    format!("'sha256-{}'", BASE64_STANDARD.encode(hash.as_ref()))
}

/// The headers of an HTML answer. Append them all: `Content-Security-Policy` comes twice, the realm's first.
/// A realm's value that is no header value is replaced by the default.
pub fn html_headers(realm: &BrowserHeaders, policy: &Policy) -> Vec<(HeaderName, HeaderValue)> {
    let standard = BrowserHeaders::default();
    let mut headers = Vec::with_capacity(10);
    let mut add = |name: HeaderName, value: &str, default: &str| {
        let value = HeaderValue::from_str(value).or_else(|_| HeaderValue::from_str(default));
        if let Ok(value) = value.as_ref()
            && !value.is_empty()
        {
            headers.push((name, value.clone()));
        }
    };
    match policy.framing {
        Framing::Realm => add(header::X_FRAME_OPTIONS, &realm.x_frame_options, &standard.x_frame_options),
        Framing::Never => add(header::X_FRAME_OPTIONS, "DENY", "DENY"),
        Framing::Anyone => {}
    }
    let csp = header::CONTENT_SECURITY_POLICY;
    let theirs = policy.realms(&realm.content_security_policy);
    add(csp.clone(), &theirs, &policy.realms(&standard.content_security_policy));
    add(csp, &policy.ours(), "default-src 'none'");
    let report = &realm.content_security_policy_report_only;
    add(header::CONTENT_SECURITY_POLICY_REPORT_ONLY, report, "");
    add(header::X_CONTENT_TYPE_OPTIONS, &realm.x_content_type_options, &standard.x_content_type_options);
    add(HeaderName::from_static("x-robots-tag"), &realm.x_robots_tag, &standard.x_robots_tag);
    let transport = &realm.strict_transport_security;
    add(header::STRICT_TRANSPORT_SECURITY, transport, &standard.strict_transport_security);
    add(header::REFERRER_POLICY, &realm.referrer_policy, &standard.referrer_policy);
    if policy.framing == Framing::Never {
        add(HeaderName::from_static("cross-origin-opener-policy"), "same-origin", "");
        add(HeaderName::from_static("cross-origin-resource-policy"), "same-origin", "");
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::{LOGIN_STATUS_IFRAME, STEP1, STEP2};

    fn values(headers: &[(HeaderName, HeaderValue)], name: &str) -> Vec<String> {
        let fits = headers.iter().filter(|(found, _)| found == name);
        fits.map(|(_, value)| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn an_ordinary_page_has_keycloaks_headers_and_a_second_policy() {
        let headers = html_headers(&BrowserHeaders::default(), &Policy::page(false));
        for (name, value) in [
            ("x-frame-options", "SAMEORIGIN"),
            ("x-content-type-options", "nosniff"),
            ("x-robots-tag", "none"),
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(values(&headers, name), [value]);
        }
        let policies = values(&headers, "content-security-policy");
        assert_eq!(policies[0], "frame-src 'self'; frame-ancestors 'self'; object-src 'none';");
        assert_eq!(
            policies[1],
            "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'"
        );
        assert!(values(&headers, "cross-origin-opener-policy").is_empty());
    }

    #[test]
    fn se_17_se_33_a_strict_realms_pages_are_alone() {
        let open = BrowserHeaders { x_frame_options: String::new(), ..BrowserHeaders::default() };
        let headers = html_headers(&open, &Policy::page(true));
        assert_eq!(values(&headers, "x-frame-options"), ["DENY"]);
        assert!(values(&headers, "content-security-policy")[1].contains("frame-ancestors 'none'"));
        assert_eq!(values(&headers, "cross-origin-opener-policy"), ["same-origin"]);
        assert_eq!(values(&headers, "cross-origin-resource-policy"), ["same-origin"]);
        assert!(values(&html_headers(&open, &Policy::page(false)), "x-frame-options").is_empty());
    }

    #[test]
    fn the_front_channel_page_may_frame_its_clients() {
        let addresses =
            ["http://127.0.0.1:9877/frontchannel-logout?sid=x", "javascript:alert(1)", "https://a.example/"];
        let headers = html_headers(&BrowserHeaders::default(), &Policy::front_channel(false, addresses));
        let policies = values(&headers, "content-security-policy");
        assert_eq!(
            policies[0],
            "frame-src 'self' 127.0.0.1:9877 a.example ; frame-ancestors 'self'; object-src 'none';"
        );
        assert!(policies[1].ends_with("; frame-src http://127.0.0.1:9877 https://a.example"), "{}", policies[1]);
    }

    #[test]
    fn pages_of_keycloak_js_are_framable_and_run_only_their_script() {
        for page in [LOGIN_STATUS_IFRAME, STEP1, STEP2] {
            assert!(page.script().len() > 100);
            assert_eq!(page.html.matches("<script").count(), 1);
            let headers = html_headers(&BrowserHeaders::default(), &Policy::framable(&page));
            assert!(values(&headers, "x-frame-options").is_empty());
            let policies = values(&headers, "content-security-policy");
            assert_eq!(policies[0], "frame-src 'self'; object-src 'none';");
            assert!(policies[1].contains(&format!("script-src {}", source_of(page.script()))));
            assert!(!policies[1].contains("unsafe"));
        }
    }

    #[test]
    fn se_18_only_the_cookie_probe_speaks_to_any_origin() {
        assert!(!LOGIN_STATUS_IFRAME.html.contains("\"*\""));
        assert!(LOGIN_STATUS_IFRAME.html.contains("event.source !== parent"));
        assert!(LOGIN_STATUS_IFRAME.html.contains("postMessage(answer, event.origin)"));
        assert!(!STEP1.html.contains("postMessage"));
        assert_eq!(STEP2.html.matches("postMessage").count(), 1);
    }

    #[test]
    fn a_realms_value_that_is_no_header_falls_back() {
        let broken = "x\r\nSet-Cookie: a=b";
        let realm = BrowserHeaders::from_realm(|key| (key == "contentSecurityPolicy").then_some(broken));
        let headers = html_headers(&realm, &Policy::page(false));
        let policies = values(&headers, "content-security-policy");
        assert_eq!(policies[0], BrowserHeaders::default().content_security_policy);
        let none = BrowserHeaders::from_realm(|key| (key == "xRobotsTag").then_some(""));
        assert!(values(&html_headers(&none, &Policy::page(false)), "x-robots-tag").is_empty());
    }
}

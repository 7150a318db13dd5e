//! The static pages that keycloak-js loads in frames (Keycloak 26.4: session status, third-party cookie probe).

/// A page that never changes; anybody may frame it, see [`super::security::Policy::framable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticPage {
    /// The page, UTF-8.
    pub html: &'static str,
}

impl StaticPage {
    /// The text of its one script.
    pub(crate) fn script(&self) -> &'static str {
        let after = self.html.split_once("<script>").map_or("", |(_, rest)| rest);
        after.split_once("</script>").map_or("", |(script, _)| script)
    }
}

/// `login-status-iframe.html`: answers `unchanged`, `changed` or `error` to the window that framed it, at the origin
/// it asked from and at no other (SE-18).
pub const LOGIN_STATUS_IFRAME: StaticPage =
    StaticPage { html: include_str!("../../pages/keycloak-js/login-status-iframe.html") };

/// `3p-cookies/step1.html`: sets two cookies and goes on to step 2.
pub const STEP1: StaticPage = StaticPage { html: include_str!("../../pages/keycloak-js/step1.html") };

/// `3p-cookies/step2.html`: says `supported` or `unsupported` to the window that framed it.
pub const STEP2: StaticPage = StaticPage { html: include_str!("../../pages/keycloak-js/step2.html") };

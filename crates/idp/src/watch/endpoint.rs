//! The words of endpoints: a closed list, found from the path alone, so that nothing a stranger writes becomes a label (LG-06).

/// Where a request went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Endpoint {
    /// RFC 6749 §3.1
    Authorize,
    /// RFC 6749 §3.2
    Token,
    /// RFC 9126
    Pushed,
    /// RFC 8628
    Device,
    /// RFC 7009
    Revoke,
    /// RFC 7662
    Introspect,
    /// OIDC Core §5.3
    Userinfo,
    /// OIDC RP-Initiated Logout 1.0
    Logout,
    /// The keys of a realm.
    Certs,
    /// The discovery documents.
    Discovery,
    /// The login pages.
    Login,
    /// The pages of keycloak-js.
    Iframe,
    /// The realm's public document.
    Realm,
    /// The stream of what ended.
    Revocations,
    /// The Admin API.
    Admin,
    /// Styles and pictures.
    Resource,
    /// The page at `/`.
    Front,
    /// Anything else.
    Other,
}

/// Path segments that carry a realm.
const PREFIXES: [&str; 3] = ["/realms/", "/.well-known/oauth-authorization-server/realms/", "/admin/realms/"];

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Authorize,
        Self::Token,
        Self::Pushed,
        Self::Device,
        Self::Revoke,
        Self::Introspect,
        Self::Userinfo,
        Self::Logout,
        Self::Certs,
        Self::Discovery,
        Self::Login,
        Self::Iframe,
        Self::Realm,
        Self::Revocations,
        Self::Admin,
        Self::Resource,
        Self::Front,
        Self::Other,
    ];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Token => "token",
            Self::Pushed => "pushed",
            Self::Device => "device",
            Self::Revoke => "revoke",
            Self::Introspect => "introspect",
            Self::Userinfo => "userinfo",
            Self::Logout => "logout",
            Self::Certs => "certs",
            Self::Discovery => "discovery",
            Self::Login => "login",
            Self::Iframe => "iframe",
            Self::Realm => "realm",
            Self::Revocations => "revocations",
            Self::Admin => "admin",
            Self::Resource => "resource",
            Self::Front => "front",
            Self::Other => "other",
        }
    }

    /// The endpoint of a path and the path segment that names its realm, still percent-encoded.
    #[must_use]
    pub fn of(path: &str) -> (Self, Option<&str>) {
        let path = path.strip_prefix("/auth/").map_or(path, |_| path.get(5..).unwrap_or(path));
        let Some((prefix, rest)) = PREFIXES.iter().find_map(|p| Some((*p, path.strip_prefix(p)?))) else {
            return (Self::outside(path), None);
        };
        let (realm, below) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let endpoint = match prefix {
            "/realms/" => Self::below(below),
            "/admin/realms/" => Self::Admin,
            _ => Self::Discovery,
        };
        (endpoint, Some(realm).filter(|name| !name.is_empty()))
    }

    fn outside(path: &str) -> Self {
        if path == "/" {
            Self::Front
        } else if path == "/admin" || path.starts_with("/admin/") {
            Self::Admin
        } else if path.starts_with("/resources/") {
            Self::Resource
        } else {
            Self::Other
        }
    }

    fn below(path: &str) -> Self {
        // One at the end changes no endpoint (Keycloak 26.4).
        let path = path.strip_suffix('/').unwrap_or(path);
        let Some(protocol) = path.strip_prefix("/protocol/openid-connect/") else {
            return match path {
                "" => Self::Realm,
                "/device" | "/device/status" => Self::Device,
                "/portcullis/revocations" => Self::Revocations,
                _ if path.starts_with("/login-actions/") => Self::Login,
                _ if path.starts_with("/.well-known/") => Self::Discovery,
                _ => Self::Other,
            };
        };
        match protocol {
            "auth" => Self::Authorize,
            "token" => Self::Token,
            "ext/par/request" => Self::Pushed,
            "auth/device" => Self::Device,
            "oauth/oob" => Self::Login,
            "revoke" => Self::Revoke,
            "token/introspect" => Self::Introspect,
            "userinfo" => Self::Userinfo,
            "certs" => Self::Certs,
            "logout" | "logout/logout-confirm" => Self::Logout,
            _ if protocol.starts_with("login-status-iframe.html") || protocol.starts_with("3p-cookies/") => {
                Self::Iframe
            }
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lg_06_a_path_has_one_of_a_few_words() {
        let oidc = |rest: &str| format!("/realms/acme/protocol/openid-connect/{rest}");
        for (path, endpoint, realm) in [
            (oidc("token"), Endpoint::Token, Some("acme")),
            (oidc("token/"), Endpoint::Token, Some("acme")),
            (oidc("token//"), Endpoint::Other, Some("acme")),
            (oidc("oauth/oob"), Endpoint::Login, Some("acme")),
            (oidc("token/introspect"), Endpoint::Introspect, Some("acme")),
            (oidc("logout/logout-confirm"), Endpoint::Logout, Some("acme")),
            (oidc("login-status-iframe.html/init"), Endpoint::Iframe, Some("acme")),
            (oidc("tokens\n"), Endpoint::Other, Some("acme")),
            (format!("/auth{}", oidc("auth")), Endpoint::Authorize, Some("acme")),
            ("/realms/acme".to_owned(), Endpoint::Realm, Some("acme")),
            ("/realms/acme/".to_owned(), Endpoint::Realm, Some("acme")),
            ("/realms/acme/login-actions/authenticate".to_owned(), Endpoint::Login, Some("acme")),
            ("/realms/acme/account".to_owned(), Endpoint::Other, Some("acme")),
            ("/.well-known/oauth-authorization-server/realms/acme".to_owned(), Endpoint::Discovery, Some("acme")),
            ("/admin/realms".to_owned(), Endpoint::Admin, None),
            ("/admin/realms/".to_owned(), Endpoint::Admin, None),
            ("/auth/admin/realms/acme/users".to_owned(), Endpoint::Admin, Some("acme")),
            ("/resources/x/login/css/login.css".to_owned(), Endpoint::Resource, None),
            ("/".to_owned(), Endpoint::Front, None),
            ("/realms".to_owned(), Endpoint::Other, None),
            ("/authx/realms/acme".to_owned(), Endpoint::Other, None),
        ] {
            assert_eq!(Endpoint::of(&path), (endpoint, realm), "{path}");
        }
    }
}

//! What a strict realm refuses at registration (RFC 9700): redirect URIs that are not exact, dangerous schemes,
//! mappers that write protocol claims, names of users that can be mistaken for others. Realms of the keycloak profile
//! keep what their file says.

use url::{Host, Url};

use super::clients::FileClient;
use super::file::RealmFile;
use super::refusal::{Reason, Refusal};
use crate::client::ClientSettings;
use crate::mapper::ProtocolMapper;
use crate::realm::{PROFILE_ATTRIBUTE, RealmSettings};
use crate::user::name;

/// Claims that only the server writes (JW-28).
const RESERVED_CLAIMS: [&str; 24] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "typ",
    "azp",
    "cnf",
    "sid",
    "scope",
    "acr",
    "amr",
    "nonce",
    "auth_time",
    "at_hash",
    "c_hash",
    "s_hash",
    "act",
    "may_act",
    "realm_access",
    "resource_access",
    "roles",
];

/// Mapper types whose claim name and value an administrator or a user chooses.
const FREE_MAPPERS: [&str; 5] = [
    "oidc-usermodel-attribute-mapper",
    "oidc-usermodel-property-mapper",
    "oidc-hardcoded-claim-mapper",
    "oidc-group-membership-mapper",
    "oidc-script-based-protocol-mapper",
];

/// Why a redirect URI may not be registered in a strict realm (RFC 9700 §4.1, RFC 8252 §7, RU-01, RU-12, RU-13).
///
/// # Errors
/// The cause.
pub fn redirect_uri(uri: &str) -> Result<(), &'static str> {
    if uri.contains('*') {
        return Err("a wildcard is not exact");
    }
    if uri.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("blank, control character or backslash");
    }
    if uri.contains('#') {
        return Err("Redirect URIs must not contain an URI fragment");
    }
    if uri.starts_with('/') && !uri.starts_with("//") {
        return Ok(());
    }
    let Ok(url) = Url::parse(uri) else {
        return Err("not an absolute URI");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user information");
    }
    match url.scheme() {
        "https" if url.has_host() => Ok(()),
        "http" if is_loopback(&url) => Ok(()),
        "http" => Err("plain http to another host than loopback"),
        // RFC 8252 §7.1: private-use schemes are reversed domain names.
        scheme if scheme.contains('.') => Ok(()),
        _ => Err("the scheme is not allowed"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Why an address that pages link to may not be registered in a strict realm (RU-12): http, https or a path.
///
/// # Errors
/// The cause.
pub fn home_url(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.starts_with("${auth") || (text.starts_with('/') && !text.starts_with("//")) {
        return Ok(());
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("blank, control character or backslash");
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(()),
        Ok(_) | Err(_) => Err("not an http address"),
    }
}

/// Whether a mapper writes a claim that only the server writes (JW-28); answers the claim.
#[must_use]
pub fn reserved_claim(mapper: &ProtocolMapper) -> Option<&str> {
    if !FREE_MAPPERS.contains(&mapper.protocol_mapper.as_str()) {
        return None;
    }
    let first = mapper.get("claim.name")?.split('.').next()?;
    RESERVED_CLAIMS.contains(&first).then_some(first)
}

/// A profile that is misspelt must not become the lax one unseen.
pub(super) fn profile(settings: &RealmSettings) -> Result<(), Refusal> {
    match settings.attributes.get(PROFILE_ATTRIBUTE).map(String::as_str) {
        None | Some("strict" | "keycloak") => Ok(()),
        Some(_) => Err(Refusal::at(
            format!("attributes.{PROFILE_ATTRIBUTE}"),
            Reason::NotAllowed("expected strict or keycloak".to_owned()),
        )),
    }
}

/// The checks of a strict realm over a whole file.
pub(super) fn strict(file: &RealmFile) -> Result<(), Refusal> {
    for client in &file.clients {
        strict_client(client)?;
    }
    for scope in file.scopes.iter().flatten() {
        mappers(&scope.place, &scope.mappers)?;
    }
    let names: std::collections::HashSet<&str> = file.users.iter().map(|u| u.username.as_str()).collect();
    for user in &file.users {
        // EN-15: one namespace for login names and e-mails.
        if let Some(email) = &user.email
            && email != &user.username
            && names.contains(email.as_str())
        {
            let at = format!("{}.email", user.place);
            return Err(Refusal::at(at, Reason::Taken("username", email.clone())));
        }
        for (member, text) in [("username", Some(&user.username)), ("email", user.email.as_ref())] {
            if let Some(text) = text
                && let Err(fault) = name::check(text)
            {
                // Escaped beyond ASCII: whoever reads this line must see what the name hides.
                let cause = format!("\"{}\" {fault}", text.escape_default());
                return Err(Refusal::at(format!("{}.{member}", user.place), Reason::NotAllowed(cause)));
            }
        }
    }
    Ok(())
}

fn strict_client(client: &FileClient) -> Result<(), Refusal> {
    let place = &client.place;
    let refuse = |member: String, cause: &str, value: &str| {
        let text = format!("\"{}\" {cause}", value.escape_debug());
        Err(Refusal::at(format!("{place}.{member}"), Reason::NotAllowed(text)))
    };
    for (i, uri) in client.redirect_uris.iter().enumerate() {
        if let Err(cause) = redirect_uri(uri) {
            return refuse(format!("redirectUris[{i}]"), cause, uri);
        }
    }
    if client.web_origins.iter().any(|o| o == "*") {
        return refuse("webOrigins".to_owned(), "allows every origin", "*");
    }
    let ClientSettings { root_url, base_url, admin_url, attributes, .. } = &client.settings;
    for (member, url) in [("rootUrl", root_url), ("baseUrl", base_url), ("adminUrl", admin_url)] {
        if let Some(url) = url
            && let Err(cause) = home_url(url)
        {
            return refuse(member.to_owned(), cause, url);
        }
    }
    let logout = attributes.get("post.logout.redirect.uris").map_or("+", String::as_str);
    for uri in logout.split("##").filter(|u| !matches!(*u, "+" | "-" | "")) {
        if let Err(cause) = redirect_uri(uri) {
            return refuse("attributes.post.logout.redirect.uris".to_owned(), cause, uri);
        }
    }
    for name in ["logoUri", "policyUri", "tosUri", "backchannel.logout.url", "frontchannel.logout.url"] {
        if let Some(url) = attributes.get(name)
            && let Err(cause) = home_url(url)
        {
            return refuse(format!("attributes.{name}"), cause, url);
        }
    }
    mappers(place, &client.mappers)
}

fn mappers(place: &str, mappers: &[ProtocolMapper]) -> Result<(), Refusal> {
    for (i, mapper) in mappers.iter().enumerate() {
        if let Some(claim) = reserved_claim(mapper) {
            let at = format!("{place}.protocolMappers[{i}]");
            let cause = format!("the claim \"{claim}\" is written by the server alone");
            return Err(Refusal::at(at, Reason::NotAllowed(cause)));
        }
    }
    Ok(())
}

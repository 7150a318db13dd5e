//! The origins of a client: its `webOrigins` with `+` written out (Keycloak 26.4).

use crate::client::Client;

/// `scheme://host[:port]` of every allowed origin, `*` kept as it is, no repetitions.
#[must_use]
pub fn of(client: &Client) -> Vec<String> {
    let mut origins: Vec<String> = Vec::new();
    let mut add = |origin: String| {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    };
    for entry in &client.web_origins {
        if entry == "+" {
            redirect_origins(client).into_iter().for_each(&mut add);
        } else {
            add(entry.trim_end_matches('/').to_owned());
        }
    }
    origins
}

/// The origins of a client's http(s) redirect URIs, relative ones resolved against its root.
fn redirect_origins(client: &Client) -> Vec<String> {
    let root = client.settings.root_url.as_deref().unwrap_or_default();
    client
        .redirect_uris
        .iter()
        .map(|uri| if uri.starts_with('/') { root } else { uri.as_str() })
        .filter_map(|uri| url::Url::parse(uri.trim_end_matches('*')).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .map(|url| url.origin().ascii_serialization())
        .collect()
}

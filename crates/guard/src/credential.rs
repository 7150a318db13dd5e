//! Finding the one credential of a request (RFC 6750 §2.1, §3.1; TE-26).

use http::{HeaderMap, Uri, header::AUTHORIZATION};
use portcullis_jose::Reject;

use crate::refusal::Reason;

/// The token of exactly one `Authorization: Bearer`. A query or body is never asked for one.
pub(crate) fn bearer<'a>(headers: &'a HeaderMap, uri: &Uri) -> Result<&'a str, Reason> {
    // `get` alone would take the first of several.
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Reason::NoCredential) };
    if values.next().is_some() {
        return Err(Reason::SeveralCredentials);
    }
    let value = value.to_str().map_err(|_| Reason::Token(Reject::BadBase64))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(Reason::NoCredential);
    }
    let also_in_query = |query: &str| query.split('&').any(|pair| pair.starts_with("access_token="));
    if uri.query().is_some_and(also_in_query) {
        return Err(Reason::SeveralCredentials);
    }
    Ok(token.trim_matches(' '))
}

//! Style and images, under a version that changes with any of their bytes.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::theme::Theme;

const TOKENS: &str = include_str!("../../pages/css/tokens.css");
const STYLE: &str = include_str!("../../pages/css/login.css");
const FAVICON: &[u8] = include_bytes!("../../pages/img/favicon.svg");

/// What an asset of this version may be kept for: its address changes with its bytes.
pub(crate) const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// One file as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The media type.
    pub content_type: &'static str,
    /// The bytes.
    pub bytes: Bytes,
    /// A strong entity tag, with its quotes (RFC 9110 §8.8.3).
    pub etag: String,
}

impl Asset {
    /// Value of `Cache-Control` for an asset asked under the current version.
    pub const CACHE_CONTROL: &'static str = CACHE_CONTROL;

    fn new(content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let etag = format!("\"{}\"", short_hash(&bytes));
        Self { content_type, bytes, etag }
    }
}

#[derive(Debug)]
pub(crate) struct Assets {
    files: BTreeMap<String, Asset>,
    pub(crate) version: String,
}

impl Assets {
    pub(crate) fn new(theme: Option<&Theme>) -> Self {
        let tokens = theme.and_then(|theme| theme.tokens.as_deref()).unwrap_or_default();
        let style = theme.and_then(|theme| theme.style.as_deref()).unwrap_or(STYLE);
        let css = format!("{TOKENS}{tokens}\n{style}");
        let mut files = BTreeMap::new();
        files.insert("css/login.css".to_owned(), Asset::new("text/css;charset=utf-8", css));
        files.insert("img/favicon.svg".to_owned(), Asset::new("image/svg+xml", FAVICON));
        for (name, bytes) in theme.iter().flat_map(|theme| &theme.images) {
            if let Some(content_type) = image_type(name) {
                files.insert(format!("img/{name}"), Asset::new(content_type, bytes.clone()));
            }
        }
        let tags: String = files.iter().map(|(name, asset)| format!("{name} {}\n", asset.etag)).collect();
        Self { files, version: short_hash(tags.as_bytes()) }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Asset> {
        self.files.get(path)
    }
}

/// Only what a browser draws; served with `nosniff`.
fn image_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => return None,
    })
}

fn short_hash(bytes: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, bytes);
    let mut text = BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref());
    text.truncate(16);
    text
}

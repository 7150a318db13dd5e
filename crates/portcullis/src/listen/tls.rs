//! TLS from PEM files (rustls over aws-lc).

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsSection;
use crate::failure::Failure;

const WRONG_KEY: &str = "it is not the key of tls.certificate's first certificate";

/// Reads certificate and key.
///
/// # Errors
/// Exit code 2 with the file and the cause.
pub fn read(section: &TlsSection) -> Result<Arc<rustls::ServerConfig>, Failure> {
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&section.certificate)
        .and_then(Iterator::collect)
        .map_err(|e| refused("tls.certificate", &section.certificate, &said(&e, "certificate")))?;
    if certificates.is_empty() {
        return Err(refused(
            "tls.certificate",
            &section.certificate,
            "no certificate in it; a chain in PEM is expected",
        ));
    }
    let key = PrivateKeyDer::from_pem_file(&section.key)
        .map_err(|e| refused("tls.key", &section.key, &said(&e, "private key")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Failure::failed(format!("TLS: {e}")))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|e| {
            let foreign = matches!(e, rustls::Error::InconsistentKeys(_));
            let cause = if foreign { WRONG_KEY.to_owned() } else { e.to_string() };
            refused("tls.key", &section.key, &cause)
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The parser's cause in words; its own show bytes.
fn said(error: &pem::Error, what: &str) -> String {
    if let pem::Error::Io(error) = error {
        error.to_string()
    } else if matches!(error, pem::Error::NoItemsFound) {
        format!("no {what} in it; PEM is expected, not encrypted")
    } else {
        format!("not PEM, or cut off in the middle of a {what}")
    }
}

fn refused(key: &str, path: &Path, cause: &str) -> Failure {
    Failure::configuration(format!("{key}: {}: {cause}", path.display()))
}

//! TLS from PEM files (rustls over aws-lc).

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsSection;
use crate::failure::Failure;

/// Reads certificate and key.
///
/// # Errors
/// Exit code 2 with the file and the cause.
pub fn read(section: &TlsSection) -> Result<Arc<rustls::ServerConfig>, Failure> {
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&section.certificate)
        .and_then(Iterator::collect)
        .map_err(|e| refused("tls.certificate", &section.certificate, &e.to_string()))?;
    if certificates.is_empty() {
        return Err(refused("tls.certificate", &section.certificate, "no certificate in it"));
    }
    let key =
        PrivateKeyDer::from_pem_file(&section.key).map_err(|e| refused("tls.key", &section.key, &e.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Failure::failed(format!("TLS: {e}")))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|e| refused("tls.key", &section.key, &e.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn refused(key: &str, path: &Path, cause: &str) -> Failure {
    Failure::configuration(format!("{key}: {}: {cause}", path.display()))
}

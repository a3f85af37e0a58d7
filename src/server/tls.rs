//! TLS: a certificate chain and its key from files, read again when the server is told to.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::ServerError;

/// Where the certificate and its key are, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The server's certificate, then those that lead to its authority.
    pub chain: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// The certificate in use.
pub(super) struct Tls {
    files: Certificate,
    current: RwLock<TlsAcceptor>,
}

impl Tls {
    pub(super) fn new(files: Certificate) -> Result<Self, ServerError> {
        let current = RwLock::new(load(&files)?);
        Ok(Self { files, current })
    }

    /// Uses what the files hold now for connections from now on. What cannot be read changes nothing.
    pub(super) fn reload(&self) -> Result<(), ServerError> {
        let fresh = load(&self.files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

fn load(files: &Certificate) -> Result<TlsAcceptor, ServerError> {
    let unreadable = |path: &Path, reason: String| ServerError::Credentials { path: path.to_owned(), reason };
    let chain = CertificateDer::pem_file_iter(&files.chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unreadable(&files.chain, error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable(&files.chain, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unreadable(&files.key, error.to_string()))?;
    // Named, and not the process's default: another part of the program may have chosen another.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| unreadable(&files.chain, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

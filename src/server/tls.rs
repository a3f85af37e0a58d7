//! TLS: a certificate chain and its key from files, read again on request.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};

use super::error::ServerError;

/// Where the certificate and its key are, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The server's certificate, then those that lead to its authority.
    pub chain: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
    /// Authorities, one of which must have issued a client's certificate: without one no client is let in.
    pub client_ca: Option<PathBuf>,
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

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> ServerError {
    ServerError::Credentials { path: path.to_owned(), reason: reason.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| unreadable(path, &error))?;
    if found.is_empty() { Err(unreadable(path, &"there is no certificate in it")) } else { Ok(found) }
}

fn load(files: &Certificate) -> Result<TlsAcceptor, ServerError> {
    let chain = certificates(&files.chain)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unreadable(&files.key, &error))?;
    // Named, and not the process's default: another part of the program may have chosen another.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = files.client_ca.as_deref().map(|path| verifier(path, &provider)).transpose()?;
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.and_then(|builder| {
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(clients),
            None => builder.with_no_client_auth(),
        };
        builder.with_single_cert(chain, key)
    });
    let mut config = config.map_err(|error| unreadable(&files.chain, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn verifier(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, ServerError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        roots.add(authority).map_err(|error| unreadable(path, &error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    verifier.map_err(|error| unreadable(path, &error))
}

//! Certificates that the person trusts beside those of the system, and what clients will say of a server's own.
//!
//! What is given is trusted as an authority, and also as itself: the certificate that `openssl req -x509` makes says that it
//! is an authority, and serves all the same; the certificate of a server may be given in place of its authority's. Its name
//! and its dates are checked as any other's.

use std::sync::{Arc, OnceLock};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};

use super::authorities;

/// Gives what is to be said of the authorities of this machine to `say`: that there are none, and which are trusted instead.
pub fn say_by(say: impl Fn(String) + Send + Sync + 'static) {
    authorities::say_by(Box::new(say));
}

/// Certificates that were given. A client is cheap to build: those of the system are read when a server first shows its own.
#[derive(Clone, Debug, Default)]
pub struct Trust(Vec<CertificateDer<'static>>);

impl Trust {
    /// Adds the certificates of a PEM file; `false` if it holds none.
    pub fn add(&mut self, pem: &[u8]) -> bool {
        let before = self.0.len();
        self.0.extend(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
        self.0.len() > before
    }

    /// The configuration of a client with this trust beside that of the system, and with a PEM chain and key of our own.
    ///
    /// # Errors
    /// A given certificate cannot be an authority, or the chain and key do not fit.
    pub(super) fn config(&self, identity: Option<&[u8]>) -> Result<ClientConfig, Error> {
        let mut given = RootCertStore::empty();
        for certificate in &self.0 {
            given.add(certificate.clone())?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let verifier = Verifier { authorities: given, given: self.0.clone(), algorithms, usual: OnceLock::new() };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match identity {
            Some(pem) => {
                let chain = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
                let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| Error::General(error.to_string()))?;
                config.with_client_auth_cert(chain, key)?
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn by_webpki(authorities: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), provider).build();
    built.map_err(|error| Error::General(error.to_string()))
}

/// The usual rules, and a given certificate that a server shows as its own.
#[derive(Debug)]
struct Verifier {
    /// Those that were given, as authorities.
    authorities: RootCertStore,
    given: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
    /// With the authorities of the system. Most clients never need them: reading them takes longer than a request.
    usual: OnceLock<Result<Arc<WebPkiServerVerifier>, Error>>,
}

impl Verifier {
    fn usual(&self) -> Result<&WebPkiServerVerifier, Error> {
        let read = || {
            let mut all = authorities::read();
            all.roots.extend(self.authorities.roots.iter().cloned());
            // Where nothing is trusted, no server is.
            if all.is_empty() { Err(CertificateError::UnknownIssuer.into()) } else { by_webpki(all) }
        };
        self.usual.get_or_init(read).as_deref().map_err(Clone::clone)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = self.usual()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let Err(refused) = usual else { return usual };
        // Dates and purpose are judged before the way to an authority, so neither of these hides one that is wrong.
        let is_about_authority =
            matches!(refused, Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)));
        if !is_about_authority || !self.given.iter().any(|given| given == end_entity) {
            return Err(refused);
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Why clients will refuse a server that shows this PEM chain, as far as the chain itself shows.
pub fn objections(chain: &[u8]) -> Vec<&'static str> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain).filter_map(Result::ok).collect();
    let Some((own, others)) = chain.split_first() else { return Vec::new() };
    let Ok(name) = ServerName::try_from("name.invalid") else { return Vec::new() };
    let mut found = Vec::new();
    // The chain's own end is its authority here: who trusts it is the client's business.
    let mut ends = RootCertStore::empty();
    ends.add_parsable_certificates(chain.iter().cloned());
    let judged = by_webpki(ends).and_then(|usual| usual.verify_server_cert(own, others, &name, &[], UnixTime::now()));
    match judged {
        Err(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            found.push("it has expired");
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. })) => {
            found.push("it is not valid yet");
        }
        Err(Error::InvalidCertificate(CertificateError::Other(reason)))
            if format!("{reason:?}").contains("CaUsedAsEndEntity") =>
        {
            found.push("it is that of an authority (CA:TRUE), which many clients refuse from a server");
        }
        _ => {}
    }
    let named = ParsedCertificate::try_from(own).and_then(|own| verify_server_name(&own, &name));
    if let Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })) = named
        && presented.is_empty()
    {
        found.push("it names no host (subjectAltName)");
    }
    found
}

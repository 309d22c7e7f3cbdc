//! The TLS of SSL_GET: any certificate is fine, as for keepalived; a check asks whether the server works, not who it is.

use keepalived_config::model::{Check, CheckKind, HttpUrl, SslMaterial};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Stands for the server where no name is sent; rustls wants one.
const NAMELESS: &str = "nameless.invalid";

/// The client's side of one check.
pub(super) struct Secure {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Secure {
    /// `None`: the check has no TLS.
    ///
    /// # Errors
    /// The certificate or key of the `SSL` block cannot be used.
    pub fn new(check: &Check, material: Option<&SslMaterial>) -> Result<Option<Self>, String> {
        let CheckKind::Http { tls: true, sni, sni_name, urls, .. } = &check.kind else { return Ok(None) };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(provider)));
        let mut config = match own_certificate(material)? {
            Some((chain, key)) => {
                builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?
            }
            None => builder.with_no_client_auth(),
        };
        let host = sni_name.as_deref().or_else(|| urls.first().and_then(virtual_host)).filter(|_| *sni);
        let name = host.and_then(|host| ServerName::try_from(host.to_owned()).ok());
        config.enable_sni = name.is_some();
        let nobody = || ServerName::try_from(NAMELESS).expect("a valid host name");
        let name = name.unwrap_or_else(nobody);
        Ok(Some(Self { connector: TlsConnector::from(Arc::new(config)), name }))
    }

    /// # Errors
    /// The handshake fails, or the connection.
    pub async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

fn virtual_host(url: &HttpUrl) -> Option<&str> {
    url.virtual_host.as_deref()
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own_certificate(material: Option<&SslMaterial>) -> Result<Option<Own>, String> {
    let Some((certificate, key)) = material.and_then(|one| one.certificate.as_ref().zip(one.key.as_ref()))
    else {
        return Ok(None);
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| format!("{}: {error}", certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
    Ok(Some((chain, key)))
}

/// Takes every certificate; the handshake still proves that the server has its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

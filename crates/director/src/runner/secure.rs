//! The TLS of SSL_GET: any certificate is fine, as for keepalived; a check asks whether the server works, not who it is.

use keepalived_config::model::{Check, CheckKind, HttpUrl, SslMaterial};
use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
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
    let password = material.and_then(|one| one.password.as_deref());
    let key = std::fs::read_to_string(key)
        .map_err(|error| error.to_string())
        .and_then(|text| private_key(&text, password))
        .map_err(|error| format!("{}: {error}", key.display()))?;
    Ok(Some((chain, key)))
}

/// The key of a PEM text, which the `password` of the `SSL` block opens where it is encrypted (PKCS #8, RFC 5958).
fn private_key(text: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(
            "this way of encryption is not read: `openssl pkcs8 -topk8` makes a key that is".to_owned()
        );
    }
    let Some(encrypted) = text.find(BEGIN).and_then(|start| {
        let end = text[start..].find(END)?;
        Some(&text[start..start + end + END.len()])
    }) else {
        return PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| error.to_string());
    };
    let password = password.ok_or("the key is encrypted, and the block has no `password`")?;
    let (_, document) = SecretDocument::from_pem(encrypted).map_err(|error| error.to_string())?;
    let opened = EncryptedPrivateKeyInfo::try_from(document.as_bytes())
        .and_then(|encrypted| encrypted.decrypt(password))
        .map_err(|error| format!("the `password` does not open the key: {error}"))?;
    Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What `openssl` makes with these arguments, in a folder of the test's own.
    fn openssl(arguments: &str) -> String {
        let output =
            Command::new("openssl").args(arguments.split(' ')).output().expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("PEM is text")
    }

    #[test]
    fn the_password_opens_the_key_and_another_does_not() {
        let plain = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256");
        let folder = std::env::temp_dir().join(format!("hawser-key-{}", std::process::id()));
        std::fs::write(&folder, &plain).expect("a file");
        let encrypt = |how: &str| openssl(&format!("{how} -in {} -passout pass:rope", folder.display()));
        let encrypted = encrypt("pkcs8 -topk8 -v2 aes-256-cbc");
        let old = encrypt("ec -aes128");
        std::fs::remove_file(&folder).expect("it is there");
        let wanted = private_key(&plain, None).expect("a key");
        let opened = private_key(&format!("# a note\n{encrypted}"), Some("rope")).expect("a key");
        assert_eq!(opened.secret_der(), wanted.secret_der());
        assert!(private_key(&encrypted, Some("hope")).unwrap_err().contains("does not open"));
        assert!(private_key(&encrypted, None).unwrap_err().contains("no `password`"));
        assert!(private_key(&old, Some("rope")).unwrap_err().contains("openssl pkcs8 -topk8"));
    }
}

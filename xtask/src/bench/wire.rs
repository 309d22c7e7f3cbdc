//! The generator's connections, in the clear or over TLS 1.3. Trusts any certificate: it measures, and checks nothing.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustls::HandshakeKind;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use super::sessions::Sessions;

/// How the generator speaks to the proxy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Plain,
    /// Every connection with a full handshake.
    Full,
    /// Sessions are resumed.
    Resumed,
}

impl Security {
    pub fn name(self) -> &'static str {
        match self {
            Security::Plain => "plain",
            Security::Full => "full",
            Security::Resumed => "resumed",
        }
    }

    /// # Errors
    /// There is no such name.
    pub fn parse(name: &str) -> Result<Security, String> {
        [Security::Plain, Security::Full, Security::Resumed]
            .into_iter()
            .find(|security| security.name() == name)
            .ok_or_else(|| format!("{name} is no kind of connection"))
    }

    /// What connections of this kind share.
    pub fn client(self) -> Option<Arc<ClientConfig>> {
        // Key exchange that every program has: OpenSSL 3.0 knows no ML-KEM.
        let provider =
            CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..aws_lc_rs::default_provider() };
        let mut config = match self {
            Security::Plain => return None,
            Security::Full | Security::Resumed => ClientConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3 has suites")
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(TrustAll))
                .with_no_client_auth(),
        };
        config.resumption = match self {
            Security::Resumed => Resumption::store(Arc::new(Sessions::default())),
            Security::Plain | Security::Full => Resumption::disabled(),
        };
        Some(Arc::new(config))
    }
}

pub enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// # Errors
    /// The configuration has no name to send.
    pub fn new(stream: TcpStream, config: Option<&Arc<ClientConfig>>) -> Result<Wire, String> {
        let Some(config) = config else { return Ok(Wire::Plain(stream)) };
        let name = ServerName::try_from("bench.example").map_err(|error| error.to_string())?;
        let connection =
            ClientConnection::new(Arc::clone(config), name).map_err(|error| error.to_string())?;
        Ok(Wire::Tls(Box::new(StreamOwned::new(connection, stream))))
    }

    /// Whether its handshake was short.
    pub fn is_resumed(&self) -> bool {
        match self {
            Wire::Plain(_) => false,
            Wire::Tls(tls) => tls.conn.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    pub fn socket(&self) -> &TcpStream {
        match self {
            Wire::Plain(stream) => stream,
            Wire::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.write(bytes),
            Wire::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.flush(),
            Wire::Tls(tls) => tls.flush(),
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

#[derive(Debug)]
struct TrustAll;

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

//! The resolver of a configuration that has one certificate: which one was decided before, from the hello.

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Fixed(pub Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

/// A client certificate, shown to whoever asks.
#[derive(Debug)]
pub(crate) struct FixedClient(pub Option<Arc<CertifiedKey>>);

impl rustls::client::ResolvesClientCert for FixedClient {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

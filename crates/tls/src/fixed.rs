//! The resolver of a configuration that has one certificate: which one was decided before, from the hello.

use crate::certificate::now;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Fixed {
    key: Option<Arc<CertifiedKey>>,
    /// From that second on, this one instead.
    then: Option<(i64, Arc<CertifiedKey>)>,
}

impl Fixed {
    /// No certificate: every handshake fails.
    pub fn none() -> Fixed {
        Fixed { key: None, then: None }
    }

    pub fn always(key: Arc<CertifiedKey>) -> Fixed {
        Fixed { key: Some(key), then: None }
    }

    /// `key` until that second since 1970, then another.
    pub fn until(end: i64, key: Arc<CertifiedKey>, then: Arc<CertifiedKey>) -> Fixed {
        Fixed { key: Some(key), then: Some((end, then)) }
    }
}

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match &self.then {
            Some((end, then)) if now() > *end => Some(Arc::clone(then)),
            Some(_) | None => self.key.clone(),
        }
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

//! What a sysadmin wants to know of a certificate before a listener gets it. Reads files by the rules of `crt`.

use crate::certificate::{Certificate, Fault, is_self_issued, validity};
use crate::describe;
use crate::files::Files;
use haproxy_config::model::GlobalTls;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate whose key belongs to it.
#[derive(Debug)]
pub struct Inspected {
    pub file: String,
    pub subject: String,
    pub issuer: String,
    /// As `ssl_c_key_alg` names it.
    pub algorithm: String,
    /// Alternative names and the common name, lower case; may begin with `*.`.
    pub names: Vec<String>,
    /// Clients of today look at the alternative names alone (RFC 9110 §4.3.4).
    pub has_alternative_names: bool,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// `Nov 22 21:35:23 2026 GMT`
    pub valid_from: String,
    pub valid_to: String,
    /// Certificates that go out, this one included.
    pub chain_length: usize,
    pub is_self_issued: bool,
    /// What lies beside it and is of no use.
    pub warnings: Vec<String>,
}

/// Reads `file` as `bind … ssl crt FILE` does.
///
/// # Errors
/// Why no listener would take it.
pub fn inspect(file: &str) -> Result<Inspected, Fault> {
    let mut files = Files::default();
    files.certificate(file, &GlobalTls::default())?;
    let warnings = std::mem::take(&mut files.warnings);
    let unreadable = || Fault {
        message: format!("'{file}': its certificate cannot be read"),
        help: "check it: openssl x509 -text -noout".to_owned(),
    };
    let certificate = files.certificates.get(file).ok_or_else(unreadable)?;
    describe(file, certificate, warnings).ok_or_else(unreadable)
}

fn describe(file: &str, certificate: &Certificate, warnings: Vec<String>) -> Option<Inspected> {
    let leaf = CertificateDer::from(certificate.chain.first()?.as_slice());
    let (_, parsed) = X509Certificate::from_der(&leaf).ok()?;
    let (not_before, not_after) = validity(&leaf)?;
    Some(Inspected {
        file: file.to_owned(),
        subject: describe::name(parsed.subject()),
        issuer: describe::name(parsed.issuer()),
        algorithm: rules::tls::key_words(&parsed),
        names: certificate.names.clone(),
        has_alternative_names: parsed.subject_alternative_name().is_ok_and(|names| names.is_some()),
        not_before,
        not_after,
        valid_from: describe::date(parsed.validity().not_before),
        valid_to: describe::date(parsed.validity().not_after),
        chain_length: certificate.chain.len(),
        is_self_issued: is_self_issued(&leaf),
        warnings,
    })
}

impl Inspected {
    /// Whether it is for this host: exactly, or by a `*` for the first label.
    pub fn covers(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| *name == host || (name.strip_prefix("*.") == parent && parent.is_some()))
    }
}

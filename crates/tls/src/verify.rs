//! Verification of the peer's certificate: by webpki, with OpenSSL's numbers for what is wrong and the errors that a
//! configuration ignores.

use crate::certificate::{self, names_of};
use haproxy_config::model::IgnoredErrors;
use rules::tls::Secrets;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, KeyLog, SignatureScheme};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

/// What came of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The last error, ignored or not.
    pub verify: u16,
    /// Errors that were ignored.
    pub ca_error: u16,
    pub ca_error_depth: u8,
    pub certificate_error: u16,
}

thread_local! {
    // A verifier belongs to a configuration, not to a connection; but it runs inside of `Session::receive`, on the
    // thread of the connection, which picks the result up.
    static OUTCOME: RefCell<Option<Outcome>> = const { RefCell::new(None) };
    static SECRETS: RefCell<Option<Box<Secrets>>> = const { RefCell::new(None) };
}

pub(crate) fn take_outcome() -> Option<Outcome> {
    OUTCOME.take()
}

pub(crate) fn take_secrets() -> Option<Box<Secrets>> {
    SECRETS.take()
}

/// Keeps the secrets of the connection that is being set up (`tune.ssl.keylog`).
#[derive(Debug)]
pub(crate) struct KeepSecrets;

impl KeyLog for KeepSecrets {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        let known = [
            "CLIENT_RANDOM",
            "CLIENT_EARLY_TRAFFIC_SECRET",
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
            "SERVER_TRAFFIC_SECRET_0",
            "EXPORTER_SECRET",
            "EARLY_EXPORTER_SECRET",
        ];
        if let Some(label) = known.into_iter().find(|known| *known == label) {
            SECRETS.with_borrow_mut(|secrets| {
                secrets.get_or_insert_default().0.push((label, secret.to_vec()));
            });
        }
    }
}

/// An error of the peer's chain: OpenSSL's number and how deep it is; 0 is the peer's own certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Problem {
    code: u16,
    depth: u8,
}

/// OpenSSL's number for `error` of this chain.
fn problem(
    error: &CertificateError,
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    now: UnixTime,
) -> Problem {
    let own = |code| Problem { code, depth: 0 };
    // webpki does not say which certificate of the chain is out of date.
    let by_date = |code| {
        let (from, to) = certificate::validity(leaf).unwrap_or((0, i64::MAX));
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Problem { code, depth: u8::from((from..=to).contains(&now)) }
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => by_date(10),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => by_date(9),
        CertificateError::Revoked => own(23),
        // webpki has words of its own for a self-signed certificate that may sign others.
        CertificateError::Other(_) if certificate::is_self_issued(leaf) => own(18),
        CertificateError::UnknownIssuer => {
            if certificate::is_self_issued(leaf) {
                return own(18);
            }
            let depth = |index: usize| u8::try_from(index + 1).unwrap_or(u8::MAX);
            match rest.iter().position(|certificate| certificate::is_self_issued(certificate)) {
                Some(index) => Problem { code: 19, depth: depth(index) },
                None if rest.is_empty() => own(21),
                None => Problem { code: 20, depth: depth(rest.len() - 1) },
            }
        }
        CertificateError::UnknownRevocationStatus => own(3),
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            own(12)
        }
        CertificateError::BadSignature => own(7),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => own(62),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => own(26),
        CertificateError::UnhandledCriticalExtension => own(34),
        CertificateError::BadEncoding => own(13),
        _ => own(1),
    }
}

fn error_of(error: &Error) -> Option<&CertificateError> {
    match error {
        Error::InvalidCertificate(error) => Some(error),
        _ => None,
    }
}

/// Asks for client certificates and checks them, as `verify`, `ca-file`, `crl-file` and the ignored errors say.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    /// With revocation lists, and without them for errors of the lists that are ignored.
    pub inner: Arc<dyn ClientCertVerifier>,
    pub without_lists: Option<Arc<dyn ClientCertVerifier>>,
    pub algorithms: WebPkiSupportedAlgorithms,
    /// Certificates of `ca-file` as they are: whoever shows one of them is trusted, as with OpenSSL.
    pub trusted: Arc<Vec<CertificateDer<'static>>>,
    pub mandatory: bool,
    /// Names of authorities that the client is told.
    pub hints: Vec<DistinguishedName>,
    pub ca_ignore: IgnoredErrors,
    pub certificate_ignore: IgnoredErrors,
}

impl ClientVerifier {
    /// Whether the configuration lets this problem pass; notes it if so.
    fn passes(&self, problem: Problem, outcome: &mut Outcome) -> bool {
        outcome.verify = problem.code;
        let list = if problem.depth > 0 { &self.ca_ignore } else { &self.certificate_ignore };
        if !list.contains(problem.code) {
            return false;
        }
        if problem.depth > 0 {
            (outcome.ca_error, outcome.ca_error_depth) = (problem.code, problem.depth);
        } else {
            outcome.certificate_error = problem.code;
        }
        true
    }
}

/// Rounds of "this error is ignored, what else is wrong": dates, lists, the chain.
const IGNORED_ROUNDS_MAX: usize = 4;

impl ClientCertVerifier for ClientVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut outcome = Outcome::default();
        let mut verifier = &self.inner;
        let mut at = now;
        if self.trusted.iter().any(|trusted| trusted == leaf) && is_current(leaf, now) {
            OUTCOME.set(Some(outcome));
            return Ok(ClientCertVerified::assertion());
        }
        let mut result = verifier.verify_client_cert(leaf, rest, at);
        for _ in 0..IGNORED_ROUNDS_MAX {
            let Err(error) = &result else { break };
            let Some(certificate_error) = error_of(error) else { break };
            let found = problem(certificate_error, leaf, rest, at);
            if !self.passes(found, &mut outcome) {
                break;
            }
            // An ignored error must not hide a worse one: look again as if it were not there.
            match (found.code, &self.without_lists) {
                (9 | 10, _) => {
                    let Some(valid) = date_within(leaf, rest).filter(|valid| *valid != at) else {
                        result = Ok(ClientCertVerified::assertion());
                        break;
                    };
                    at = valid;
                }
                (3 | 8 | 12 | 23, Some(without)) => verifier = without,
                _ => {
                    result = Ok(ClientCertVerified::assertion());
                    break;
                }
            }
            result = verifier.verify_client_cert(leaf, rest, at);
        }
        OUTCOME.set(Some(outcome));
        result
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        old_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature_of(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A time at which the whole chain is within its dates, if there is one.
fn date_within(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Option<UnixTime> {
    let (mut from, mut to) = (0, i64::MAX);
    for certificate in std::iter::once(leaf).chain(rest) {
        let (begins, ends) = certificate::validity(certificate)?;
        (from, to) = (from.max(begins), to.min(ends));
    }
    let middle = (from <= to).then(|| from + (to - from) / 2)?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(middle.try_into().ok()?)))
}

/// Checks a server's certificate.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    /// Checks chains; `None`: `verify none`.
    pub chain: Option<Arc<dyn ServerCertVerifier>>,
    /// Certificates of `ca-file` as they are: whoever shows one of them is trusted, as with OpenSSL.
    pub trusted: Arc<Vec<CertificateDer<'static>>>,
    /// Checks that the server has the key of what it shows.
    pub algorithms: WebPkiSupportedAlgorithms,
    /// `verifyhost`: the name that must match where none is sent.
    pub host: Option<String>,
    /// A name is sent, and must match.
    pub use_name: bool,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            OUTCOME.set(Some(Outcome::default()));
            return Ok(ServerCertVerified::assertion());
        };
        let result = match chain.verify_server_cert(leaf, rest, name, ocsp, now) {
            _ if self.trusted.iter().any(|trusted| trusted == leaf) && is_current(leaf, now) => Ok(()),
            // The chain is good by then: names are looked at last, and by our own rules.
            Ok(_)
            | Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            Err(error) => Err(error),
        };
        // As HAProxy: the name that is sent must match; `verifyhost` where none is.
        let sent = self.use_name.then(|| name.to_str().into_owned());
        let wanted = sent.or_else(|| self.host.clone());
        let result = result.and_then(|()| match wanted {
            Some(wanted) if !names_of(leaf).iter().any(|name| host_matches(name, &wanted)) => {
                Err(CertificateError::NotValidForName.into())
            }
            Some(_) | None => Ok(ServerCertVerified::assertion()),
        });
        let mut outcome = Outcome::default();
        if let Err(error) = &result {
            outcome.verify = error_of(error).map_or(1, |error| problem(error, leaf, rest, now).code);
        }
        OUTCOME.set(Some(outcome));
        result
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        old_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature_of(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn is_current(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    certificate::validity(certificate).is_some_and(|(from, to)| (from..=to).contains(&now))
}

/// The public key of a certificate. Read by us, since webpki refuses certificates of version 1, which OpenSSL makes
/// when it is told nothing else.
fn public_key<'c>(certificate: &'c CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'c>, Error> {
    certificate::public_key(certificate)
        .map(SubjectPublicKeyInfoDer::from)
        .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}

/// Checks a signature of TLS 1.3.
fn signature_of(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    verify_tls13_signature_with_raw_key(message, &public_key(certificate)?, signature, algorithms)
}

/// Checks a signature of TLS 1.2.
fn old_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = public_key(certificate)?;
    let bad = Error::InvalidCertificate(CertificateError::BadSignature);
    let entity = webpki::RawPublicKeyEntity::try_from(&key).map_err(|_| bad.clone())?;
    let possible = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
    let (_, possible) = possible.ok_or_else(|| bad.clone())?;
    // One scheme of TLS 1.2 stands for several curves.
    let good = possible
        .iter()
        .any(|algorithm| entity.verify_signature(*algorithm, message, signature.signature()).is_ok());
    if good { Ok(HandshakeSignatureValid::assertion()) } else { Err(bad) }
}

/// Whether a certificate's name covers a host: `*` stands for one whole label at the front (RFC 6125 §6.4.3).
pub(crate) fn host_matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label() {
        assert!(host_matches("*.example.org", "www.Example.org"));
        assert!(!host_matches("*.example.org", "example.org"));
        assert!(!host_matches("*.example.org", "a.b.example.org"));
        assert!(host_matches("example.org", "EXAMPLE.org"));
    }
}

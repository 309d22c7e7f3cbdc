//! What is known of a TLS connection, as rules and logs read it, and OpenSSL's numbers for what goes wrong with
//! certificates: configurations and logs speak of errors by those.

use std::sync::Arc;

/// Certificates of one peer in DER, the peer's own first.
pub type Chain = Arc<[Vec<u8>]>;

/// One TLS connection after its handshake (or after the handshake's failure).
#[derive(Debug, Clone, Default)]
pub struct TlsFacts {
    /// `TLSv1.3`; `None` until it is negotiated.
    pub version: Option<&'static str>,
    /// OpenSSL's name of the cipher suite.
    pub cipher: Option<&'static str>,
    /// Key length of the cipher in bits.
    pub key_bits: u16,
    pub alpn: Option<Box<[u8]>>,
    /// Lower case, without a dot at its end.
    pub server_name: Option<Box<str>>,
    /// The name in the letters of a client, where they are others.
    pub sent_name: Option<Box<[u8]>>,
    pub is_resumed: bool,
    /// The certificate that the proxy showed.
    pub own: Option<Chain>,
    /// The certificate that the peer showed.
    pub peer: Option<Chain>,
    /// Result of the verification: 0 is good, else an error of OpenSSL's list, whether it was ignored or not.
    pub verify: u16,
    /// An error of the peer's authorities that was ignored, and how deep in the chain it was.
    pub ca_error: u16,
    pub ca_error_depth: u8,
    /// An error of the peer's certificate that was ignored.
    pub certificate_error: u16,
    pub client_random: Option<[u8; 32]>,
    pub server_random: Option<[u8; 32]>,
    pub session_id: Box<[u8]>,
    /// Lists of the ClientHello, with `tune.ssl.capture-buffer-size`.
    pub capture: Option<Box<HelloCapture>>,
    /// Key material, with `tune.ssl.keylog on`.
    pub secrets: Option<Box<Secrets>>,
    /// Why the handshake failed: OpenSSL's number and text where there is a counterpart.
    pub error: Option<TlsError>,
}

/// A certificate in OpenSSL's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateWords {
    pub common_name: Option<Vec<u8>>,
    /// Algorithms of its signature and of its key.
    pub signature: Vec<u8>,
    pub key: Vec<u8>,
}

/// What `ssl_fc_err` and `ssl_fc_err_str` tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError {
    pub code: u32,
    pub text: Box<str>,
}

/// Lists of a ClientHello as they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HelloCapture {
    /// Version of the hello itself, such as 0x0303.
    pub version: u16,
    /// Two bytes each.
    pub ciphers: Vec<u8>,
    pub extensions: Vec<u8>,
    pub groups: Vec<u8>,
    /// One byte each.
    pub point_formats: Vec<u8>,
}

/// Secrets of a connection by their label in NSS key log files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secrets(pub Vec<(&'static str, Vec<u8>)>);

impl Secrets {
    /// The secret with this label.
    pub fn get(&self, label: &str) -> Option<&[u8]> {
        self.0.iter().find(|(name, _)| *name == label).map(|(_, secret)| secret.as_slice())
    }
}

/// Names of verification errors (RFC 5280 checks in OpenSSL's order); the position is the number.
const VERIFY_NAMES: [&str; 95] = [
    "X509_V_OK",
    "X509_V_ERR_UNSPECIFIED",
    "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT",
    "X509_V_ERR_UNABLE_TO_GET_CRL",
    "X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE",
    "X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE",
    "X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY",
    "X509_V_ERR_CERT_SIGNATURE_FAILURE",
    "X509_V_ERR_CRL_SIGNATURE_FAILURE",
    "X509_V_ERR_CERT_NOT_YET_VALID",
    "X509_V_ERR_CERT_HAS_EXPIRED",
    "X509_V_ERR_CRL_NOT_YET_VALID",
    "X509_V_ERR_CRL_HAS_EXPIRED",
    "X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD",
    "X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD",
    "X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD",
    "X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD",
    "X509_V_ERR_OUT_OF_MEM",
    "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT",
    "X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN",
    "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "X509_V_ERR_CERT_CHAIN_TOO_LONG",
    "X509_V_ERR_CERT_REVOKED",
    "X509_V_ERR_NO_ISSUER_PUBLIC_KEY",
    "X509_V_ERR_PATH_LENGTH_EXCEEDED",
    "X509_V_ERR_INVALID_PURPOSE",
    "X509_V_ERR_CERT_UNTRUSTED",
    "X509_V_ERR_CERT_REJECTED",
    "X509_V_ERR_SUBJECT_ISSUER_MISMATCH",
    "X509_V_ERR_AKID_SKID_MISMATCH",
    "X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH",
    "X509_V_ERR_KEYUSAGE_NO_CERTSIGN",
    "X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER",
    "X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION",
    "X509_V_ERR_KEYUSAGE_NO_CRL_SIGN",
    "X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION",
    "X509_V_ERR_INVALID_NON_CA",
    "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
    "X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE",
    "X509_V_ERR_PROXY_CERTIFICATES_NOT_ALLOWED",
    "X509_V_ERR_INVALID_EXTENSION",
    "X509_V_ERR_INVALID_POLICY_EXTENSION",
    "X509_V_ERR_NO_EXPLICIT_POLICY",
    "X509_V_ERR_DIFFERENT_CRL_SCOPE",
    "X509_V_ERR_UNSUPPORTED_EXTENSION_FEATURE",
    "X509_V_ERR_UNNESTED_RESOURCE",
    "X509_V_ERR_PERMITTED_VIOLATION",
    "X509_V_ERR_EXCLUDED_VIOLATION",
    "X509_V_ERR_SUBTREE_MINMAX",
    "X509_V_ERR_APPLICATION_VERIFICATION",
    "X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE",
    "X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX",
    "X509_V_ERR_UNSUPPORTED_NAME_SYNTAX",
    "X509_V_ERR_CRL_PATH_VALIDATION_ERROR",
    "X509_V_ERR_PATH_LOOP",
    "X509_V_ERR_SUITE_B_INVALID_VERSION",
    "X509_V_ERR_SUITE_B_INVALID_ALGORITHM",
    "X509_V_ERR_SUITE_B_INVALID_CURVE",
    "X509_V_ERR_SUITE_B_INVALID_SIGNATURE_ALGORITHM",
    "X509_V_ERR_SUITE_B_LOS_NOT_ALLOWED",
    "X509_V_ERR_SUITE_B_CANNOT_SIGN_P_384_WITH_P_256",
    "X509_V_ERR_HOSTNAME_MISMATCH",
    "X509_V_ERR_EMAIL_MISMATCH",
    "X509_V_ERR_IP_ADDRESS_MISMATCH",
    "X509_V_ERR_DANE_NO_MATCH",
    "X509_V_ERR_EE_KEY_TOO_SMALL",
    "X509_V_ERR_CA_KEY_TOO_SMALL",
    "X509_V_ERR_CA_MD_TOO_WEAK",
    "X509_V_ERR_INVALID_CALL",
    "X509_V_ERR_STORE_LOOKUP",
    "X509_V_ERR_NO_VALID_SCTS",
    "X509_V_ERR_PROXY_SUBJECT_NAME_VIOLATION",
    "X509_V_ERR_OCSP_VERIFY_NEEDED",
    "X509_V_ERR_OCSP_VERIFY_FAILED",
    "X509_V_ERR_OCSP_CERT_UNKNOWN",
    "X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM",
    "X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH",
    "X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY",
    "X509_V_ERR_INVALID_CA",
    "X509_V_ERR_PATHLEN_INVALID_FOR_NON_CA",
    "X509_V_ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN",
    "X509_V_ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA",
    "X509_V_ERR_ISSUER_NAME_EMPTY",
    "X509_V_ERR_SUBJECT_NAME_EMPTY",
    "X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER",
    "X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER",
    "X509_V_ERR_EMPTY_SUBJECT_ALT_NAME",
    "X509_V_ERR_EMPTY_SUBJECT_SAN_NOT_CRITICAL",
    "X509_V_ERR_CA_BCONS_NOT_CRITICAL",
    "X509_V_ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL",
    "X509_V_ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL",
    "X509_V_ERR_CA_CERT_MISSING_KEY_USAGE",
    "X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3",
    "X509_V_ERR_EC_KEY_EXPLICIT_PARAMS",
];

/// The number of a verification error by its name in OpenSSL's headers.
pub fn verify_code(name: &str) -> Option<u16> {
    VERIFY_NAMES.iter().position(|known| *known == name).map(|code| code as u16)
}

pub use crate::fetch::{key_words, one_line as name_line, words as certificate_words};

/// The name of a verification error.
pub fn verify_name(code: u16) -> Option<&'static str> {
    VERIFY_NAMES.get(usize::from(code)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verification_errors_have_the_numbers_of_openssl() {
        assert_eq!(verify_code("X509_V_ERR_CERT_HAS_EXPIRED"), Some(10));
        assert_eq!(verify_code("X509_V_ERR_HOSTNAME_MISMATCH"), Some(62));
        assert_eq!(verify_code("X509_V_ERR_INVALID_CA"), Some(79));
        assert_eq!(verify_name(94), Some("X509_V_ERR_EC_KEY_EXPLICIT_PARAMS"));
        assert_eq!(verify_name(95), None);
    }
}

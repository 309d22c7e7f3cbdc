//! Certificates with their keys, out of PEM files: found in any order, brought into the order of the wire, and
//! checked to belong together.

use crate::fixed::Fixed;
use crate::ocsp::Response;
use rules::tls::Chain;
use rustls::SignatureAlgorithm;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Certificates one file may hold.
const CHAIN_MAX: usize = 100;

/// A certificate that can be shown to clients.
#[derive(Debug)]
pub struct Certificate {
    /// The file it came from: its name at the runtime API.
    pub name: String,
    /// With the OCSP response, if there is one.
    pub key: Arc<CertifiedKey>,
    stapled: Option<Arc<Response>>,
    /// The chain for fetches.
    pub chain: Chain,
    /// Host names, lower case; may begin with `*.`.
    pub names: Vec<String>,
    pub is_ecdsa: bool,
    /// Seconds since 1970.
    pub not_after: i64,
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// What the files of one certificate hold.
#[derive(Default, Clone)]
pub struct Parts {
    pub certificates: Vec<CertificateDer<'static>>,
    pub key: Option<Vec<(SectionKind, Vec<u8>)>>,
    pub ocsp: Option<Vec<u8>>,
    pub issuer: Option<CertificateDer<'static>>,
    /// A key is there, but encrypted.
    pub encrypted_key: bool,
}

impl Parts {
    /// Adds the sections of a PEM text.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn add_pem(&mut self, text: &[u8]) -> Result<(), String> {
        for section in <(SectionKind, Vec<u8>) as PemObject>::pem_slice_iter(text) {
            match section {
                Ok((SectionKind::Certificate, der)) => self.certificates.push(der.into()),
                Ok((
                    kind @ (SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey),
                    der,
                )) => {
                    self.key.get_or_insert_default().push((kind, der));
                }
                Ok(_) => {}
                Err(error) => return Err(format!("it is no valid PEM: {error:?}")),
            }
        }
        self.encrypted_key |=
            memfind(text, b"ENCRYPTED PRIVATE KEY") || memfind(text, b"Proc-Type: 4,ENCRYPTED");
        if self.certificates.len() > CHAIN_MAX {
            return Err(format!("it has more than {CHAIN_MAX} certificates"));
        }
        Ok(())
    }
}

fn memfind(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// Why parts make no certificate: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub message: String,
    pub help: String,
}

fn fault(message: impl Into<String>, help: impl Into<String>) -> Fault {
    Fault { message: message.into(), help: help.into() }
}

fn private_key(kind: SectionKind, der: Vec<u8>) -> PrivateKeyDer<'static> {
    match kind {
        SectionKind::RsaPrivateKey => PrivatePkcs1KeyDer::from(der).into(),
        SectionKind::EcPrivateKey => PrivateSec1KeyDer::from(der).into(),
        _ => PrivatePkcs8KeyDer::from(der).into(),
    }
}

impl Certificate {
    /// The same with this response.
    pub(crate) fn stapling(&self, response: Response) -> Certificate {
        let key = CertifiedKey { ocsp: Some(response.der.clone()), ..(*self.key).clone() };
        Certificate {
            name: self.name.clone(),
            key: Arc::new(key),
            stapled: Some(Arc::new(response)),
            chain: Arc::clone(&self.chain),
            names: self.names.clone(),
            is_ecdsa: self.is_ecdsa,
            not_after: self.not_after,
        }
    }

    /// The OCSP response that goes out with it.
    pub(crate) fn stapled(&self) -> Option<&Response> {
        self.stapled.as_deref()
    }

    /// What handshakes show: with the response as long as it is good.
    pub(crate) fn resolver(&self) -> Fixed {
        match self.stapled() {
            None => Fixed::always(Arc::clone(&self.key)),
            Some(response) => {
                let bare = CertifiedKey { ocsp: None, ..(*self.key).clone() };
                Fixed::until(response.next_update, Arc::clone(&self.key), Arc::new(bare))
            }
        }
    }

    /// Puts the parts together.
    ///
    /// # Errors
    /// Something is missing, unreadable or does not belong to the rest.
    pub fn new(
        name: &str,
        parts: Parts,
        complete: &dyn Fn(&CertificateDer<'_>) -> Vec<CertificateDer<'static>>,
        skip_self_issued: bool,
    ) -> Result<Certificate, Fault> {
        if parts.certificates.is_empty() {
            return Err(fault(
                "there is no certificate in it",
                "put the PEM certificate, its chain and its key into this file",
            ));
        }
        let Some((kind, der)) = parts.key.into_iter().flatten().next() else {
            return Err(match parts.encrypted_key {
                true => fault("its private key is encrypted", "decrypt it: openssl pkey -in KEY -out NEW"),
                false => fault(
                    format!("No Private Key found in '{name}' nor in '{name}.key'"),
                    format!("append the PEM key to the file, or put it into {name}.key"),
                ),
            });
        };
        let key = any_supported_type(&private_key(kind, der)).map_err(|error| {
            fault(
                format!("its private key cannot be used: {error}"),
                "RSA (2048 bits and more), ECDSA (P-256, P-384) and Ed25519 keys are known",
            )
        })?;
        let is_ecdsa = key.algorithm() != SignatureAlgorithm::RSA;
        // The certificate of the key comes first, wherever it stands in the file.
        let mut chain = parts.certificates;
        let public = key.public_key();
        let own = chain.iter().position(|certificate| public_key(certificate) == public.as_deref());
        match own {
            Some(own) => chain[..=own].rotate_right(1),
            None if public_key(&chain[0]).is_none() => {
                return Err(fault("its certificate cannot be read", "check it: openssl x509 -text -noout"));
            }
            None => {
                return Err(fault(
                    format!("inconsistencies between private key and certificate loaded '{name}'"),
                    "the key belongs to another certificate: compare `openssl x509 -noout -pubkey` of the one with \
                     `openssl pkey -pubout` of the other",
                ));
            }
        }
        if chain.len() == 1 {
            chain.extend(complete(&chain[0]));
        }
        if skip_self_issued {
            let leaf = chain.remove(0);
            chain.retain(|certificate| !is_self_issued(certificate));
            chain.insert(0, leaf);
        }
        let Ok((_, parsed)) = X509Certificate::from_der(&chain[0]) else {
            return Err(fault("its certificate cannot be read", "check it: openssl x509 -text -noout"));
        };
        let not_after = parsed.validity().not_after.timestamp();
        let names = names_of(&chain[0]);
        let facts = chain.iter().map(|certificate| certificate.to_vec()).collect();
        let mut certified = CertifiedKey::new(chain, key);
        // Whoever gave the response has told what is wrong with it.
        let stapled = parts.ocsp.and_then(|der| Response::parse(&der).ok());
        let stapled = stapled.filter(|response| response.is_about(certified.cert[0].as_ref()));
        certified.ocsp = stapled.as_ref().map(|response| response.der.clone());
        Ok(Certificate {
            name: name.to_owned(),
            key: Arc::new(certified),
            stapled: stapled.map(Arc::new),
            chain: facts,
            names,
            is_ecdsa,
            not_after,
        })
    }
}

impl std::fmt::Debug for Parts {
    /// Keys are never written.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Parts")
            .field("certificates", &self.certificates.len())
            .finish_non_exhaustive()
    }
}

/// Host names of a certificate: its alternative names and its common name, lower case.
pub fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    if let Ok(Some(alternative)) = parsed.subject_alternative_name() {
        for name in &alternative.value.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push(name.to_ascii_lowercase());
            }
        }
    }
    for name in parsed.subject().iter_common_name() {
        if let Ok(name) = name.as_str() {
            let name = name.to_ascii_lowercase();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// The public key as it stands in a certificate (SubjectPublicKeyInfo, DER).
pub fn public_key<'c>(certificate: &'c CertificateDer<'_>) -> Option<&'c [u8]> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.tbs_certificate.subject_pki.raw)
}

/// First and last second of validity, since 1970.
pub fn validity(certificate: &CertificateDer<'_>) -> Option<(i64, i64)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

/// Whether subject and issuer are the same.
pub fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, parsed)| parsed.subject().as_raw() == parsed.issuer().as_raw())
}

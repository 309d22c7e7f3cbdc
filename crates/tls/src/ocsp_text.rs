//! An OCSP response in words, as OpenSSL prints it; certificates of the responder in PEM alone.

use crate::describe::{date, hex, magnitude};
use crate::ocsp::{Response, Status};
use crate::tickets::encode_base64;
use std::fmt::Write;
use x509_parser::der_parser::oid::Oid;
use x509_parser::objects::{oid_registry, oid2abbrev, oid2sn};
use x509_parser::prelude::{ASN1Time, FromDer};
use x509_parser::x509::X509Name;

/// Bytes of a signature in a line, and characters of PEM.
const SIGNATURE_LINE: usize = 18;
const PEM_LINE: usize = 64;

/// id-pkix-ocsp-nonce (RFC 8954).
const NONCE: [u8; 9] = [0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2];

/// Names of reasons (RFC 5280 §5.3.1).
const REASONS: [&str; 11] = [
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "(UNKNOWN)",
    "removeFromCRL",
    "privilegeWithdrawn",
    "aACompromise",
];

/// The whole response.
pub(crate) fn print(response: &Response) -> String {
    let mut out = String::from(
        "OCSP Response Data:\n    OCSP Response Status: successful (0x0)\n    Response Type: Basic OCSP Response\n    \
         Version: 1 (0x0)\n",
    );
    let _ = writeln!(out, "    Responder Id: {}", responder(&response.responder));
    let _ = writeln!(out, "    Produced At: {}", when(response.produced));
    out.push_str("    Responses:\n    Certificate ID:\n");
    let _ = writeln!(out, "      Hash Algorithm: {}", short_name(&response.hash_algorithm));
    let _ = writeln!(out, "      Issuer Name Hash: {}", hex(&response.issuer_name_hash));
    let _ = writeln!(out, "      Issuer Key Hash: {}", hex(&response.issuer_key_hash));
    let _ = writeln!(out, "      Serial Number: {}", hex(&magnitude(&response.serial)));
    match response.status {
        Status::Good => out.push_str("    Cert Status: good"),
        Status::Unknown => out.push_str("    Cert Status: unknown"),
        Status::Revoked(time, reason) => {
            let _ = write!(out, "    Cert Status: revoked\n    Revocation Time: {}", when(time));
            if let Some(reason) = reason {
                let name = REASONS.get(usize::from(reason)).unwrap_or(&"(UNKNOWN)");
                let _ = write!(out, "\n    Revocation Reason: {name} (0x{reason:x})");
            }
        }
    }
    let _ = writeln!(out, "\n    This Update: {}", when(response.this_update));
    // An empty line would end the answer at the runtime API.
    let _ = write!(out, "    Next Update: {}\n \n", when(response.next_update));
    if !response.extensions.is_empty() {
        out.push_str("    Response Extensions:\n");
    }
    for (name, value) in &response.extensions {
        let name = if name[..] == NONCE { "OCSP Nonce".to_owned() } else { dotted(name) };
        let _ = write!(out, "        {name}: \n            {}\n", hex(value));
    }
    let _ = writeln!(out, "    Signature Algorithm: {}", short_name(&response.signature_algorithm));
    out.push_str("    Signature Value:\n");
    let mut lines = response.signature.chunks(SIGNATURE_LINE).peekable();
    while let Some(line) = lines.next() {
        let bytes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let end = if lines.peek().is_some() { ":" } else { "" };
        let _ = writeln!(out, "        {}{end}", bytes.join(":"));
    }
    for certificate in &response.certificates {
        out.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = encode_base64(certificate);
        for line in text.as_bytes().chunks(PEM_LINE) {
            let _ = writeln!(out, "{}", String::from_utf8_lossy(line));
        }
        out.push_str("-----END CERTIFICATE-----\n");
    }
    out
}

fn when(seconds: i64) -> String {
    ASN1Time::from_timestamp(seconds).map(date).unwrap_or_default()
}

fn dotted(oid: &[u8]) -> String {
    Oid::new(oid.into()).to_id_string()
}

/// OpenSSL's name where there is one, else the numbers.
fn short_name(oid: &[u8]) -> String {
    const SHA1: [u8; 5] = [0x2b, 14, 3, 2, 26];
    const ECDSA: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3];
    match oid {
        _ if oid == SHA1 => "sha1".to_owned(),
        [prefix @ .., size @ 2..=4] if prefix == ECDSA => {
            format!("ecdsa-with-SHA{}", [256, 384, 512][usize::from(size - 2)])
        }
        _ => {
            let oid = Oid::new(oid.into());
            oid2sn(&oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned)
        }
    }
}

/// The responder by name, `C = CH, CN = …`, or by the hash of its key.
fn responder(der: &[u8]) -> String {
    const BY_NAME: u8 = 0xa1;
    let length = der.get(1).map_or(0, |first| if *first < 0x80 { 2 } else { 2 + usize::from(first & 0x7f) });
    let content = der.get(length..).unwrap_or_default();
    if der.first() != Some(&BY_NAME) {
        // An OCTET STRING of 20 bytes, its own tag and length before it.
        return hex(content.get(2..).unwrap_or_default());
    }
    let Ok((_, name)) = X509Name::from_der(content) else { return String::new() };
    let attributes = name.iter_attributes().map(|attribute| {
        let kind = oid2abbrev(attribute.attr_type(), oid_registry())
            .map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned);
        let value = String::from_utf8_lossy(attribute.attr_value().data).into_owned();
        format!("{kind} = {value}")
    });
    attributes.collect::<Vec<_>>().join(", ")
}

//! Certificates and revocation lists in words, as `show ssl` tells them.

use std::fmt::Write;
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

/// The first certificate, and the subjects of those above it.
pub(crate) fn chain(chain: &[Vec<u8>]) -> String {
    let mut out = chain.first().map_or_else(String::new, |leaf| certificate(leaf));
    for above in chain.get(1..).unwrap_or_default() {
        if let Ok((_, parsed)) = X509Certificate::from_der(above) {
            let _ = writeln!(out, "Chain Subject: {}", name(parsed.subject()));
            let _ = writeln!(out, "Chain Issuer: {}", name(parsed.issuer()));
        }
    }
    out
}

/// One certificate.
pub(crate) fn certificate(der: &[u8]) -> String {
    let Ok((_, parsed)) = X509Certificate::from_der(der) else { return String::new() };
    let mut alternative = Vec::new();
    if let Ok(Some(names)) = parsed.subject_alternative_name() {
        for name in &names.value.general_names {
            match name {
                GeneralName::DNSName(name) => alternative.push(format!("DNS:{name}")),
                GeneralName::RFC822Name(name) => alternative.push(format!("email:{name}")),
                GeneralName::URI(name) => alternative.push(format!("URI:{name}")),
                GeneralName::IPAddress([a, b, c, d]) => {
                    alternative.push(format!("IP Address:{a}.{b}.{c}.{d}"))
                }
                _ => {}
            }
        }
    }
    let fingerprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, der);
    let mut out = String::new();
    let _ = writeln!(out, "Serial: {}", hex(&magnitude(parsed.raw_serial())));
    let _ = writeln!(out, "notBefore: {}", date(parsed.validity().not_before));
    let _ = writeln!(out, "notAfter: {}", date(parsed.validity().not_after));
    let _ = writeln!(out, "Subject Alternative Name: {}", alternative.join(", "));
    let _ = writeln!(out, "Algorithm: {}", rules::tls::key_words(&parsed));
    let _ = writeln!(out, "SHA1 FingerPrint: {}", hex(fingerprint.as_ref()));
    let _ = writeln!(out, "Subject: {}", name(parsed.subject()));
    let _ = writeln!(out, "Issuer: {}", name(parsed.issuer()));
    out
}

/// One revocation list.
pub(crate) fn revocations(der: &[u8]) -> String {
    let Ok((_, parsed)) = CertificateRevocationList::from_der(der) else { return String::new() };
    let mut out = String::new();
    let _ = writeln!(out, "Version {}", parsed.version().map_or(1, |version| version.0 + 1));
    let _ = writeln!(out, "Issuer: {}", name(parsed.issuer()));
    let _ = writeln!(out, "Last Update: {}", date(parsed.last_update()));
    if let Some(next) = parsed.next_update() {
        let _ = writeln!(out, "Next Update: {}", date(next));
    }
    out.push_str("Revoked Certificates:\n");
    for revoked in parsed.iter_revoked_certificates() {
        let _ = writeln!(out, "    Serial Number: {}", hex(&magnitude(revoked.raw_serial())));
        let _ = writeln!(out, "        Revocation Date: {}", date(revoked.revocation_date));
    }
    out
}

pub(crate) fn magnitude(serial: &[u8]) -> Vec<u8> {
    serial.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(serial).to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

pub(crate) fn name(name: &x509_parser::x509::X509Name<'_>) -> String {
    String::from_utf8_lossy(&rules::tls::name_line(name)).into_owned()
}

/// `Nov 22 21:35:23 2026 GMT`.
pub(crate) fn date(time: ASN1Time) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let time = time.to_datetime();
    let month = MONTHS[usize::from(u8::from(time.month())) - 1];
    format!(
        "{month} {:>2} {:02}:{:02}:{:02} {} GMT",
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.year()
    )
}

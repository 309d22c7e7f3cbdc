//! Certificates of TLS connections: `ssl_c_*` the client's, `ssl_f_*` ours, `ssl_s_*` the server's. Names, dates and
//! numbers are written as OpenSSL and HAProxy write them.

use super::tls::{client, server};
use super::{CLIENT, Fetch, Fetched, SERVER_CONNECTION};
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::context::ParseContext;
use crate::place::PlaceSet;
use crate::scope::Scope;
use crate::tls::{CertificateWords, Chain};
use crate::value::{Value, ValueType};
use sha1::{Digest, Sha1};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate, X509Name};
use x509_parser::public_key::PublicKey;

/// The rows of one certificate.
macro_rules! rows {
    ($places:expr, $chain:ident, $whose:literal, [$($name:literal, $type:ident, $read:ident;)*]) => {
        &[$(Fetch::new(
            concat!("ssl_", $whose, "_", $name),
            ValueType::$type,
            $places,
            |args, scope| $chain(scope).map_or(Fetched::Missing, |chain| $read(chain, args)),
            concat!("Certificate: ", $name, "."),
        )
        .takes(PARAMETERS, 0)
        .check(check),)*]
    };
}

macro_rules! all_rows {
    ($places:expr, $chain:ident, $whose:literal) => {
        rows!($places, $chain, $whose, [
            "der", Bin, der;
            "i_dn", Str, issuer;
            "s_dn", Str, subject;
            "key_alg", Str, key_algorithm;
            "sig_alg", Str, signature_algorithm;
            "notafter", Str, not_after;
            "notbefore", Str, not_before;
            "serial", Bin, serial;
            "sha1", Bin, fingerprint;
            "version", Int, version;
        ])
    };
}

pub(super) const CLIENT_ROWS: &[Fetch] = all_rows!(CLIENT, of_client, "c");
pub(super) const OWN_ROWS: &[Fetch] = all_rows!(CLIENT, own, "f");
pub(super) const SERVER_ROWS: &[Fetch] = all_rows!(SERVER_SIDE, of_server, "s");

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new(
        "ssl_c_chain_der",
        ValueType::Bin,
        CLIENT,
        client_chain,
        "The client's chain, without its own certificate.",
    ),
    Fetch::new("ssl_s_chain_der", ValueType::Bin, SERVER_SIDE, server_chain, "The server's chain."),
    Fetch::new("ssl_c_used", ValueType::Bool, CLIENT, used, "Whether the client showed a certificate."),
    Fetch::new("ssl_fc_has_crt", ValueType::Bool, CLIENT, used, "Whether the client showed a certificate."),
];

/// HAProxy takes these wherever it takes those of the client; before there is a server, nothing is found.
const SERVER_SIDE: PlaceSet = CLIENT.with(SERVER_CONNECTION);

/// Entry, occurrence (negative from the end), format.
const PARAMETERS: &[Param] = &[Param::Str, Param::Int, Param::Str];

fn check(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    match args.text(2) {
        None | Some(b"" | b"rfc2253") => Ok(()),
        Some(_) => Err("only rfc2253 is supported as a value for this argument".to_owned()),
    }
}

fn of_client<'a>(scope: &Scope<'a>) -> Option<&'a Chain> {
    client(scope)?.peer.as_ref()
}

fn own<'a>(scope: &Scope<'a>) -> Option<&'a Chain> {
    client(scope)?.own.as_ref()
}

fn of_server<'a>(scope: &Scope<'a>) -> Option<&'a Chain> {
    server(scope)?.peer.as_ref()
}

fn used<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    match client(scope) {
        None => Fetched::Missing,
        Some(facts) => Fetched::bool(facts.peer.is_some()),
    }
}

/// Common name, signature and key algorithm of a certificate, as the PROXY protocol tells them.
pub fn words(chain: &Chain) -> Option<CertificateWords> {
    let certificate = parsed(chain)?;
    Some(CertificateWords {
        common_name: entry(certificate.subject(), b"CN", 1),
        signature: algorithm(&certificate.signature_algorithm.algorithm.to_id_string()),
        key: key_words(&certificate).into_bytes(),
    })
}

/// Kind and bits of a key, as HAProxy tells them: `RSA2048`, `EC256`.
pub fn key_words(certificate: &X509Certificate<'_>) -> String {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA{}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("EC{}", point.key_size()),
        Ok(PublicKey::DSA(_)) => "DSA".to_owned(),
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}

fn parsed(chain: &Chain) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(chain.first()?).ok().map(|(_, certificate)| certificate)
}

fn text<'a>(text: Option<Vec<u8>>) -> Fetched<'a> {
    Fetched::of(text.map(|text| Value::Str(text.into())))
}

fn der<'a>(chain: &'a Chain, _: &'a [Arg]) -> Fetched<'a> {
    Fetched::of(chain.first().map(|der| Value::Bin(der.as_slice().into())))
}

/// OpenSSL's chain of a client begins after the client's own certificate; a server's begins with it.
fn client_chain<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    chain_der(of_client(scope).and_then(|chain| chain.get(1..)))
}

fn server_chain<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    chain_der(of_server(scope).and_then(|chain| chain.get(..)))
}

fn chain_der<'a>(chain: Option<&[Vec<u8>]>) -> Fetched<'a> {
    Fetched::of(chain.filter(|chain| !chain.is_empty()).map(|chain| Value::Bin(chain.concat().into())))
}

fn subject<'a>(chain: &'a Chain, args: &'a [Arg]) -> Fetched<'a> {
    text(parsed(chain).and_then(|certificate| name(certificate.subject(), args)))
}

fn issuer<'a>(chain: &'a Chain, args: &'a [Arg]) -> Fetched<'a> {
    text(parsed(chain).and_then(|certificate| name(certificate.issuer(), args)))
}

fn fingerprint<'a>(chain: &'a Chain, _: &'a [Arg]) -> Fetched<'a> {
    Fetched::of(chain.first().map(|der| Value::Bin(Sha1::digest(der).to_vec().into())))
}

fn serial<'a>(chain: &'a Chain, _: &'a [Arg]) -> Fetched<'a> {
    let number = parsed(chain).map(|certificate| {
        let raw = certificate.raw_serial();
        // The sign of DER is no part of the number.
        raw.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(raw).to_vec()
    });
    Fetched::of(number.map(|number| Value::Bin(number.into())))
}

fn version<'a>(chain: &'a Chain, _: &'a [Arg]) -> Fetched<'a> {
    Fetched::of(parsed(chain).map(|certificate| Value::Int(i64::from(certificate.version().0) + 1)))
}

fn not_after<'a>(chain: &'a Chain, _: &'a [Arg]) -> Fetched<'a> {
    text(parsed(chain).map(|certificate| date(certificate.validity().not_after)))
}

fn not_before<'a>(chain: &'a Chain, _: &'a [Arg]) -> Fetched<'a> {
    text(parsed(chain).map(|certificate| date(certificate.validity().not_before)))
}

/// `YYMMDDhhmmssZ`, whichever of its two forms the certificate has.
fn date(time: ASN1Time) -> Vec<u8> {
    let time = time.to_datetime();
    let (year, month, day) = time.to_calendar_date();
    format!(
        "{:02}{:02}{day:02}{:02}{:02}{:02}Z",
        year.rem_euclid(100),
        u8::from(month),
        time.hour(),
        time.minute(),
        time.second()
    )
    .into_bytes()
}

fn key_algorithm<'a>(chain: &'a Chain, _: &'a [Arg]) -> Fetched<'a> {
    text(
        parsed(chain)
            .map(|certificate| algorithm(&certificate.public_key().algorithm.algorithm.to_id_string())),
    )
}

fn signature_algorithm<'a>(chain: &'a Chain, _: &'a [Arg]) -> Fetched<'a> {
    text(
        parsed(chain).map(|certificate| algorithm(&certificate.signature_algorithm.algorithm.to_id_string())),
    )
}

/// OpenSSL's short names of algorithms.
const ALGORITHMS: [(&str, &str); 21] = [
    ("1.2.840.10040.4.1", "dsaEncryption"),
    ("1.2.840.10040.4.3", "dsaWithSHA1"),
    ("1.2.840.10045.2.1", "id-ecPublicKey"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    ("1.2.840.10045.4.3.1", "ecdsa-with-SHA224"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.2.840.113549.1.1.1", "rsaEncryption"),
    ("1.2.840.113549.1.1.4", "RSA-MD5"),
    ("1.2.840.113549.1.1.5", "RSA-SHA1"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
    ("1.2.840.113549.1.1.11", "RSA-SHA256"),
    ("1.2.840.113549.1.1.12", "RSA-SHA384"),
    ("1.2.840.113549.1.1.13", "RSA-SHA512"),
    ("1.2.840.113549.1.1.14", "RSA-SHA224"),
    ("1.3.101.110", "X25519"),
    ("1.3.101.111", "X448"),
    ("1.3.101.112", "ED25519"),
    ("1.3.101.113", "ED448"),
    ("2.16.840.1.101.3.4.3.2", "dsa_with_SHA256"),
];

fn algorithm(oid: &str) -> Vec<u8> {
    let known = ALGORITHMS.iter().find(|(known, _)| *known == oid);
    known.map_or("UNDEF", |(_, name)| name).as_bytes().to_vec()
}

/// OpenSSL's short names of what names are made of.
const ATTRIBUTES: [(&str, &str); 33] = [
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.3", "mail"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.2.840.113549.1.9.2", "unstructuredName"),
    ("1.2.840.113549.1.9.8", "unstructuredAddress"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.16", "postalAddress"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.18", "postOfficeBox"),
    ("2.5.4.20", "telephoneNumber"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.45", "x500UniqueIdentifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.97", "organizationIdentifier"),
];

fn attribute(oid: &str) -> &str {
    ATTRIBUTES.iter().find(|(known, _)| *known == oid).map_or(oid, |(_, name)| name)
}

/// A name: one entry of it, the whole in RFC 2253's form, or the whole as HAProxy writes it.
fn name(name: &X509Name<'_>, args: &[Arg]) -> Option<Vec<u8>> {
    match (args.text(0).unwrap_or_default(), args.text(2).unwrap_or_default()) {
        (b"", b"") => Some(one_line(name)),
        (b"", _) => Some(rfc2253(name)),
        (wanted, _) => entry(name, wanted, args.int(1).unwrap_or(1)),
    }
}

/// A name on one line as HAProxy writes it: `/C=CH/O=Example/CN=www`.
pub fn one_line(name: &X509Name<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for part in name.iter_attributes() {
        out.push(b'/');
        out.extend_from_slice(attribute(&part.attr_type().to_id_string()).as_bytes());
        out.push(b'=');
        out.extend_from_slice(part.attr_value().data);
    }
    out
}

/// The value of the entry, by occurrence: 1 is the first, -1 the last.
fn entry(name: &X509Name<'_>, wanted: &[u8], occurrence: i64) -> Option<Vec<u8>> {
    let is_wanted = |oid: &str| attribute(oid).as_bytes().eq_ignore_ascii_case(wanted);
    let mut found = name
        .iter_attributes()
        .filter(|part| is_wanted(&part.attr_type().to_id_string()))
        .map(|part| part.attr_value().data.to_vec())
        .collect::<Vec<_>>();
    let count = found.len() as i64;
    let index = if occurrence < 0 { count + occurrence } else { occurrence.max(1) - 1 };
    (0..count).contains(&index).then(|| found.swap_remove(index as usize))
}

/// RFC 2253 §2: from the last part to the first, separated by commas, with special characters escaped.
fn rfc2253(name: &X509Name<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for part in parts.iter().rev() {
        if !out.is_empty() {
            out.push(b',');
        }
        for (index, single) in part.iter().enumerate() {
            if index > 0 {
                out.push(b'+');
            }
            out.extend_from_slice(attribute(&single.attr_type().to_id_string()).as_bytes());
            out.push(b'=');
            escape(single.attr_value().data, &mut out);
        }
    }
    out
}

fn escape(value: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in value.iter().enumerate() {
        let edge = index == 0 || index + 1 == value.len();
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => out.extend_from_slice(&[b'\\', *byte]),
            b' ' if edge => out.extend_from_slice(b"\\ "),
            b'#' if index == 0 => out.extend_from_slice(b"\\#"),
            0x20..=0x7e => out.push(*byte),
            _ => out.extend_from_slice(format!("\\{byte:02X}").as_bytes()),
        }
    }
}

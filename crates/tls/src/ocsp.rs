//! OCSP responses (RFC 6960), read as far as is needed to know which certificate they are about and how long they are good.
//! Signatures are the client's to verify.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use x509_parser::der_parser::asn1_rs::{Any, GeneralizedTime};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// Clocks of responders may be ahead of ours by so much, in seconds; HAProxy's number.
const SKEW_MAX: i64 = 300;

/// An element of DER: its tag and content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(bytes, _)| bytes.len() <= 4)?;
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The content of the next element, which must have this tag; `der` moves behind it.
fn take<'a>(der: &mut &'a [u8], wanted: u8) -> Option<&'a [u8]> {
    let (_, content, rest) = element(der).filter(|(tag, ..)| *tag == wanted)?;
    *der = rest;
    Some(content)
}

/// The next element as it stands.
fn whole<'a>(der: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (_, _, rest) = element(der)?;
    let (found, _) = der.split_at_checked(der.len() - rest.len())?;
    *der = rest;
    Some(found)
}

const SEQUENCE: u8 = 0x30;
const ENUMERATED: u8 = 0x0a;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const TIME: u8 = 0x18;
/// `[0] EXPLICIT` and `[1] EXPLICIT`.
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_1: u8 = 0xa1;
/// `[1] IMPLICIT` of a structure; `[0]` and `[2]` without content.
const REVOKED: u8 = 0xa1;
const GOOD: u8 = 0x80;

/// What a responder says of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Good,
    /// When, and the number of the reason (RFC 5280 §5.3.1).
    Revoked(i64, Option<u8>),
    Unknown,
}

/// A successful response about one certificate, in pieces.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub der: Vec<u8>,
    /// The content of CertID.
    id: Vec<u8>,
    pub hash_algorithm: Vec<u8>,
    pub issuer_name_hash: Vec<u8>,
    pub issuer_key_hash: Vec<u8>,
    /// As in the certificate.
    pub serial: Vec<u8>,
    /// ResponderID, with its tag.
    pub responder: Vec<u8>,
    /// Seconds since 1970, as all times here.
    pub produced: i64,
    pub status: Status,
    pub this_update: i64,
    pub next_update: i64,
    /// Extensions by identifier, each with its value.
    pub extensions: Vec<(Vec<u8>, Vec<u8>)>,
    pub signature_algorithm: Vec<u8>,
    pub signature: Vec<u8>,
    /// Of the responder, in DER.
    pub certificates: Vec<Vec<u8>>,
}

const UNREADABLE: &str = "Unable to parse OCSP response";

impl Response {
    /// Reads a response.
    ///
    /// # Errors
    /// Why it is of no use, in HAProxy's words, without a stop.
    pub fn parse(der: &[u8]) -> Result<Response, String> {
        let unreadable = || UNREADABLE.to_owned();
        let mut at = der;
        let mut outer = take(&mut at, SEQUENCE).ok_or_else(unreadable)?;
        if take(&mut outer, ENUMERATED).ok_or_else(unreadable)? != [0] {
            return Err("OCSP response status not successful".to_owned());
        }
        let basic = basic(outer).ok_or("Failed to get basic response from OCSP Response")?;
        let (data, rest) = basic;
        let read = read(der, data, rest).ok_or_else(unreadable)?;
        match read {
            Read::One(response) => Ok(*response),
            Read::Many(count) => {
                Err(format!("OCSP response ignored because contains multiple single responses ({count})"))
            }
            Read::NoNextUpdate => Err("OCSP single response: missing nextupdate".to_owned()),
        }
    }

    /// Whether it is good at that time.
    pub fn is_valid_at(&self, now: i64) -> bool {
        self.this_update <= now + SKEW_MAX && self.next_update >= now - SKEW_MAX
    }

    /// Whether it is about this certificate, by serial number and the issuer's name.
    pub fn is_about(&self, certificate: &[u8]) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
        let issuer = parsed.issuer().as_raw();
        let hash = match self.issuer_name_hash.len() {
            20 => digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, issuer),
            32 => digest::digest(&SHA256, issuer),
            _ => return false,
        };
        parsed.raw_serial() == self.serial && hash.as_ref() == self.issuer_name_hash
    }

    /// The CertID in hexadecimal, as HAProxy names responses. `None`: it is longer than any CertID.
    pub fn key(&self) -> Option<String> {
        let length = u8::try_from(self.id.len()).ok().filter(|length| *length < 0x80)?;
        Some([SEQUENCE, length].iter().chain(&self.id).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// ResponseData, and what follows it.
fn basic(mut outer: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut bytes = take(&mut outer, EXPLICIT_0)?;
    let mut bytes = take(&mut bytes, SEQUENCE)?;
    take(&mut bytes, OID)?;
    let mut basic = take(&mut bytes, OCTETS)?;
    let mut basic = take(&mut basic, SEQUENCE)?;
    let data = take(&mut basic, SEQUENCE)?;
    Some((data, basic))
}

enum Read {
    One(Box<Response>),
    Many(usize),
    NoNextUpdate,
}

fn read(der: &[u8], mut data: &[u8], mut rest: &[u8]) -> Option<Read> {
    // The version is left out when it is 1.
    let _ = take(&mut data, EXPLICIT_0);
    let responder = whole(&mut data)?.to_vec();
    let produced = time(take(&mut data, TIME)?)?;
    let mut responses = take(&mut data, SEQUENCE)?;
    let extensions = take(&mut data, EXPLICIT_1).map(extensions).unwrap_or_default();
    let mut single = take(&mut responses, SEQUENCE)?;
    let mut count = 1;
    while take(&mut responses, SEQUENCE).is_some() {
        count += 1;
    }
    if count > 1 {
        return Some(Read::Many(count));
    }
    let id = take(&mut single, SEQUENCE)?;
    let mut parts = id;
    let mut algorithm = take(&mut parts, SEQUENCE)?;
    let (tag, mut status, after) = element(single)?;
    single = after;
    let status = match tag {
        GOOD => Status::Good,
        REVOKED => {
            let when = time(take(&mut status, TIME)?)?;
            let reason = take(&mut status, EXPLICIT_0).and_then(|mut reason| take(&mut reason, ENUMERATED));
            Status::Revoked(when, reason.and_then(<[u8]>::first).copied())
        }
        _ => Status::Unknown,
    };
    let this_update = time(take(&mut single, TIME)?)?;
    let Some(mut next) = take(&mut single, EXPLICIT_0) else { return Some(Read::NoNextUpdate) };
    let next_update = time(take(&mut next, TIME)?)?;
    let mut signature_algorithm = take(&mut rest, SEQUENCE)?;
    let signature = take(&mut rest, BITS)?.split_first()?.1.to_vec();
    let mut certificates = Vec::new();
    if let Some(mut list) = take(&mut rest, EXPLICIT_0) {
        let mut list = take(&mut list, SEQUENCE)?;
        while let Some(certificate) = whole(&mut list) {
            certificates.push(certificate.to_vec());
        }
    }
    Some(Read::One(Box::new(Response {
        der: der.to_vec(),
        id: id.to_vec(),
        hash_algorithm: take(&mut algorithm, OID)?.to_vec(),
        issuer_name_hash: take(&mut parts, OCTETS)?.to_vec(),
        issuer_key_hash: take(&mut parts, OCTETS)?.to_vec(),
        serial: take(&mut parts, INTEGER)?.to_vec(),
        responder,
        produced,
        status,
        this_update,
        next_update,
        extensions,
        signature_algorithm: take(&mut signature_algorithm, OID)?.to_vec(),
        signature,
        certificates,
    })))
}

fn extensions(mut list: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut list = take(&mut list, SEQUENCE).unwrap_or_default();
    while let Some(mut extension) = take(&mut list, SEQUENCE) {
        if let (Some(name), Some((OCTETS, value, _))) = (take(&mut extension, OID), element(extension)) {
            found.push((name.to_vec(), value.to_vec()));
        }
    }
    found
}

/// The content of a GeneralizedTime in seconds since 1970.
fn time(content: &[u8]) -> Option<i64> {
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80)?;
    let der = [&[TIME, length], content].concat();
    let (_, any) = Any::from_der(&der).ok()?;
    let time = GeneralizedTime::try_from(any).ok()?;
    Some(ASN1Time::new(time.utc_datetime().ok()?).timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_response_is_refused_without_a_panic() {
        for bytes in [&b""[..], b"abc", &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(Response::parse(bytes).unwrap_err(), UNREADABLE);
        }
        let try_later = [0x30, 3, 0x0a, 1, 3];
        assert_eq!(Response::parse(&try_later).unwrap_err(), "OCSP response status not successful");
    }
}

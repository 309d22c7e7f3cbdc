//! The ClientHello, before any key exists: which certificate and which settings a client gets depends on it.
//! Borrows from the client's bytes; never panics on them.

use std::borrow::Cow;

/// A ClientHello is at most this long with its record headers; whoever sends more is no client of ours.
pub const HELLO_MAX: usize = 64 * 1024;

const RECORD_HEADER: usize = 5;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Extension types (IANA registry).
const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const PROTOCOLS: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

const TLS13: u16 = 0x0304;

/// What of the client's bytes is a hello.
#[derive(Debug)]
pub enum Parsed {
    Complete(Box<Hello>),
    /// More bytes are needed.
    Partial,
    /// This is not the start of a TLS connection.
    NotTls,
}

/// A ClientHello, its lists as they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    pub version: u16,
    pub random: [u8; 32],
    pub session_id: Vec<u8>,
    /// Two bytes each.
    pub ciphers: Vec<u8>,
    /// Lower case, without a dot at its end.
    pub server_name: Option<String>,
    /// The name as it was sent, where that is something else.
    pub sent_name: Option<Vec<u8>>,
    /// Types of the extensions, two bytes each.
    pub extensions: Vec<u8>,
    pub groups: Vec<u8>,
    pub point_formats: Vec<u8>,
    pub signatures: Option<Vec<u8>>,
    pub offers_tls13: bool,
    /// Names of ALPN (RFC 7301 §3.1), each behind its length in a byte; `None`: the client names none.
    pub protocols: Option<Vec<u8>>,
}

/// A list of bytes that is read from its front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A vector with its length in one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// A vector with its length in two bytes.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }
}

/// Reads the hello at the start of `bytes`, which begin a connection.
pub fn parse(bytes: &[u8]) -> Parsed {
    match message(bytes) {
        Ok(Some(body)) => body_of(&body).map_or(Parsed::NotTls, |hello| Parsed::Complete(Box::new(hello))),
        Ok(None) if bytes.len() < HELLO_MAX => Parsed::Partial,
        Ok(None) | Err(()) => Parsed::NotTls,
    }
}

/// The body of the first handshake message, put together where it is spread over records. `None`: it is not all here.
fn message(bytes: &[u8]) -> Result<Option<Cow<'_, [u8]>>, ()> {
    let mut rest = bytes;
    let mut whole: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    loop {
        match rest.first() {
            Some(&HANDSHAKE) => {}
            Some(_) => return Err(()),
            None => return Ok(None),
        }
        if rest.get(1).is_some_and(|major| *major != 3) {
            return Err(());
        }
        let Some(length) = rest.get(3..RECORD_HEADER) else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if length == 0 {
            return Err(());
        }
        let here = &rest[RECORD_HEADER..rest.len().min(RECORD_HEADER + length)];
        if whole.is_empty() {
            whole = Cow::Borrowed(here);
        } else {
            whole.to_mut().extend_from_slice(here);
        }
        if whole.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(());
        }
        if let Some(size) = whole.get(1..4) {
            let size = usize::from(size[0]) << 16 | usize::from(size[1]) << 8 | usize::from(size[2]);
            if size > HELLO_MAX {
                return Err(());
            }
            if whole.len() >= 4 + size {
                return Ok(Some(match whole {
                    Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[4..4 + size]),
                    Cow::Owned(bytes) => Cow::Owned(bytes[4..4 + size].to_vec()),
                }));
            }
        }
        if rest.len() < RECORD_HEADER + length {
            return Ok(None);
        }
        rest = &rest[RECORD_HEADER + length..];
    }
}

/// RFC 8446 §4.1.2.
fn body_of(body: &[u8]) -> Option<Hello> {
    let mut at = Bytes(body);
    let mut hello = Hello { version: at.u16()?, ..Hello::default() };
    hello.random.copy_from_slice(at.take(32)?);
    hello.session_id = at.short()?.to_vec();
    hello.ciphers = at.long()?.to_vec();
    at.short()?;
    // Extensions may be missing altogether.
    let mut extensions = Bytes(if at.0.is_empty() { &[] } else { at.long()? });
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let mut content = Bytes(extensions.long()?);
        hello.extensions.extend_from_slice(&kind.to_be_bytes());
        match kind {
            SERVER_NAME => {
                let sent = server_name(content);
                let name = |sent: &str| sent.strip_suffix('.').unwrap_or(sent).to_ascii_lowercase();
                hello.server_name = sent.map(name);
                let differs = |sent: &&str| hello.server_name.as_deref() != Some(*sent);
                hello.sent_name = sent.filter(differs).map(|sent| sent.as_bytes().to_vec());
            }
            SUPPORTED_GROUPS => hello.groups = content.long()?.to_vec(),
            EC_POINT_FORMATS => hello.point_formats = content.short()?.to_vec(),
            SIGNATURE_ALGORITHMS => hello.signatures = Some(content.long()?.to_vec()),
            PROTOCOLS => hello.protocols = content.long().map(<[u8]>::to_vec),
            SUPPORTED_VERSIONS => {
                hello.offers_tls13 =
                    content.short()?.chunks_exact(2).any(|version| version == TLS13.to_be_bytes());
            }
            _ => {}
        }
    }
    Some(hello)
}

/// The host name of the extension (RFC 6066 §3).
fn server_name<'b>(mut content: Bytes<'b>) -> Option<&'b str> {
    let mut list = Bytes(content.long()?);
    while !list.0.is_empty() {
        let kind = list.u8()?;
        let name = list.long()?;
        if kind == 0 && !name.is_empty() && name.is_ascii() {
            return std::str::from_utf8(name).ok();
        }
    }
    None
}

impl Hello {
    /// Whether the client takes an ECDSA certificate.
    pub fn takes_ecdsa(&self) -> bool {
        let signs = match &self.signatures {
            Some(list) => list.chunks_exact(2).any(|scheme| matches!(scheme, [4..=6, 3] | [2, 3])),
            None => true,
        };
        signs && (self.offers_tls13 || self.ciphers.chunks_exact(2).any(is_ecdsa_suite))
    }

    /// Whether the client names protocols, and none of these.
    pub fn names_none_of(&self, offered: &[Vec<u8>]) -> bool {
        let mut names = Bytes(self.protocols.as_deref().unwrap_or_default());
        let mut found = self.protocols.is_none();
        while let Some(name) = names.short() {
            found |= offered.iter().any(|own| own == name);
        }
        !found
    }

    /// Whether the client takes an RSA certificate.
    pub fn takes_rsa(&self) -> bool {
        match &self.signatures {
            Some(list) => {
                list.chunks_exact(2).any(|scheme| matches!(scheme, [2 | 4..=6, 1] | [8, 4..=6] | [8, 9..=11]))
            }
            None => true,
        }
    }
}

/// Suites of TLS 1.2 with ECDHE and ECDSA.
fn is_ecdsa_suite(suite: &[u8]) -> bool {
    matches!(suite, [0xc0, 0x09 | 0x0a | 0x23 | 0x24 | 0x2b | 0x2c | 0xac..=0xaf] | [0xcc, 0xa9])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_compared_and_a_client_that_names_none_takes_any() {
        let offered = [b"h2".to_vec(), b"http/1.1".to_vec()];
        let naming = |protocols: &[u8]| Hello { protocols: Some(protocols.to_vec()), ..Hello::default() };
        assert!(!Hello::default().names_none_of(&offered));
        assert!(!naming(b"\x02h2").names_none_of(&offered));
        assert!(!naming(b"\x03foo\x08http/1.1").names_none_of(&offered));
        assert!(naming(b"\x03foo\x02h3").names_none_of(&offered));
        assert!(naming(b"\xffh2").names_none_of(&offered), "a length beyond the list");
    }

    /// A hello that names `example.org`, with TLS 1.3 and ECDSA.
    fn sample() -> Vec<u8> {
        let mut extensions = Vec::new();
        let mut extension = |kind: u16, content: &[u8]| {
            extensions.extend_from_slice(&kind.to_be_bytes());
            extensions.extend_from_slice(&(content.len() as u16).to_be_bytes());
            extensions.extend_from_slice(content);
        };
        extension(0, b"\x00\x0e\x00\x00\x0bExample.Org");
        extension(10, &[0, 2, 0, 29]);
        extension(13, &[0, 4, 4, 3, 8, 4]);
        extension(43, &[2, 3, 4]);
        let mut body = vec![3, 3];
        body.extend_from_slice(&[7; 32]);
        body.push(0);
        body.extend_from_slice(&[0, 2, 0x13, 1]);
        body.extend_from_slice(&[1, 0]);
        body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
        body.extend_from_slice(&extensions);
        let mut message = vec![1, 0, 0, body.len() as u8];
        message.extend_from_slice(&body);
        message
    }

    fn records(message: &[u8], size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for part in message.chunks(size) {
            out.extend_from_slice(&[22, 3, 1, 0, part.len() as u8]);
            out.extend_from_slice(part);
        }
        out
    }

    #[test]
    fn a_hello_tells_its_name_and_what_certificates_it_takes() {
        let Parsed::Complete(hello) = parse(&records(&sample(), 255)) else { panic!("not complete") };
        assert_eq!(hello.server_name.as_deref(), Some("example.org"));
        assert!(hello.offers_tls13 && hello.takes_ecdsa() && hello.takes_rsa());
        assert_eq!(hello.extensions, [0, 0, 0, 10, 0, 13, 0, 43]);
    }

    #[test]
    fn a_hello_in_many_records_is_put_together() {
        let whole = parse(&records(&sample(), 255));
        let spread = parse(&records(&sample(), 7));
        let (Parsed::Complete(whole), Parsed::Complete(spread)) = (whole, spread) else { panic!() };
        assert_eq!(whole, spread);
    }

    #[test]
    fn every_prefix_of_a_hello_waits_for_more() {
        let bytes = records(&sample(), 50);
        for end in 0..bytes.len() {
            assert!(matches!(parse(&bytes[..end]), Parsed::Partial), "prefix of {end} bytes");
        }
    }

    #[test]
    fn what_is_no_tls_is_seen_at_its_first_byte() {
        assert!(matches!(parse(b"GET / HTTP/1.1\r\n\r\n"), Parsed::NotTls));
        assert!(matches!(parse(&[22, 3, 1, 0, 1, 2]), Parsed::NotTls));
        assert!(matches!(parse(&[22, 3, 1, 0, 0]), Parsed::NotTls));
    }
}

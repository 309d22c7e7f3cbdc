//! Variants of one object: by what the client accepts, and by where it comes from. Other fields in `vary` are not managed,
//! and what varies by them is not kept.

use super::policy::CacheRequest;
use http::Head;
use sha1::{Digest, Sha1};

/// Codings of the registry; the bit of each is its place here.
const CODINGS: [&[u8]; 12] = [
    b"identity",
    b"gzip",
    b"deflate",
    b"br",
    b"compress",
    b"zstd",
    b"aes128gcm",
    b"exi",
    b"pack200-gzip",
    b"dcb",
    b"dcz",
    b"x-bzip2",
];

/// The bit of what is not in that list.
const OTHER: u32 = 1 << 31;
const IDENTITY: u32 = 1;

fn coding(name: &[u8]) -> u32 {
    let name = match name {
        b"x-gzip" => &b"gzip"[..],
        b"x-compress" => b"compress",
        name => name,
    };
    let place = CODINGS.iter().position(|known| known.eq_ignore_ascii_case(name));
    place.map_or(OTHER, |place| 1 << place)
}

/// What of a request chooses among variants.
#[derive(Debug, Clone)]
pub struct Variant {
    /// Codings that the client can read, as bits.
    accepts: u32,
    referer: [u8; 8],
}

impl Variant {
    pub fn of(request: &Head) -> Variant {
        let mut hasher = Sha1::new();
        for line in request.lines(b"referer") {
            hasher.update(line);
        }
        let mut referer = [0; 8];
        referer.copy_from_slice(&hasher.finalize()[..8]);
        Variant { accepts: accepts(request), referer }
    }
}

/// Without a word about it a client takes anything; and identity, unless it is named with a quality of 0.
fn accepts(request: &Head) -> u32 {
    let mut lines = request.lines(b"accept-encoding").peekable();
    if lines.peek().is_none() {
        return u32::MAX;
    }
    let (mut wanted, mut refused, mut any) = (IDENTITY, 0, false);
    for value in request.values(b"accept-encoding") {
        let mut parts = value.split(|byte| *byte == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let is_zero = |part: &[u8]| {
            let quality = part.trim_ascii().strip_prefix(b"q=");
            quality.is_some_and(|quality| quality.iter().all(|byte| matches!(byte, b'0' | b'.')))
        };
        match (name, parts.any(is_zero)) {
            (b"*", zero) => any = !zero,
            (name, true) => refused |= coding(name),
            (name, false) => wanted |= coding(name),
        }
    }
    if any { !refused } else { wanted & !refused }
}

/// By what an object varies, and which variant it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Varies {
    /// The bits of the codings that a client must be able to read.
    coding: Option<u32>,
    referer: Option<[u8; 8]>,
}

impl Varies {
    pub fn is_empty(&self) -> bool {
        self.coding.is_none() && self.referer.is_none()
    }

    pub fn fits(&self, variant: &Variant) -> bool {
        self.coding.is_none_or(|coding| variant.accepts & coding == coding)
            && self.referer.is_none_or(|referer| referer == variant.referer)
    }

    /// A number for people who compare variants.
    pub fn number(&self) -> u64 {
        u64::from(self.coding.unwrap_or(0)) << 32 ^ self.referer.map_or(0, u64::from_be_bytes)
    }
}

/// How the response varies; `None`: by something that is not managed.
pub fn of_response(response: &Head, request: &CacheRequest, process_vary: bool) -> Option<Varies> {
    let mut varies = Varies { coding: None, referer: None };
    for name in response.values(b"vary") {
        if !process_vary {
            return None;
        }
        if name.eq_ignore_ascii_case(b"accept-encoding") {
            let mut bits = response.values(b"content-encoding").map(coding).fold(0, |sum, bit| sum | bit);
            if bits == 0 {
                bits = IDENTITY;
            }
            if bits & OTHER != 0 {
                return None;
            }
            varies.coding = Some(bits);
        } else if name.eq_ignore_ascii_case(b"referer") {
            varies.referer = Some(request.variant.referer);
        } else {
            return None;
        }
    }
    Some(varies)
}

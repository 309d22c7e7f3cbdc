//! OCSP responses (RFC 6960), read as far as is needed to know which certificate they are about.

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

const SEQUENCE: u8 = 0x30;
const ENUMERATED: u8 = 0x0a;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const INTEGER: u8 = 0x02;
const TIME: u8 = 0x18;
/// `[0] EXPLICIT`.
const EXPLICIT: u8 = 0xa0;

/// The CertID of the first single response of a successful response.
fn certificate_id(response: &[u8]) -> Option<&[u8]> {
    let mut at = response;
    let mut whole = take(&mut at, SEQUENCE)?;
    if take(&mut whole, ENUMERATED)? != [0] {
        return None;
    }
    let mut bytes = take(&mut whole, EXPLICIT)?;
    let mut bytes = take(&mut bytes, SEQUENCE)?;
    take(&mut bytes, OID)?;
    let mut basic = take(&mut bytes, OCTETS)?;
    let mut basic = take(&mut basic, SEQUENCE)?;
    let mut data = take(&mut basic, SEQUENCE)?;
    // The version is left out when it is 1.
    let _ = take(&mut data, EXPLICIT);
    let (_, _, rest) = element(data)?;
    data = rest;
    take(&mut data, TIME)?;
    let mut responses = take(&mut data, SEQUENCE)?;
    let mut single = take(&mut responses, SEQUENCE)?;
    take(&mut single, SEQUENCE)
}

/// The serial number of the certificate that a response is about. `None`: this is no successful response.
pub(crate) fn serial(response: &[u8]) -> Option<Vec<u8>> {
    let mut id = certificate_id(response)?;
    take(&mut id, SEQUENCE)?;
    take(&mut id, OCTETS)?;
    take(&mut id, OCTETS)?;
    Some(take(&mut id, INTEGER)?.to_vec())
}

/// The CertID in hexadecimal, as HAProxy names responses.
pub(crate) fn key(response: &[u8]) -> Option<String> {
    let id = certificate_id(response)?;
    let length = u8::try_from(id.len()).ok().filter(|length| *length < 0x80)?;
    Some([SEQUENCE, length].iter().chain(id).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_response_is_refused_without_a_panic() {
        for bytes in
            [&b""[..], b"abc", &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 3, 0x0a, 1, 6]]
        {
            assert_eq!(serial(bytes), None);
        }
    }
}

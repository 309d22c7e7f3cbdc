//! The PROXY protocol and the NetScaler header.

use proxy::proxy_protocol::{
    Announcement, ParseError, Parsed, V1_LENGTH_MAX, V2_LENGTH_MAX, parse, parse_netscaler, write_v1,
    write_v2,
};

/// The argument of `accept-netscaler-cip`: any number will do.
const MAGIC: u32 = 0x1a2b_3c4d;

/// A header is read the same way however it is cut, lies within its input, and survives being written again.
pub fn proxy_header(bytes: &[u8]) {
    check(bytes, parse);
    check(bytes, |input| parse_netscaler(input, MAGIC));
    // The same again with the magic in place, so that the reader behind it is reached.
    check(&[&MAGIC.to_be_bytes(), bytes].concat(), |input| parse_netscaler(input, MAGIC));
}

fn check(bytes: &[u8], parse: impl Fn(&[u8]) -> Result<Parsed<'_>, ParseError>) {
    let whole = parse(bytes);
    // Once decided, more bytes change nothing; until then, fewer never decide otherwise.
    let half = parse(&bytes[..bytes.len() / 2]);
    if half != Ok(Parsed::Partial) {
        assert_eq!(half, whole, "more bytes changed the verdict");
    }
    let Ok(Parsed::Complete { consumed, header }) = whole else { return };
    assert!(consumed <= bytes.len() && consumed <= V2_LENGTH_MAX);
    assert!(header.tlvs().count() <= bytes.len());
    let _tls = header.tls();
    written_again(header.endpoints, header.authority(), header.unique_id(), header.alpn());
}

fn written_again(
    endpoints: Option<proxy::proxy_protocol::Endpoints>,
    authority: Option<&[u8]>,
    unique_id: Option<&[u8]>,
    alpn: Option<&[u8]>,
) {
    let mut line = Vec::new();
    write_v1(&mut line, endpoints);
    assert!(line.len() <= V1_LENGTH_MAX);
    let read = parse(&line);
    let Ok(Parsed::Complete { consumed, .. }) = read else { panic!("our line is not read: {read:?}") };
    assert_eq!(consumed, line.len());

    let mut message = Vec::new();
    let announcement =
        Announcement { endpoints, crc32c: true, authority, unique_id, alpn, ..Announcement::default() };
    if write_v2(&mut message, &announcement).is_ok() {
        let read = parse(&message);
        let Ok(Parsed::Complete { consumed, header }) = read else {
            panic!("our message is not read: {read:?}")
        };
        assert_eq!(consumed, message.len());
        assert_eq!((header.authority(), header.unique_id(), header.alpn()), (authority, unique_id, alpn));
    }
}

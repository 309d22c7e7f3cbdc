//! Entry points for fuzzing: each takes any bytes, drives one reader over them, and asserts what must hold. Owns no
//! grammar; the targets in `fuzz/` call these.

use crate::{
    ChunkDecoder, Head, Limits, Method, ParseError, Parsed, Step, base64, cookie, date, parse_request,
    parse_response, query, url,
};

type Parse = fn(&[u8], &Limits, &mut Head) -> Result<Parsed, ParseError>;

/// In one piece and in two, strict and tolerant; what comes out must parse to itself.
fn head(parse: Parse, bytes: &[u8]) {
    for accept_invalid in [false, true] {
        let limits = Limits { accept_invalid, ..Limits::default() };
        let mut whole = Head::new();
        let result = parse(bytes, &limits, &mut whole);
        let mut halves = Head::new();
        let mut second = parse(&bytes[..bytes.len() / 2], &limits, &mut halves);
        if second == Ok(Parsed::Partial) {
            second = parse(bytes, &limits, &mut halves);
        }
        assert_eq!(result, second, "two pieces differ from one");
        if let Ok(Parsed::Complete { consumed }) = result {
            assert!(consumed <= bytes.len());
            let mut wire = Vec::new();
            whole.write_to(&mut wire);
            assert_eq!(wire.len(), whole.wire_len());
            let mut again = Head::new();
            let parsed = parse(&wire, &Limits { max_head: usize::MAX, ..limits }, &mut again);
            assert_eq!(
                parsed,
                Ok(Parsed::Complete { consumed: wire.len() }),
                "what was written does not parse"
            );
            let mut rewritten = Vec::new();
            again.write_to(&mut rewritten);
            // As HAProxy, each reading takes one default port out of an absolute URI, and `http://h:80:80/` has two.
            let loses_a_port = memchr::memmem::find(whole.uri(), b"://").is_some();
            if !(loses_a_port && rewritten.len() < wire.len()) {
                assert_eq!(wire, rewritten, "what was written changes");
            }
            assert_eq!(whole.request_framing(), again.request_framing());
            assert_eq!(whole.response_framing(Method::Get), again.response_framing(Method::Get));
        }
    }
}

/// Requests.
pub fn request(bytes: &[u8]) {
    head(parse_request, bytes);
}

/// Responses.
pub fn response(bytes: &[u8]) {
    head(parse_response, bytes);
}

/// Chunked bodies: in one piece, and byte by byte.
pub fn chunks(bytes: &[u8]) {
    let decode = |size: usize| {
        let mut decoder = ChunkDecoder::new();
        let mut data = Vec::new();
        for piece in bytes.chunks(size) {
            let mut rest = piece;
            // Each step takes at least one byte, ends the piece, or ends the body.
            loop {
                match decoder.next(rest)? {
                    Step::Data { skip, len } => {
                        data.extend_from_slice(&rest[skip..skip + len]);
                        rest = &rest[skip + len..];
                    }
                    Step::NeedMore => break,
                    Step::End { .. } => return Ok((data, true)),
                }
            }
        }
        Ok::<_, ParseError>((data, false))
    };
    assert_eq!(decode(bytes.len().max(1)), decode(1));
}

/// Cookies: what is read lies within the line, and what was removed is gone.
pub fn cookies(bytes: &[u8]) {
    for found in cookie::Cookies::new(bytes) {
        assert_eq!(&bytes[found.value_at..found.value_at + found.value.len()], found.value);
    }
    // Text without `=` is no cookie, and stays.
    let is_whole = |found: &cookie::Cookie<'_>| bytes[..found.value_at].trim_ascii_end().ends_with(b"=");
    if let Some(name) = cookie::Cookies::new(bytes).find(is_whole).map(|cookie| cookie.name) {
        let mut out = Vec::new();
        assert!(cookie::remove_from_line(bytes, name, &mut out) > 0);
        assert!(out.len() <= bytes.len() + 1);
    }
    if let Some(set) = cookie::SetCookie::parse(bytes) {
        assert!(set.attributes().count() <= bytes.len() + 1);
    }
}

/// The small formats: dates, base64, parameters, URLs.
pub fn small(bytes: &[u8]) {
    if let Some(time) = date::parse(bytes) {
        assert_eq!(date::parse(&date::format(time)), Some(time));
    }
    let mut out = Vec::new();
    for alphabet in [base64::Alphabet::Standard, base64::Alphabet::Url] {
        base64::decode(bytes, alphabet, &mut out);
    }
    let _ = base64::basic_credentials(bytes, &mut out);
    let _ = query::parameter(bytes, b"a", b'?');
    assert!(query::parameters(bytes).count() <= bytes.len() + 1);
    out.clear();
    let _ = url::decode(bytes, false, &mut out);
    let _ = url::percent_decode_unreserved(bytes, false, &mut out);
    let _ = url::percent_to_uppercase(bytes, true, &mut out);
    url::merge_slashes(bytes, &mut out);
    url::strip_dot(bytes, &mut out);
    url::strip_dotdot(bytes, false, &mut out);
    url::strip_dotdot(bytes, true, &mut out);
    url::sort_query(bytes, &mut out);
    url::encode_fragment(bytes, &mut out);
}

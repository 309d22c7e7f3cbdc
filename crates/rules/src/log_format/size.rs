//! What HAProxy counts of an HTTP message for `%B`, `%U` and the byte counters: not its bytes on the wire, but the size
//! of its inner form. Owns that arithmetic only.

/// What a start line takes beside its three words.
const START_LINE: u64 = 20;
/// What the end of the fields takes.
const END_OF_FIELDS: u64 = 1;
/// What the end of a chunked body takes.
pub const CHUNKED_END: u64 = 1;

/// Size of a message in wire form, as HAProxy counts it: head and, behind its empty line, any bytes of a body that is
/// not chunked. What manages the connection (`close` and `keep-alive` of `connection`) counts for nothing.
///
/// `message` may also be a head alone. Bodies then add their bytes; a chunked one adds the bytes of its data, those of
/// names and values of its trailers, and [`CHUNKED_END`]. Interim responses count as well.
pub fn counted_size(message: &[u8]) -> u64 {
    let (head, body) = match memchr::memmem::find(message, b"\r\n\r\n") {
        Some(end) => (&message[..end], &message[end + 4..]),
        None => (message, &b""[..]),
    };
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let start = lines.next().unwrap_or(b"");
    // The two blanks between the words are not kept; a reason may hold more of them.
    let words = start.len() as u64 - start.iter().filter(|&&byte| byte == b' ').count().min(2) as u64;
    let fields: u64 = lines.map(field_size).sum();
    START_LINE + words + fields + END_OF_FIELDS + body.len() as u64
}

fn field_size(line: &[u8]) -> u64 {
    let Some(colon) = memchr::memchr(b':', line) else { return 0 };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if !name.eq_ignore_ascii_case(b"connection") {
        return (name.len() + value.len()) as u64;
    }
    let managed =
        |token: &[u8]| token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"keep-alive");
    let kept = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|token| !managed(token));
    // What is left is written again with ", " between its tokens.
    match kept.map(|token| token.len() + 2).sum::<usize>() {
        0 => 0,
        len => (name.len() + len - 2) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNKED_END, counted_size};

    #[test]
    fn sizes_are_those_of_recorded_lines() {
        // row: 89
        // `%U` and `%B` of HAProxy 2.6.12 for these messages.
        assert_eq!(counted_size(b"GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"), 40);
        assert_eq!(
            counted_size(
                b"GET /x?y=1&z=\"q\" HTTP/1.0\r\nUser-Agent: cu\"rl\\]/1\r\nReferer: r\r\nX: h]\"\\x\r\n\
                  Cookie: SID=abc12345678901234567890\r\n\r\n"
            ),
            110
        );
        assert_eq!(
            counted_size(
                b"HTTP/1.1 200 OK\r\nServer: s\"1]\r\nSet-Cookie: SID=xyz; path=/\r\nContent-Length: 5\r\n\
                  connection: close\r\n\r\nhello"
            ),
            89
        );
        assert_eq!(
            counted_size(
                b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: /x\r\ncache-control: no-cache\r\n\r\n"
            ),
            83
        );
        assert_eq!(counted_size(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, foo\r\n\r\n"), 52);
        assert_eq!(counted_size(b"GET / HTTP/1.1\r\nHost:   a  \r\nA:\r\n\r\n"), 39);
        assert_eq!(counted_size(b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"), 44);
        assert_eq!(
            counted_size(
                b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\
                  Content-Length: 2\r\n\r\nok"
            ),
            70
        );
        let chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(counted_size(chunked) + b"abcd".len() as u64 + CHUNKED_END, 68);
        let body = vec![b'h'; 2000];
        let head = b"HTTP/1.1 200 OK\r\nServer: nx\r\nContent-Length: 2000\r\n\r\n";
        assert_eq!(counted_size(&[head, &*body].concat()), 2060);
    }
}

//! URLs: percent-decoding, and the normalisers of `http-request normalize-uri` (RFC 3986 §6.2.2), with HAProxy 2.6's
//! results. All write to `out`, which need not be empty; none looks at scheme or authority.

/// A percent sign without two hexadecimal digits, where the strict form was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPercent;

impl std::fmt::Display for InvalidPercent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("invalid percent-encoded sequence")
    }
}

impl std::error::Error for InvalidPercent {}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// The byte that the sequence at the start of `bytes` stands for.
fn sequence(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [b'%', high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

/// Decodes `%xx`, as HAProxy's `url_dec`. A `+` becomes a space behind the first `?`, or everywhere with `in_form`.
///
/// # Errors
/// A percent sign without two hexadecimal digits; `out` then holds what came before it.
pub fn decode(text: &[u8], in_form: bool, out: &mut Vec<u8>) -> Result<(), InvalidPercent> {
    let mut plus = in_form;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'%' => {
                out.push(sequence(&text[at..]).ok_or(InvalidPercent)?);
                at += 2;
            }
            b'+' if plus => out.push(b' '),
            _ => {
                plus |= byte == b'?';
                out.push(byte);
            }
        }
        at += 1;
    }
    Ok(())
}

/// Upper-cases the digits of percent sequences (`percent-to-uppercase`); `text` is path and query.
///
/// # Errors
/// With `strict`, an invalid sequence; else it stays as it is.
pub fn percent_to_uppercase(text: &[u8], strict: bool, out: &mut Vec<u8>) -> Result<(), InvalidPercent> {
    sequences(text, strict, out, |_, digits, out| {
        out.push(b'%');
        out.extend(digits.map(|digit| digit.to_ascii_uppercase()));
    })
}

/// Decodes the sequences of letters, digits, `-`, `.`, `_` and `~` (`percent-decode-unreserved`); `text` is path and query.
///
/// # Errors
/// With `strict`, an invalid sequence; else it stays as it is.
pub fn percent_decode_unreserved(text: &[u8], strict: bool, out: &mut Vec<u8>) -> Result<(), InvalidPercent> {
    sequences(text, strict, out, |byte, digits, out| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend(digits);
        }
    })
}

fn sequences(
    text: &[u8],
    strict: bool,
    out: &mut Vec<u8>,
    each: impl Fn(u8, [u8; 2], &mut Vec<u8>),
) -> Result<(), InvalidPercent> {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        match sequence(rest) {
            Some(byte) => {
                each(byte, [rest[1], rest[2]], out);
                rest = &rest[3..];
            }
            None if strict => return Err(InvalidPercent),
            None => {
                out.push(b'%');
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Merges slashes that stand side by side (`path-merge-slashes`).
pub fn merge_slashes(path: &[u8], out: &mut Vec<u8>) {
    let mut after_slash = false;
    for &byte in path {
        if byte != b'/' || !after_slash {
            out.push(byte);
        }
        after_slash = byte == b'/';
    }
}

/// Segments of a path, each with whether a slash follows it.
fn segments(path: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    path.split_inclusive(|&byte| byte == b'/').map(|segment| match segment.strip_suffix(b"/") {
        Some(name) => (name, true),
        None => (segment, false),
    })
}

/// Takes `.` segments out of a path that starts with a slash (`path-strip-dot`); another path stays as it is.
pub fn strip_dot(path: &[u8], out: &mut Vec<u8>) {
    let Some(rest) = path.strip_prefix(b"/") else {
        out.extend_from_slice(path);
        return;
    };
    out.push(b'/');
    for (name, slash) in segments(rest) {
        if name != b"." {
            out.extend_from_slice(name);
            if slash {
                out.push(b'/');
            }
        }
    }
}

/// Merges `..` segments of a path with the segment before (`path-strip-dotdot`). Those at the start stay, or go with
/// `full`. A path that does not start with a slash stays as it is.
pub fn strip_dotdot(path: &[u8], full: bool, out: &mut Vec<u8>) {
    let Some(rest) = path.strip_prefix(b"/") else {
        out.extend_from_slice(path);
        return;
    };
    out.push(b'/');
    let start = out.len();
    // Segments in `out` that a `..` can take back; those that stayed `..` stand before them all.
    let mut depth = 0usize;
    for (name, slash) in segments(rest) {
        if name != b".." {
            out.extend_from_slice(name);
            if slash {
                out.push(b'/');
                depth += 1;
            }
        } else if depth > 0 {
            depth -= 1;
            out.pop();
            let cut = memchr::memrchr(b'/', &out[start..]).map_or(start, |at| start + at + 1);
            out.truncate(cut);
        } else if !full {
            out.extend_from_slice(b"../");
        }
    }
}

/// Sorts the parameters of a query (between `&`) by name, shorter names first, equal names in their order
/// (`query-sort-by-name`). A `&` at the end goes.
pub fn sort_query(query: &[u8], out: &mut Vec<u8>) {
    let query = query.strip_suffix(b"&").unwrap_or(query);
    let mut parameters: Vec<&[u8]> = query.split(|&byte| byte == b'&').collect();
    parameters.sort_by_key(|parameter| parameter.split(|&byte| byte == b'=').next().unwrap_or_default());
    for (index, parameter) in parameters.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(parameter);
    }
}

/// The URI without its fragment (`fragment-strip`).
pub fn strip_fragment(uri: &[u8]) -> &[u8] {
    &uri[..memchr::memchr(b'#', uri).unwrap_or(uri.len())]
}

/// Writes `#` as `%23` (`fragment-encode`).
pub fn encode_fragment(uri: &[u8], out: &mut Vec<u8>) {
    for &byte in uri {
        match byte {
            b'#' => out.extend_from_slice(b"%23"),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    // All the pairs below were recorded from HAProxy 2.6.12.

    #[test]
    fn dots_go_as_in_haproxy() {
        for (path, expected) in [
            ("/a/./b", "/a/b"),
            ("/./", "/"),
            ("/.", "/"),
            ("/a/.", "/a/"),
            ("/..", "/.."),
            ("/a/.b", "/a/.b"),
            ("/a./b", "/a./b"),
            ("/././a", "/a"),
            ("./a", "./a"),
            ("/a/././", "/a/"),
        ] {
            assert_eq!(text(|out| strip_dot(path.as_bytes(), out)), expected, "{path}");
        }
    }

    #[test]
    fn parents_go_as_in_haproxy() {
        for (path, expected) in [
            ("/a/../b", "/b"),
            ("/../a", "/../a"),
            ("/a/..", "/"),
            ("/a/b/../../c", "/c"),
            ("/..", "/../"),
            ("/../../a", "/../../a"),
            ("/a/../../b", "/../b"),
            ("/a/..b", "/a/..b"),
            ("/a..//../x", "/a../x"),
            ("/a//../b", "/a/b"),
            ("/a/.../b", "/a/.../b"),
            ("/a/../", "/"),
            ("/a/b/..", "/a/"),
            ("/a/b/c/../../d/../e", "/a/e"),
        ] {
            assert_eq!(text(|out| strip_dotdot(path.as_bytes(), false, out)), expected, "{path}");
        }
        for (path, expected) in [
            ("/../a", "/a"),
            ("/..", "/"),
            ("/../../a", "/a"),
            ("/a/../../b", "/b"),
            ("/a/../..", "/"),
            ("/../", "/"),
            ("/a/b/../../../..", "/"),
        ] {
            assert_eq!(text(|out| strip_dotdot(path.as_bytes(), true, out)), expected, "{path}, full");
        }
    }

    #[test]
    fn slashes_merge() {
        for (path, expected) in [("/a//b///c", "/a/b/c"), ("//", "/"), ("/a//", "/a/"), ("/a", "/a")] {
            assert_eq!(text(|out| merge_slashes(path.as_bytes(), out)), expected, "{path}");
        }
    }

    #[test]
    fn percent_sequences_are_decoded_or_upper_cased() {
        for (path, expected) in [
            ("/%41%42", "/AB"),
            ("/%2d%7e%5f%2e", "/-~_."),
            ("/%2f%20", "/%2f%20"),
            ("/%zz", "/%zz"),
            ("/%4", "/%4"),
            ("/%41?%61=%3d", "/A?a=%3d"),
            ("/%%36%36", "/%66"),
        ] {
            let ours = text(|out| percent_decode_unreserved(path.as_bytes(), false, out).unwrap());
            assert_eq!(ours, expected, "{path}");
        }
        for (path, expected) in
            [("/%2f%c3%a9", "/%2F%C3%A9"), ("/%zz", "/%zz"), ("/%4", "/%4"), ("/%%aa", "/%%AA")]
        {
            let ours = text(|out| percent_to_uppercase(path.as_bytes(), false, out).unwrap());
            assert_eq!(ours, expected, "{path}");
        }
        for path in ["/%zz", "/%4", "/%"] {
            assert_eq!(percent_to_uppercase(path.as_bytes(), true, &mut Vec::new()), Err(InvalidPercent));
            assert_eq!(
                percent_decode_unreserved(path.as_bytes(), true, &mut Vec::new()),
                Err(InvalidPercent)
            );
        }
    }

    #[test]
    fn parameters_sort_by_name() {
        for (query, expected) in [
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1&b", "a=2&a=1&b"),
            ("", ""),
            ("a=1&", "a=1"),
            ("&a", "&a"),
            ("ab=1&a=1", "a=1&ab=1"),
            ("a&a=1", "a&a=1"),
            ("b=1;a=2", "b=1;a=2"),
            ("a-=1&a=2", "a=2&a-=1"),
            ("c&b&a#x", "a#x&b&c"),
        ] {
            assert_eq!(text(|out| sort_query(query.as_bytes(), out)), expected, "{query}");
        }
    }

    #[test]
    fn urls_are_decoded_as_by_url_dec() {
        let decoded = |input: &str, in_form| {
            let mut out = Vec::new();
            decode(input.as_bytes(), in_form, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(decoded("a+b?c+d", false).as_deref(), Ok("a+b?c d"));
        assert_eq!(decoded("a+b?c+d", true).as_deref(), Ok("a b?c d"));
        assert_eq!(decoded("a%20b", false).as_deref(), Ok("a b"));
        assert_eq!(decoded("%zz", false), Err(InvalidPercent));
        assert_eq!(decoded("%4", false), Err(InvalidPercent));
    }

    #[test]
    fn fragments_go_or_are_encoded() {
        assert_eq!(strip_fragment(b"/a?b#c#d"), b"/a?b");
        assert_eq!(text(|out| encode_fragment(b"/a#b?c#d", out)), "/a%23b?c%23d");
    }
}

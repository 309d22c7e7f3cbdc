//! Parameters in URLs and in form bodies: `name=value` between delimiters. Owns the search; never decodes.

/// Value of the first parameter of that name in `uri`: searched behind the first `delimiter` (usually `?`), and ended by
/// `&`, `;` or another `delimiter`, as HAProxy's `url_param(name,delimiter)`. Without `=` a parameter is not found.
pub fn parameter<'a>(uri: &'a [u8], name: &[u8], delimiter: u8) -> Option<&'a [u8]> {
    let start = memchr::memchr(delimiter, uri)? + 1;
    find(&uri[start..], name, delimiter)
}

/// Value of the first parameter of that name in a body of type `application/x-www-form-urlencoded`, or in a query.
pub fn form_parameter<'a>(form: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    find(form, name, b'&')
}

fn find<'a>(text: &'a [u8], name: &[u8], delimiter: u8) -> Option<&'a [u8]> {
    let mut rest = text;
    loop {
        let end = memchr::memchr3(b'&', b';', delimiter, rest).unwrap_or(rest.len());
        let pair = &rest[..end];
        if let Some([b'=', value @ ..]) = pair.strip_prefix(name) {
            return Some(value);
        }
        rest = rest.get(end + 1..)?;
    }
}

/// All parameters of a query or form, in order: name, and value where there is a `=`.
pub fn parameters(text: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    text.split(|byte| matches!(byte, b'&' | b';')).filter(|pair| !pair.is_empty()).map(|pair| {
        match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], Some(&pair[at + 1..])),
            None => (pair, None),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// URI, `urlp(a)` and `urlp(a,;)` in HAProxy 2.6.12; empty for none.
    const FOUND: &[(&str, &str, &str)] = &[
        ("/?a=1", "1", ""),
        ("/?b=2&a=1", "1", ""),
        ("/?b=2;a=1", "1", "1"),
        ("/?a", "", ""),
        ("/?a=", "", ""),
        ("/?aa=1&a=2", "2", ""),
        ("/?A=1", "", ""),
        ("/p;a=1?a=2", "2", "1?a=2"),
        ("/p;a=1", "", "1"),
        ("/?x=?a=1", "1", ""),
        ("/?a=1?b", "1", ""),
        ("/?&&a=1", "1", ""),
        ("/?a==1", "=1", ""),
        ("/?a=1#x", "1#x", ""),
        ("/?a%3d1&a=2", "2", ""),
        ("/a=1", "", ""),
        ("/?b=a=1", "", ""),
        ("/;b=1;a=2/x?a=3", "3", "2/x?a=3"),
        ("/?a=%41+b", "%41+b", ""),
    ];

    #[test]
    fn parameters_are_found_where_haproxy_finds_them() {
        for &(uri, query, path) in FOUND {
            let found = |delimiter| parameter(uri.as_bytes(), b"a", delimiter).unwrap_or_default();
            assert_eq!(found(b'?'), query.as_bytes(), "{uri}");
            assert_eq!(found(b';'), path.as_bytes(), "{uri} with ;");
        }
    }

    #[test]
    fn forms_are_searched_from_the_start() {
        assert_eq!(form_parameter(b"a=1&b=2", b"a"), Some(&b"1"[..]));
        assert_eq!(form_parameter(b"a=1&b=2", b"b"), Some(&b"2"[..]));
        assert_eq!(form_parameter(b"a=1&b=2", b"c"), None);
        let all: Vec<_> = parameters(b"a=1&&b;c=").collect();
        let expected: [(&[u8], Option<&[u8]>); 3] = [(b"a", Some(b"1")), (b"b", None), (b"c", Some(b""))];
        assert_eq!(all, expected);
    }
}

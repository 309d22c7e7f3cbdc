//! Cookies in `Cookie` and `Set-Cookie` lines (RFC 6265), read as tolerantly as HAProxy reads them. Owns where names and
//! values stand, and the removal and replacement of one cookie; never decides which server a value means.

use crate::head::Head;
use crate::scan::trim;

/// One cookie of a `Cookie` line. Offsets count from the start of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie<'a> {
    pub name: &'a [u8],
    /// As it stands, quotes included; empty when there is no `=`.
    pub value: &'a [u8],
    /// Where the value starts.
    pub value_at: usize,
    /// The delimiter before the cookie, if it is not the first.
    before: Option<usize>,
    /// The delimiter behind the cookie, or the end of the line.
    after: usize,
}

/// Iterator over the cookies of one `Cookie` line. They are delimited by `;` or `,`; blanks around names and values are
/// skipped; delimiters inside double quotes do not count.
#[derive(Clone, Debug)]
pub struct Cookies<'a> {
    line: &'a [u8],
    at: usize,
    before: Option<usize>,
}

impl<'a> Cookies<'a> {
    /// Cookies of `line`.
    pub fn new(line: &'a [u8]) -> Cookies<'a> {
        Cookies { line, at: 0, before: None }
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn skip_blanks(line: &[u8], from: usize) -> usize {
    from + line[from..].iter().take_while(|&&byte| is_blank(byte)).count()
}

/// The delimiter that ends the value at `from`, or the end of the line.
fn value_end(line: &[u8], from: usize) -> usize {
    let mut quoted = false;
    let mut at = from;
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b';' | b',' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    line.len()
}

impl<'a> Iterator for Cookies<'a> {
    type Item = Cookie<'a>;

    fn next(&mut self) -> Option<Cookie<'a>> {
        let line = self.line;
        if self.at > line.len() || (self.at == line.len() && self.before.is_none()) {
            return None;
        }
        let start = skip_blanks(line, self.at);
        let name_end = line[start..].iter().position(|byte| matches!(byte, b'=' | b';' | b','));
        let name_end = name_end.map_or(line.len(), |length| start + length);
        let (value_at, after) = match line.get(name_end) {
            Some(b'=') => {
                let value_at = skip_blanks(line, name_end + 1);
                (value_at, value_end(line, value_at))
            }
            Some(_) | None => (name_end, name_end),
        };
        let cookie = Cookie {
            name: trim(&line[start..name_end]),
            value: trim(&line[value_at..after]),
            value_at,
            before: self.before,
            after,
        };
        self.before = Some(after);
        self.at = after + 1;
        Some(cookie)
    }
}

/// Writes `line` without the cookies of that name, and without the `$` attributes that follow each; returns how many
/// there were. Of the delimiters around a removed cookie the one before stays, with one space behind.
pub fn remove_from_line(line: &[u8], name: &[u8], out: &mut Vec<u8>) -> usize {
    let mut removed = 0;
    // Start of what is kept and not yet written.
    let mut kept = 0;
    // Inside a run of removed cookies: the delimiter before the first of them.
    let mut run: Option<Option<usize>> = None;
    for cookie in Cookies::new(line) {
        // Without `=` it is text that happens to be there, not a cookie of ours.
        let hit = cookie.name == name && line[..cookie.value_at].trim_ascii_end().ends_with(b"=");
        removed += usize::from(hit);
        let remove = hit || (run.is_some() && cookie.name.first() == Some(&b'$'));
        match (run, remove) {
            (None, true) => {
                let end = cookie.before.unwrap_or(0).max(kept);
                out.extend_from_slice(trim_end(&line[kept..end]));
                run = Some(cookie.before);
            }
            (Some(before), false) => {
                if let Some(before) = before {
                    out.extend_from_slice(&[line[before], b' ']);
                }
                kept = skip_blanks(line, cookie.before.map_or(0, |before| before + 1));
                run = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    if run.is_none() {
        out.extend_from_slice(&line[kept..]);
    }
    removed
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().rev().take_while(|&&byte| is_blank(byte)).count();
    &bytes[..bytes.len() - blanks]
}

/// A cookie of a `Set-Cookie` line. Offsets count from the start of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetCookie<'a> {
    pub name: &'a [u8],
    /// As it stands, quotes included.
    pub value: &'a [u8],
    /// Where the value starts.
    pub value_at: usize,
    /// What follows the value and its `;`.
    attributes: &'a [u8],
}

impl<'a> SetCookie<'a> {
    /// The first cookie of the line; None when it has no `=`.
    pub fn parse(line: &'a [u8]) -> Option<SetCookie<'a>> {
        let cookie = Cookies::new(line).next()?;
        let behind_equals = cookie.value_at > 0 && line[..cookie.value_at].contains(&b'=');
        let attributes = line.get(cookie.after + 1..).unwrap_or_default();
        let Cookie { name, value, value_at, .. } = cookie;
        behind_equals.then_some(SetCookie { name, value, value_at, attributes })
    }

    /// The attributes: name and value (empty when there is no `=`), trimmed.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.attributes.split(|&byte| byte == b';').map(|attribute| {
            let equals = attribute.iter().position(|&byte| byte == b'=').unwrap_or(attribute.len());
            (trim(&attribute[..equals]), trim(attribute.get(equals + 1..).unwrap_or_default()))
        })
    }

    /// An attribute's value, by name in any case.
    pub fn attribute(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.attributes().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Head {
    /// Request: values of all cookies of that name (case-sensitive), in order. Empty values are left out, as in HAProxy's
    /// `req.cook` (which gives the last one).
    pub fn cookies<'h>(&'h self, name: &[u8]) -> impl Iterator<Item = &'h [u8]> {
        self.lines(b"cookie")
            .flat_map(Cookies::new)
            .filter(move |cookie| cookie.name == name && !cookie.value.is_empty())
            .map(|cookie| cookie.value)
    }

    /// Request: takes all cookies of that name out; lines that become empty go away. Returns how many there were.
    pub fn remove_cookie(&mut self, name: &[u8]) -> usize {
        let mut removed = 0;
        self.replace_lines(b"cookie", &mut |line, out| {
            let here = remove_from_line(line, name, out);
            removed += here;
            here > 0
        });
        if removed > 0 {
            self.retain(|kind, _, value| kind != crate::FieldKind::Cookie || !value.is_empty());
        }
        removed
    }

    /// Request: offers the value of each cookie of that name; where `edit` returns Some, it takes the value's place.
    /// Returns how many changed.
    pub fn edit_cookie(&mut self, name: &[u8], edit: impl Fn(&[u8]) -> Option<&[u8]>) -> usize {
        let mut changed = 0;
        self.replace_lines(b"cookie", &mut |line, out| {
            let mut copied = 0;
            for cookie in Cookies::new(line).filter(|cookie| cookie.name == name) {
                if let Some(value) = edit(cookie.value) {
                    out.extend_from_slice(&line[copied..cookie.value_at]);
                    out.extend_from_slice(value);
                    copied = cookie.value_at + cookie.value.len();
                    changed += 1;
                }
            }
            out.extend_from_slice(&line[copied..]);
            copied > 0
        });
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `req.cook(a)` gave in HAProxy 2.6.12 (the last value, empty for none).
    const READ: &[(&str, &str)] = &[
        ("b=2; a=1", "1"),
        ("b=2;a=1;c=3", "1"),
        ("b=2, a=1", "1"),
        ("a = 1 ; b=2", "1"),
        ("a=\"x;y\"; b=2", "\"x;y\""),
        ("a=\"x,y\"; b", "\"x,y\""),
        ("a=", ""),
        ("a", ""),
        ("a;b=1", ""),
        ("aa=1; a=2", "2"),
        ("A=1", ""),
        (" a=1", "1"),
        ("a=1;a=2", "2"),
        ("$Version=1; a=1; $Path=/", "1"),
        ("b=\"a=1\"; c", ""),
        ("a==1", "=1"),
        ("a=1=2", "1=2"),
        ("a=x y z; b", "x y z"),
        ("b=2;;a=1", "1"),
        ("b=2; ;a=1", "1"),
        ("=a; a=1", "1"),
        ("b=\"open; a=1", ""),
        ("b=x\"; a=1", ""),
        ("a=\"x\\\"y\"; b", "\"x\\\"y\""),
        ("b = \"q,r\" , a=3", "3"),
        ("a=1;", "1"),
    ];

    #[test]
    fn cookies_are_read_as_haproxy_reads_them() {
        for &(line, expected) in READ {
            let found =
                Cookies::new(line.as_bytes()).filter(|c| c.name == b"a" && !c.value.is_empty()).last();
            assert_eq!(found.map_or(&b""[..], |c| c.value), expected.as_bytes(), "{line}");
        }
    }

    /// What servers got from HAProxy 2.6.12 with `cookie S insert indirect`; empty: no line.
    const REMOVED: &[(&str, &str)] = &[
        ("S=s1", ""),
        ("a=1; S=s1", "a=1"),
        ("S=s1; a=1", "a=1"),
        ("a=1; S=s1; b=2", "a=1; b=2"),
        ("a=1;S=s1;b=2", "a=1; b=2"),
        ("a=1 ; S=s1 ; b=2", "a=1; b=2"),
        ("a=1, S=s1, b=2", "a=1, b=2"),
        ("a=1; S=s1;", "a=1; "),
        ("S=s1;", ""),
        ("; S=s1", ""),
        ("a=1;; S=s1;;b=2", "a=1;; ;b=2"),
        ("S = s1; a=1", "a=1"),
        ("a=1; S=\"s1\"; b=2", "a=1; b=2"),
        ("S=s1; S=s1; a", "a"),
        ("S=s1;  a=1", "a=1"),
        ("a=1; S=; b=2", "a=1; b=2"),
        ("a; S=s1; b", "a; b"),
        ("$Version=1; S=s1; $Path=/; a=1; $Path=/x", "$Version=1; a=1; $Path=/x"),
        ("a=1; b=\"; S=s1\"", "a=1; b=\"; S=s1\""),
    ];

    #[test]
    fn removal_leaves_what_haproxy_leaves() {
        for &(line, expected) in REMOVED {
            let mut out = Vec::new();
            remove_from_line(line.as_bytes(), b"S", &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn a_cookie_is_replaced_where_it_stands() {
        let mut head = Head::new();
        head.start_request(b"GET", b"/", crate::Version::Http11);
        head.add(b"Cookie", b"a=1; S = s1~v ; b");
        let changed = head.edit_cookie(b"S", |value| value.strip_prefix(b"s1~"));
        assert_eq!((changed, head.get(b"cookie")), (1, Some(&b"a=1; S = v ; b"[..])));
        assert_eq!(head.remove_cookie(b"S"), 1);
        assert_eq!(head.get(b"cookie"), Some(&b"a=1; b"[..]));
    }

    #[test]
    fn set_cookie_has_a_first_cookie_and_attributes() {
        let cookie = SetCookie::parse(b"S = v ; Path=/x; HttpOnly ;Max-Age=3").unwrap();
        assert_eq!((cookie.name, cookie.value, cookie.value_at), (&b"S"[..], &b"v"[..], 4));
        assert_eq!(cookie.attribute(b"path"), Some(&b"/x"[..]));
        assert_eq!(cookie.attribute(b"httponly"), Some(&b""[..]));
        assert_eq!(cookie.attribute(b"max-age"), Some(&b"3"[..]));
        assert_eq!(cookie.attribute(b"secure"), None);
        assert_eq!(SetCookie::parse(b"S"), None);
        assert_eq!(SetCookie::parse(b"S=").map(|c| c.value), Some(&b""[..]));
        assert_eq!(SetCookie::parse(b"S=v, T=w").map(|c| c.value), Some(&b"v"[..]));
    }
}

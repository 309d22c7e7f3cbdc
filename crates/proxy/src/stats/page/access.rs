//! Who may see the page, and whose form may change something. Never sends anything.

use http::Head;
use http::base64::basic_credentials;

/// Whether the request carries one of the `user:password` pairs; without pairs everybody may look.
pub fn is_authorized(request: &Head, pairs: &[(String, String)]) -> bool {
    if pairs.is_empty() {
        return true;
    }
    let mut decoded = Vec::new();
    let Some((user, password)) =
        request.get(b"authorization").and_then(|value| basic_credentials(value, &mut decoded))
    else {
        return false;
    };
    // Every pair is compared, whatever matched before: time tells nothing about which user exists.
    pairs.iter().fold(false, |found, (known_user, known_password)| {
        let same_user = equal(user, known_user.as_bytes());
        let same_password = equal(password, known_password.as_bytes());
        found | (same_user & same_password)
    })
}

/// Compares in time that depends on the length only.
fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Whether a posted form may come from the page itself. A browser says which site a form comes from; a form of another
/// site is somebody else acting in the user's name. Scripts send none of these fields and pass.
/// See docs/decisions/0007-statistics-page-forms.md.
pub fn is_own_form(request: &Head) -> bool {
    if let Some(site) = request.get(b"sec-fetch-site")
        && !matches!(site, b"same-origin" | b"none")
    {
        return false;
    }
    let host = request.get(b"host").unwrap_or_default();
    match (request.get(b"origin"), request.get(b"referer")) {
        (Some(origin), _) => authority(origin).is_some_and(|from| same_place(from, host)),
        (None, Some(referer)) => authority(referer).is_some_and(|from| same_place(from, host)),
        (None, None) => true,
    }
}

/// Host and port of an absolute URL, and its default port; `null` and other texts have none.
fn authority(url: &[u8]) -> Option<(&[u8], &'static [u8])> {
    let (rest, port) = if let Some(rest) = strip_scheme(url, b"http://") {
        (rest, &b":80"[..])
    } else {
        (strip_scheme(url, b"https://")?, &b":443"[..])
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = &rest[..end];
    // What stands before an `@` is a user name, and no place.
    let start = memchr::memrchr(b'@', authority).map_or(0, |at| at + 1);
    (start < end).then_some((&authority[start..], port))
}

fn strip_scheme<'a>(url: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let start = url.get(..scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| &url[scheme.len()..])
}

fn same_place((from, default_port): (&[u8], &[u8]), host: &[u8]) -> bool {
    let bare = |name: &[u8]| name.strip_suffix(default_port).unwrap_or(name).to_ascii_lowercase();
    !host.is_empty() && bare(from) == bare(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::page::testing::request;

    // row: 147
    #[test]
    fn any_of_the_pairs_opens_the_page() {
        let pairs = [("a".to_owned(), "b".to_owned()), ("haadmin".to_owned(), "123456".to_owned())];
        let open = |value: &str| is_authorized(&request("GET", "/s", &[("Authorization", value)]), &pairs);
        assert!(
            ["Basic YTpi", "basic YTpi", "BASIC  YTpi", "Basic aGFhZG1pbjoxMjM0NTY="].iter().all(|v| open(v))
        );
        for refused in ["Basic YTo=", "Basic YTpiOmM=", "Basic YTpi=", "Bearer YTpi", "Basic", "", "Basic !!"]
        {
            assert!(!open(refused), "{refused}");
        }
        // The user of one pair does not go with the password of another.
        assert!(!open("Basic YToxMjM0NTY="));
        assert!(!is_authorized(&request("GET", "/s", &[]), &pairs));
        assert!(is_authorized(&request("GET", "/s", &[]), &[]));
    }

    // row: 149
    #[test]
    fn forms_of_other_sites_are_refused_and_scripts_pass() {
        let own = |fields: &[(&str, &str)]| {
            let mut all = vec![("Host", "lb.example:9009")];
            all.extend_from_slice(fields);
            is_own_form(&request("POST", "/s", &all))
        };
        assert!(own(&[]));
        assert!(own(&[("Origin", "http://lb.example:9009"), ("Referer", "http://lb.example:9009/s")]));
        assert!(own(&[("Origin", "https://LB.example:9009"), ("Sec-Fetch-Site", "same-origin")]));
        assert!(own(&[("Referer", "http://lb.example:9009/s;up?scope=a")]));
        for foreign in [
            "http://evil.example",
            "http://lb.example",
            "http://lb.example:9009.evil",
            "null",
            "",
            "http://lb.example:9009@evil.example",
            "file:///",
            "http://",
        ] {
            assert!(!own(&[("Origin", foreign)]), "{foreign}");
            assert!(!own(&[("Referer", foreign)]), "{foreign}");
        }
        assert!(!own(&[("Sec-Fetch-Site", "cross-site")]));
        let standard = request("POST", "/s", &[("Host", "lb.example"), ("Origin", "https://lb.example:443")]);
        assert!(is_own_form(&standard), "the default port may be left out");
        assert!(
            !is_own_form(&request("POST", "/s", &[("Origin", "http://a")])),
            "without Host nothing matches"
        );
    }
}

//! Sample fetches and converters that HAProxy 2.6 knows and this program does not: named, with the reason.

/// Name or beginning of it, reason.
const REFUSED: &[(&str, &str)] = &[
    (
        "internal.htx",
        "messages have no such form here; see `internal.htx_blk.type`, `.start_line`, `.hdrname`, `.hdrval`",
    ),
    ("fcgi.", "there is no FastCGI; put an HTTP server in front of the application"),
];

/// Why a keyword is refused; `None`: it is no keyword of HAProxy either, as far as we know.
pub fn reason(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(refused, _)| name.starts_with(refused)).map(|(_, reason)| *reason)
}

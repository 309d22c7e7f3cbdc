//! Request methods that the proxy treats specially. Owns the mapping name ↔ kind; any other token is `Other`.

/// A request method, as far as its name changes what the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Options,
    Get,
    Head,
    Post,
    Put,
    Delete,
    Trace,
    Connect,
    /// Any other token; `Head::method` has its bytes.
    Other,
}

impl Method {
    /// The method of that exact name. Names are case-sensitive (RFC 9110 §9.1).
    #[inline]
    pub fn from_bytes(name: &[u8]) -> Method {
        match name {
            b"GET" => Method::Get,
            b"POST" => Method::Post,
            b"HEAD" => Method::Head,
            b"OPTIONS" => Method::Options,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            _ => Method::Other,
        }
    }

    /// Whether repeating the request changes nothing more than sending it once (RFC 9110 §9.2.2).
    pub fn is_idempotent(self) -> bool {
        match self {
            Method::Options | Method::Get | Method::Head | Method::Put | Method::Delete | Method::Trace => {
                true
            }
            Method::Post | Method::Connect | Method::Other => false,
        }
    }
}

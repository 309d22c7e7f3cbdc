//! What a message says of its connection (RFC 9110 §7.6.1, RFC 9112 §9.3), and how that is rewritten for the next hop.
//! Owns the tokens `close`, `keep-alive` and `upgrade`; never decides whether to close.

use super::{Head, Version};
use crate::kind::FieldKind;
use crate::list::Values;

/// What the `Connection` lines say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionTokens {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
}

fn speaks_of_one_hop(token: &[u8]) -> bool {
    token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"keep-alive")
}

impl Head {
    /// Tokens of all `Connection` lines.
    pub fn connection(&self) -> ConnectionTokens {
        let mut tokens = ConnectionTokens::default();
        if self.kinds & FieldKind::Connection.bit() == 0 {
            return tokens;
        }
        for field in self.fields.iter().filter(|field| field.kind == FieldKind::Connection) {
            for token in Values::new(self.value_of(field)) {
                tokens.close |= token.eq_ignore_ascii_case(b"close");
                tokens.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                tokens.upgrade |= token.eq_ignore_ascii_case(b"upgrade");
            }
        }
        tokens
    }

    /// Whether the sender lets the connection live on after this message (RFC 9112 §9.3). Says nothing about a body
    /// that ends by close.
    pub fn keeps_alive(&self) -> bool {
        let tokens = self.connection();
        match self.version {
            _ if tokens.close || self.body.must_close => false,
            Version::Http10 => tokens.keep_alive,
            Version::Http11 | Version::Http2 => true,
        }
    }

    /// The protocols asked for (or switched to), when both `Connection: upgrade` and `Upgrade` are there.
    pub fn upgrade(&self) -> Option<&[u8]> {
        let protocols = self.get_kind(FieldKind::Upgrade)?;
        self.connection().upgrade.then_some(protocols)
    }

    /// Whether this message asks for (or grants) a switch to WebSocket.
    pub fn upgrades_to_websocket(&self) -> bool {
        self.has(FieldKind::Upgrade)
            && self.values(b"upgrade").any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
            && self.connection().upgrade
    }

    /// Response: whether a 101 is one that HAProxy passes on: the request asked for an upgrade, this answers it with
    /// both fields, and a switch to WebSocket brings `Sec-WebSocket-Accept`. A 101 that is none is answered with 502.
    pub fn is_valid_switch(&self, request_asked: bool) -> bool {
        let accepted = self.get_kind(FieldKind::WebSocketAccept).is_some_and(|accept| !accept.is_empty());
        request_asked && self.upgrade().is_some() && (accepted || !self.upgrades_to_websocket())
    }

    /// Takes `close` and `keep-alive` out of the `Connection` lines, which speak of one connection only; a line that
    /// has nothing else goes away. The other tokens stay, in order.
    pub fn strip_connection_tokens(&mut self) {
        if self.kinds & FieldKind::Connection.bit() == 0 {
            return;
        }
        // The usual lines are just one of the two tokens: no rewriting.
        self.retain(|kind, _, value| {
            kind != FieldKind::Connection
                || !Values::new(value).all(|token| token.is_empty() || speaks_of_one_hop(token))
        });
        self.replace_lines(b"connection", &mut |line, out| {
            if !Values::new(line).any(speaks_of_one_hop) {
                return false;
            }
            for token in Values::new(line).filter(|token| !speaks_of_one_hop(token)) {
                if !out.is_empty() {
                    out.push(b',');
                }
                out.extend_from_slice(token);
            }
            true
        });
    }

    /// Request: leaves nothing of `TE` but `trailers`, as HAProxy does before it sends a request on: other codings
    /// would be between the client and us.
    pub fn filter_te(&mut self) {
        if self.kinds & FieldKind::Te.bit() == 0 {
            return;
        }
        let trailers = |value: &[u8]| Values::new(value).any(|token| token.eq_ignore_ascii_case(b"trailers"));
        self.retain(|kind, _, value| kind != FieldKind::Te || trailers(value));
        self.replace_lines(b"te", &mut |value, out| {
            out.extend_from_slice(b"trailers");
            value != b"trailers"
        });
    }

    /// Request, going to a server: says whether its connection is to live on, in the words that HAProxy uses:
    /// HTTP/1.1 says `close` or nothing, HTTP/1.0 says `keep-alive` or nothing. An upgrade says neither.
    pub fn set_request_connection(&mut self, keep_alive: bool) {
        self.strip_connection_tokens();
        match self.version {
            _ if keep_alive && self.upgrade().is_some() => {}
            Version::Http10 if keep_alive => self.add(b"connection", b"keep-alive"),
            Version::Http11 | Version::Http2 if !keep_alive => self.add(b"connection", b"close"),
            Version::Http10 | Version::Http11 | Version::Http2 => {}
        }
    }

    /// Response, going to a client that sent a request of `request_version`: says whether the client's connection is
    /// to live on. `keep-alive` is said when either side is HTTP/1.0, `close` only in an HTTP/1.1 response.
    pub fn set_response_connection(&mut self, keep_alive: bool, request_version: Version) {
        self.strip_connection_tokens();
        let old = self.version == Version::Http10 || request_version == Version::Http10;
        if keep_alive && old {
            self.add(b"connection", b"keep-alive");
        } else if !keep_alive && self.version != Version::Http10 {
            self.add(b"connection", b"close");
        }
    }
}

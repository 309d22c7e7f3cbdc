//! The checkers of real servers: when each runs, what it says on the wire, and what its results mean. Pure; sockets and
//! programs are the runner's.

mod dns;
mod http;
mod machine;
mod smtp;
mod udp;

pub use dns::DnsExchange;
pub use http::HttpExchange;
pub use machine::{Machine, Verdict};
pub use smtp::SmtpExchange;
pub use udp::UdpExchange;

/// What an exchange wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Send(Vec<u8>),
    /// More bytes, or the end of the stream.
    Wait,
    Passed,
    Failed(Fault),
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// In keepalived's words.
    Answer(String),
    /// The stream has ended before it, or says too much.
    Closed,
    /// Nothing has come in time.
    Silent,
    /// A part of it has come in time.
    Half,
}

impl Fault {
    fn answer(words: &str) -> Self {
        Self::Answer(words.to_owned())
    }
}

/// The conversation of one check over one connection.
#[derive(Debug)]
pub enum Exchange<'a> {
    /// Being connected is all.
    Tcp,
    Http(Box<HttpExchange<'a>>),
    Smtp(SmtpExchange),
    Dns(DnsExchange),
    Udp(UdpExchange),
}

impl Exchange<'_> {
    /// The connection is there; of UDP, the socket.
    pub fn connected(&mut self) -> Next {
        match self {
            Self::Tcp => Next::Passed,
            Self::Http(exchange) => exchange.connected(),
            // The server speaks first.
            Self::Smtp(_) => Next::Wait,
            Self::Dns(exchange) => Next::Send(exchange.query()),
            Self::Udp(exchange) => Next::Send(exchange.payload()),
        }
    }

    pub fn received(&mut self, bytes: &[u8]) -> Next {
        match self {
            Self::Tcp => Next::Passed,
            Self::Http(exchange) => exchange.received(bytes),
            Self::Smtp(exchange) => exchange.received(bytes),
            Self::Dns(exchange) => exchange.received(bytes),
            Self::Udp(exchange) => exchange.received(bytes),
        }
    }

    /// The stream has ended.
    pub fn ended(&mut self) -> Next {
        match self {
            Self::Tcp => Next::Passed,
            Self::Http(exchange) => exchange.ended(),
            Self::Smtp(exchange) => exchange.ended(),
            Self::Dns(_) | Self::Udp(_) => Next::Failed(Fault::Closed),
        }
    }

    /// Nothing came in time.
    pub fn timed_out(&mut self) -> Next {
        match self {
            Self::Udp(exchange) => exchange.timed_out(),
            Self::Http(exchange) => exchange.timed_out(),
            Self::Tcp | Self::Smtp(_) | Self::Dns(_) => Next::Failed(Fault::Silent),
        }
    }
}

//! The TLS machine of one connection: rustls' unbuffered connection, driven. Owns no buffer, so that an idle
//! connection costs its keys and little more.

use crate::suites;
use crate::verify::{self, Outcome};
use rules::tls::{Secrets, TlsFacts};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{ClientConfig, CommonState, Error, HandshakeKind, ServerConfig};
use std::ops::Deref;
use std::sync::Arc;

/// Bytes that a record adds to its plaintext at most: header, nonce of TLS 1.2, content type, tag.
const RECORD_OVERHEAD: usize = 5 + 8 + 1 + 16;

/// Plaintext of one record at most (RFC 8446 §5.1).
pub const RECORD_MAX: usize = 16 * 1024;

/// One side of a TLS connection.
pub struct Session {
    side: Side,
    /// Filled while the handshake runs.
    heard: Heard,
    peer_closed: bool,
    close_sent: bool,
}

enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What is picked up along the handshake.
#[derive(Default)]
struct Heard {
    outcome: Option<Outcome>,
    secrets: Option<Box<Secrets>>,
    randoms: [Option<[u8; 32]>; 2],
    session_id: Box<[u8]>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("is_handshaking", &self.is_handshaking())
            .finish_non_exhaustive()
    }
}

/// Where plaintext goes: into the caller's buffer, and what does not fit behind it.
pub struct Plain<'a> {
    pub buffer: &'a mut [u8],
    pub filled: usize,
    pub overflow: &'a mut Vec<u8>,
}

impl Plain<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let fits =
            if self.overflow.is_empty() { bytes.len().min(self.buffer.len() - self.filled) } else { 0 };
        self.buffer[self.filled..self.filled + fits].copy_from_slice(&bytes[..fits]);
        self.filled += fits;
        self.overflow.extend_from_slice(&bytes[fits..]);
    }

    fn is_full(&self) -> bool {
        self.filled == self.buffer.len()
    }
}

/// What came of some records.
#[derive(Debug, Default)]
pub struct Received {
    /// Bytes of the records that are done with; the others must be given again, with more behind them.
    pub used: usize,
    /// It stopped because the plaintext's buffer is full: whole records may be left.
    pub full: bool,
    /// The connection failed; an alert for the peer may be among the bytes to send.
    pub error: Option<Error>,
}

/// The two kinds of connection, which rustls keeps apart by type.
trait Machine: Deref<Target: Deref<Target = CommonState>> {
    type Data;
    fn process<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Machine for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    fn process<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(records)
    }
}

impl Machine for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    fn process<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(records)
    }
}

/// Takes records until they are used up, the plaintext's buffer is full, or the connection fails.
fn receive<M: Machine>(
    machine: &mut M,
    records: &mut [u8],
    plain: &mut Plain<'_>,
    out: &mut Vec<u8>,
    peer_closed: &mut bool,
) -> Received {
    let mut received = Received::default();
    loop {
        let UnbufferedStatus { discard, state, .. } = machine.process(&mut records[received.used..]);
        let mut over = false;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => plain.push(record.payload),
                        Err(error) => received.error = Some(error),
                    }
                }
                over = plain.is_full();
                received.full = over;
            }
            Ok(ConnectionState::EncodeTlsData(mut message)) => {
                let at = out.len();
                let encoded = loop {
                    match message.encode(&mut out[at..]) {
                        Err(EncodeError::InsufficientSize(size)) => out.resize(at + size.required_size, 0),
                        other => break other,
                    }
                };
                match encoded {
                    Ok(length) => out.truncate(at + length),
                    Err(_) => out.truncate(at),
                }
            }
            // The caller sends what is in `out` before anything else.
            Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
            Ok(ConnectionState::PeerClosed) => *peer_closed = true,
            Ok(
                ConnectionState::Closed
                | ConnectionState::BlockedHandshake
                | ConnectionState::WriteTraffic(_),
            ) => {
                over = true;
            }
            // Early data, which no configuration of ours accepts, and states of later versions of rustls.
            Ok(_) => over = true,
            Err(error) => received.error = Some(error),
        }
        received.used += discard;
        // After a failure only what waits to be sent is asked for, an alert among it: rustls must see no more records.
        if over || (received.error.is_some() && !machine.wants_write()) {
            return received;
        }
    }
}

/// Why nothing could be encrypted.
#[derive(Debug)]
pub enum SendError {
    /// The handshake is not done, or the connection failed or was closed.
    NotReady,
    /// Too much was sent under these keys.
    Exhausted,
}

/// What is written of a connection that is up.
enum Writing<'p> {
    Data(&'p [u8]),
    Close,
}

/// What sending came to.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Where the records end in the buffer.
    pub end: usize,
    /// Bytes of the held records that are done with.
    pub used: usize,
}

/// Writes records into `out`. `held` are records that wait for their end; plaintext that comes of them goes to
/// `plain`.
fn send<M: Machine>(
    machine: &mut M,
    held: &mut [u8],
    plain: &mut Vec<u8>,
    writing: &Writing<'_>,
    out: &mut Vec<u8>,
) -> Result<Sent, SendError> {
    let mut sent = Sent { end: 0, used: 0 };
    loop {
        let at = sent.end;
        let UnbufferedStatus { discard, state, .. } = machine.process(&mut held[sent.used..]);
        match state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                let needed = match writing {
                    Writing::Data(plain) => plain.len() + (plain.len() / RECORD_MAX + 1) * RECORD_OVERHEAD,
                    Writing::Close => 2 + RECORD_OVERHEAD,
                };
                if out.len() < at + needed {
                    out.resize(at + needed, 0);
                }
                sent.used += discard;
                loop {
                    let written = match writing {
                        Writing::Data(plain) => traffic.encrypt(plain, &mut out[at..]),
                        Writing::Close => traffic.queue_close_notify(&mut out[at..]),
                    };
                    match written {
                        Ok(length) => return Ok(Sent { end: at + length, ..sent }),
                        Err(EncryptError::InsufficientSize(size)) => out.resize(at + size.required_size, 0),
                        Err(EncryptError::EncryptExhausted) => return Err(SendError::Exhausted),
                    }
                }
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(Ok(record)) = traffic.next_record() {
                    plain.extend_from_slice(record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut message)) => loop {
                match message.encode(&mut out[at..]) {
                    Ok(length) => {
                        sent.end = at + length;
                        break;
                    }
                    Err(EncodeError::InsufficientSize(size)) => out.resize(at + size.required_size, 0),
                    Err(EncodeError::AlreadyEncoded) => break,
                }
            },
            Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
            Ok(ConnectionState::PeerClosed) => {}
            Ok(_) | Err(_) => return Err(SendError::NotReady),
        }
        sent.used += discard;
    }
}

impl Session {
    /// The side that accepted.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn server(config: Arc<ServerConfig>) -> Result<Session, Error> {
        UnbufferedServerConnection::new(config).map(|connection| Session::new(Side::Server(connection)))
    }

    /// The side that connected. `name` is sent as SNI when the configuration says so.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Session, Error> {
        UnbufferedClientConnection::new(config, name).map(|connection| Session::new(Side::Client(connection)))
    }

    fn new(side: Side) -> Session {
        Session { side, heard: Heard::default(), peer_closed: false, close_sent: false }
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Server(connection) => connection,
            Side::Client(connection) => connection,
        }
    }

    pub fn is_handshaking(&self) -> bool {
        self.common().is_handshaking()
    }

    /// The peer said that it sends no more.
    pub fn is_peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// The protocol that both agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.common().alpn_protocol()
    }

    /// Decrypts and follows the handshake. `out` gets what must be sent.
    pub fn receive(&mut self, records: &mut [u8], plain: &mut Plain<'_>, out: &mut Vec<u8>) -> Received {
        let handshaking = self.is_handshaking();
        let sent = out.len();
        if handshaking && let Side::Client(_) = self.side {
            self.heard.listen(records, 1);
        }
        let received = match &mut self.side {
            Side::Server(connection) => receive(connection, records, plain, out, &mut self.peer_closed),
            Side::Client(connection) => receive(connection, records, plain, out, &mut self.peer_closed),
        };
        if handshaking {
            match self.side {
                Side::Server(_) => self.heard.listen(&out[sent..], 1),
                Side::Client(_) => self.heard.listen(&out[sent..], 0),
            }
            self.heard.outcome = verify::take_outcome().or(self.heard.outcome.take());
            if let Some(mut secrets) = verify::take_secrets() {
                self.heard.secrets.get_or_insert_default().0.append(&mut secrets.0);
            }
        }
        received
    }

    /// Encrypts `data` into `out`. `held` are bytes of the peer that [`Session::receive`] left; plaintext that comes of
    /// them is appended to `plain`.
    ///
    /// # Errors
    /// Nothing can be sent on this connection.
    pub fn encrypt(
        &mut self,
        held: &mut [u8],
        plain: &mut Vec<u8>,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Sent, SendError> {
        self.send(held, plain, &Writing::Data(data), out)
    }

    /// Writes the alert that ends our direction, once.
    ///
    /// # Errors
    /// Nothing can be sent on this connection, or it was closed before.
    pub fn close(
        &mut self,
        held: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Sent, SendError> {
        if std::mem::replace(&mut self.close_sent, true) {
            return Err(SendError::NotReady);
        }
        self.send(held, plain, &Writing::Close, out)
    }

    fn send(
        &mut self,
        held: &mut [u8],
        plain: &mut Vec<u8>,
        writing: &Writing<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Sent, SendError> {
        match &mut self.side {
            Side::Server(connection) => send(connection, held, plain, writing, out),
            Side::Client(connection) => send(connection, held, plain, writing, out),
        }
    }

    /// What is known now; whole once the handshake is done. What only a handshake needs is given away.
    pub fn take_facts(&mut self) -> TlsFacts {
        let heard = std::mem::take(&mut self.heard);
        let common = self.common();
        let (cipher, key_bits) =
            common.negotiated_cipher_suite().map_or((None, 0), |suite| suites::describe(suite.suite()));
        let peer = common
            .peer_certificates()
            .map(|chain| chain.iter().map(|certificate| certificate.to_vec()).collect());
        let outcome = heard.outcome.unwrap_or_default();
        TlsFacts {
            version: common.protocol_version().and_then(suites::version_name),
            cipher,
            key_bits,
            alpn: common.alpn_protocol().map(Into::into),
            is_resumed: matches!(common.handshake_kind(), Some(HandshakeKind::Resumed)),
            peer,
            verify: outcome.verify,
            ca_error: outcome.ca_error,
            ca_error_depth: outcome.ca_error_depth,
            certificate_error: outcome.certificate_error,
            client_random: heard.randoms[0],
            server_random: heard.randoms[1],
            session_id: heard.session_id,
            secrets: heard.secrets,
            ..TlsFacts::default()
        }
    }
}

impl Heard {
    /// Picks the random of a hello out of records in the clear: 0 of the client, 1 of the server.
    fn listen(&mut self, records: &[u8], side: usize) {
        const RANDOM: std::ops::Range<usize> = 11..43;
        /// RFC 8446 §4.1.3: this random says that the hello is a request for another one.
        const RETRY: [u8; 4] = [0xcf, 0x21, 0xad, 0x74];
        let kind = [1, 2][side];
        if let [22, 3, _, _, _, message, ..] = records
            && *message == kind
            && let Some(random) = records.get(RANDOM)
            && !random.starts_with(&RETRY)
        {
            self.randoms[side] = random.try_into().ok();
            let length = records.get(RANDOM.end).copied().map_or(0, usize::from);
            if let Some(id) = records.get(RANDOM.end + 1..RANDOM.end + 1 + length) {
                self.session_id = id.into();
            }
        }
    }
}

/// OpenSSL's number for a failure (library 20, "SSL routines"), where there is a counterpart; else the one of a failure
/// without reason.
pub fn error_code(error: &Error) -> u32 {
    const SSL: u32 = 20 << 23;
    const ALERT: u32 = 1000;
    let reason = match error {
        Error::AlertReceived(alert) => ALERT + u32::from(u8::from(*alert)),
        Error::PeerIncompatible(rustls::PeerIncompatible::NoCipherSuitesInCommon) => 193,
        Error::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOfferedOrEnabled) => 258,
        Error::PeerIncompatible(_) => 101,
        Error::NoCertificatesPresented => 199,
        Error::InvalidCertificate(_) => 134,
        Error::InvalidMessage(_) => 267,
        Error::DecryptError => 281,
        Error::NoApplicationProtocol => 235,
        _ => 1,
    };
    SSL | reason
}

//! Who is at the other end: greetings and answers on a socket.

use crate::net::{Stream, TlsStream};
use peers::{Greeting, GreetingError, Status};
use std::future::poll_fn;
use std::io;

/// Most bytes read before the handshake is over: the greeting, and what an eager instance sends behind it.
const HANDSHAKE_LEN_MAX: usize = 4096;

pub async fn read(stream: &mut Stream, into: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 1024];
    let received = poll_fn(|context| stream.poll_read(context, &mut buffer)).await?;
    if received == 0 || into.len() + received > HANDSHAKE_LEN_MAX {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    into.extend_from_slice(&buffer[..received]);
    Ok(())
}

pub async fn write(stream: &mut Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = poll_fn(|context| stream.poll_write(context, bytes)).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

/// Speaks TLS over the stream from here on.
///
/// # Errors
/// The socket's, or that of a handshake that failed.
pub async fn encrypt(stream: Stream, session: tls::Session) -> io::Result<Stream> {
    let mut secured = TlsStream::new(stream);
    secured.begin(session, &[]);
    poll_fn(|context| secured.poll_handshake(context)).await?;
    Ok(Stream::Tls(Box::new(secured)))
}

/// Greets, and gives the answer with the bytes that came behind it.
///
/// # Errors
/// The socket's, or `InvalidData`: no answer of this protocol.
pub async fn greet(stream: &mut Stream, greeting: &Greeting) -> io::Result<(Status, Vec<u8>)> {
    write(stream, greeting.to_string().as_bytes()).await?;
    let mut received = Vec::new();
    loop {
        match Status::parse(&received) {
            Ok(Some((status, len))) => {
                received.drain(..len);
                return Ok((status, received));
            }
            Ok(None) => read(stream, &mut received).await?,
            Err(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Reads a greeting, and gives it with the bytes that came behind it. Who makes no sense is told so.
///
/// # Errors
/// The socket's, or `InvalidData`: no greeting of this protocol.
pub async fn be_greeted(stream: &mut Stream) -> io::Result<(Greeting, Vec<u8>)> {
    let mut received = Vec::new();
    loop {
        match Greeting::parse(&received) {
            Ok((greeting, len)) => {
                received.drain(..len);
                return Ok((greeting, received));
            }
            Err(GreetingError::Incomplete) => read(stream, &mut received).await?,
            Err(GreetingError::Refused(status)) => {
                write(stream, status.line().as_bytes()).await?;
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }
}

//! One client that sends a stream of messages.

use super::Endpoint;
use super::frame::{self, Frame};
use crate::net::{Stream, TlsStream};
use crate::proxy_protocol::{self, Parsed};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Bytes read before a PROXY header is over, at most.
const PROXY_HEADER_LENGTH_MAX: usize = 4096;
/// What a client may take for its PROXY header and its TLS handshake, where no `timeout client` says less.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes messages until the client ends, says nothing for too long, or something that is no message.
pub async fn serve(endpoint: Rc<Endpoint>, stream: Stream, tls: Option<Arc<tls::Listener>>) {
    let patience = endpoint.section().settings().timeout_client;
    let greeting = tokio::time::timeout(patience.unwrap_or(GREETING_TIMEOUT), greet(&endpoint, stream, tls));
    let Ok(Ok((mut stream, mut bytes))) = greeting.await else { return };
    let mut received = vec![0; endpoint.section().message_length_max()];
    loop {
        let section = endpoint.section();
        let length_max = section.message_length_max();
        let mut taken = 0;
        loop {
            match frame::first(&bytes[taken..], length_max) {
                Frame::Message { message, consumed } => {
                    section.forward(message);
                    taken += consumed;
                }
                Frame::Partial => break,
                Frame::Broken => return,
            }
        }
        bytes.drain(..taken);
        let read = poll_fn(|context| stream.poll_read(context, &mut received));
        let read = match section.settings().timeout_client {
            Some(patience) => tokio::time::timeout(patience, read).await,
            None => Ok(read.await),
        };
        match read {
            // At most one message that has no end yet and one read are kept.
            Ok(Ok(length)) if length > 0 => bytes.extend_from_slice(&received[..length]),
            Ok(Ok(_) | Err(_)) | Err(_) => return,
        }
    }
}

/// The PROXY header, then TLS, where the line asks for them. Gives what came behind.
async fn greet(
    endpoint: &Endpoint,
    mut stream: Stream,
    tls: Option<Arc<tls::Listener>>,
) -> io::Result<(Stream, Vec<u8>)> {
    let mut bytes = Vec::new();
    let (accepts, magic) = endpoint.expects();
    if let Some(magic) = magic {
        skip_header(&mut stream, &mut bytes, |bytes| proxy_protocol::parse_netscaler(bytes, magic)).await?;
    }
    if accepts {
        skip_header(&mut stream, &mut bytes, proxy_protocol::parse).await?;
    }
    let Some(listener) = tls else { return Ok((stream, bytes)) };
    let config = listener.any().ok_or(io::ErrorKind::NotConnected)?;
    let session = tls::Session::server(config).map_err(io::Error::other)?;
    let mut secured = TlsStream::new(stream);
    secured.begin(session, &bytes);
    poll_fn(|context| secured.poll_handshake(context)).await?;
    Ok((Stream::Tls(Box::new(secured)), Vec::new()))
}

/// Who the client is for a proxy before us changes nothing about its messages.
async fn skip_header<E>(
    stream: &mut Stream,
    bytes: &mut Vec<u8>,
    parse: impl for<'a> Fn(&'a [u8]) -> Result<Parsed<'a>, E>,
) -> io::Result<()> {
    loop {
        let consumed = match parse(bytes) {
            Ok(Parsed::Complete { consumed, .. }) => Some(consumed),
            Ok(Parsed::Partial) => None,
            Err(_) => return Err(io::ErrorKind::InvalidData.into()),
        };
        if let Some(consumed) = consumed {
            bytes.drain(..consumed);
            return Ok(());
        }
        let mut received = [0; 1024];
        let length = poll_fn(|context| stream.poll_read(context, &mut received)).await?;
        if length == 0 || bytes.len() + length > PROXY_HEADER_LENGTH_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&received[..length]);
    }
}

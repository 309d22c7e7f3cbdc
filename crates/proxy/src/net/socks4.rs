//! The greeting of a SOCKS4 proxy (`socks4`, `check-via-socks4`): asks it to connect to the server.

use super::Stream;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
/// What the proxy may log as the user; HAProxy's word.
const USER: &[u8] = b"HAProxy\0";
const REPLY_LENGTH: usize = 8;
const GRANTED: u8 = 90;

/// # Errors
/// The address is no IPv4 address, the proxy refuses, or the connection breaks.
pub async fn ask(stream: &mut Stream, target: SocketAddr) -> io::Result<()> {
    let request = request(target)?;
    let mut sent = 0;
    poll_fn(|context| {
        while sent < request.len() {
            match stream.poll_write(context, &request[sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => sent += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    })
    .await?;
    let mut reply = [0; REPLY_LENGTH];
    let mut filled = 0;
    poll_fn(|context| {
        while filled < REPLY_LENGTH {
            match stream.poll_read(context, &mut reply[filled..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Ok(count)) => filled += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    })
    .await?;
    if reply[..2] == [0, GRANTED] { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
}

fn request(target: SocketAddr) -> io::Result<Vec<u8>> {
    let IpAddr::V4(address) = target.ip() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "SOCKS4 knows IPv4 only"));
    };
    let mut bytes = vec![VERSION, CONNECT];
    bytes.extend_from_slice(&target.port().to_be_bytes());
    bytes.extend_from_slice(&address.octets());
    bytes.extend_from_slice(USER);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_names_port_address_and_user() {
        let bytes = request("10.1.2.3:443".parse().unwrap()).unwrap();
        assert_eq!(bytes, b"\x04\x01\x01\xbb\x0a\x01\x02\x03HAProxy\0");
        assert!(request("[::1]:443".parse().unwrap()).is_err());
    }
}

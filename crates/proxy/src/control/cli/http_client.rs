//! `httpclient METHOD URI [PAYLOAD]`: one request from inside the process, its response as it came.

use super::session::{Outcome, Reply, Session, word};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The whole conversation.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a response that are shown.
const RESPONSE_MAX: u64 = 1 << 20;

const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 107\r\ncache-control: no-cache\r\n\
    content-type: text/html\r\n\r\n<html><body><h1>503 Service Unavailable</h1>\n\
    No server is available to handle this request.\n</body></html>\n";

/// Where a request goes, and how it begins.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// `name:port`.
    authority: String,
    host: String,
    path: String,
}

pub fn run(session: &mut Session, words: &[&str]) -> Outcome {
    let (method, uri) = (word(words, 1), word(words, 2));
    if method.is_empty() || uri.is_empty() {
        return Err(Reply::error("Can't start the HTTP client: not enough parameters.\n"));
    }
    let is_method = http::is_token_bytes(method.as_bytes());
    let target =
        target(uri).filter(|_| is_method).ok_or_else(|| Reply::error("Can't start the HTTP client.\n"))?;
    let body = session.payload.clone().unwrap_or_else(|| word(words, 3).to_owned());
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let request = format!(
        "{method} {} HTTP/1.1\r\nuser-agent: HAProxy/{}\r\nhost: {}\r\n{length}connection: close\r\n\r\n{body}",
        target.path,
        haproxy_config::COMPATIBLE_VERSION,
        target.host,
    );
    Ok(Reply::Later(Box::pin(async move {
        let asked = tokio::time::timeout(PATIENCE, ask(&target.authority, &request)).await;
        Reply::Dump(match asked {
            Ok(Ok(response)) if !response.is_empty() => shown(&String::from_utf8_lossy(&response)),
            Ok(_) | Err(_) => shown(UNAVAILABLE),
        })
    })))
}

/// As HAProxy shows it: the status line ends as lines of the runtime API do.
fn shown(response: &str) -> String {
    response.replacen("\r\n", "\n", 1)
}

async fn ask(authority: &str, request: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(authority).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    stream.take(RESPONSE_MAX).read_to_end(&mut response).await?;
    Ok(response)
}

/// `None`: no `http://` address. Encrypted ones are not asked.
fn target(uri: &str) -> Option<Target> {
    let rest = uri.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let is_clean = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if host.is_empty() || !is_clean(host) || !is_clean(path) {
        return None;
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if has_port { host.to_owned() } else { format!("{host}:80") };
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(Target { authority, host: host.to_owned(), path: format!("{slash}{path}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let found = target("http://a.example/x?y").unwrap();
        assert_eq!((found.authority.as_str(), found.path.as_str()), ("a.example:80", "/x?y"));
        assert_eq!(target("http://[::1]:8080").unwrap().authority, "[::1]:8080");
        assert_eq!(target("http://a?q=1").unwrap().path, "/?q=1");
        for refused in ["bad", "https://a/", "http://", "http://a b/"] {
            assert_eq!(target(refused), None, "{refused}");
        }
    }
}

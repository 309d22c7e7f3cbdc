//! The strands, asked over their sockets.

use super::arguments::{Arguments, ProxySocket};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// What an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of an answer at most: ten thousand servers.
const ANSWER_LENGTH_MAX: u64 = 32 << 20;

/// Asks the proxy's runtime API.
///
/// # Errors
/// It does not answer, or not in time.
pub async fn proxy(arguments: &Arguments, command: &str) -> io::Result<String> {
    match &arguments.proxy {
        ProxySocket::Stats(path) => ask(path, command).await,
        ProxySocket::Master(path) => ask(path, &format!("@1 {command}")).await,
    }
}

/// Sends one line; all that comes back.
///
/// # Errors
/// As for [`proxy`].
pub async fn ask(path: &Path, command: &str) -> io::Result<String> {
    let conversation = async {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_LENGTH_MAX).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(PATIENCE, conversation).await.map_err(|_| io::ErrorKind::TimedOut)?
}

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
        // One that has a single answer may give it and close before it reads the question, which then is a broken pipe
        // here, or a reset behind the answer.
        let asked = stream.write_all(format!("{command}\n").as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let read = stream.take(ANSWER_LENGTH_MAX).read_to_end(&mut answer).await;
        if answer.is_empty() {
            asked.and(read)?;
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(PATIENCE, conversation).await.map_err(|_| io::ErrorKind::TimedOut)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixListener;

    #[test]
    fn an_answer_counts_though_its_giver_never_read_the_question() {
        let path = std::env::temp_dir().join(format!("hawser-sources-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a socket");
        // The client has asked when the other side answers, and closes without a look.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let giver = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            std::thread::sleep(Duration::from_millis(100));
            client.write_all(b"{}\n").expect("it reads");
        });
        assert_eq!(runtime.block_on(ask(&path, "status")).expect("an answer"), "{}\n");
        giver.join().expect("no panic");
        assert!(runtime.block_on(ask(&path, "status")).is_err(), "nobody listens any more");
        std::fs::remove_file(&path).expect("it is ours");
    }
}

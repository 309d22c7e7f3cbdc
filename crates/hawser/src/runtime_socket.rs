//! One question to a process of ours at its UNIX socket: a line, and everything that comes back.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Bytes of an answer at most: statistics of a large proxy, ten thousand real servers.
const ANSWER_LENGTH_MAX: u64 = 64 << 20;

/// # Errors
/// Nobody is there, or it says nothing for `patience`.
pub fn ask(socket: &Path, command: &str, patience: Duration) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    // A master goes on listening otherwise.
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.take(ANSWER_LENGTH_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

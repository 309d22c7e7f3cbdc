//! The pid file: one decimal number, one newline. It stays when the process ends, as HAProxy's does.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes our process id, replacing what is there.
///
/// # Errors
/// What the file system says.
pub fn write(path: &Path) -> io::Result<()> {
    // Removed first: a link that somebody put there is not followed.
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    writeln!(file, "{}", std::process::id())
}

//! What a thread sees of the file system.

use std::io;

/// Gives the calling thread its own root and working directory, so that a later `chroot` by another thread of this
/// process does not concern it. Needs no privilege.
///
/// # Errors
/// What `unshare(2)` says.
pub fn keep_own_root() -> io::Result<()> {
    // SAFETY: CLONE_FS unshares root, working directory and umask of this thread alone. It touches no memory and no
    // descriptor; that threads then disagree about the root is what the caller asks for.
    if unsafe { libc::unshare(libc::CLONE_FS) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

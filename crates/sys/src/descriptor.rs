//! Descriptors that were handed to us by number.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

/// Descriptors that [`take`] has given out: each has one owner in the life of the process.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// A duplicate (close-on-exec) of an open descriptor, known by number.
///
/// # Errors
/// `EBADF` when the number is not open.
pub fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the borrow lasts for this one call of F_DUPFD_CLOEXEC, which only reads the descriptor table; a number
    // that is not open, or that another thread closes meanwhile, gives EBADF or a duplicate of what is there.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(rustix::io::fcntl_dupfd_cloexec(borrowed, 3)?)
}

/// Takes ownership of an inherited descriptor, once, and marks it close-on-exec.
///
/// # Errors
/// `EBADF` when the number is not open, `AlreadyExists` when it was taken before.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.contains(&number) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("descriptor {number} is taken already"),
        ));
    }
    // Checks that it is open, without owning anything yet.
    drop(duplicate(number)?);
    taken.push(number);
    // SAFETY: the number is open, and the list above makes this the only place and time that ownership of it is
    // created from a number. Callers pass numbers from the command line, environment or configuration: descriptors
    // that the process that started us left open, which nothing else here owns.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC)?;
    Ok(owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    #[test]
    fn a_descriptor_is_taken_once() {
        let number = std::net::TcpListener::bind("127.0.0.1:0").expect("binds").into_raw_fd();
        let _owned = take(number).expect("taken");
        assert_eq!(take(number).expect_err("twice").kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_number_that_is_not_open_is_refused() {
        assert_eq!(take(9_999).expect_err("closed").raw_os_error(), Some(libc::EBADF));
        assert_eq!(duplicate(-1).expect_err("negative").raw_os_error(), Some(libc::EBADF));
    }
}

//! Signals as something to read. They are blocked in every thread and come out of a descriptor, so that no code ever
//! runs inside a handler.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

pub use rustix::process::Signal;

/// A descriptor that signals are read from.
#[derive(Debug)]
pub struct SignalReader {
    descriptor: OwnedFd,
}

/// Blocks `signals` for the calling thread and for all that it starts later, and opens a reader for them. Call it
/// first in `main`: a signal to a process goes to any thread that does not block it.
///
/// Programs started by `std::process::Command` inherit the mask: see [`crate::process::unblock_signals`].
///
/// # Errors
/// What `pthread_sigmask(3)` or `signalfd(2)` say.
pub fn read_instead_of_handling(signals: &[Signal]) -> io::Result<SignalReader> {
    read_set(signal_set(signals))
}

/// As [`read_instead_of_handling`], by number: real-time signals have no names.
///
/// # Errors
/// What `pthread_sigmask(3)` or `signalfd(2)` say.
pub fn read_numbers_instead_of_handling(numbers: &[i32]) -> io::Result<SignalReader> {
    read_set(number_set(numbers.iter().copied()))
}

fn read_set(set: libc::sigset_t) -> io::Result<SignalReader> {
    // SAFETY: `set` is a live, initialised signal set; a null old set is allowed.
    let status = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
    if status != 0 {
        return Err(io::Error::from_raw_os_error(status));
    }
    // SAFETY: -1 asks for a new descriptor; `set` is live and initialised.
    let descriptor = unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us alone.
    Ok(SignalReader { descriptor: unsafe { OwnedFd::from_raw_fd(descriptor) } })
}

/// Gives `signals` their default effect again in the calling thread: for ending as the signal would have.
///
/// # Errors
/// What `pthread_sigmask(3)` says.
pub fn unblock(signals: &[Signal]) -> io::Result<()> {
    let set = signal_set(signals);
    // SAFETY: as in `read_instead_of_handling`.
    let status = unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut()) };
    if status == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(status)) }
}

/// Ends this process by `signal`, as its default action does; returns only if something handles or ignores it.
pub fn end_by(signal: Signal) {
    // A failure leaves the caller to exit with a code instead, which it does anyway.
    let _ = unblock(&[signal]);
    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
}

/// Sends a signal by number: real-time signals have no names.
///
/// # Errors
/// What `kill(2)` says.
pub fn send_number(process: rustix::process::Pid, number: i32) -> io::Result<()> {
    // SAFETY: takes integers only; a positive process id names one process.
    let status = unsafe { libc::kill(process.as_raw_pid(), number) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn signal_set(signals: &[Signal]) -> libc::sigset_t {
    number_set(signals.iter().map(|signal| signal.as_raw()))
}

fn number_set(numbers: impl Iterator<Item = i32>) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set it is given, and cannot fail for a valid pointer.
    let mut set = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    };
    for number in numbers {
        // SAFETY: `set` is initialised; a number that is no signal is refused and changes nothing.
        unsafe { libc::sigaddset(&mut set, number) };
    }
    set
}

impl SignalReader {
    /// The next pending signal, if there is one. Never waits: poll the descriptor for readability first.
    ///
    /// # Errors
    /// What `read(2)` says, except "nothing there".
    pub fn next(&self) -> io::Result<Option<Signal>> {
        Ok(self.next_number()?.and_then(Signal::from_named_raw))
    }

    /// As [`SignalReader::next`], by number.
    ///
    /// # Errors
    /// The same.
    pub fn next_number(&self) -> io::Result<Option<i32>> {
        let mut information = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.descriptor, &mut information) {
            // `ssi_signo` is the first field, in native byte order.
            Ok(length) if length == information.len() => {
                let number =
                    i32::from_ne_bytes([information[0], information[1], information[2], information[3]]);
                Ok(Some(number))
            }
            Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for SignalReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_is_read_once() {
        // In a thread of its own, and to that thread: other tests see nothing of it.
        std::thread::spawn(|| {
            let reader = read_instead_of_handling(&[Signal::USR2]).expect("opens");
            assert_eq!(reader.next().expect("reads"), None);
            // SAFETY: sends a signal to this thread, which blocks it.
            unsafe { libc::raise(libc::SIGUSR2) };
            assert_eq!(reader.next().expect("reads"), Some(Signal::USR2));
            assert_eq!(reader.next().expect("reads"), None);
        })
        .join()
        .expect("no panic");
    }
}

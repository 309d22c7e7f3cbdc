//! What a thread with deadlines needs of the kernel: a real-time scheduling class, memory that stays in place, a page
//! shared with its own successor.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Schedules the calling thread by SCHED_RR at `priority` (1..=99); threads it starts later are ordinary again.
///
/// # Errors
/// What `sched_setscheduler(2)` says: `EPERM` without CAP_SYS_NICE.
pub fn schedule_round_robin(priority: u8) -> io::Result<()> {
    schedule_round_robin_of(None, priority)
}

/// The same for another thread; `None`: the calling one.
///
/// # Errors
/// As above; `ESRCH` when there is no such thread.
pub fn schedule_round_robin_of(thread: Option<rustix::thread::Pid>, priority: u8) -> io::Result<()> {
    let thread = thread.map_or(0, |thread| thread.as_raw_nonzero().get());
    // SAFETY: all zero bytes are a valid sched_param.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority.into();
    const SCHED_RESET_ON_FORK: libc::c_int = 0x4000_0000;
    // SAFETY: a number, of which 0 is the calling thread; the parameters are live.
    let status = unsafe {
        libc::sched_setscheduler(thread, libc::SCHED_RR | SCHED_RESET_ON_FORK, &raw const parameters)
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The nice value of the calling thread, -20..=19.
///
/// # Errors
/// What `setpriority(2)` says.
pub fn set_nice(nice: i8) -> io::Result<()> {
    Ok(rustix::process::setpriority_process(None, nice.into())?)
}

/// Keeps every page that the process has, and touches from now on, in memory.
///
/// # Errors
/// What `mlockall(2)` says: `ENOMEM` or `EPERM` when the limit is too low.
pub fn lock_memory() -> io::Result<()> {
    // On fault: pages that are never touched (thread stacks, reserved heaps) cost nothing.
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: takes an integer only.
    if unsafe { libc::mlockall(flags) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A file of `words` 64-bit words in shared memory: written without a system call, read by whoever opens the file
/// after us, even when we ended by SIGKILL.
#[derive(Debug)]
pub struct SharedWords {
    address: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the memory is shared by design and only touched through atomics.
unsafe impl Send for SharedWords {}
// SAFETY: as above.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Maps the file, which is made `words` long.
    ///
    /// # Errors
    /// What `ftruncate(2)` or `mmap(2)` say.
    pub fn map(file: &File, words: usize) -> io::Result<Self> {
        let length = words * size_of::<u64>();
        file.set_len(length as u64)?;
        // SAFETY: a new shared mapping at an address of the kernel's choice; the file has that length. Should somebody
        // truncate the file later, touching the mapping ends the process; the file is ours and mode 0600.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Self { address, words })
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words, "word {index} of {}", self.words);
        // SAFETY: inside of the mapping (just checked), aligned (mappings are, by page), and alive as long as self.
        unsafe { self.address.add(index).as_ref() }
    }

    /// Panics when there is no such word.
    pub fn load(&self, index: usize) -> u64 {
        self.word(index).load(Ordering::Acquire)
    }

    /// Panics when there is no such word.
    pub fn store(&self, index: usize, value: u64) {
        self.word(index).store(value, Ordering::Release);
    }

    pub fn len(&self) -> usize {
        self.words
    }

    pub fn is_empty(&self) -> bool {
        self.words == 0
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `map` made; nothing borrows from it any more.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.words * size_of::<u64>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_seen_by_the_next_one_who_maps_the_file() {
        let path = std::env::temp_dir().join(format!("hawser-words-{}", std::process::id()));
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).expect("file");
        let words = SharedWords::map(&file, 4).expect("maps");
        words.store(3, 0x1234);
        let again = SharedWords::map(&file, 4).expect("maps");
        assert_eq!((again.load(3), again.load(0)), (0x1234, 0));
        std::fs::remove_file(path).expect("removed");
    }

    #[test]
    #[should_panic(expected = "word 1 of 1")]
    fn a_word_beyond_the_end_is_refused() {
        let path = std::env::temp_dir().join(format!("hawser-word-{}", std::process::id()));
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).expect("file");
        std::fs::remove_file(path).expect("removed");
        SharedWords::map(&file, 1).expect("maps").load(1);
    }
}

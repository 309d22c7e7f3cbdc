//! The process's own identity and rights: user, group, root directory, limits, CPUs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::CString;
use std::io;
use std::path::Path;

/// Which identity to drop to. `None` leaves that part as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Privileges {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// A step of [`drop_privileges`] or [`change_root`] that failed.
#[derive(Debug)]
pub struct StepError {
    /// The system call.
    pub step: &'static str,
    pub source: io::Error,
}

impl std::fmt::Display for StepError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.step, self.source)
    }
}

impl std::error::Error for StepError {}

fn checked(step: &'static str, result: libc::c_int) -> Result<(), StepError> {
    if result == 0 { Ok(()) } else { Err(StepError { step, source: io::Error::last_os_error() }) }
}

/// Sets group, then user, for every thread of the process; as root the supplementary groups go first.
///
/// # Errors
/// The step that failed. Groups may already have changed then: exit.
pub fn drop_privileges(wanted: &Privileges) -> Result<(), StepError> {
    let is_root = rustix::process::geteuid().is_root();
    if is_root && (wanted.gid.is_some() || wanted.uid.is_some()) {
        // SAFETY: a count of zero makes the kernel ignore the pointer. The C library applies it to all threads.
        checked("setgroups", unsafe { libc::setgroups(0, std::ptr::null()) })?;
    }
    if let Some(gid) = wanted.gid {
        // SAFETY: takes integers only. The C library's wrapper, unlike the raw call, applies it to all threads.
        checked("setgid", unsafe { libc::setgid(gid) })?;
    }
    if let Some(uid) = wanted.uid {
        // SAFETY: as for setgid.
        checked("setuid", unsafe { libc::setuid(uid) })?;
    }
    Ok(())
}

/// chroot, then `chdir("/")` so that no relative path leads out.
///
/// # Errors
/// The step that failed.
pub fn change_root(path: &Path) -> Result<(), StepError> {
    let failed = |step| move |errno: rustix::io::Errno| StepError { step, source: errno.into() };
    rustix::process::chroot(path).map_err(failed("chroot"))?;
    rustix::process::chdir("/").map_err(failed("chdir"))
}

/// The process may gain no rights by exec (set-user-id files are run without).
///
/// # Errors
/// What `prctl(2)` says.
pub fn forbid_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// No transparent huge pages for this process, and what it starts: a heap then takes the pages that are touched, not two
/// megabytes for each thread's first.
///
/// # Errors
/// What `prctl(2)` says.
pub fn keep_pages_small() -> io::Result<()> {
    let (on, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: takes integers only.
    let status = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, on, unused, unused, unused) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the program that `command` starts end by `signal` when the thread that starts it ends, however that ends.
pub fn tie_to_this_thread(command: &mut std::process::Command, signal: rustix::process::Signal) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec this makes one system call, and touches neither memory nor locks.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(signal)).map_err(std::io::Error::from)
        });
    }
}

/// Gives a program that is to be started the signals that this thread blocks: `Command` hands its mask on, and a program
/// with SIGTERM blocked neither ends when it is told to nor with the one that it is tied to.
pub fn unblock_signals(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec this makes one system call, and touches neither memory nor locks; the set is live
    // and made by sigemptyset, which cannot fail on it.
    unsafe {
        command.pre_exec(|| {
            let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            match libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) {
                0 => Ok(()),
                number => Err(io::Error::from_raw_os_error(number)),
            }
        });
    }
}

/// The kernel sends `signal` to this process when the thread that started it ends.
///
/// # Errors
/// What `prctl(2)` says.
pub fn die_with_parent(signal: rustix::process::Signal) -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(signal))?)
}

/// Open files: soft and hard limit; `None` is "no limit".
pub fn file_limits() -> (Option<u64>, Option<u64>) {
    let limit = getrlimit(Resource::Nofile);
    (limit.current, limit.maximum)
}

/// Sets the soft limit of open files, and the hard one too where it is lower (which needs root).
///
/// # Errors
/// What `setrlimit(2)` says.
pub fn set_file_limit(files: u64) -> io::Result<()> {
    let hard = getrlimit(Resource::Nofile).maximum.map(|hard| hard.max(files));
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum: hard })?)
}

/// Limits the address space (`-m`), in bytes.
///
/// # Errors
/// What `setrlimit(2)` says.
pub fn set_memory_limit(bytes: u64) -> io::Result<()> {
    Ok(setrlimit(Resource::As, Rlimit { current: Some(bytes), maximum: Some(bytes) })?)
}

/// CPUs that the calling thread may run on, ascending.
///
/// # Errors
/// What `sched_getaffinity(2)` says.
pub fn usable_cpus() -> io::Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Binds the calling thread to CPUs. Those beyond what the kernel's set holds are ignored.
///
/// # Errors
/// What `sched_setaffinity(2)` says: `EINVAL` when none of them exists.
pub fn bind_thread_to_cpus(cpus: &[u32]) -> io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    for cpu in cpus {
        let cpu = usize::try_from(*cpu).unwrap_or(usize::MAX);
        if cpu < rustix::thread::CpuSet::MAX_CPU {
            set.set(cpu);
        }
    }
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// Numeric ids of a user: (uid, its first group).
pub fn user_ids(name: &str) -> Option<(u32, u32)> {
    let name = CString::new(name).ok()?;
    let mut buffer = vec![0_u8; NAME_BUFFER_LENGTH];
    // SAFETY: all zero bytes are a valid `passwd` (integers and null pointers).
    let mut record: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: every pointer is to a live value of the right type, the buffer's length is its own, and the strings that
    // the record points to are not used after the buffer is gone.
    let status = unsafe {
        libc::getpwnam_r(name.as_ptr(), &mut record, buffer.as_mut_ptr().cast(), buffer.len(), &mut found)
    };
    (status == 0 && !found.is_null()).then_some((record.pw_uid, record.pw_gid))
}

/// Numeric id of a group.
pub fn group_id(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    let mut buffer = vec![0_u8; NAME_BUFFER_LENGTH];
    // SAFETY: all zero bytes are a valid `group` (integers and null pointers).
    let mut record: libc::group = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: as in `user_ids`.
    let status = unsafe {
        libc::getgrnam_r(name.as_ptr(), &mut record, buffer.as_mut_ptr().cast(), buffer.len(), &mut found)
    };
    (status == 0 && !found.is_null()).then_some(record.gr_gid)
}

/// Room for one line of the user or group database; longer ones (groups of thousands) are "not found".
const NAME_BUFFER_LENGTH: usize = 256 * 1024;

/// Lets go of the pages of programs and libraries that this process has mapped: what it still needs comes back from the
/// system's cache page by page, and what only its start needed does not. For a process that waits from now on; not for one
/// with deadlines.
///
/// # Errors
/// What `/proc/self/smaps` or `madvise(2)` say.
pub fn forget_code() -> std::io::Result<()> {
    let text = std::fs::read_to_string("/proc/self/smaps")?;
    let mut mapping: Option<(usize, usize)> = None;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((start, end)) = first.split_once('-') {
            let rights = words.next().unwrap_or_default();
            let is_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
            let range = usize::from_str_radix(start, 16).ok().zip(usize::from_str_radix(end, 16).ok());
            // Written never, and private: what the file has.
            mapping = range.filter(|_| is_file && matches!(rights, "r-xp" | "r--p"));
        } else if first == "Anonymous:"
            && words.next() == Some("0")
            && let Some((start, end)) = mapping.take()
        {
            let address = std::ptr::without_provenance_mut::<libc::c_void>(start);
            // SAFETY: a read-only mapping of a file without a page of its own: each page is read from the file again, with the
            // same bytes, when it is touched next.
            let status = unsafe { libc::madvise(address, end - start, libc::MADV_DONTNEED) };
            if status != 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_goes_on_when_its_code_was_forgotten() {
        let text = |number: u64| format!("{:?}", std::collections::BTreeMap::from([(number, "number")]));
        let before = text(7);
        forget_code().expect("it may");
        assert_eq!(text(7), before);
    }

    #[test]
    fn root_has_id_zero_and_nobody_knows_a_made_up_name() {
        assert_eq!(user_ids("root"), Some((0, 0)));
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(user_ids("no-such-user-here"), None);
        assert_eq!(group_id("a\0b"), None);
    }

    #[test]
    fn a_thread_can_be_bound_to_one_cpu_it_may_use() {
        let cpu = u32::try_from(usable_cpus().expect("affinity")[0]).expect("small");
        std::thread::spawn(move || {
            bind_thread_to_cpus(&[cpu]).expect("binds");
            assert_eq!(usable_cpus().expect("affinity"), [cpu as usize]);
        })
        .join()
        .expect("no panic");
    }

    /// What /proc tells of the signals that a program is started with blocked.
    fn blocked(change: impl FnOnce(&mut std::process::Command)) -> u64 {
        let mut command = std::process::Command::new("grep");
        command.args(["SigBlk", "/proc/self/status"]);
        change(&mut command);
        let output = command.output().expect("grep is there");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        u64::from_str_radix(text.split_whitespace().last().expect("a mask"), 16).expect("hexadecimal")
    }

    #[test]
    fn what_is_started_may_be_ended_though_we_read_our_signals() {
        // In a thread of its own: other tests see nothing of it.
        std::thread::spawn(|| {
            let signals = [rustix::process::Signal::TERM, rustix::process::Signal::HUP];
            let _reader = crate::signals::read_instead_of_handling(&signals).expect("opens");
            assert_ne!(blocked(|_| {}), 0, "or the next line shows nothing");
            assert_eq!(blocked(unblock_signals), 0);
        })
        .join()
        .expect("no panic");
    }
}

//! System call filters.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;
use std::io;

/// From now on the calling thread may make these system calls alone; any other fails with `EPERM`. Threads that run
/// already keep theirs.
///
/// # Errors
/// What `seccomp(2)` says; `Unsupported` on a processor that the filter does not know.
pub fn allow_only(calls: &[libc::c_long]) -> io::Result<()> {
    let rules: BTreeMap<i64, Vec<seccompiler::SeccompRule>> =
        calls.iter().map(|call| (*call, Vec::new())).collect();
    let processor = std::env::consts::ARCH.try_into();
    let processor = processor.map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter =
        SeccompFilter::new(rules, refused, SeccompAction::Allow, processor).map_err(io::Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
    seccompiler::apply_filter(&program).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confined_thread_opens_no_file_and_others_do() {
        std::thread::spawn(|| {
            let calls = [
                libc::SYS_write,
                libc::SYS_futex,
                libc::SYS_mmap,
                libc::SYS_munmap,
                libc::SYS_madvise,
                libc::SYS_rt_sigprocmask,
                libc::SYS_sigaltstack,
                libc::SYS_exit,
                libc::SYS_exit_group,
                libc::SYS_sched_yield,
                libc::SYS_gettid,
            ];
            allow_only(&calls).expect("filters");
            let refused = std::fs::File::open("/etc/hostname").expect_err("refused");
            assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
        })
        .join()
        .expect("no panic");
        assert!(std::fs::metadata("/etc").is_ok());
    }
}

//! System call filters.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::io;

/// From now on the calling thread may make these system calls alone; any other fails with `EPERM`. Threads that run
/// already keep theirs.
///
/// # Errors
/// What `seccomp(2)` says; `Unsupported` on a processor that the filter does not know.
pub fn allow_only(calls: &[libc::c_long]) -> io::Result<()> {
    let rules: BTreeMap<i64, Vec<SeccompRule>> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let program = program(rules, refused(), SeccompAction::Allow)?;
    seccompiler::apply_filter(&program).map_err(io::Error::other)
}

/// What a filter refuses beside calls that are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    Nothing,
    /// Starting programs, and whatever changes the file system: opening for writing, making, renaming, removing. Files
    /// that are open already are not concerned.
    ProgramsAndFiles,
}

/// From now on these system calls fail with `EPERM` in every thread of the process, and in every program that it starts.
/// Nobody gains rights by exec any more.
///
/// # Errors
/// What `seccomp(2)` says; `Unsupported` on a processor that the filter does not know.
pub fn refuse(calls: &[libc::c_long], beside: Beside) -> io::Result<()> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = calls.iter().map(|call| (*call, Vec::new())).collect();
    if beside == Beside::ProgramsAndFiles {
        let more = FILE_CHANGES.iter().chain(FILE_CHANGES_OF_OLD).chain(PROGRAMS);
        rules.extend(more.map(|call| (*call, Vec::new())));
        for (call, flags_at) in OPENS {
            rules.insert(*call, opens_to_change(*flags_at)?);
        }
    }
    let program = program(rules, SeccompAction::Allow, refused())?;
    seccompiler::apply_filter_all_threads(&program).map_err(io::Error::other)
}

/// `openat2` has its flags in memory, where a filter does not see them.
const FILE_CHANGES: &[libc::c_long] = &[
    libc::SYS_openat2,
    libc::SYS_truncate,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
];

/// Calls that newer processors do not have.
#[cfg(target_arch = "x86_64")]
const FILE_CHANGES_OF_OLD: &[libc::c_long] = &[
    libc::SYS_creat,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_renameat,
];
#[cfg(not(target_arch = "x86_64"))]
const FILE_CHANGES_OF_OLD: &[libc::c_long] = &[];

/// Calls that open a file, and which argument their flags are.
#[cfg(target_arch = "x86_64")]
const OPENS: &[(libc::c_long, u8)] = &[(libc::SYS_open, 1), (libc::SYS_openat, 2)];
#[cfg(not(target_arch = "x86_64"))]
const OPENS: &[(libc::c_long, u8)] = &[(libc::SYS_openat, 2)];

/// Calls that start a program.
#[cfg(target_arch = "x86_64")]
const PROGRAMS: &[libc::c_long] = &[libc::SYS_execve, libc::SYS_execveat, libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const PROGRAMS: &[libc::c_long] = &[libc::SYS_execve, libc::SYS_execveat];

/// One rule for each way in which flags may ask for more than reading.
fn opens_to_change(flags_at: u8) -> io::Result<Vec<SeccompRule>> {
    let access = libc::O_ACCMODE;
    let ways = [
        (access, libc::O_WRONLY),
        (access, libc::O_RDWR),
        (access, libc::O_ACCMODE),
        (libc::O_CREAT, libc::O_CREAT),
        (libc::O_TRUNC, libc::O_TRUNC),
    ];
    let rule = |(mask, value): (libc::c_int, libc::c_int)| {
        let masked = SeccompCmpOp::MaskedEq(u64::from(mask.cast_unsigned()));
        let value = u64::from(value.cast_unsigned());
        SeccompCondition::new(flags_at, SeccompCmpArgLen::Dword, masked, value)
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .map_err(io::Error::other)
    };
    ways.into_iter().map(rule).collect()
}

fn refused() -> SeccompAction {
    SeccompAction::Errno(libc::EPERM.cast_unsigned())
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> io::Result<BpfProgram> {
    let processor = std::env::consts::ARCH.try_into();
    let processor = processor.map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
    let filter = SeccompFilter::new(rules, otherwise, matched, processor).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
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

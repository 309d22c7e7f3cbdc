//! Changing the process's own environment, which is only sound while nothing else runs.

use std::ffi::OsStr;
use std::io;

/// Removes a variable, so that programs started later do not inherit it.
///
/// # Errors
/// `ResourceBusy` once the process has a second thread: the C library may read the environment at any time then.
pub fn remove(name: impl AsRef<OsStr>) -> io::Result<()> {
    require_one_thread()?;
    // SAFETY: this is the only thread of the process, so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
    Ok(())
}

/// Sets a variable. A name with `=` or NUL, or a value with NUL, is refused.
///
/// # Errors
/// `InvalidInput`; `ResourceBusy` as for [`remove`].
pub fn set(name: &str, value: &str) -> io::Result<()> {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    require_one_thread()?;
    // SAFETY: as for `remove`.
    unsafe { std::env::set_var(name, value) };
    Ok(())
}

fn require_one_thread() -> io::Result<()> {
    if std::fs::read_dir("/proc/self/task")?.count() == 1 {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "the process has more than one thread"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_keeps_its_environment() {
        // The test harness itself has a main thread besides this one.
        assert_eq!(set("HAWSER_TEST", "1").expect_err("refused").kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(set("A=B", "1").expect_err("refused").kind(), io::ErrorKind::InvalidInput);
    }
}

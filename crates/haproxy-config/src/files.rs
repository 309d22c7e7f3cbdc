//! Files that the configuration names, read up to a bound.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The first `length_max` bytes of a file.
///
/// # Errors
/// What the system says.
pub(crate) fn read_at_most(path: &Path, length_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(length_max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_end_is_read_to_the_bound() {
        assert_eq!(read_at_most(Path::new("/dev/zero"), 100).unwrap(), [0; 100]);
    }
}

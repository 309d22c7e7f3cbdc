//! Files with a number in them: watched by inotify, read when they change.

use keepalived_config::model::TrackFile;
use rustix::fs::inotify;
use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The longest number with its sign and blanks; the rest of a file is not read.
const TEXT_LENGTH_MAX: u64 = 64;

/// The watched files of one configuration.
#[derive(Debug)]
pub struct Files {
    watch: OwnedFd,
    /// By watch descriptor: directories, since editors replace files.
    directories: BTreeMap<i32, PathBuf>,
    files: Vec<(PathBuf, i64)>,
}

impl Files {
    /// Watches the files' directories. A file that is not there counts as 0.
    ///
    /// # Errors
    /// What inotify says.
    pub fn watch(wanted: &[TrackFile]) -> io::Result<Self> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let mut files = Self { watch, directories: BTreeMap::new(), files: Vec::new() };
        for file in wanted {
            if let Some(number) = file.initial
                && (file.overwrite || !file.path.exists())
            {
                std::fs::write(&file.path, format!("{number}\n"))?;
            }
            let directory = file.path.parent().unwrap_or(Path::new("/"));
            let events = inotify::WatchFlags::CLOSE_WRITE
                | inotify::WatchFlags::MOVED_TO
                | inotify::WatchFlags::MOVED_FROM
                | inotify::WatchFlags::DELETE
                | inotify::WatchFlags::CREATE;
            // A directory that is not there makes the file absent; a reload looks again.
            if let Ok(descriptor) = inotify::add_watch(&files.watch, directory, events) {
                files.directories.insert(descriptor, directory.to_owned());
            }
            files.files.push((file.path.clone(), read(&file.path)));
        }
        Ok(files)
    }

    /// The number of the file at that place of the configuration.
    pub fn value(&self, index: usize) -> i64 {
        self.files.get(index).map_or(0, |(_, value)| *value)
    }

    /// The numbers of all files, by place.
    pub fn values(&self) -> Vec<i64> {
        self.files.iter().map(|(_, value)| *value).collect()
    }

    /// Takes what inotify told. The places of the files whose number changed.
    pub fn changes(&mut self) -> Vec<usize> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(self.watch.as_fd(), &mut buffer);
        // Which file it was does not matter: reading a handful again costs less than telling them apart.
        while reader.next().is_ok() {}
        let mut changed = Vec::new();
        for (index, (path, value)) in self.files.iter_mut().enumerate() {
            let fresh = read(path);
            if fresh != *value {
                *value = fresh;
                changed.push(index);
            }
        }
        changed
    }
}

impl AsFd for Files {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

/// The number at the start of a file: 0 when there is none.
fn read(path: &Path) -> i64 {
    use std::io::Read;
    let Ok(file) = std::fs::File::open(path) else { return 0 };
    let mut text = String::new();
    if file.take(TEXT_LENGTH_MAX).read_to_string(&mut text).is_err() {
        return 0;
    }
    let text = text.trim_start();
    let end = text
        .char_indices()
        .find(|(at, character)| {
            let is_sign = *at == 0 && matches!(character, '-' | '+');
            !is_sign && !character.is_ascii_digit()
        })
        .map_or(text.len(), |(at, _)| at);
    text[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, initial: Option<i64>) -> TrackFile {
        let file = diag::Sources::default().add("keepalived.conf", Vec::new());
        TrackFile {
            name: "tf".to_owned(),
            span: diag::Span { file, start: 0, end: 0 },
            path: path.to_owned(),
            weight: 1,
            reverse: false,
            initial,
            overwrite: true,
        }
    }

    #[test]
    fn a_number_is_seen_when_it_is_written_replaced_or_removed() {
        let directory = std::env::temp_dir().join(format!("hawser-track-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("made");
        let path = directory.join("number");
        let mut files = Files::watch(&[file(&path, Some(5))]).expect("watches");
        assert_eq!(files.value(0), 5);
        std::fs::write(&path, "-7 and more\n").expect("written");
        assert_eq!(files.changes(), [0]);
        assert_eq!(files.value(0), -7);
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(files.changes(), [0]);
        assert_eq!((files.value(0), files.changes()), (0, vec![]));
        std::fs::remove_dir_all(directory).expect("removed");
    }
}

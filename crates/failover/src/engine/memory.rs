//! When each instance last spoke as master, in a file of shared memory: written without a system call, and read by the
//! program that comes after one that was killed.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::realtime::SharedWords;

/// Instances that find room; any further one listens before it goes on as master.
const INSTANCES_MAX: usize = 1024;
/// Which instance, its last advert, its AH sequence number.
const WORDS: usize = 3;

#[derive(Debug)]
pub struct Memory {
    words: Option<SharedWords>,
}

/// Where the file is: one for each network namespace and `instance` of the configuration.
pub fn path(directory: &Path, name: Option<&str>) -> PathBuf {
    let namespace = std::fs::metadata("/proc/self/ns/net").map_or(0, |metadata| metadata.ino());
    directory.join(format!("vrrp.{namespace}{}", name.map(|name| format!(".{name}")).unwrap_or_default()))
}

impl Memory {
    /// Without a file nothing is remembered, and everything works.
    pub fn open(path: Option<&Path>) -> Self {
        let words = path.and_then(|path| {
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory).ok()?;
            }
            let file: io::Result<File> =
                File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
            SharedWords::map(&file.ok()?, INSTANCES_MAX * WORDS).ok()
        });
        Self { words }
    }

    /// The place of an instance; taken from whoever has it, if all are taken.
    fn place(&self, key: u64) -> Option<usize> {
        let words = self.words.as_ref()?;
        let start = usize::try_from(key).unwrap_or(0) % INSTANCES_MAX;
        let places = (0..INSTANCES_MAX).map(|step| (start + step) % INSTANCES_MAX * WORDS);
        let mut places =
            places.filter(|place| matches!(words.load(*place), found if found == key || found == 0));
        let place = places.next()?;
        words.store(place, key);
        Some(place)
    }

    /// A slot for an instance.
    pub fn slot(&self, name: &str, interface: &str, vrid: u8) -> Slot {
        let mut hasher = DefaultHasher::new();
        (name, interface, vrid).hash(&mut hasher);
        Slot { place: self.place(hasher.finish() | 1) }
    }

    /// It spoke as master now.
    pub fn spoke(&self, slot: Slot, ah_sequence: u32) {
        if let (Some(words), Some(place)) = (&self.words, slot.place) {
            words.store(place + 1, since_boot());
            words.store(place + 2, u64::from(ah_sequence));
        }
    }

    /// It is master no more.
    pub fn forget(&self, slot: Slot) {
        if let (Some(words), Some(place)) = (&self.words, slot.place) {
            words.store(place + 1, 0);
        }
    }

    /// How long ago it spoke as master, and its AH sequence number then; `None` when it left being master orderly.
    pub fn last_spoke(&self, slot: Slot) -> Option<(Duration, u32)> {
        let (words, place) = (self.words.as_ref()?, slot.place?);
        let at = words.load(place + 1);
        let sequence = u32::try_from(words.load(place + 2)).unwrap_or(0);
        (at != 0).then(|| (Duration::from_nanos(since_boot().saturating_sub(at)), sequence))
    }
}

/// Where an instance writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    place: Option<usize>,
}

/// Nanoseconds, sleep included.
fn since_boot() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_reads_when_a_master_last_spoke() {
        let path = std::env::temp_dir().join(format!("hawser-memory-{}", std::process::id()));
        let memory = Memory::open(Some(&path));
        let (one, other) = (memory.slot("VI_1", "eth0", 51), memory.slot("VI_2", "eth0", 52));
        assert_eq!(memory.last_spoke(one), None);
        memory.spoke(one, 77);
        let after = Memory::open(Some(&path));
        let (ago, sequence) = after.last_spoke(after.slot("VI_1", "eth0", 51)).expect("it spoke");
        assert!(ago < Duration::from_secs(5));
        assert_eq!((sequence, after.last_spoke(other)), (77, None));
        after.forget(after.slot("VI_1", "eth0", 51));
        assert_eq!(memory.last_spoke(one), None);
        std::fs::remove_file(path).expect("removed");
    }

    #[test]
    fn without_a_file_nothing_is_remembered() {
        let memory = Memory::open(None);
        let slot = memory.slot("VI_1", "eth0", 51);
        memory.spoke(slot, 1);
        assert_eq!(memory.last_spoke(slot), None);
    }
}

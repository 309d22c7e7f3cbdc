//! Maps of eBPF programs as bytes: single entries and many at once. Every length is checked against what the kernel says
//! of the map, for it copies that much.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const LOOKUP: libc::c_int = 1;
const UPDATE: libc::c_int = 2;
const DELETE: libc::c_int = 3;
const INFORMATION: libc::c_int = 15;
const LOOKUP_AND_DELETE: libc::c_int = 21;
const LOOKUP_BATCH: libc::c_int = 24;
const UPDATE_BATCH: libc::c_int = 26;

const PER_CPU_HASH: u32 = 5;
const PER_CPU_ARRAY: u32 = 6;
const PER_CPU_LRU_HASH: u32 = 10;

/// Longer than what any kernel takes; what is not used is zero.
const ATTRIBUTES_LENGTH: usize = 144;

/// `union bpf_attr`, field by field at its offset.
struct Call {
    words: [u64; ATTRIBUTES_LENGTH / 8],
}

impl Call {
    fn new() -> Self {
        Self { words: [0; ATTRIBUTES_LENGTH / 8] }
    }

    fn u32(mut self, offset: usize, value: u32) -> Self {
        let shift = (offset % 8) * 8;
        self.words[offset / 8] |=
            u64::from(value) << if cfg!(target_endian = "big") { 32 - shift } else { shift };
        self
    }

    fn u64(mut self, offset: usize, value: u64) -> Self {
        self.words[offset / 8] = value;
        self
    }

    fn get_u32(&self, offset: usize) -> u32 {
        let bytes = self.words[offset / 8].to_ne_bytes();
        let at = offset % 8;
        u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    }

    /// # Safety
    /// Every address within must be of memory that is live and as long as the kernel reads or writes there.
    unsafe fn run(&mut self, command: libc::c_int) -> io::Result<()> {
        // SAFETY: the attributes are live and of the length given; what they point to is the caller's promise.
        let status = unsafe {
            libc::syscall(libc::SYS_bpf, command, self.words.as_mut_ptr(), ATTRIBUTES_LENGTH as libc::c_uint)
        };
        if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// A map, by a descriptor of our own.
#[derive(Debug)]
pub struct Map {
    descriptor: OwnedFd,
    key_length: usize,
    /// Of one entry as it is read and written: of a map per processor, of all of them.
    value_length: usize,
    entries_max: u32,
}

/// Where a walk over a map is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor(Option<[u8; 64]>);

fn address(bytes: &[u8]) -> u64 {
    bytes.as_ptr() as u64
}

fn address_mut(bytes: &mut [u8]) -> u64 {
    bytes.as_mut_ptr() as u64
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// `None` where there is no such entry.
fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Map {
    /// Takes a descriptor of its own.
    ///
    /// # Errors
    /// It is no map's.
    pub fn of(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let descriptor = descriptor.try_clone_to_owned()?;
        // struct bpf_map_info begins: type, id, key size, value size, max entries.
        let mut information = [0_u32; 32];
        let length = u32::try_from(size_of_val(&information)).expect("a small number");
        let mut call = Call::new()
            .u32(0, descriptor.as_raw_fd().cast_unsigned())
            .u32(4, length)
            .u64(8, information.as_mut_ptr() as u64);
        // SAFETY: the information is live and of the length given.
        unsafe { call.run(INFORMATION) }?;
        let [kind, _, key_length, value_length, entries_max, ..] = information;
        let wide = |length: u32| usize::try_from(length).expect("32 bits");
        let mut value_length = wide(value_length);
        if matches!(kind, PER_CPU_HASH | PER_CPU_ARRAY | PER_CPU_LRU_HASH) {
            value_length = value_length.next_multiple_of(8) * possible_processors()?;
        }
        // A descriptor of another kind (a program's) has an information of another shape, without lengths here.
        if key_length == 0 || value_length == 0 {
            return Err(refused("no map"));
        }
        Ok(Self { descriptor, key_length: wide(key_length), value_length, entries_max })
    }

    pub fn entries_max(&self) -> u32 {
        self.entries_max
    }

    pub fn value_length(&self) -> usize {
        self.value_length
    }

    fn number(&self) -> u32 {
        self.descriptor.as_raw_fd().cast_unsigned()
    }

    fn check(&self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        if key.len() != self.key_length || value.is_some_and(|value| value.len() != self.value_length) {
            return Err(refused("an entry of another length than the map's"));
        }
        Ok(())
    }

    /// The value of an entry.
    ///
    /// # Errors
    /// What `bpf(2)` says, but for an entry that is not there.
    pub fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.read(LOOKUP, key)
    }

    /// The value of an entry, which is removed with the same step.
    ///
    /// # Errors
    /// As [`Map::get`].
    pub fn take(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.read(LOOKUP_AND_DELETE, key)
    }

    fn read(&self, command: libc::c_int, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.check(key, None)?;
        let mut value = vec![0; self.value_length];
        let mut call =
            Call::new().u32(0, self.number()).u64(8, address(key)).u64(16, address_mut(&mut value));
        // SAFETY: key and value are live and as long as the map's.
        let is_there = found(unsafe { call.run(command) })?;
        Ok(is_there.then_some(value))
    }

    /// Writes an entry, new or there before.
    ///
    /// # Errors
    /// The map is full, or lengths differ.
    pub fn set(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.check(key, Some(value))?;
        let mut call = Call::new().u32(0, self.number()).u64(8, address(key)).u64(16, address(value));
        // SAFETY: key and value are live and as long as the map's.
        unsafe { call.run(UPDATE) }
    }

    /// Removes an entry; whether it was there.
    ///
    /// # Errors
    /// As [`Map::get`].
    pub fn remove(&self, key: &[u8]) -> io::Result<bool> {
        self.check(key, None)?;
        let mut call = Call::new().u32(0, self.number()).u64(8, address(key));
        // SAFETY: the key is live and as long as the map's.
        found(unsafe { call.run(DELETE) })
    }

    /// Writes many entries, keys and values one after the other.
    ///
    /// # Errors
    /// As [`Map::set`]; those before the refused one are written.
    pub fn set_all(&self, keys: &[u8], values: &[u8]) -> io::Result<()> {
        let count = keys.len() / self.key_length;
        if keys.len() != count * self.key_length || values.len() != count * self.value_length {
            return Err(refused("entries of another length than the map's"));
        }
        if count == 0 {
            return Ok(());
        }
        let count = u32::try_from(count).map_err(|_| refused("too many entries"))?;
        let mut call =
            Call::new().u64(16, address(keys)).u64(24, address(values)).u32(32, count).u32(36, self.number());
        // SAFETY: keys and values are live, and long enough for that many entries.
        unsafe { call.run(UPDATE_BATCH) }
    }

    /// The next entries of a walk, at most `count`, passed on one by one; whether there may be more. Entries that come
    /// and go meanwhile may be seen or not.
    ///
    /// # Errors
    /// What `bpf(2)` says; `ENOSPC` where a bucket of a hash holds more than `count`.
    pub fn walk(
        &self,
        cursor: &mut Cursor,
        count: u32,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> io::Result<bool> {
        let most = usize::try_from(count).expect("32 bits");
        let mut keys = vec![0; most * self.key_length];
        let mut values = vec![0; most * self.value_length];
        let mut next = [0_u8; 64];
        if self.key_length > next.len() {
            return Err(refused("keys too long to walk"));
        }
        let from = cursor.0.as_ref().map_or(0, |place| address(place));
        let mut call = Call::new()
            .u64(0, from)
            .u64(8, address_mut(&mut next))
            .u64(16, address_mut(&mut keys))
            .u64(24, address_mut(&mut values))
            .u32(32, count)
            .u32(36, self.number());
        // SAFETY: the places are as long as a key, keys and values long enough for `count` entries; all are live.
        let more = found(unsafe { call.run(LOOKUP_BATCH) })?;
        let there = usize::try_from(call.get_u32(32)).expect("32 bits").min(most);
        let pairs = keys.chunks_exact(self.key_length).zip(values.chunks_exact(self.value_length));
        for (key, value) in pairs.take(there) {
            visit(key, value);
        }
        cursor.0 = more.then_some(next);
        Ok(more)
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Processors that could ever be there: the values of a map per processor.
fn possible_processors() -> io::Result<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let last = text.trim().rsplit([',', '-']).next().and_then(|number| number.parse::<usize>().ok());
    last.map(|last| last + 1).ok_or_else(|| refused("/sys/devices/system/cpu/possible"))
}

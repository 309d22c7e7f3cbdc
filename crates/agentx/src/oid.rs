//! Names of objects, and how they lie on the wire (RFC 2741, section 5.1).

use crate::wire::{Malformed, Reader, Writer};
use std::fmt;

/// Longest name (RFC 2578, section 3.5).
pub const SUB_IDS_MAX: usize = 128;

/// What most names begin with, left out on the wire: iso.org.dod.internet.
const INTERNET: [u32; 4] = [1, 3, 6, 1];

/// A name. Ordered as SNMP orders names: by sub-identifiers from the left, the shorter one first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Oid(Vec<u32>);

impl Oid {
    /// Sub-identifiers beyond [`SUB_IDS_MAX`] are cut off.
    pub fn new(sub_ids: &[u32]) -> Self {
        Self(sub_ids[..sub_ids.len().min(SUB_IDS_MAX)].to_vec())
    }

    /// The name with more behind it.
    pub fn with(&self, more: &[u32]) -> Self {
        let room = SUB_IDS_MAX.saturating_sub(self.0.len());
        let more = &more[..more.len().min(room)];
        let mut sub_ids = Vec::with_capacity(self.0.len() + more.len());
        sub_ids.extend_from_slice(&self.0);
        sub_ids.extend_from_slice(more);
        Self(sub_ids)
    }

    pub fn sub_ids(&self) -> &[u32] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn starts_with(&self, prefix: &Oid) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// The name, and the flag that only search ranges use.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<(Self, bool), Malformed> {
        let [count, prefix, include, _reserved] = reader.array()?;
        let count = usize::from(count);
        let mut sub_ids = Vec::new();
        if prefix != 0 {
            sub_ids.extend_from_slice(&INTERNET);
            sub_ids.push(u32::from(prefix));
        }
        if sub_ids.len() + count > SUB_IDS_MAX {
            return Err(Malformed::Name);
        }
        for _ in 0..count {
            sub_ids.push(reader.u32()?);
        }
        Ok((Self(sub_ids), include != 0))
    }

    pub(crate) fn write(&self, writer: &mut Writer, include: bool) {
        let (prefix, rest) = match self.0.strip_prefix(&INTERNET) {
            Some([first, rest @ ..]) => match u8::try_from(*first) {
                Ok(prefix @ 1..) => (prefix, rest),
                Ok(0) | Err(_) => (0, &self.0[..]),
            },
            Some([]) | None => (0, &self.0[..]),
        };
        // SUB_IDS_MAX fits.
        let count = u8::try_from(rest.len()).unwrap_or(u8::MAX);
        writer.bytes(&[count, prefix, u8::from(include), 0]);
        rest.iter().for_each(|sub_id| writer.u32(*sub_id));
    }
}

/// `1.3.6.1.4.1`
impl fmt::Display for Oid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, sub_id) in self.0.iter().enumerate() {
            let dot = if place == 0 { "" } else { "." };
            write!(formatter, "{dot}{sub_id}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

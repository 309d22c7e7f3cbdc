//! Header blocks into fields, with the table that the peer fills (RFC 7541 §2, §4, §6).

use super::{huffman, integer, static_table};
use crate::fields::Fields;
use crate::text;
use std::collections::VecDeque;

/// What RFC 7541 §4.1 adds to the length of each entry.
const ENTRY_OVERHEAD: usize = 32;

/// The table's size before SETTINGS say otherwise (RFC 9113 §6.5.2).
pub const DEFAULT_TABLE_SIZE: usize = 4096;

/// Why a block cannot be decoded: the tables of both ends are no longer the same, and the connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecodable;

/// A field that the peer sent with indexing.
#[derive(Debug)]
struct Entry {
    bytes: Box<[u8]>,
    name_len: u32,
    is_sound: bool,
}

/// The decoder of one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    /// What the encoder has chosen, at most [`Decoder::ceiling`].
    size_max: usize,
    /// What our SETTINGS allow.
    ceiling: usize,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            entries: VecDeque::new(),
            size: 0,
            size_max: DEFAULT_TABLE_SIZE,
            ceiling: DEFAULT_TABLE_SIZE,
        }
    }
}

impl Decoder {
    /// What the peer's encoder may use from now on. A smaller one is announced by the encoder in its next block.
    pub fn set_ceiling(&mut self, ceiling: usize) {
        self.ceiling = ceiling;
    }

    /// Reads a block. Fields beyond `size_max` bytes of list are read and forgotten; whether there were none.
    ///
    /// # Errors
    /// The block is none.
    pub fn decode(
        &mut self,
        mut block: &[u8],
        list_max: usize,
        fields: &mut Fields,
    ) -> Result<bool, Undecodable> {
        let mut fits = true;
        let mut begins = true;
        while let [first, ..] = block {
            let start = fields.bytes().len();
            let is_resize = first & 0xe0 == 0x20;
            if is_resize {
                if !begins {
                    return Err(Undecodable);
                }
                let size = integer::decode(&mut block, 5).ok_or(Undecodable)?;
                if size > self.ceiling {
                    return Err(Undecodable);
                }
                self.size_max = size;
                self.evict(0);
                continue;
            }
            begins = false;
            let (name_len, is_sound) = if first & 0x80 != 0 {
                let index = integer::decode(&mut block, 7).ok_or(Undecodable)?;
                self.copy(index, true, fields)?
            } else {
                let is_indexed = first & 0x40 != 0;
                let index = integer::decode(&mut block, if is_indexed { 6 } else { 4 }).ok_or(Undecodable)?;
                let (name_len, is_name) = if index == 0 {
                    string(&mut block, fields.bytes_mut())?;
                    let name = &fields.bytes()[start..];
                    // Pseudo-header fields are told apart later, by their whole names.
                    (name.len(), text::is_name(name.strip_prefix(b":").unwrap_or(name)))
                } else {
                    self.copy(index, false, fields)?
                };
                string(&mut block, fields.bytes_mut())?;
                let is_sound = is_name && text::is_value(&fields.bytes()[start + name_len..]);
                if is_indexed {
                    self.insert(&fields.bytes()[start..], name_len, is_sound);
                }
                (name_len, is_sound)
            };
            let length = fields.bytes().len() - start;
            if fits && fields.size() + length + ENTRY_OVERHEAD <= list_max {
                fields.note(start, name_len, is_sound);
            } else {
                fits = false;
                fields.bytes_mut().truncate(start);
            }
        }
        Ok(fits)
    }

    /// Appends an entry, or its name; the length of the name and whether all of it is sound.
    fn copy(&self, index: usize, whole: bool, fields: &mut Fields) -> Result<(usize, bool), Undecodable> {
        let place = index.checked_sub(1).ok_or(Undecodable)?;
        let out = fields.bytes_mut();
        if let Some((name, value)) = static_table::ENTRIES.get(place) {
            out.extend_from_slice(name);
            if whole {
                out.extend_from_slice(value);
            }
            return Ok((name.len(), true));
        }
        let entry = self.entries.get(place - static_table::ENTRIES.len()).ok_or(Undecodable)?;
        let name_len = entry.name_len as usize;
        out.extend_from_slice(if whole { &entry.bytes } else { &entry.bytes[..name_len] });
        Ok((name_len, entry.is_sound))
    }

    fn insert(&mut self, bytes: &[u8], name_len: usize, is_sound: bool) {
        let size = bytes.len() + ENTRY_OVERHEAD;
        self.evict(size);
        // One that is larger than the table leaves it empty (RFC 7541 §4.4).
        if size <= self.size_max {
            self.size += size;
            self.entries.push_front(Entry { bytes: bytes.into(), name_len: name_len as u32, is_sound });
        }
    }

    /// Forgets the oldest until there is room.
    fn evict(&mut self, room: usize) {
        while self.size + room > self.size_max {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.size -= oldest.bytes.len() + ENTRY_OVERHEAD;
        }
    }
}

/// A string (RFC 7541 §5.2).
fn string(block: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Undecodable> {
    let is_huffman = block.first().ok_or(Undecodable)? & 0x80 != 0;
    let length = integer::decode(block, 7).ok_or(Undecodable)?;
    let (bytes, rest) = block.split_at_checked(length).ok_or(Undecodable)?;
    *block = rest;
    if is_huffman {
        huffman::decode(bytes, out).map_err(|huffman::Broken| Undecodable)
    } else {
        out.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type List = Vec<(String, String)>;

    fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<List, Undecodable> {
        let mut fields = Fields::default();
        decoder.decode(block, usize::MAX, &mut fields)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(fields.iter().map(|(name, value)| (text(name), text(value))).collect())
    }

    // RFC 7541 C.5: three responses with a table of 256 bytes.
    #[test]
    fn responses_of_the_rfc() {
        let mut decoder = Decoder { size_max: 256, ..Decoder::default() };
        let first =
            b"\x48\x03302\x58\x07private\x61\x1dMon, 21 Oct 2013 20:13:21 GMT\x6e\x17https://www.example.com";
        let same = |list: List| list.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(
            same(decode(&mut decoder, first).expect("a block")),
            ["cache-control", "date", "location"]
        );
        assert_eq!((decoder.entries.len(), decoder.size), (4, 222));
        let second = decode(&mut decoder, b"\x48\x03307\xc1\xc0\xbf").expect("a block");
        assert_eq!(second[2], ("location".to_owned(), "https://www.example.com".to_owned()));
        assert_eq!((decoder.entries.len(), decoder.size), (4, 222));
        let third = b"\x88\xc1\x61\x1dMon, 21 Oct 2013 20:13:22 GMT\xc0\x5a\x04gzip\x77\x38foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
        let third = decode(&mut decoder, third).expect("a block");
        assert_eq!(third.len(), 5);
        assert_eq!(third[0], ("cache-control".to_owned(), "private".to_owned()));
        assert_eq!((decoder.entries.len(), decoder.size), (3, 215));
    }

    #[test]
    fn what_no_encoder_makes_is_refused() {
        for block in [
            &b"\x80"[..],
            b"\xc6",
            b"\x7f\x07\x04test",
            b"\x82\x21",
            b"\x00\x01x\x7f",
            b"\x40",
            b"\x3f\xe1\xff\x7f",
            b"\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(decode(&mut Decoder::default(), block), Err(Undecodable), "{block:x?}");
        }
    }

    #[test]
    fn a_list_that_is_too_long_is_read_to_its_end() {
        let mut decoder = Decoder::default();
        let mut fields = Fields::default();
        let block = [&b"\x40\x01a\x01b"[..], &[0x80 | 62; 100], b"\x40\x01c\x01d"].concat();
        assert_eq!(decoder.decode(&block, 200, &mut fields), Ok(false));
        assert_eq!(fields.len(), 5);
        assert_eq!(decode(&mut decoder, &[0x80 | 62]), Ok(vec![("c".to_owned(), "d".to_owned())]));
    }

    #[test]
    fn an_entry_larger_than_the_table_empties_it() {
        let mut decoder = Decoder { size_max: 40, ..Decoder::default() };
        decode(&mut decoder, b"\x40\x01a\x01b").expect("a block");
        assert_eq!(decoder.entries.len(), 1);
        decode(&mut decoder, b"\x40\x01a\x0a0123456789").expect("a block");
        assert_eq!((decoder.entries.len(), decoder.size), (0, 0));
    }
}

//! Deflate at its fastest (RFC 1951): matches by one look into a table of hashes, fixed codes, no history between pieces.
//! Owns only a few bits between calls: a body that is being compressed costs no window. Level 1 of the deflate formats;
//! the levels above it are the library's.

use std::cell::RefCell;

/// Bytes encoded at once. Positions of matches lie within one piece; a stored block holds no more.
pub const PIECE_MAX: usize = 65_535;

/// Deflate's longest match, and the farthest.
const LENGTH_MAX: usize = 258;
const DISTANCE_MAX: usize = 32_768;

/// Shortest match looked for: what the hash covers.
const LENGTH_MIN: usize = 4;

const HASH_BITS: u32 = 13;

/// Bytes that a piece may need in the worst case: nine bits for each, and what a write of eight bytes touches.
const CODED_MAX: usize = PIECE_MAX / 8 * 9 + 64;

/// After this many misses in a row, as a power of two, the search begins to skip.
const SKIP_SHIFT: usize = 6;

/// A code as it goes into the stream, first bit lowest, and how many bits it has.
#[derive(Clone, Copy)]
struct Code {
    bits: u32,
    count: u8,
}

/// Codes go into the stream highest bit first (RFC 1951 §3.1.1).
const fn reversed(bits: u32, count: u8) -> Code {
    Code { bits: bits.reverse_bits() >> (32 - count as u32), count }
}

/// The fixed code of a literal or length symbol (RFC 1951 §3.2.6).
const fn fixed(symbol: u32) -> Code {
    match symbol {
        0..=143 => reversed(0x30 + symbol, 8),
        144..=255 => reversed(0x190 + symbol - 144, 9),
        256..=279 => reversed(symbol - 256, 7),
        _ => reversed(0xc0 + symbol - 280, 8),
    }
}

static LITERALS: [Code; 256] = {
    let mut codes = [Code { bits: 0, count: 0 }; 256];
    let mut byte = 0;
    while byte < 256 {
        codes[byte] = fixed(byte as u32);
        byte += 1;
    }
    codes
};

/// By length: its symbol's code with the extra bits behind it (RFC 1951 §3.2.5).
static LENGTHS: [Code; LENGTH_MAX + 1] = {
    let mut codes = [Code { bits: 0, count: 0 }; LENGTH_MAX + 1];
    let mut length = 3;
    while length <= LENGTH_MAX {
        let over = length as u32 - 3;
        let (symbol, extra) = if length == LENGTH_MAX {
            (285, 0)
        } else if over < 8 {
            (257 + over, 0)
        } else {
            let extra = over.ilog2() - 2;
            (257 + 4 * extra + (over >> extra), extra)
        };
        let code = fixed(symbol);
        let rest = over & ((1 << extra) - 1);
        codes[length] = if length == LENGTH_MAX {
            code
        } else {
            Code { bits: code.bits | rest << code.count, count: code.count + extra as u8 }
        };
        length += 1;
    }
    codes
};

/// The code of a distance with its extra bits.
#[inline]
fn distance_code(distance: usize) -> Code {
    let over = distance as u32 - 1;
    let (symbol, extra) = if over < 4 {
        (over, 0)
    } else {
        let extra = over.ilog2() - 1;
        (2 * extra + (over >> extra), extra)
    };
    let bits = (symbol.reverse_bits() >> 27) | (over & ((1 << extra) - 1)) << 5;
    Code { bits, count: 5 + extra as u8 }
}

/// Where each hash was last seen, and room for a coded piece. One for all bodies of a thread.
struct Scratch {
    /// `base` + position in the piece; what is below `base` is of an earlier piece.
    seen: Box<[u32; 1 << HASH_BITS]>,
    base: u32,
    coded: Box<[u8]>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        seen: Box::new([0; 1 << HASH_BITS]),
        base: 1,
        coded: vec![0; CODED_MAX].into_boxed_slice(),
    });
}

/// The bits of a stream that do not fill a byte yet.
#[derive(Debug, Default, Clone, Copy)]
pub struct FastDeflate {
    bits: u64,
    count: u32,
}

/// Writes codes into a buffer that is large enough for any piece.
struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
    bits: u64,
    count: u32,
}

impl Writer<'_> {
    /// At most 56 bits may be waiting, new ones included.
    #[inline(always)]
    fn put(&mut self, code: Code) {
        self.bits |= u64::from(code.bits) << self.count;
        self.count += u32::from(code.count);
    }

    /// Brings out whole bytes: at most seven bits wait then.
    #[inline(always)]
    fn spill(&mut self) {
        self.out[self.at..self.at + 8].copy_from_slice(&self.bits.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.bits >>= self.count & !7;
        self.count &= 7;
    }

    #[inline(always)]
    fn literals(&mut self, data: &[u8]) {
        let mut fours = data.chunks_exact(4);
        for four in &mut fours {
            for byte in four {
                self.put(LITERALS[usize::from(*byte)]);
            }
            self.spill();
        }
        for byte in fours.remainder() {
            self.put(LITERALS[usize::from(*byte)]);
        }
        self.spill();
    }
}

fn word(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"))
}

fn long(data: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(data[at..at + 8].try_into().expect("eight bytes"))
}

fn hash(word: u32) -> usize {
    (word.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

/// How long the bytes at both places are the same, `LENGTH_MIN` of which are known to be.
#[inline(always)]
fn common(data: &[u8], earlier: usize, later: usize) -> usize {
    let most = LENGTH_MAX.min(data.len() - later);
    let mut length = LENGTH_MIN;
    while length + 8 <= most {
        let differ = long(data, earlier + length) ^ long(data, later + length);
        if differ != 0 {
            return length + (differ.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    while length < most && data[earlier + length] == data[later + length] {
        length += 1;
    }
    length
}

impl FastDeflate {
    /// Appends `data` in blocks of their own. The last bits may stay inside until [`align`](FastDeflate::align).
    pub fn write(&mut self, data: &[u8], out: &mut Vec<u8>) {
        for piece in data.chunks(PIECE_MAX) {
            SCRATCH.with(|scratch| self.piece(piece, &mut scratch.borrow_mut(), out));
        }
    }

    fn piece(&mut self, data: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) {
        let mut writer = Writer { out: &mut scratch.coded, at: 0, bits: self.bits, count: self.count };
        // Not the last block, fixed codes.
        writer.put(Code { bits: 0b010, count: 3 });
        if scratch.base > u32::MAX - 2 * PIECE_MAX as u32 {
            scratch.seen.fill(0);
            scratch.base = 1;
        }
        let base = scratch.base;
        scratch.base += data.len() as u32;
        let seen = &mut scratch.seen;
        let end = data.len().saturating_sub(8);
        let (mut at, mut done) = (0, 0);
        while at < end {
            let here = word(data, at);
            let known = std::mem::replace(&mut seen[hash(here)], base + at as u32);
            let earlier = known.wrapping_sub(base) as usize;
            if known < base || at - earlier > DISTANCE_MAX || word(data, earlier) != here {
                at += 1 + ((at - done) >> SKIP_SHIFT);
                continue;
            }
            let length = common(data, earlier, at);
            writer.literals(&data[done..at]);
            writer.put(LENGTHS[length]);
            writer.put(distance_code(at - earlier));
            writer.spill();
            at += length;
            done = at;
            // One place inside of the match, so that what continues it is found.
            if at < end {
                seen[hash(word(data, at - 2))] = base + at as u32 - 2;
            }
        }
        writer.literals(&data[done..]);
        writer.put(fixed(256));
        writer.spill();
        let (at, bits, count) = (writer.at, writer.bits, writer.count);
        if at > data.len() + 5 {
            self.stored(data, out);
            return;
        }
        out.extend_from_slice(&scratch.coded[..at]);
        (self.bits, self.count) = (bits, count);
    }

    /// A block of bytes as they are; without any it brings everything before it to a whole byte.
    fn stored(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.put(0b000, 3, out);
        self.pad(out);
        let length = data.len() as u16;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(data);
    }

    fn put(&mut self, bits: u64, count: u32, out: &mut Vec<u8>) {
        self.bits |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            out.push(self.bits as u8);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    fn pad(&mut self, out: &mut Vec<u8>) {
        if self.count > 0 {
            out.push(self.bits as u8);
            (self.bits, self.count) = (0, 0);
        }
    }

    /// Lets a reader decode everything written so far.
    pub fn align(&mut self, out: &mut Vec<u8>) {
        self.stored(&[], out);
    }

    /// Ends the stream on a whole byte.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        // The last block: fixed codes, and at once its end.
        self.put(0b011, 10, out);
        self.pad(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn coded(pieces: &[&[u8]], aligned: bool) -> Vec<u8> {
        let mut encoder = FastDeflate::default();
        let mut out = Vec::new();
        for piece in pieces {
            encoder.write(piece, &mut out);
            if aligned {
                encoder.align(&mut out);
            }
        }
        encoder.finish(&mut out);
        out
    }

    fn decoded(coded: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::DeflateDecoder::new(coded).read_to_end(&mut plain).expect("a whole stream");
        plain
    }

    #[test]
    fn every_length_and_distance_has_its_code() {
        // A marker, something else of any length, the marker again: each length and many distances.
        for length in LENGTH_MIN..=LENGTH_MAX + 2 {
            for gap in [0, 1, 3, 17, 250, 2_000, 30_000, 32_760, 40_000] {
                let marker: Vec<u8> = (0..length).map(|at| (at * 7 % 251) as u8).collect();
                let between: Vec<u8> =
                    (0..gap as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
                let data = [&marker[..], &between, &marker, b"end of data"].concat();
                assert!(decoded(&coded(&[&data], false)) == data, "{length} {gap}");
            }
        }
    }

    #[test]
    fn text_becomes_smaller_and_noise_hardly_larger() {
        let text = "<li class=\"item\"><a href=\"/page\">An entry of a list</a></li>\n".repeat(2_000);
        assert!(coded(&[text.as_bytes()], false).len() < text.len() / 20);
        let noise: Vec<u8> =
            (0..200_000u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect();
        let out = coded(&[&noise], true);
        assert!(decoded(&out) == noise);
        assert!(out.len() < noise.len() + 100, "{}", out.len());
    }

    #[test]
    fn positions_may_wrap() {
        SCRATCH.with(|scratch| scratch.borrow_mut().base = u32::MAX - 2 * PIECE_MAX as u32 - 5);
        let data = b"over and over and over and over again".repeat(3);
        for _ in 0..3 {
            assert_eq!(decoded(&coded(&[&data], false)), data);
        }
    }

    proptest! {
        #[test]
        fn any_pieces_come_back(
            pieces in prop::collection::vec(prop::collection::vec(prop::sample::select(b"abcd\xff<> ".to_vec()), 0..300), 0..8),
            aligned: bool,
        ) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(decoded(&coded(&pieces, aligned)), pieces.concat());
        }

        #[test]
        fn any_bytes_come_back(data in prop::collection::vec(any::<u8>(), 0..2_000), times in 1_usize..80) {
            let data = data.repeat(times);
            prop_assert!(decoded(&coded(&[&data], false)) == data);
        }
    }
}

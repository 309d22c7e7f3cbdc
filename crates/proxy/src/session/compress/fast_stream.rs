//! The wrappers of deflate around the fast encoder: gzip (RFC 1952), zlib (RFC 1950), none. Owns head, check sum and
//! length of the stream, and what is too short to be worth a block yet.

use super::encoder::Wrapper;
use super::fast::{FastDeflate, PIECE_MAX};
use crate::net::buffers::Pending;
use flate2::Crc;

/// Short pieces are gathered up to this many bytes, for a piece finds no match outside of itself.
const GATHERED_MIN: usize = 16 * 1024;

/// No name, no time, fastest, Unix.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3];

/// Window of 32 KB, fastest.
const ZLIB_HEAD: [u8; 2] = [0x78, 0x01];

/// One stream.
#[derive(Debug)]
pub struct FastStream {
    deflate: FastDeflate,
    wrapper: Wrapper,
    begun: bool,
    sum: Sum,
    gathered: Pending,
}

#[derive(Debug)]
enum Sum {
    Crc(Crc),
    Adler { a: u32, b: u32 },
    None,
}

impl FastStream {
    pub fn new(wrapper: Wrapper) -> FastStream {
        let sum = match wrapper {
            Wrapper::Gzip => Sum::Crc(Crc::new()),
            Wrapper::Zlib => Sum::Adler { a: 1, b: 0 },
            Wrapper::None => Sum::None,
        };
        FastStream { deflate: FastDeflate::default(), wrapper, begun: false, sum, gathered: Pending::new() }
    }

    pub fn write(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.sum.add(data);
        if self.gathered.is_empty() && data.len() >= GATHERED_MIN {
            self.code(data, out);
            return;
        }
        let mut rest = data;
        while !rest.is_empty() {
            let count = rest.len().min(PIECE_MAX - self.gathered.len());
            self.gathered.push(&rest[..count]);
            rest = &rest[count..];
            if self.gathered.len() >= GATHERED_MIN {
                self.code_gathered(out);
            }
        }
    }

    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.code_gathered(out);
        self.deflate.align(out);
    }

    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.code_gathered(out);
        self.begin(out);
        self.deflate.finish(out);
        match &self.sum {
            Sum::Crc(crc) => {
                out.extend_from_slice(&crc.sum().to_le_bytes());
                out.extend_from_slice(&crc.amount().to_le_bytes());
            }
            Sum::Adler { a, b } => out.extend_from_slice(&(b << 16 | a).to_be_bytes()),
            Sum::None => {}
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        match self.wrapper {
            Wrapper::Gzip => out.extend_from_slice(&GZIP_HEAD),
            Wrapper::Zlib => out.extend_from_slice(&ZLIB_HEAD),
            Wrapper::None => {}
        }
    }

    fn code(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.begin(out);
        self.deflate.write(data, out);
    }

    fn code_gathered(&mut self, out: &mut Vec<u8>) {
        if self.gathered.is_empty() {
            return;
        }
        let gathered = std::mem::take(&mut self.gathered);
        self.code(gathered.bytes(), out);
    }
}

impl Sum {
    fn add(&mut self, data: &[u8]) {
        /// Bytes that can be added up before the sums overflow (RFC 1950 §9).
        const UNREDUCED_MAX: usize = 5552;
        const MODULUS: u32 = 65_521;
        match self {
            Sum::Crc(crc) => crc.update(data),
            Sum::Adler { a, b } => {
                for part in data.chunks(UNREDUCED_MAX) {
                    for byte in part {
                        *a += u32::from(*byte);
                        *b += *a;
                    }
                    *a %= MODULUS;
                    *b %= MODULUS;
                }
            }
            Sum::None => {}
        }
    }
}

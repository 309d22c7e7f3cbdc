//! Numbers and blocks as messages carry them.
//!
//! A number below 240 is one byte. A larger one has its lowest four bits in a first byte of 0xf0 and more; what is left
//! follows by seven bits, lowest first, with bit 7 set in all but the last.

/// Bytes that a number takes at most.
pub const NUMBER_LEN_MAX: usize = 10;

const FIRST_LIMIT: u64 = 0xf0;
const NEXT_LIMIT: u64 = 0x80;

/// Appends a number.
pub fn put_number(mut value: u64, out: &mut Vec<u8>) {
    if value < FIRST_LIMIT {
        out.push(value as u8);
        return;
    }
    out.push(value as u8 | 0xf0);
    value = (value - FIRST_LIMIT) >> 4;
    while value >= NEXT_LIMIT {
        out.push(value as u8 | 0x80);
        value = (value - NEXT_LIMIT) >> 7;
    }
    out.push(value as u8);
}

/// What is wrong with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// They end too early: more may come.
    Short,
    /// A number beyond 64 bits.
    TooLarge,
}

/// Reads from the front of some bytes.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub fn byte(&mut self) -> Result<u8, WireError> {
        let (&first, rest) = self.rest.split_first().ok_or(WireError::Short)?;
        self.rest = rest;
        Ok(first)
    }

    pub fn number(&mut self) -> Result<u64, WireError> {
        let mut value = u64::from(self.byte()?);
        if value < FIRST_LIMIT {
            return Ok(value);
        }
        for place in 0..NUMBER_LEN_MAX as u32 - 1 {
            let byte = self.byte()?;
            let part = u64::from(byte).checked_shl(4 + 7 * place).ok_or(WireError::TooLarge)?;
            if part >> (4 + 7 * place) != u64::from(byte) {
                return Err(WireError::TooLarge);
            }
            value = value.checked_add(part).ok_or(WireError::TooLarge)?;
            if u64::from(byte) < NEXT_LIMIT {
                return Ok(value);
            }
        }
        Err(WireError::TooLarge)
    }

    /// Four bytes, highest first.
    pub fn word(&mut self) -> Result<u32, WireError> {
        let bytes = self.block(4)?;
        Ok(u32::from_be_bytes(bytes.try_into().expect("a block of four bytes")))
    }

    pub fn block(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (block, rest) = self.rest.split_at_checked(len).ok_or(WireError::Short)?;
        self.rest = rest;
        Ok(block)
    }

    /// A block whose length stands before it.
    pub fn counted_block(&mut self) -> Result<&'a [u8], WireError> {
        let len = usize::try_from(self.number()?).map_err(|_| WireError::TooLarge)?;
        self.block(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_the_manual_and_in_captures() {
        for (value, bytes) in [
            (0, &[0][..]),
            (239, &[0xef]),
            (240, &[0xf0, 0]),
            (0x1234, &[0xf4, 0x94, 0x01]),
            (10_000, &[0xf0, 0xe2, 0x03]),
            (300_000, &[0xf0, 0xaf, 0x91, 0x00]),
        ] {
            let mut out = Vec::new();
            put_number(value, &mut out);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(Reader::new(bytes).number(), Ok(value));
        }
    }

    #[test]
    fn every_number_comes_back() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_number(value, &mut out);
                assert!(out.len() <= NUMBER_LEN_MAX);
                assert_eq!(Reader::new(&out).number(), Ok(value));
                assert_eq!(Reader::new(&out[..out.len() - 1]).number(), Err(WireError::Short));
            }
        }
        assert_eq!(Reader::new(&[0xff; 12]).number(), Err(WireError::TooLarge));
    }
}

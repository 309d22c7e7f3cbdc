//! The hash functions behind `hash-type`: bytes in, 32 bits out.
//!
//! Owns the arithmetic alone; what is hashed is decided in [`key`](crate::key), where it leads in the map and
//! the ring. All of it must stay bit for bit what HAProxy computes, or a mixed cluster loses affinity.

/// The hash of the sdbm database: each step multiplies by 65599.
pub fn sdbm(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |hash: u32, &byte| hash.wrapping_mul(65_599).wrapping_add(byte.into()))
}

/// Bernstein's hash: each step multiplies by 33, starting from 5381.
pub fn djb2(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5381, |hash: u32, &byte| hash.wrapping_mul(33).wrapping_add(byte.into()))
}

/// Two accumulators that swap places at every byte, rotated by amounts taken from their own bits.
pub fn wt6(bytes: &[u8]) -> u32 {
    let mut low: u32 = 0xa53c_965a;
    let mut high: u32 = 0x5ca6_953a;
    let (mut low_turn, mut high_turn) = (6, 18);
    for &byte in bytes {
        let mixed_low = !(low ^ u32::from(byte));
        let mixed_high = !high.wrapping_add(byte.into());
        low = mixed_high.rotate_left(low_turn);
        high = mixed_low.rotate_left(high_turn);
        let turns = ((low >> 16) ^ high) & 0xffff;
        low_turn = turns & 0x1f;
        high_turn = turns >> 11;
    }
    low ^ high
}

/// CRC-32 with the reflected polynomial 0xedb88320, as in Ethernet, gzip and PNG.
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |crc: u32, &byte| (crc >> 8) ^ CRC32_TABLE[usize::from(byte ^ crc.to_le_bytes()[0])])
}

const CRC32_TABLE: [u32; 256] = crc32_table();

const fn crc32_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut row = index as u32;
        let mut bit = 0;
        while bit < 8 {
            row = if row & 1 == 1 { (row >> 1) ^ 0xedb8_8320 } else { row >> 1 };
            bit += 1;
        }
        table[index] = row;
        index += 1;
    }
    table
}

/// The number that `bytes` start with, in decimal with an optional sign, cut to 32 bits; 0 without digits.
///
/// Numbers beyond 64 bits count as the nearest one that fits, so that every key has a hash.
pub fn decimal(bytes: &[u8]) -> u32 {
    let (sign, digits) = match bytes {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let value = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0i64, |value, &byte| value.saturating_mul(10).saturating_add(sign * i64::from(byte - b'0')));
    value as u32
}

/// Jenkins' six-step integer mixer, then a multiplication by a prime near 3/4 of the range: spreads close
/// inputs over the whole range. Places the points of the ring, and is the `avalanche` modifier.
pub fn avalanche(hash: u32) -> u32 {
    let mut a = hash;
    a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = (a ^ 0xc761_c23c) ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_has_the_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn djb2_and_sdbm_follow_their_recurrences() {
        assert_eq!(djb2(b""), 5381);
        assert_eq!(djb2(b"a"), 5381 * 33 + 97);
        assert_eq!(sdbm(b""), 0);
        assert_eq!(sdbm(b"ab"), 97 * 65_599 + 98);
    }

    #[test]
    fn decimal_reads_the_leading_number_and_saturates() {
        assert_eq!(decimal(b"4711"), 4711);
        assert_eq!(decimal(b"12abc"), 12);
        assert_eq!(decimal(b"-1"), u32::MAX);
        assert_eq!(decimal(b"x"), 0);
        assert_eq!(decimal(b"99999999999999999999"), i64::MAX as u32);
    }
}

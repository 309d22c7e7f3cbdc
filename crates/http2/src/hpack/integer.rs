//! Integers with a prefix (RFC 7541 §5.1).

/// Bytes behind the prefix: enough for 2²⁸, far above every bound of a header block.
const CONTINUED_MAX: usize = 4;

/// Reads one whose prefix has `bits` bits of the first byte; `None`: it does not end, or is out of all bounds.
pub fn decode(input: &mut &[u8], bits: u32) -> Option<usize> {
    let (first, rest) = input.split_first()?;
    *input = rest;
    let mask = (1usize << bits) - 1;
    let value = usize::from(*first) & mask;
    if value < mask { Some(value) } else { continued(input, mask) }
}

fn continued(input: &mut &[u8], mask: usize) -> Option<usize> {
    let mut value = mask;
    for place in 0..CONTINUED_MAX {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        value += usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Writes `value` with a prefix of `bits` bits, whose first byte has `pattern` above them.
pub fn encode(mut value: usize, bits: u32, pattern: u8, out: &mut Vec<u8>) {
    let mask = (1usize << bits) - 1;
    if value < mask {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | mask as u8);
    value -= mask;
    while value >= 0x80 {
        out.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        // C.1.1 to C.1.3.
        for (value, bits, bytes) in [(10, 5, &[10][..]), (1337, 5, &[31, 154, 10]), (42, 8, &[42])] {
            let mut out = Vec::new();
            encode(value, bits, 0, &mut out);
            assert_eq!(out, bytes);
            let mut input = bytes;
            assert_eq!((decode(&mut input, bits), input.len()), (Some(value), 0));
        }
    }

    #[test]
    fn one_without_end_is_refused() {
        assert_eq!(decode(&mut &[0xff; 12][..], 7), None);
        assert_eq!(decode(&mut &[0xff, 0x80][..], 7), None);
        assert_eq!(decode(&mut &[][..], 7), None);
    }
}

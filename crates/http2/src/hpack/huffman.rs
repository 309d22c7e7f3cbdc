//! The Huffman code of strings (RFC 7541 §5.2 and Appendix B). It is canonical: the lengths of the codes say all.

/// Bits of each symbol's code; the last symbol is the end of a string, which is never sent.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, //
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, //
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, //
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, //
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const BITS_MAX: usize = 30;
const END: u16 = 256;

/// Codes up to this long, which are those of all usual text, are found by one look.
const SHORT_BITS: u32 = 8;

struct Code {
    /// By the first [`SHORT_BITS`] bits: symbol and length, 0 where the code is longer.
    short: [(u8, u8); 1 << SHORT_BITS],
    /// All symbols by code.
    symbols: [u16; 257],
    /// By length: the first code, how many there are, and where their symbols begin.
    first: [u32; BITS_MAX + 1],
    count: [u32; BITS_MAX + 1],
    start: [u16; BITS_MAX + 1],
}

static CODE: Code = build();

const fn build() -> Code {
    let mut code = Code {
        short: [(0, 0); 1 << SHORT_BITS],
        symbols: [0; 257],
        first: [0; BITS_MAX + 1],
        count: [0; BITS_MAX + 1],
        start: [0; BITS_MAX + 1],
    };
    let (mut next, mut place, mut bits) = (0u32, 0usize, 1usize);
    while bits <= BITS_MAX {
        next <<= 1;
        code.first[bits] = next;
        code.start[bits] = place as u16;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == bits {
                code.symbols[place] = symbol as u16;
                place += 1;
                if bits as u32 <= SHORT_BITS {
                    let free = SHORT_BITS - bits as u32;
                    let mut tail = 0;
                    while tail < 1 << free {
                        code.short[((next << free) | tail) as usize] = (symbol as u8, bits as u8);
                        tail += 1;
                    }
                }
                next += 1;
                code.count[bits] += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    code
}

/// A string that no encoder makes: a code that ends the string, or padding that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// Appends what `bytes` say to `out`, which grows by at most 8/5 of their length.
///
/// # Errors
/// The end of a string as a symbol, padding of more than 7 bits or of zeros.
pub fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    out.reserve(bytes.len() * 8 / 5 + 1);
    // The next bits, from the highest down.
    let (mut held, mut count) = (0u64, 0u32);
    let mut rest = bytes.iter();
    loop {
        while count <= 56 {
            let Some(byte) = rest.next() else { break };
            held |= u64::from(*byte) << (56 - count);
            count += 8;
        }
        if count == 0 {
            return Ok(());
        }
        let (symbol, bits) = CODE.short[(held >> (64 - SHORT_BITS)) as usize];
        let bits = u32::from(bits);
        if bits != 0 && bits <= count {
            out.push(symbol);
            held <<= bits;
            count -= bits;
            continue;
        }
        match long(held) {
            Some((symbol, bits)) if bits <= count => {
                if symbol == END {
                    return Err(Broken);
                }
                out.push(symbol as u8);
                held <<= bits;
                count -= bits;
            }
            // The rest is padding: the beginning of the end, less than a byte of it.
            _ => {
                let is_padding = count < 8 && held >> (64 - count) == (1 << count) - 1;
                return if is_padding { Ok(()) } else { Err(Broken) };
            }
        }
    }
}

/// The symbol of a code longer than [`SHORT_BITS`], with its length.
fn long(held: u64) -> Option<(u16, u32)> {
    (SHORT_BITS as usize + 1..=BITS_MAX).find_map(|bits| {
        let offset = ((held >> (64 - bits)) as u32).wrapping_sub(CODE.first[bits]);
        (offset < CODE.count[bits])
            .then(|| (CODE.symbols[usize::from(CODE.start[bits]) + offset as usize], bits as u32))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reverse, bit by bit.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for byte in text {
            let length = usize::from(LENGTHS[usize::from(*byte)]);
            let start = usize::from(CODE.start[length]);
            let place = (start..).find(|place| CODE.symbols[*place] == u16::from(*byte)).expect("a symbol");
            let code = CODE.first[length] + (place - start) as u32;
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        while bits.len() % 8 != 0 {
            bits.push(true);
        }
        bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
    }

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut out = Vec::new();
        decode(bytes, &mut out).map(|()| out)
    }

    // RFC 7541 C.4.1, C.4.2, C.6.1.
    #[test]
    fn the_examples_of_the_rfc() {
        let text: [(&[u8], &[u8]); 3] = [
            (b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", b"www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", b"no-cache"),
            (
                b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff",
                b"Mon, 21 Oct 2013 20:13:21 GMT",
            ),
        ];
        for (coded, plain) in text {
            assert_eq!(decoded(coded).as_deref(), Ok(plain));
            assert_eq!(encode(plain), coded);
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        assert_eq!(decoded(&encode(&all)), Ok(all));
        for byte in 0..=255 {
            assert_eq!(decoded(&encode(&[byte])), Ok(vec![byte]));
        }
    }

    #[test]
    fn padding_is_short_and_of_ones() {
        assert_eq!(decoded(b"\xfe\x3f\xff\xff"), Err(Broken), "more than 7 bits");
        assert_eq!(decoded(b"\x18"), Err(Broken), "zeros");
        assert_eq!(decoded(b"\xff\xff\xff\xff"), Err(Broken), "the end of string");
        assert_eq!(decoded(b"\xff"), Err(Broken), "a byte of padding");
    }
}

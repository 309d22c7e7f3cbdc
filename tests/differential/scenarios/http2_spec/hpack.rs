//! Header blocks that no decoder may take (RFC 7541).

use differential::http2::{COMPRESSION_ERROR, END_HEADERS, END_STREAM, HEADERS, frame};

use super::{Case, Want, case};

/// A request with this behind its fields.
fn with(more: &[u8]) -> Vec<u8> {
    let block = [&[0x82, 0x86, 0x84, 0x01, 1, b'h'][..], more].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

pub fn cases() -> Vec<Case> {
    let wrong = Want::Connection(&[COMPRESSION_ERROR]);
    let literal = |value: &[u8]| with(&[b"\x00\x01x", value].concat());
    vec![
        case("hpack/2.3.3/1 an index that no table has", with(&[0x80 | 70]), wrong),
        case("hpack/2.3.3/2 a literal whose name no table has", with(b"\x7f\x07\x04test"), wrong),
        case("hpack/4.2/1 a change of size behind the fields", with(&[0x21]), wrong),
        case("hpack/5.2/1 Huffman padding of more than 7 bits", literal(b"\x84\xfe\x3f\xff\xff"), wrong),
        case("hpack/5.2/2 Huffman padding of zeros", literal(b"\x81\x18"), wrong),
        case("hpack/5.2/3 the end of string in Huffman code", literal(b"\x84\xff\xff\xff\xff"), wrong),
        case("hpack/6.1/1 index 0", with(&[0x80]), wrong),
        case(
            "hpack/6.3/1 a table above SETTINGS_HEADER_TABLE_SIZE",
            {
                let block = [&[0x3f, 0xe1, 0xff, 0x7f][..], &[0x82, 0x86, 0x84, 0x01, 1, b'h']].concat();
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
            },
            wrong,
        ),
        case(
            "hpack/5.1 an integer without end",
            with(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            wrong,
        ),
        case("hpack/5.2 a string longer than its block", with(b"\x00\x01x\x7f"), wrong),
    ]
}

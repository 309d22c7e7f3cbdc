//! Hashes: the balancing functions, CRCs.

use super::Converter;
use crate::args::{Arg, Arguments, Param};
use crate::cast;
use crate::scope::Scope;
use crate::value::{Value, ValueType};
use balance::hash;

const fn row(name: &'static str, convert: super::Convert, doc: &'static str) -> Converter {
    Converter::new(name, ValueType::Bin, ValueType::Int, convert, doc).takes(&[Param::Int], 0)
}

pub(super) const ROWS: &[Converter] = &[
    row("sdbm", sdbm, "SDBM hash, 32 bits; 1 adds a full avalanche."),
    row("djb2", djb2, "DJB2 hash, 32 bits; 1 adds a full avalanche."),
    row("wt6", wt6, "WT6 hash, 32 bits; 1 adds a full avalanche."),
    row("crc32", crc32, "CRC-32, 32 bits; 1 adds a full avalanche."),
];

fn mixed<'a>(value: Value<'a>, args: &'a [Arg], function: fn(&[u8]) -> u32) -> Option<Value<'a>> {
    let hash = function(&cast::to_bytes(value)?);
    let mix = args.int(0).unwrap_or(0) != 0;
    Some(Value::Int(i64::from(if mix { hash::avalanche(hash) } else { hash })))
}

fn sdbm<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    mixed(value, args, hash::sdbm)
}

fn djb2<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    mixed(value, args, hash::djb2)
}

fn wt6<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    mixed(value, args, hash::wt6)
}

fn crc32<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    mixed(value, args, hash::crc32)
}

//! Hashes: the balancing functions, CRCs, xxHash, and cryptographic digests.

use super::Converter;
use super::codec::decode_padded;
use super::text::variable_text;
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::cast;
use crate::context::ParseContext;
use crate::scope::Scope;
use crate::value::{Value, ValueType};
use crate::variable_name::VariableName;
use balance::hash;
use hmac::digest::{Digest, DynDigest};
use hmac::{KeyInit, Mac, SimpleHmac};
use xxhash_rust::{xxh3, xxh32, xxh64};

const fn number(name: &'static str, convert: super::Convert, doc: &'static str) -> Converter {
    Converter::new(name, ValueType::Bin, ValueType::Int, convert, doc).takes(&[Param::Int], 0)
}

const fn bytes(name: &'static str, convert: super::Convert, doc: &'static str) -> Converter {
    Converter::new(name, ValueType::Bin, ValueType::Bin, convert, doc)
}

pub(super) const ROWS: &[Converter] = &[
    number("sdbm", sdbm, "SDBM hash, 32 bits; 1 adds a full avalanche."),
    number("djb2", djb2, "DJB2 hash, 32 bits; 1 adds a full avalanche."),
    number("wt6", wt6, "WT6 hash, 32 bits; 1 adds a full avalanche."),
    number("crc32", crc32, "CRC-32; 1 adds a full avalanche."),
    number("crc32c", crc32c, "CRC-32C (Castagnoli); 1 adds a full avalanche."),
    number("xxh32", hash_xxh32, "xxHash, 32 bits, with a seed."),
    number("xxh64", hash_xxh64, "xxHash, 64 bits, with a seed."),
    number("xxh3", hash_xxh3, "XXH3, 64 bits, with a seed."),
    bytes("sha1", sha1, "SHA-1 digest."),
    bytes("sha2", sha2, "SHA-2 digest of 224, 256, 384 or 512 bits.")
        .takes(&[Param::Int], 0)
        .check(check_sha2),
    bytes("digest", digest, "Digest by the algorithm of that name.")
        .takes(&[Param::Str], 1)
        .check(check_digest),
    bytes("hmac", keyed, "HMAC by an algorithm, with a key in base64 or a variable.")
        .takes(&[Param::Str, Param::Str], 2)
        .check(check_hmac),
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

/// CRC-32C by table: reflected polynomial 0x82f63b78 (RFC 3385).
fn castagnoli(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut crc = index as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[index] = crc;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| crc >> 8 ^ TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize])
}

fn crc32c<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    mixed(value, args, castagnoli)
}

fn hash_xxh32<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let seed = args.int(0).unwrap_or(0) as u32;
    Some(Value::Int(i64::from(xxh32::xxh32(&cast::to_bytes(value)?, seed))))
}

fn hash_xxh64<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let seed = args.int(0).unwrap_or(0) as u64;
    Some(Value::Int(xxh64::xxh64(&cast::to_bytes(value)?, seed) as i64))
}

fn hash_xxh3<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let seed = args.int(0).unwrap_or(0) as u64;
    Some(Value::Int(xxh3::xxh3_64_with_seed(&cast::to_bytes(value)?, seed) as i64))
}

fn digest_of(mut hasher: Box<dyn DynDigest>, bytes: &[u8]) -> Value<'static> {
    hasher.update(bytes);
    Value::Bin(hasher.finalize().into_vec().into())
}

fn sha1<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    Some(digest_of(Box::new(sha1::Sha1::new()), &cast::to_bytes(value)?))
}

fn check_sha2(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    match args.int(0) {
        None | Some(224 | 256 | 384 | 512) => Ok(()),
        Some(other) => Err(format!("{other} is not a size of SHA-2: 224, 256, 384 or 512")),
    }
}

fn sha2<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let hasher: Box<dyn DynDigest> = match args.int(0) {
        Some(224) => Box::new(sha2::Sha224::new()),
        Some(384) => Box::new(sha2::Sha384::new()),
        Some(512) => Box::new(sha2::Sha512::new()),
        Some(_) | None => Box::new(sha2::Sha256::new()),
    };
    Some(digest_of(hasher, &cast::to_bytes(value)?))
}

/// One digest algorithm: its names, plain and keyed.
struct Algorithm {
    names: &'static [&'static str],
    plain: fn() -> Box<dyn DynDigest>,
    keyed: fn(&[u8], &[u8]) -> Vec<u8>,
}

fn plain<D: Digest + DynDigest + 'static>() -> Box<dyn DynDigest> {
    Box::new(D::new())
}

fn hmac_of<D: Digest + hmac::digest::block_api::BlockSizeUser>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // Keys of any length are taken.
    let Ok(mut mac) = SimpleHmac::<D>::new_from_slice(key) else { return Vec::new() };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

const ALGORITHMS: &[Algorithm] = &[
    Algorithm { names: &["md5"], plain: plain::<md5::Md5>, keyed: hmac_of::<md5::Md5> },
    Algorithm { names: &["sha1", "sha-1"], plain: plain::<sha1::Sha1>, keyed: hmac_of::<sha1::Sha1> },
    Algorithm {
        names: &["sha224", "sha-224", "sha2-224"],
        plain: plain::<sha2::Sha224>,
        keyed: hmac_of::<sha2::Sha224>,
    },
    Algorithm {
        names: &["sha256", "sha-256", "sha2-256"],
        plain: plain::<sha2::Sha256>,
        keyed: hmac_of::<sha2::Sha256>,
    },
    Algorithm {
        names: &["sha384", "sha-384", "sha2-384"],
        plain: plain::<sha2::Sha384>,
        keyed: hmac_of::<sha2::Sha384>,
    },
    Algorithm {
        names: &["sha512", "sha-512", "sha2-512"],
        plain: plain::<sha2::Sha512>,
        keyed: hmac_of::<sha2::Sha512>,
    },
    Algorithm { names: &["sha3-224"], plain: plain::<sha3::Sha3_224>, keyed: hmac_of::<sha3::Sha3_224> },
    Algorithm { names: &["sha3-256"], plain: plain::<sha3::Sha3_256>, keyed: hmac_of::<sha3::Sha3_256> },
    Algorithm { names: &["sha3-384"], plain: plain::<sha3::Sha3_384>, keyed: hmac_of::<sha3::Sha3_384> },
    Algorithm { names: &["sha3-512"], plain: plain::<sha3::Sha3_512>, keyed: hmac_of::<sha3::Sha3_512> },
];

fn algorithm(name: &[u8]) -> Option<usize> {
    ALGORITHMS
        .iter()
        .position(|known| known.names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)))
}

fn check_digest(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    let name = args.text(0).unwrap_or_default();
    let index = algorithm(name).ok_or_else(|| {
        let known: Vec<&str> = ALGORITHMS.iter().map(|known| known.names[0]).collect();
        format!("unknown digest '{}': one of {}", String::from_utf8_lossy(name), known.join(", "))
    })?;
    args[0] = Arg::Int(index as i64);
    Ok(())
}

/// HMAC by a digest's name; `None`: there is no such digest.
pub(super) fn hmac_by_name(name: &str, key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    Some((ALGORITHMS[algorithm(name.as_bytes())?].keyed)(key, message))
}

fn chosen(args: &[Arg]) -> Option<&'static Algorithm> {
    ALGORITHMS.get(usize::try_from(args.int(0)?).ok()?)
}

fn digest<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    Some(digest_of((chosen(args)?.plain)(), &cast::to_bytes(value)?))
}

fn check_hmac(
    args: &mut ArgList,
    context: &mut ParseContext<'_>,
    row: &'static Converter,
) -> Result<(), String> {
    check_digest(args, context, row)?;
    let key = args.text(1).unwrap_or_default();
    args[1] = match VariableName::parse(key) {
        Ok(name) => Arg::Variable(name),
        Err(_) => Arg::Str(decode_padded(key).ok_or("the key must be base64 or a variable")?.into()),
    };
    Ok(())
}

fn keyed<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let bytes = cast::to_bytes(value)?;
    let algorithm = chosen(args)?;
    let code = match args.text(1) {
        Some(key) => (algorithm.keyed)(key, &bytes),
        None => (algorithm.keyed)(&decode_padded(&variable_text(args, 1, scope)?)?, &bytes),
    };
    Some(Value::Bin(code.into()))
}

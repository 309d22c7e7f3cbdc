//! Decryption with a key that both sides share: AES in Galois/counter mode (NIST SP 800-38D).

use super::Converter;
use super::codec::decode_padded;
use super::text::variable_text;
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::cast;
use crate::context::ParseContext;
use crate::scope::Scope;
use crate::value::{Value, ValueType};
use crate::variable_name::VariableName;
use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::borrow::Cow;

pub(super) const ROWS: &[Converter] = &[Converter::new(
    "aes_gcm_dec",
    ValueType::Bin,
    ValueType::Bin,
    decrypt,
    "Decrypts AES-GCM: bits, nonce, key and tag, each in base64 or a variable.",
)
.takes(&[Param::Int, Param::Str, Param::Str, Param::Str], 4)
.check(check)];

/// Bytes of a tag (all that HAProxy and its OpenSSL take).
const TAG: usize = 16;

fn check(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    if !matches!(args.int(0), Some(128 | 192 | 256)) {
        return Err("the key has 128, 192 or 256 bits".to_owned());
    }
    for (index, what) in [(1, "nonce"), (2, "key"), (3, "tag")] {
        let text = args.text(index).unwrap_or_default();
        args[index] = match VariableName::parse(text) {
            Ok(name) => Arg::Variable(name),
            Err(_) => Arg::Str(
                decode_padded(text).ok_or_else(|| format!("the {what} must be base64 or a variable"))?.into(),
            ),
        };
    }
    Ok(())
}

/// An argument's bytes; those of a variable are base64 too.
fn bytes<'a>(args: &'a [Arg], index: usize, scope: &Scope<'_>) -> Option<Cow<'a, [u8]>> {
    match args.text(index) {
        Some(bytes) => Some(Cow::Borrowed(bytes)),
        None => decode_padded(&variable_text(args, index, scope)?).map(Cow::Owned),
    }
}

/// Nothing where the tag is not that of these bytes, or key and nonce have other lengths than they must have (96 bits for
/// the nonce).
fn decrypt<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let algorithm = match args.int(0)? {
        128 => &AES_128_GCM,
        192 => &AES_192_GCM,
        _ => &AES_256_GCM,
    };
    let nonce = Nonce::try_assume_unique_for_key(&bytes(args, 1, scope)?).ok()?;
    let key = LessSafeKey::new(UnboundKey::new(algorithm, &bytes(args, 2, scope)?).ok()?);
    let tag = bytes(args, 3, scope)?;
    if tag.len() != TAG {
        return None;
    }
    let mut text = [&cast::to_bytes(value)?[..], &tag].concat();
    let length = key.open_in_place(nonce, Aad::empty(), &mut text).ok()?.len();
    text.truncate(length);
    Some(Value::Bin(text.into()))
}

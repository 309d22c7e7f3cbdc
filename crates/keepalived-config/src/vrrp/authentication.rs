//! `authentication` (VRRPv2) and `auth_hmac` (keepalived 2.4).

use crate::arguments::{Arguments, integer};
use crate::context::{Context, Outcome, fail};
use crate::keywords::Status::Works;
use crate::keywords::{Keyword, line, read_block};
use crate::language::Word;
use crate::model::{AntiReplay, Authentication, HmacKey, HmacMode};
use diag::{Diagnostic, Span};
use std::time::Duration;

type Args<'a, 'n> = &'a mut Arguments<'n>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Password,
    Header,
}

/// The block before its two words are put together.
#[derive(Debug, Default)]
pub(crate) struct AuthenticationDraft {
    kind: Option<Kind>,
    secret: Option<[u8; 8]>,
}

pub(super) static AUTHENTICATION: &[Keyword<AuthenticationDraft>] = &[
    line("auth_type", Works, auth_type, "PASS or AH"),
    line("auth_pass", Works, auth_pass, "secret of eight letters"),
];

fn auth_type(draft: &mut AuthenticationDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.word("PASS or AH")?;
    draft.kind = Some(match word.value.as_str() {
        "PASS" => Kind::Password,
        "AH" => Kind::Header,
        other => return fail(word.span, format!("`{other}` is neither PASS nor AH")),
    });
    if draft.kind == Some(Kind::Header) {
        context.advise(
            Diagnostic::notice(word.span, "AH was removed from VRRP in 2004 and guards against little")
                .with_help("between nodes of this program use `auth_hmac { … }`"),
        );
    }
    Ok(())
}

/// Bytes of a VRRPv2 secret, RFC 2338 §5.3.10.
const SECRET_LENGTH: usize = 8;

fn auth_pass(draft: &mut AuthenticationDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    // row: 230
    let Some(word) = arguments.quoted_rest()?.into_iter().next() else {
        return fail(arguments.end(), "`auth_pass` needs a secret");
    };
    let bytes = word.value.as_bytes();
    if bytes.len() > SECRET_LENGTH {
        context.problem(
            Diagnostic::warning(
                word.span,
                format!("only the first {SECRET_LENGTH} letters of the secret count; it has {}", bytes.len()),
            )
            .with_note(None, "the packet has no room for more; nodes that differ only later are let in"),
        );
    }
    let mut secret = [0; SECRET_LENGTH];
    for (target, byte) in secret.iter_mut().zip(bytes) {
        *target = *byte;
    }
    draft.secret = Some(secret);
    Ok(())
}

pub(crate) fn read(arguments: Args<'_, '_>, context: &mut Context<'_>) -> Authentication {
    let mut draft = AuthenticationDraft::default();
    let alerts = context.report.alerts();
    read_block(arguments.block(), || AUTHENTICATION.iter(), "authentication", &mut draft, context);
    match (draft.kind, draft.secret) {
        (Some(Kind::Password), Some(secret)) => Authentication::Password(secret),
        (Some(Kind::Header), Some(secret)) => Authentication::Header(secret),
        (Some(_), None) => {
            if context.report.alerts() == alerts {
                context.adjust(arguments.node.span(), "without `auth_pass` there is no authentication");
            }
            Authentication::None
        }
        (None, Some(_)) => {
            if context.report.alerts() == alerts {
                context.advise(Diagnostic::warning(
                    arguments.node.span(),
                    "without `auth_type` there is no authentication, whatever the secret",
                ));
            }
            Authentication::None
        }
        (None, None) => Authentication::None,
    }
}

/// `auth_hmac`
#[derive(Debug, Default)]
pub(crate) struct HmacDraft {
    keys: Vec<HmacKey>,
    active: Option<(u8, Span)>,
    monotonic: bool,
    window: Option<Duration>,
    mode: Option<HmacMode>,
}

/// Bytes of a key.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 32..=64;
/// Keys at once: the old one, the new one, and room.
const KEYS_MAX: usize = 255;
const WINDOW_DEFAULT: Duration = Duration::from_secs(5);
const WINDOW_MAX: Duration = Duration::from_secs(3600);

pub(super) static HMAC: &[Keyword<HmacDraft>] = &[
    line("key", Works, key, "id and 32 to 64 bytes: text, hex:… or file:…"),
    line(
        "active_key",
        Works,
        |draft, arguments, _| {
            let span = arguments.peek().map_or(arguments.end(), |word| word.span);
            draft.active = Some((arguments.integer(0..=255)? as u8, span));
            Ok(())
        },
        "id of the key that signs",
    ),
    line(
        "anti_replay",
        Works,
        |draft, arguments, _| {
            let word = arguments.word("time or monotonic")?;
            draft.monotonic = match word.value.as_str() {
                "time" => false,
                "monotonic" => true,
                other => return fail(word.span, format!("`{other}` is neither time nor monotonic")),
            };
            Ok(())
        },
        "how old adverts are told",
    ),
    line(
        "time_window",
        Works,
        |draft, arguments, _| {
            draft.window = Some(arguments.seconds(Duration::from_micros(1), WINDOW_MAX)?);
            Ok(())
        },
        "how far clocks may differ",
    ),
    line(
        "mode",
        Works,
        |draft, arguments, _| {
            let word = arguments.word("enforce, permissive or receive-only")?;
            draft.mode = Some(match word.value.as_str() {
                "enforce" => HmacMode::Enforce,
                "permissive" => HmacMode::Permissive,
                "receive-only" => HmacMode::ReceiveOnly,
                other => {
                    return fail(
                        word.span,
                        format!("`{other}` is none of enforce, permissive, receive-only"),
                    );
                }
            });
            Ok(())
        },
        "what happens to adverts without it",
    ),
];

fn key(draft: &mut HmacDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let mut words = arguments.quoted_rest()?.into_iter();
    let (Some(id), Some(value)) = (words.next(), words.next()) else {
        return fail(arguments.end(), "`key` needs an id and a key");
    };
    let number = integer(&id, 0..=255)? as u8;
    let secret = secret(&value, context)?;
    if !KEY_LENGTH.contains(&secret.len()) {
        return fail(
            value.span,
            format!(
                "a key has {} to {} bytes; this one has {}",
                KEY_LENGTH.start(),
                KEY_LENGTH.end(),
                secret.len()
            ),
        );
    }
    if draft.keys.iter().any(|known| known.id == number) {
        return fail(id.span, format!("key {number} is there already"));
    }
    if draft.keys.len() < KEYS_MAX {
        draft.keys.push(HmacKey { id: number, secret });
    }
    Ok(())
}

fn secret(word: &Word, context: &Context<'_>) -> Outcome<Vec<u8>> {
    if let Some(digits) = word.value.strip_prefix("hex:") {
        let bytes = digits.as_bytes();
        let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
        let pairs: Option<Vec<u8>> =
            bytes.chunks(2).map(|pair| Some(digit(pair[0])? * 16 + digit(*pair.get(1)?)?)).collect();
        return match pairs {
            Some(secret) => Ok(secret),
            None => fail(word.span, "this is not an even number of hexadecimal digits"),
        };
    }
    if let Some(path) = word.value.strip_prefix("file:") {
        return match context.host.read_file(std::path::Path::new(path)) {
            Ok(mut secret) => {
                // Editors end files with a line feed that is no part of the key.
                while secret.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                    secret.pop();
                }
                Ok(secret)
            }
            Err(error) => fail(word.span, format!("cannot read the key: {error}")),
        };
    }
    Ok(word.value.as_bytes().to_vec())
}

pub(crate) fn read_hmac(arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome<Authentication> {
    let mut draft = HmacDraft::default();
    let alerts = context.report.alerts();
    read_block(arguments.block(), || HMAC.iter(), "auth_hmac", &mut draft, context);
    if context.report.alerts() > alerts {
        return Ok(Authentication::None);
    }
    let Some(first) = draft.keys.first() else {
        return fail(arguments.node.span(), "auth_hmac has no key");
    };
    let active = match draft.active {
        Some((id, span)) if !draft.keys.iter().any(|key| key.id == id) => {
            return fail(span, format!("there is no key {id}"));
        }
        Some((id, _)) => id,
        None => first.id,
    };
    Ok(Authentication::Hmac {
        keys: draft.keys,
        active,
        mode: draft.mode.unwrap_or(HmacMode::Enforce),
        anti_replay: if draft.monotonic {
            AntiReplay::Monotonic
        } else {
            AntiReplay::Time { window: draft.window.unwrap_or(WINDOW_DEFAULT) }
        },
    })
}

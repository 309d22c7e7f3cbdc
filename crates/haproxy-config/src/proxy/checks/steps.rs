//! The steps that do something: connect, send, set-var.

use super::super::Draft;
use crate::keywords::unknown;
use crate::language::Word;
use crate::parse::{Arguments, Context, Outcome, fail};
use crate::scope;
use ::checks::{Connect, HttpSend, PortSource, Send, SendField, SetVariable, Step, Text, VariableValue};
use ::rules::log_format::Dialect;
use ::rules::{AclSet, Expr, LogFormat, Place, VariableName};

type Words<'a, 'l> = &'a mut Arguments<'l>;

/// A word as a log-format of a check.
pub(super) fn format(draft: &Draft, word: &Word, context: &mut Context<'_>) -> Outcome<LogFormat> {
    scope::log_format(context, draft.rule_section(), Place::Check.only(), word, Dialect::PLAIN)
}

/// A word as text of a check: a format if it has variables.
pub(super) fn text(draft: &Draft, word: &Word, context: &mut Context<'_>) -> Outcome<Text> {
    let parsed = format(draft, word, context)?;
    Ok(match parsed.as_literal() {
        Some(text) => Text::literal(text),
        None => Text::Format(Box::new(parsed)),
    })
}

/// Words from the next one on as an expression of a check.
pub(super) fn expression(
    draft: &Draft,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome<Expr> {
    arguments.clone().expect("an expression")?;
    let words = scope::words(&arguments.line().words);
    let mut at = arguments.position();
    let section = draft.rule_section();
    let parsed = scope::with_rules(context, section, &AclSet::new(), Place::Check.only(), |rules| {
        Expr::parse(&words, &mut at, rules)
    });
    arguments.seek(at);
    parsed
}

/// `4f4b0d0a`.
pub(super) fn hexadecimal(word: &Word) -> Outcome<Vec<u8>> {
    let text = word.value.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes: Option<Vec<u8>> =
        text.chunks(2).map(|pair| Some((digit(pair[0])? * 16 + digit(*pair.get(1)?)?) as u8)).collect();
    match bytes {
        Some(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => fail(word.span, format!("`{}` is not an even number of hexadecimal digits", word.value)),
    }
}

pub(super) fn connect(draft: &Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome<Step> {
    let mut connect = Connect::default();
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "default" => connect.use_server_defaults = true,
            "port" => {
                let word = arguments.expect("a port or an expression")?;
                connect.port = Some(match word.value.parse::<u32>() {
                    Ok(port @ 1..=65_535) => PortSource::Fixed(port as u16),
                    Ok(_) => return fail(word.span, format!("port must be 1..=65535, found {}", word.value)),
                    Err(_) => {
                        arguments.seek(arguments.position() - 1);
                        PortSource::Expr(Box::new(expression(draft, arguments, context)?))
                    }
                });
            }
            "addr" => {
                let word = arguments.expect("an address")?;
                match word.value.parse() {
                    Ok(ip) => connect.address = Some(ip),
                    Err(_) => return fail(word.span, format!("`{}` is not an IP address", word.value)),
                }
            }
            "send-proxy" => connect.send_proxy = true,
            "via-socks4" => connect.via_socks4 = true,
            "linger" => connect.linger = true,
            "ssl" => connect.tls = true,
            "sni" => connect.sni = Some(arguments.string()?),
            "alpn" => {
                connect.alpn =
                    arguments.expect("protocol names")?.value.split(',').map(str::to_owned).collect();
            }
            "proto" => connect.protocol = Some(arguments.string()?),
            "comment" => connect.comment = Some(arguments.string()?),
            _ => {
                let known = [
                    "default",
                    "port",
                    "addr",
                    "send-proxy",
                    "via-socks4",
                    "linger",
                    "ssl",
                    "sni",
                    "alpn",
                    "proto",
                    "comment",
                ];
                return Err(unknown("word", word, "after `connect`", known));
            }
        }
    }
    Ok(Step::Connect(Box::new(connect)))
}

pub(super) fn tcp_send(
    name: &str,
    draft: &Draft,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome<Step> {
    let word = arguments.expect("what to send")?;
    let data = match name {
        "send-lf" => Text::Format(Box::new(format(draft, word, context)?)),
        "send-binary" => Text::Literal(hexadecimal(word)?),
        "send-binary-lf" => Text::HexFormat(Box::new(format(draft, word, context)?)),
        _ => Text::Literal(word.bytes().to_vec()),
    };
    let mut comment = None;
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "comment" => comment = Some(arguments.string()?),
            _ => return Err(unknown("word", word, "after what is sent", ["comment"])),
        }
    }
    Ok(Step::Send(Send { data, comment }))
}

pub(super) fn http_send(draft: &Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome<Step> {
    let mut send = HttpSend::default();
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "meth" => send.method = Some(arguments.string()?),
            "uri" => send.uri = Some(Text::literal(arguments.expect("a URI")?.bytes())),
            "uri-lf" => {
                send.uri =
                    Some(Text::Format(Box::new(format(draft, arguments.expect("a format")?, context)?)))
            }
            "ver" => send.version = Some(arguments.string()?),
            "hdr" => {
                let name = arguments.expect("a header name")?;
                if !http::is_token_bytes(name.bytes()) {
                    return fail(name.span, format!("`{}` is no header name", name.value));
                }
                let value = arguments.expect("a value")?;
                let value = text(draft, value, context)?;
                let dropped = ["content-length", "transfer-encoding"];
                // The check sets these itself, as in HAProxy.
                if !dropped.contains(&name.value.to_ascii_lowercase().as_str()) {
                    send.fields.push(SendField { name: name.value.clone(), value });
                }
            }
            "body" => send.body = Some(Text::literal(arguments.expect("a text")?.bytes())),
            "body-lf" => {
                send.body =
                    Some(Text::Format(Box::new(format(draft, arguments.expect("a format")?, context)?)))
            }
            "comment" => send.comment = Some(arguments.string()?),
            _ => {
                let known = ["meth", "uri", "uri-lf", "ver", "hdr", "body", "body-lf", "comment"];
                return Err(unknown("word", word, "after `send`", known));
            }
        }
    }
    Ok(Step::HttpSend(Box::new(send)))
}

/// `set-var(name)`: the name between the parentheses.
fn variable_of(word: &Word) -> Outcome<VariableName> {
    let inner = word.value.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let name = match inner {
        Some((inside, "")) => inside.split(',').next().unwrap_or(""),
        _ => return fail(word.span, format!("expected a variable in parentheses, found `{}`", word.value)),
    };
    VariableName::parse(name.as_bytes()).or_else(|message| fail(word.span, message))
}

pub(super) fn set_variable(
    draft: &Draft,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome<Step> {
    let word = arguments.last();
    let name = variable_of(word)?;
    let value = if word.value.starts_with("set-var-fmt") {
        VariableValue::Format(Box::new(format(draft, arguments.expect("a format")?, context)?))
    } else {
        VariableValue::Expr(Box::new(expression(draft, arguments, context)?))
    };
    Ok(Step::SetVariable(SetVariable { name, value }))
}

pub(super) fn unset_variable(word: &Word) -> Outcome<Step> {
    Ok(Step::UnsetVariable { name: variable_of(word)? })
}

//! `get var` and `set var`: variables of the process.

use super::session::{Outcome, Reply, Session, word};
use rules::{Value, VariableName, VariableScope};

pub fn get(session: &mut Session, words: &[&str]) -> Outcome {
    let name = word(words, 2);
    if name.is_empty() {
        return Err(Reply::error("Missing process-wide variable identifier.\n"));
    }
    let not_found = || Reply::error("Variable not found.\n");
    let parsed = VariableName::parse(name.as_bytes()).map_err(|_| not_found())?;
    if parsed.scope != VariableScope::Process {
        return Err(not_found());
    }
    let value = session.state().process.variables.get(&parsed.name).ok_or_else(not_found)?;
    Ok(Reply::info(format!("{name}: type={} value=<{}>", type_name(&value), printed(&value))))
}

fn type_name(value: &Value<'_>) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "sint",
        Value::Ip4(_) => "ipv4",
        Value::Ip6(_) => "ipv6",
        Value::Str(_) => "str",
        Value::Bin(_) => "bin",
        Value::Method(_) => "meth",
    }
}

fn printed(value: &Value<'_>) -> String {
    match value {
        Value::Bool(truth) => u8::from(*truth).to_string(),
        Value::Int(number) => number.to_string(),
        Value::Ip4(address) => address.to_string(),
        Value::Ip6(address) => address.to_string(),
        Value::Str(text) | Value::Method(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Bin(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// `set var NAME expr EXPRESSION`, `set var NAME fmt FORMAT`, `set var NAME EXPRESSION`. Only constants make sense here,
/// and only two kinds are taken: numbers and texts.
pub fn set(session: &mut Session, words: &[&str]) -> Outcome {
    let missing = || Reply::error("Missing either 'expr', 'fmt' or expression.\n");
    let name = word(words, 2);
    if name.is_empty() {
        return Err(Reply::error("Missing process-wide variable identifier.\n"));
    }
    let (kind, expression) = match (word(words, 3), word(words, 4)) {
        ("", _) | ("expr" | "fmt", "") => return Err(missing()),
        (kind @ ("expr" | "fmt"), text) => (kind, text),
        (text, _) => ("expr", text),
    };
    let parsed = VariableName::parse(name.as_bytes()).map_err(Reply::error)?;
    if parsed.scope != VariableScope::Process {
        return Err(Reply::error(format!(
            "'set var': cannot set variable '{name}', only scope 'proc' is permitted here."
        )));
    }
    let value = match kind {
        "fmt" => Value::string(expression.as_bytes().to_vec()),
        _ => constant(expression)
            .ok_or_else(|| Reply::error(format!("unknown fetch method '{}'", fetch_name(expression))))?,
    };
    if !session.state().process.variables.set(&parsed.name, value) {
        return Err(Reply::error("No room for this variable.\n"));
    }
    Ok(Reply::Done)
}

fn fetch_name(expression: &str) -> &str {
    expression.split(['(', ',']).next().unwrap_or(expression)
}

fn constant(expression: &str) -> Option<Value<'static>> {
    let (fetch, rest) = expression.split_once('(')?;
    let argument = rest.strip_suffix(')')?;
    match fetch {
        "int" => argument.trim().parse().ok().map(Value::Int),
        "str" => Some(Value::string(argument.as_bytes().to_vec())),
        "bool" => match argument.trim() {
            "true" | "1" => Some(Value::Bool(true)),
            "false" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    }
}

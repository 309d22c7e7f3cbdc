//! `get var` and `set var`: variables of the process.

use super::session::{Outcome, Reply, Session, word};
use crate::process_variables;
use haproxy_config::model::ProcessValue;
use haproxy_config::{LoadOptions, load_text};
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

/// `set var NAME expr EXPRESSION`, `set var NAME fmt FORMAT`, `set var NAME EXPRESSION`.
pub fn set(session: &mut Session, words: &[&str]) -> Outcome {
    let missing = || Reply::error("Missing either 'expr', 'fmt' or expression.\n");
    let name = word(words, 2);
    if name.is_empty() {
        return Err(Reply::error("Missing process-wide variable identifier.\n"));
    }
    let (keyword, expression) = match (word(words, 3), word(words, 4)) {
        ("", _) => return Err(missing()),
        // Alone, they are read as expressions themselves.
        ("expr", text) if !text.is_empty() => ("set-var", text),
        ("fmt", text) if !text.is_empty() => ("set-var-fmt", text),
        (text, "") => ("set-var", text),
        (text, _) => {
            return Err(Reply::error(format!(
                "'set var': arg type must be either 'expr' or 'fmt' but got '{text}'."
            )));
        }
    };
    let parsed = VariableName::parse(name.as_bytes()).map_err(Reply::error)?;
    if parsed.scope != VariableScope::Process {
        return Err(Reply::error(format!(
            "'set var': cannot set variable '{name}', only scope 'proc' is permitted here."
        )));
    }
    let read = read(keyword, name, expression)?;
    let state = session.state();
    // An expression that gives nothing leaves the variable as it is.
    if let Some(value) = process_variables::evaluate(state, &read)
        && !state.process.variables.set(&parsed.name, value)
    {
        return Err(Reply::error("No room for this variable.\n"));
    }
    Ok(Reply::Done)
}

/// Reads the words as a line of the `global` section.
fn read(keyword: &str, name: &str, expression: &str) -> Result<ProcessValue, Reply> {
    let text = format!("global\n  {keyword} {name} '{}'\n", expression.replace('\'', "'\\''"));
    let loaded = load_text(&LoadOptions::new(Vec::new()), "runtime API", &text);
    let first_error = || {
        let mut found = loaded.report.diagnostics().iter();
        let error = found.find(|diagnostic| diagnostic.severity == diag::Severity::Alert);
        match fetch_name(expression) {
            // The words that scripts know.
            fetch if rules::all_fetches().all(|known| known.name != fetch) && keyword == "set-var" => {
                format!("unknown fetch method '{fetch}'")
            }
            _ => error.map_or_else(|| "invalid expression".to_owned(), |error| error.message.clone()),
        }
    };
    let value = loaded.model.and_then(|mut model| model.global.process_variables.pop());
    value.map(|(_, value)| value).ok_or_else(|| Reply::error(first_error()))
}

fn fetch_name(expression: &str) -> &str {
    expression.split(['(', ',']).next().unwrap_or(expression)
}

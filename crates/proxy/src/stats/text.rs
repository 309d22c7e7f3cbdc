//! Rows as text: CSV, the typed form, JSON.

use super::fields::Field;
use super::rows::{Row, Value};
use std::fmt::Write;

/// The header line of the CSV form, newline included. A column named `-` stands before the fields of protocols.
pub fn csv_header() -> String {
    let mut out = String::from("# ");
    for &field in Field::ALL {
        if field == Field::FIRST_OF_PROTOCOLS {
            out.push_str("-,");
        }
        out.push_str(field.name());
        out.push(',');
    }
    out.push('\n');
    out
}

/// One CSV line, newline included.
pub fn write_csv(row: &Row, out: &mut String) {
    for &field in Field::ALL {
        if field == Field::FIRST_OF_PROTOCOLS {
            out.push_str("-,");
        }
        match row.get(field) {
            Some(Value::Text(text)) => quote_csv(text, out),
            Some(value) => {
                let _ = write!(out, "{value}");
            }
            None => {}
        }
        out.push(',');
    }
    out.push('\n');
}

// Quotes only where the reader would go wrong without.
fn quote_csv(text: &str, out: &mut String) {
    if !text.contains([',', '"', '\n', '\r']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for letter in text.chars() {
        if letter == '"' {
            out.push('"');
        }
        out.push(letter);
    }
    out.push('"');
}

/// The lines of the typed form of one row.
pub fn write_typed(row: &Row, descriptions: bool, out: &mut String) {
    for (field, value) in row.filled() {
        let _ = write!(
            out,
            "{}.{}.{}.{}.{}.1:{}:{}:{value}",
            row.kind.letter(),
            row.iid,
            row.sid,
            field.position(),
            field.name(),
            row.tags(field).letters(),
            value.type_name(),
        );
        if descriptions {
            let _ = write!(out, ":\"{}\"", field.description());
        }
        out.push('\n');
    }
}

/// One row as a JSON array of fields.
pub fn write_json(row: &Row, out: &mut String) {
    out.push('[');
    for (index, (field, value)) in row.filled().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let _ = write!(
            out,
            "{{\"objType\":\"{}\",\"proxyId\":{},\"id\":{},\"field\":{{\"pos\":{},\"name\":\"{}\"}},",
            row.kind.word(),
            row.iid,
            row.sid,
            field.position(),
            field.name(),
        );
        write_json_value(row.tags(field).words(), value, out);
    }
    out.push(']');
}

/// The tail of a field's JSON object: process number, tags and value, with the closing brace.
pub fn write_json_value([origin, nature, scope]: [&str; 3], value: &Value, out: &mut String) {
    let _ = write!(
        out,
        "\"processNum\":1,\"tags\":{{\"origin\":\"{origin}\",\"nature\":\"{nature}\",\"scope\":\"{scope}\"}},\
         \"value\":{{\"type\":\"{}\",\"value\":",
        value.type_name(),
    );
    match value {
        Value::Text(text) => quote_json(text, out),
        Value::Small(_) | Value::Large(_) | Value::Signed(_) => {
            let _ = write!(out, "{value}");
        }
    }
    out.push_str("}}");
}

fn quote_json(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

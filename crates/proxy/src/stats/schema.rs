//! The JSON schema of the JSON form, which clients of the page and of the runtime API read. Made from small parts.

/// A type of value and its limits in the schema.
const VALUE_TYPES: [(&str, &str); 5] = [
    ("s32", r#""type":"integer","minimum":-2147483648,"maximum":2147483647"#),
    ("s64", r#""type":"integer","minimum":-9007199254740991,"maximum":9007199254740991"#),
    ("u32", r#""type":"integer","minimum":0,"maximum":4294967295"#),
    ("u64", r#""type":"integer","minimum":0,"maximum":9007199254740991"#),
    ("str", r#""type":"string""#),
];

const ORIGINS: &[&str] = &["Metric", "Status", "Key", "Config", "Product", "Unknown"];
const NATURES: &[&str] = &[
    "Gauge", "Limit", "Min", "Max", "Rate", "Counter", "Duration", "Age", "Time", "Name", "Output", "Avg",
    "Unknown",
];
const SCOPES: &[&str] = &["Cluster", "Process", "Service", "System", "Unknown"];
const OBJECTS: &[&str] = &["Frontend", "Backend", "Listener", "Server", "Unknown"];

/// The schema, on one line, newline included.
pub fn json_schema() -> String {
    let common = ["field", "processNum", "tags"].map(|name| (name, reference(name)));
    let typed = ("value", reference("typedValue"));
    let info: Vec<_> = common.iter().cloned().chain([typed.clone()]).collect();
    let number = |minimum: u8| format!(r#"{{"type":"integer","minimum":{minimum}}}"#);
    let object = ("objType", format!(r#"{{"enum":{}}}"#, list(OBJECTS)));
    let stat: Vec<_> = [object, ("proxyId", number(0)), ("id", number(0))]
        .into_iter()
        .chain(common)
        .chain([typed])
        .collect();
    let error = r#"{"title":"Error","type":"object","properties":{"errorStr":{"type":"string"}},"required":["errorStr"]}"#;
    let tag = |words: &[&str]| format!(r#"{{"type":"string","enum":{}}}"#, list(words));
    let field = object_of("", &[("pos", number(0)), ("name", r#"{"type":"string"}"#.to_owned())]);
    let tags = object_of("", &[("origin", tag(ORIGINS)), ("nature", tag(NATURES)), ("scope", tag(SCOPES))]);
    format!(
        r##"{{"$schema":"http://json-schema.org/draft-04/schema#","oneOf":[{},{},{error}],"definitions":{{"field":{field},"processNum":{},"tags":{tags},"typedValue":{}}}}}"##,
        array("Info", &info),
        array("Stat", &stat),
        number(1),
        typed_value(),
    ) + "\n"
}

fn reference(name: &str) -> String {
    format!(r##"{{"$ref":"#/definitions/{name}"}}"##)
}

fn list(words: &[&str]) -> String {
    format!("[\"{}\"]", words.join("\",\""))
}

/// An object whose properties must all be there.
fn object_of(title: &str, properties: &[(&str, String)]) -> String {
    let title = if title.is_empty() { String::new() } else { format!(r#""title":"{title}","#) };
    let inner: Vec<String> =
        properties.iter().map(|(name, schema)| format!(r#""{name}":{schema}"#)).collect();
    let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    format!(r#"{{{title}"type":"object","properties":{{{}}},"required":{}}}"#, inner.join(","), list(&names))
}

fn array(title: &str, properties: &[(&str, String)]) -> String {
    format!(r#"{{"title":"{title}","type":"array","items":{}}}"#, object_of("InfoItem", properties))
}

fn typed_value() -> String {
    let names = VALUE_TYPES
        .map(|(name, _)| format!(r##"{{"$ref":"#/definitions/typedValue/definitions/{name}Value"}}"##));
    let definitions = VALUE_TYPES.map(|(name, limits)| {
        let kind = format!(r#"{{"type":"string","enum":["{name}"]}}"#);
        format!(r#""{name}Value":{}"#, object_of("", &[("type", kind), ("value", format!("{{{limits}}}"))]))
    });
    format!(
        r#"{{"type":"object","oneOf":[{}],"definitions":{{{}}}}}"#,
        names.join(","),
        definitions.join(",")
    )
}

#[cfg(test)]
mod tests {
    // row: 153
    #[test]
    fn the_schema_starts_as_haproxys_and_its_braces_close() {
        let schema = super::json_schema();
        let start = "{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"oneOf\":[{\"title\":\"Info\",\"type\":\
                     \"array\",\"items\":{\"title\":\"InfoItem\",\"type\":\"object\",\"properties\":{\"field\":{\"$ref\":";
        assert!(schema.starts_with(start), "{schema}");
        let count = |letter: char| schema.matches(letter).count();
        assert_eq!([count('{'), count('[')], [count('}'), count(']')]);
    }
}

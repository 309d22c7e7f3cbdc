//! Expressions, log formats, conditions and lists of patterns. An input is a line of configuration, then what it is
//! evaluated on: a message, or lines for the lists.

use crate::world::{World, log_context, places, split, word, words};
use rules::log_format::Dialect;
use rules::{Condition, Expr, LogFormat, Value, ValueType};

/// Lines that are added to lists at most.
const LINES_MAX: usize = 50;

/// An expression is refused with words, or gives its values and their text forms.
pub fn expression(bytes: &[u8]) {
    let (line, message) = split(bytes);
    for places in places() {
        let mut world = World::new(message);
        let Ok(expr) = world.parse(places, |context| Expr::parse_word(word(line, 0), context)) else {
            continue;
        };
        assert_eq!(expr.source(), line);
        let scope = world.scope();
        let _text = expr.eval_text(&scope);
        let _all = expr.each(&scope, &mut |value: Value<'_>| rules::cast(value, ValueType::Str).is_some());
    }
}

/// A format is refused with words, or can be written in all its dialects.
pub fn log_format(bytes: &[u8]) {
    let (line, message) = split(bytes);
    let mut context = log_context();
    for dialect in [Dialect::LOG, Dialect::MESSAGE, Dialect::UNIQUE_ID, Dialect::PLAIN] {
        let mut world = World::new(message);
        let [places, ..] = places();
        let parsed = world.parse(places, |context| LogFormat::parse(word(line, 0), dialect, context));
        let Ok(format) = parsed else { continue };
        let mut out = Vec::new();
        format.write(&world.scope(), &mut context, &mut out);
        if let Some(text) = format.as_literal() {
            assert_eq!(text, out, "a literal is written as it is");
        }
        let _stage = format.stage();
    }
}

/// A condition is refused with words or tested; its lists take lines and give them back.
pub fn patterns(bytes: &[u8]) {
    let (line, rest) = split(bytes);
    let mut world = World::new(b"");
    let [places, ..] = places();
    let line = words(line);
    let Ok(condition) = world.parse(places, |context| Condition::parse(&line, context)) else { return };
    let before = condition.matches(&world.scope());
    assert_eq!(before, condition.matches(&world.scope()), "the same twice");
    world.patterns.assign_ids();
    for list in world.patterns.lists() {
        let kind =
            if list.is_used_by(rules::ListKind::Map) { rules::ListKind::Map } else { rules::ListKind::Acl };
        for line in rest.split(|byte| *byte == b'\n').take(LINES_MAX) {
            let mut parts = line.splitn(2, |byte| *byte == b' ');
            let (key, value) = (parts.next().unwrap_or_default(), parts.next());
            let value = if list.with_values { Some(value.unwrap_or_default()) } else { None };
            let count = list.entries(None).len();
            if list.add(key, value, None).is_ok() {
                assert_eq!(list.entries(None).len(), count + 1);
            } else {
                assert_eq!(list.entries(None).len(), count, "all or none");
            }
            let _answers = list.answers(key, kind);
            if let Some(value) = value {
                let _changed = list.set(key, value);
            }
        }
        let _matched = condition.matches(&world.scope());
        let version = list.prepare();
        let first = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let _added = list.add(first, list.with_values.then_some(b"1"), Some(version));
        for line in rest.split(|byte| *byte == b'\n').take(LINES_MAX) {
            let key = line.split(|byte| *byte == b' ').next().unwrap_or_default();
            list.delete(key);
            assert!(list.entries(None).iter().all(|entry| *entry.key != *key), "it is gone");
        }
        assert_eq!(list.commit(version), Ok(()));
        list.clear(None);
        assert!(list.entries(None).is_empty());
    }
    let _emptied = condition.matches(&world.scope());
}

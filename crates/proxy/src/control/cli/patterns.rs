//! Commands about lists of patterns: `show`, `get`, `add`, `set`, `del`, `clear`, `prepare`, `commit` of maps and ACLs.

use super::session::{Outcome, Reply, Session, word};
use rules::{ListKind, PatternList};
use std::fmt::Write;
use std::sync::Arc;

/// By which of its two names a list was called.
fn kind_of(words: &[&str]) -> ListKind {
    if word(words, 1) == "map" { ListKind::Map } else { ListKind::Acl }
}

fn unknown(kind: ListKind) -> Reply {
    Reply::error(match kind {
        ListKind::Acl => "Unknown ACL identifier. Please use #<id> or <file>.\n",
        ListKind::Map => "Unknown map identifier. Please use #<id> or <file>.\n",
    })
}

fn name_of(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Acl => "ACL",
        ListKind::Map => "map",
    }
}

/// The list of that file, or `#` and number.
fn find(session: &Session, kind: ListKind, name: &str) -> Option<Arc<PatternList>> {
    let store = &session.state().model.patterns;
    let found = match name.strip_prefix('#') {
        Some(number) => store.by_id(number.parse().ok()?),
        None => store.by_file(name.as_bytes()),
    };
    found.filter(|list| list.is_used_by(kind)).cloned()
}

/// `@VERSION` before the list's name, and the words from that name on.
fn versioned<'w, 'a>(words: &'w [&'a str]) -> (Option<u32>, &'w [&'a str]) {
    match words.get(2).and_then(|word| word.strip_prefix('@')) {
        Some(number) => (Some(number.parse().unwrap_or(0)), &words[3..]),
        None => (None, words.get(2..).unwrap_or_default()),
    }
}

/// The number in `#0x1234`.
fn reference(text: &str) -> Option<Option<u64>> {
    let text = text.strip_prefix('#')?;
    Some(u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok())
}

pub fn show(session: &mut Session, words: &[&str]) -> Outcome {
    let kind = kind_of(words);
    let (version, rest) = versioned(words);
    if rest.is_empty() && version.is_none() {
        return Ok(Reply::Dump(show_lists(session, kind)));
    }
    let list = find(session, kind, word(rest, 0)).ok_or_else(|| unknown(kind))?;
    let mut out = String::new();
    for entry in list.entries(version) {
        let _ = write!(out, "{:#x} {}", entry.id, String::from_utf8_lossy(&entry.key));
        if let Some(value) = &entry.value {
            let _ = write!(out, " {}", String::from_utf8_lossy(value));
        }
        out.push('\n');
    }
    Ok(Reply::Dump(out))
}

fn show_lists(session: &Session, kind: ListKind) -> String {
    let mut out = String::from("# id (file) description\n");
    for list in session.state().model.patterns.lists().iter().filter(|list| list.is_used_by(kind)) {
        let (current, next) = list.generations();
        let file = list.file.as_deref().unwrap_or_default();
        let _ = writeln!(
            out,
            "{} ({}) {}. curr_ver={current} next_ver={next} entry_cnt={}",
            list.id().unwrap_or(0),
            String::from_utf8_lossy(file),
            list.description(),
            list.entries(Some(current)).len(),
        );
    }
    out
}

pub fn get(session: &mut Session, words: &[&str]) -> Outcome {
    let kind = kind_of(words);
    if word(words, 2).is_empty() || word(words, 3).is_empty() {
        return Err(Reply::error(match kind {
            ListKind::Acl => "Missing ACL identifier and/or key.\n",
            ListKind::Map => "Missing map identifier and/or key.\n",
        }));
    }
    let list = find(session, kind, words[2]).ok_or_else(|| unknown(kind))?;
    let answers = list.answers(word(words, 3).as_bytes(), kind);
    Ok(Reply::Dump(answers.into_iter().map(|answer| answer.trim_end().to_owned() + "\n").collect()))
}

pub fn add(session: &mut Session, words: &[&str]) -> Outcome {
    let kind = kind_of(words);
    let (version, rest) = versioned(words);
    let payload = session.payload.clone();
    let (name, key, value) = (word(rest, 0), word(rest, 1), word(rest, 2));
    let is_complete = match (kind, &payload) {
        (_, Some(_)) if kind == ListKind::Map => !name.is_empty() && key.is_empty(),
        (ListKind::Map, _) => !value.is_empty(),
        (ListKind::Acl, _) => !key.is_empty(),
    };
    if !is_complete {
        return Err(Reply::error(match kind {
            ListKind::Acl => "'add acl' expects two parameters: ACL identifier and pattern.\n",
            ListKind::Map => {
                "'add map' expects three parameters (map identifier, key and value) or one parameter (map \
                 identifier) and a payload\n"
            }
        }));
    }
    let list = find(session, kind, name).ok_or_else(|| unknown(kind))?;
    let push = |key: &str, value: Option<&str>| {
        let added = list.add(key.as_bytes(), value.map(str::as_bytes), version);
        added.map_err(|reason| Reply::error(format!("{}.\n", reason.trim_end_matches('.'))))
    };
    match (kind, payload) {
        (ListKind::Map, Some(payload)) => {
            for line in payload.lines() {
                let line = line.trim_start_matches([' ', '\t']);
                let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
                let value = value.trim_start_matches([' ', '\t']);
                if value.is_empty() {
                    return Err(Reply::error(format!("Missing value for key '{key}'.\n")));
                }
                push(key, Some(value))?;
            }
        }
        (ListKind::Map, None) => {
            push(key, Some(value))?;
        }
        (ListKind::Acl, _) => {
            push(key, None)?;
        }
    }
    Ok(Reply::Done)
}

pub fn set(session: &mut Session, words: &[&str]) -> Outcome {
    let (name, key, value) = (word(words, 2), word(words, 3), word(words, 4));
    if value.is_empty() {
        return Err(Reply::error("'set map' expects three parameters: map identifier, key and value.\n"));
    }
    let list = find(session, ListKind::Map, name).ok_or_else(|| unknown(ListKind::Map))?;
    let (changed, missing) = match reference(key) {
        Some(id) => {
            let changed = id.map_or(Ok(0), |id| list.set_by_id(id, value.as_bytes()));
            (changed, "key or pattern not found.\n")
        }
        None => (list.set(key.as_bytes(), value.as_bytes()), "entry not found.\n"),
    };
    match changed {
        Ok(0) => Err(Reply::error(missing)),
        Ok(_) => Ok(Reply::Done),
        Err(reason) => Err(Reply::error(format!("{reason}.\n"))),
    }
}

pub fn delete(session: &mut Session, words: &[&str]) -> Outcome {
    let kind = kind_of(words);
    let (name, key) = (word(words, 2), word(words, 3));
    if key.is_empty() {
        return Err(Reply::error(format!(
            "This command expects two parameters: {} identifier and key.\n",
            name_of(kind)
        )));
    }
    // The original speaks of a map here whatever was asked for.
    let list = find(session, kind, name).ok_or_else(|| unknown(ListKind::Map))?;
    let removed = match reference(key) {
        Some(id) => id.map_or(0, |id| list.delete_by_id(id)),
        None => list.delete(key.as_bytes()),
    };
    if removed == 0 {
        return Err(Reply::error("Key not found.\n"));
    }
    Ok(Reply::Done)
}

pub fn clear(session: &mut Session, words: &[&str]) -> Outcome {
    let kind = kind_of(words);
    let (version, rest) = versioned(words);
    if word(rest, 0).is_empty() {
        return Err(Reply::error(format!("Missing {} identifier.\n", name_of(kind))));
    }
    let list = find(session, kind, rest[0]).ok_or_else(|| unknown(kind))?;
    list.clear(version);
    Ok(Reply::Done)
}

pub fn prepare(session: &mut Session, words: &[&str]) -> Outcome {
    let kind = kind_of(words);
    let list = find(session, kind, word(words, 2)).ok_or_else(|| unknown(kind))?;
    Ok(Reply::info(format!("New version created: {}\n", list.prepare())))
}

pub fn commit(session: &mut Session, words: &[&str]) -> Outcome {
    let kind = kind_of(words);
    let (version, rest) = versioned(words);
    let version = version.ok_or_else(|| Reply::error("Missing version number.\n"))?;
    let list = find(session, kind, word(rest, 0)).ok_or_else(|| unknown(kind))?;
    let (current, next) = list.generations();
    if version <= current || version > next {
        return Err(Reply::error("Version number out of range.\n"));
    }
    list.commit(version).map_err(|reason| Reply::error(format!("{reason}\n")))?;
    Ok(Reply::Done)
}

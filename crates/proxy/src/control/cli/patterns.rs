//! Commands about lists of patterns: `show`, `get`, `add`, `set`, `del`, `clear`, `prepare`, `commit` of maps and ACLs.

use super::session::{Outcome, Reply, Session, word};
use rules::pattern::{ListKind, PatternList};
use std::fmt::Write;
use std::sync::Arc;

/// Which of the two names a list was called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Acl,
    Map,
}

impl Kind {
    fn of(words: &[&str]) -> Kind {
        if word(words, 1) == "map" { Kind::Map } else { Kind::Acl }
    }

    fn takes(self, list: &PatternList) -> bool {
        match self {
            Kind::Acl => list.is_acl,
            Kind::Map => list.is_map,
        }
    }

    fn unknown(self) -> Reply {
        Reply::error(match self {
            Kind::Acl => "Unknown ACL identifier. Please use #<id> or <file>.\n",
            Kind::Map => "Unknown map identifier. Please use #<id> or <file>.\n",
        })
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Acl => "ACL",
            Kind::Map => "map",
        }
    }
}

/// The list of that file, or `#` and number.
fn find(session: &Session, kind: Kind, name: &str) -> Option<Arc<PatternList>> {
    let store = &session.state().model.patterns;
    let found = match name.strip_prefix('#') {
        Some(number) => store.by_id(number.parse().ok()?),
        None => store.by_file(name.as_bytes()),
    };
    found.filter(|list| kind.takes(list)).cloned()
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
    let kind = Kind::of(words);
    let (version, rest) = versioned(words);
    if rest.is_empty() && version.is_none() {
        return Ok(Reply::Dump(show_lists(session, kind)));
    }
    let list = find(session, kind, word(rest, 0)).ok_or_else(|| kind.unknown())?;
    let mut out = String::new();
    for entry in list.entries(version.unwrap_or(list.generations().0)) {
        let _ = write!(out, "{:#x} {}", entry.id, String::from_utf8_lossy(&entry.key));
        if let Some(value) = &entry.value {
            let _ = write!(out, " {}", String::from_utf8_lossy(value));
        }
        out.push('\n');
    }
    Ok(Reply::Dump(out))
}

fn show_lists(session: &Session, kind: Kind) -> String {
    let mut out = String::from("# id (file) description\n");
    for list in session.state().model.patterns.lists().iter().filter(|list| kind.takes(list)) {
        let (current, next) = list.generations();
        let file = list.file.as_deref().unwrap_or_default();
        let _ = writeln!(
            out,
            "{} ({}) {}. curr_ver={current} next_ver={next} entry_cnt={}",
            list.id,
            String::from_utf8_lossy(file),
            list.description,
            list.entries(current).len(),
        );
    }
    out
}

pub fn get(session: &mut Session, words: &[&str]) -> Outcome {
    let kind = Kind::of(words);
    if word(words, 2).is_empty() || word(words, 3).is_empty() {
        return Err(Reply::error(match kind {
            Kind::Acl => "Missing ACL identifier and/or key.\n",
            Kind::Map => "Missing map identifier and/or key.\n",
        }));
    }
    let list = find(session, kind, words[2]).ok_or_else(|| kind.unknown())?;
    let kind = match kind {
        Kind::Acl => ListKind::Acl,
        Kind::Map => ListKind::Map,
    };
    Ok(Reply::Dump(list.answers(word(words, 3).as_bytes(), kind).concat()))
}

pub fn add(session: &mut Session, words: &[&str]) -> Outcome {
    let kind = Kind::of(words);
    let (version, rest) = versioned(words);
    let payload = session.payload.clone();
    let (name, key, value) = (word(rest, 0), word(rest, 1), word(rest, 2));
    let is_complete = match (kind, &payload) {
        (_, Some(_)) if kind == Kind::Map => !name.is_empty() && key.is_empty(),
        (Kind::Map, _) => !value.is_empty(),
        (Kind::Acl, _) => !key.is_empty(),
    };
    if !is_complete {
        return Err(Reply::error(match kind {
            Kind::Acl => "'add acl' expects two parameters: ACL identifier and pattern.\n",
            Kind::Map => {
                "'add map' expects three parameters (map identifier, key and value) or one parameter (map \
                 identifier) and a payload\n"
            }
        }));
    }
    let list = find(session, kind, name).ok_or_else(|| kind.unknown())?;
    if version.is_some_and(|version| version > list.generations().1) {
        return Err(Reply::error("Version number in the future, please use 'prepare map' before.\n"));
    }
    let push = |key: &str, value: Option<&str>| {
        let added = list.add(key.as_bytes(), value.map(str::as_bytes), version);
        added.map_err(|reason| Reply::error(format!("{}.\n", reason.trim_end_matches('.'))))
    };
    match (kind, payload) {
        (Kind::Map, Some(payload)) => {
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
        (Kind::Map, None) => {
            push(key, Some(value))?;
        }
        (Kind::Acl, _) => {
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
    let list = find(session, Kind::Map, name).ok_or_else(|| Kind::Map.unknown())?;
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
    let kind = Kind::of(words);
    let (name, key) = (word(words, 2), word(words, 3));
    if key.is_empty() {
        return Err(Reply::error(format!(
            "This command expects two parameters: {} identifier and key.\n",
            kind.name()
        )));
    }
    // The original speaks of a map here whatever was asked for.
    let list = find(session, kind, name).ok_or_else(|| Kind::Map.unknown())?;
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
    let kind = Kind::of(words);
    let (version, rest) = versioned(words);
    if word(rest, 0).is_empty() {
        return Err(Reply::error(format!("Missing {} identifier.\n", kind.name())));
    }
    let list = find(session, kind, rest[0]).ok_or_else(|| kind.unknown())?;
    list.clear(version);
    Ok(Reply::Done)
}

pub fn prepare(session: &mut Session, words: &[&str]) -> Outcome {
    let kind = Kind::of(words);
    let list = find(session, kind, word(words, 2)).ok_or_else(|| kind.unknown())?;
    Ok(Reply::info(format!("New version created: {}\n", list.prepare())))
}

pub fn commit(session: &mut Session, words: &[&str]) -> Outcome {
    let kind = Kind::of(words);
    let (version, rest) = versioned(words);
    let version = version.ok_or_else(|| Reply::error("Missing version number.\n"))?;
    let list = find(session, kind, word(rest, 0)).ok_or_else(|| kind.unknown())?;
    let (current, next) = list.generations();
    if version <= current || version > next {
        return Err(Reply::error("Version number out of range.\n"));
    }
    list.commit(version).map_err(|reason| Reply::error(format!("{reason}\n")))?;
    Ok(Reply::Done)
}

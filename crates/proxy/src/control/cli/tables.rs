//! `show table`, `set table`, `clear table`.

use super::session::{Outcome, Reply, Session, word};
use haproxy_config::model::Level;
use rules::StickTable;
use rules::stick_table::TableAction;
use std::sync::Arc;
use std::time::Instant;

fn find<'a>(session: &'a Session, name: &str) -> Option<&'a Arc<StickTable>> {
    let state = session.state();
    let position = state.model.tables.iter().position(|table| table.name == name)?;
    state.tables.get(position)
}

pub fn show(session: &mut Session, words: &[&str]) -> Outcome {
    let name = word(words, 2);
    let state = session.state();
    if name.is_empty() {
        let all = state.model.tables.iter().zip(&state.tables);
        return Ok(Reply::Dump(all.map(|(settings, table)| table.header(&settings.name)).collect()));
    }
    if session.level < Level::Operator {
        let table = find(session, name).ok_or_else(no_such_table)?;
        let header = table.header(name);
        return Ok(Reply::Dump(format!("{header}# contents not dumped due to insufficient privileges\n")));
    }
    run(session, TableAction::Show, words)
}

pub fn set(session: &mut Session, words: &[&str]) -> Outcome {
    if word(words, 2).is_empty() {
        return Err(Reply::error(
            "Required arguments: <table> key <key> [data.<store_data_type> <value>]*\n",
        ));
    }
    run(session, TableAction::Set, words)
}

pub fn clear(session: &mut Session, words: &[&str]) -> Outcome {
    if word(words, 2).is_empty() {
        return Err(Reply::error(
            "Required arguments: <table> \"data.<store_data_type>\" <operator> <value> or <table> key <key>\n",
        ));
    }
    run(session, TableAction::Clear, words)
}

fn no_such_table() -> Reply {
    Reply::error("No such table\n")
}

fn run(session: &Session, action: TableAction, words: &[&str]) -> Outcome {
    let name = word(words, 2);
    let table = find(session, name).ok_or_else(no_such_table)?;
    let mut out = Vec::new();
    match table.run_command(action, name, &words[3..], Instant::now(), &mut out) {
        Ok(()) => Ok(Reply::Dump(String::from_utf8_lossy(&out).into_owned())),
        Err(error) => Err(Reply::error(format!("{}\n", error.0))),
    }
}

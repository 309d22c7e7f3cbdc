//! `show peers`: the thread of the peers answers.

use super::session::{Outcome, Reply, Session, word};
use std::sync::Arc;

pub fn show(session: &mut Session, words: &[&str]) -> Outcome {
    let (with_dictionaries, name) = match word(words, 2) {
        "dict" => (true, word(words, 3)),
        "-" => (false, word(words, 3)),
        name => (false, name),
    };
    let known = &session.state().model.peers;
    if !name.is_empty() && !known.iter().any(|section| section.name == name) {
        return Err(Reply::error("No such peers\n"));
    }
    let section = (!name.is_empty()).then(|| name.to_owned());
    let shared = Arc::clone(&session.control.shared);
    Ok(Reply::Later(Box::pin(async move {
        Reply::Dump(shared.peers.ask(section, with_dictionaries).await.unwrap_or_default())
    })))
}

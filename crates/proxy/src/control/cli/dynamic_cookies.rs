//! `enable`, `disable` and `set dynamic-cookie…`: the cookies made of the servers' addresses.

use super::session::{Outcome, Reply, Session, word};
use rules::ProxyId;

pub fn enable(session: &mut Session, words: &[&str]) -> Outcome {
    switch(session, words, true)
}

pub fn disable(session: &mut Session, words: &[&str]) -> Outcome {
    switch(session, words, false)
}

fn switch(session: &Session, words: &[&str], enabled: bool) -> Outcome {
    let backend = backend(session, words)?;
    session.state().backend(backend).enable_dynamic_cookies(enabled);
    Ok(Reply::Done)
}

pub fn set_key(session: &mut Session, words: &[&str]) -> Outcome {
    let backend = backend(session, words)?;
    let key = word(words, 4);
    if key.is_empty() {
        return Err(Reply::error("String value expected.\n"));
    }
    session.state().backend(backend).set_dynamic_cookie_key(key);
    Ok(Reply::Done)
}

fn backend(session: &Session, words: &[&str]) -> Result<ProxyId, Reply> {
    let name = word(words, 3);
    if name.is_empty() {
        return Err(Reply::error("A backend name is expected.\n"));
    }
    session.find_backend(name)
}

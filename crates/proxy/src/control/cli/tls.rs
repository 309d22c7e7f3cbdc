//! `… ssl …` and the ticket keys: certificates, lists of them, authorities and revocation lists at run time.

use super::session::{Outcome, Reply, Session, word};
use tls::{Answer, Tls, Trust};

fn answer(answer: Answer) -> Outcome {
    match answer {
        Ok(text) => Ok(Reply::Dump(text)),
        Err(text) => Err(Reply::error(text)),
    }
}

fn tls(session: &Session) -> &Tls {
    &session.shared().tls
}

/// The kind of file that the third word names.
fn kind(words: &[&str]) -> Trust {
    if word(words, 2) == "crl-file" { Trust::Revocations } else { Trust::Authorities }
}

/// The name that the command expects.
fn name<'w>(words: &[&'w str]) -> Result<&'w str, Reply> {
    match words.get(3).copied().filter(|name| !name.is_empty()) {
        Some(name) => Ok(name),
        None => Err(Reply::error(format!("'{}' expects a filename\n", words.join(" ")))),
    }
}

pub fn show_certificate(session: &mut Session, words: &[&str]) -> Outcome {
    match word(words, 3) {
        "" => Ok(Reply::Dump(tls(session).show_certificates())),
        name => answer(tls(session).show_certificate(name)),
    }
}

pub fn new_certificate(session: &mut Session, words: &[&str]) -> Outcome {
    answer(tls(session).new_certificate(name(words)?))
}

pub fn set_certificate(session: &mut Session, words: &[&str]) -> Outcome {
    let (Some(payload), name) = (session.payload.take(), word(words, 3)) else {
        return Err(Reply::error("'set ssl cert expects a filename and a certificate as a payload\n"));
    };
    answer(tls(session).set_certificate(name, &payload))
}

pub fn commit_certificate(session: &mut Session, words: &[&str]) -> Outcome {
    answer(tls(session).commit_certificate(name(words)?))
}

pub fn abort_certificate(session: &mut Session, words: &[&str]) -> Outcome {
    answer(tls(session).abort_certificate(name(words)?))
}

pub fn delete_certificate(session: &mut Session, words: &[&str]) -> Outcome {
    answer(tls(session).delete_certificate(name(words)?))
}

pub fn show_list(session: &mut Session, words: &[&str]) -> Outcome {
    let (numbered, name) = match (word(words, 3), word(words, 4)) {
        ("-n", name) => (true, name),
        (name, _) => (false, name),
    };
    match name {
        "" => Ok(Reply::Dump(tls(session).show_lists())),
        name => answer(tls(session).show_list(name, numbered)),
    }
}

pub fn add_line(session: &mut Session, words: &[&str]) -> Outcome {
    let payload = session.payload.take();
    let line = payload.as_deref().unwrap_or_else(|| word(words, 4));
    if line.is_empty() {
        return Err(Reply::error("'add ssl crtlist' expects a filename and a certificate name\n"));
    }
    answer(tls(session).add_line(name(words)?, line))
}

pub fn delete_line(session: &mut Session, words: &[&str]) -> Outcome {
    let which = word(words, 4);
    if which.is_empty() {
        return Err(Reply::error("'del ssl crtlist' expects a filename and a certificate name\n"));
    }
    answer(tls(session).delete_line(name(words)?, which))
}

pub fn show_trust(session: &mut Session, words: &[&str]) -> Outcome {
    match word(words, 3) {
        "" => Ok(Reply::Dump(tls(session).show_trusts(kind(words)))),
        name => answer(tls(session).show_trust(kind(words), name)),
    }
}

pub fn new_trust(session: &mut Session, words: &[&str]) -> Outcome {
    answer(tls(session).new_trust(kind(words), name(words)?))
}

pub fn set_trust(session: &mut Session, words: &[&str]) -> Outcome {
    let Some(payload) = session.payload.take() else {
        return Err(Reply::error(format!(
            "'{}' expects a filename and certificates as a payload\n",
            words[..3].join(" ")
        )));
    };
    answer(tls(session).set_trust(kind(words), name(words)?, &payload, word(words, 0) == "add"))
}

pub fn commit_trust(session: &mut Session, words: &[&str]) -> Outcome {
    answer(tls(session).commit_trust(kind(words), name(words)?))
}

pub fn abort_trust(session: &mut Session, words: &[&str]) -> Outcome {
    answer(tls(session).abort_trust(kind(words), name(words)?))
}

pub fn delete_trust(session: &mut Session, words: &[&str]) -> Outcome {
    answer(tls(session).delete_trust(kind(words), name(words)?))
}

pub fn set_ocsp(session: &mut Session, words: &[&str]) -> Outcome {
    let payload = session.payload.take();
    let text = payload.as_deref().unwrap_or_else(|| word(words, 3));
    if text.is_empty() {
        return Err(Reply::error("'set ssl ocsp-response' expects response in base64 encoding.\n"));
    }
    answer(tls(session).set_ocsp(text))
}

pub fn show_ocsp(session: &mut Session, words: &[&str]) -> Outcome {
    match word(words, 3) {
        "" => Ok(Reply::Dump(tls(session).show_ocsp_keys())),
        id => answer(tls(session).show_ocsp(id)),
    }
}

/// OpenSSL's providers in HAProxy; here, the one library that does the mathematics.
pub fn show_providers(_: &mut Session, _: &[&str]) -> Outcome {
    Ok(Reply::Dump("Loaded providers : \n\t- aws-lc\n".to_owned()))
}

pub fn show_ticket_keys(session: &mut Session, words: &[&str]) -> Outcome {
    let which = Some(word(words, 2)).filter(|which| !which.is_empty());
    answer(tls(session).show_ticket_keys(which))
}

pub fn set_ticket_key(session: &mut Session, words: &[&str]) -> Outcome {
    answer(tls(session).set_ticket_key(word(words, 3), word(words, 4)))
}

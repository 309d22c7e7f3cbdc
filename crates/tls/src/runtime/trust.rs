//! `… ssl ca-file` and `… ssl crl-file`.

use super::{Answer, NEW_MAX};
use crate::describe;
use crate::files::{authorities_of, revocations_of};
use crate::registry::Tls;
use std::fmt::Write;
use std::sync::Arc;

/// `ca-file` or `crl-file`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    Authorities,
    Revocations,
}

impl Trust {
    fn word(self) -> &'static str {
        match self {
            Trust::Authorities => "CA",
            Trust::Revocations => "CRL",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Trust::Authorities => "CA file",
            Trust::Revocations => "CRL file",
        }
    }
}

impl Tls {
    /// `show ssl ca-file` and `show ssl crl-file`.
    pub fn show_trusts(&self, kind: Trust) -> String {
        let files = self.files.lock();
        let transactions = self.transactions.lock();
        let mut out = String::new();
        match kind {
            Trust::Authorities => {
                if let Some((name, list)) = &transactions.authorities {
                    let _ = write!(out, "# transaction\n*{name} - {} certificate(s)\n", list.len());
                }
                out.push_str("# filename\n");
                for (name, list) in &files.authorities {
                    let _ = writeln!(out, "{name} - {} certificate(s)", list.len());
                }
            }
            Trust::Revocations => {
                if let Some((name, _)) = &transactions.revocations {
                    let _ = write!(out, "# transaction\n*{name}\n");
                }
                out.push_str("# filename\n");
                files.revocations.keys().for_each(|name| _ = writeln!(out, "{name}"));
            }
        }
        out
    }

    /// `show ssl ca-file NAME[:INDEX]` and `show ssl crl-file NAME`.
    pub fn show_trust(&self, kind: Trust, which: &str) -> Answer {
        let files = self.files.lock();
        match kind {
            Trust::Authorities => {
                let (name, index) = match which.rsplit_once(':') {
                    Some((name, index)) if index.parse::<usize>().is_ok() => {
                        (name, index.parse::<usize>().ok())
                    }
                    _ => (which, None),
                };
                let list = files.authorities.get(name).ok_or("Can't display the CA file : Not found!\n")?;
                let mut out = format!("Filename: {name}\nStatus: Used\n");
                for (place, certificate) in list.iter().enumerate() {
                    if index.is_none_or(|index| index == place + 1) {
                        let _ = write!(out, " \nCertificate #{}:\n", place + 1);
                        out.push_str(&describe::certificate(certificate));
                    }
                }
                Ok(out)
            }
            Trust::Revocations => {
                let list = files.revocations.get(which).ok_or("Can't display the CRL file : Not found!\n")?;
                let mut out = format!("Filename: {which}\nStatus: Used\n");
                for (place, revocations) in list.iter().enumerate() {
                    let _ = write!(out, " \nCertificate Revocation List #{}:\n", place + 1);
                    out.push_str(&describe::revocations(revocations));
                }
                Ok(out)
            }
        }
    }

    /// `new ssl ca-file NAME` and `new ssl crl-file NAME`.
    pub fn new_trust(&self, kind: Trust, name: &str) -> Answer {
        let mut files = self.files.lock();
        let (known, count) = match kind {
            Trust::Authorities => (files.authorities.contains_key(name), files.authorities.len()),
            Trust::Revocations => (files.revocations.contains_key(name), files.revocations.len()),
        };
        if known {
            return Err(format!("{} '{name}' already exists!\n", kind.file()));
        }
        if count >= NEW_MAX {
            return Err(format!("more than {NEW_MAX} files\n"));
        }
        match kind {
            Trust::Authorities => _ = files.authorities.insert(name.to_owned(), Arc::default()),
            Trust::Revocations => _ = files.revocations.insert(name.to_owned(), Arc::default()),
        }
        Ok(format!("New {} created '{name}'!\n", kind.file()))
    }

    /// `set ssl ca-file NAME` and `set ssl crl-file NAME` with PEM; `add` appends to what is there.
    pub fn set_trust(&self, kind: Trust, name: &str, payload: &str, add: bool) -> Answer {
        let files = self.files.lock();
        let mut transactions = self.transactions.lock();
        let known = match kind {
            Trust::Authorities => files.authorities.contains_key(name),
            Trust::Revocations => files.revocations.contains_key(name),
        };
        if !known {
            let word = kind.file();
            return Err(format!(
                "Can't replace a {word} which is not referenced by the configuration!\nCan't update {name}!\n"
            ));
        }
        let refused = || format!("unable to parse the payload of '{name}'\nCan't update {name}!\n");
        let is_new = match kind {
            Trust::Authorities => {
                let given = authorities_of(payload.as_bytes()).ok().filter(|list| !list.is_empty());
                let mut list = given.ok_or_else(refused)?;
                let waiting = transactions.authorities.take().filter(|(own, _)| own == name);
                let is_new = waiting.is_none();
                if add {
                    let before = waiting.map(|(_, list)| list);
                    let before = before.or_else(|| files.authorities.get(name).map(|list| list.to_vec()));
                    list.splice(0..0, before.unwrap_or_default());
                }
                transactions.authorities = Some((name.to_owned(), list));
                is_new
            }
            Trust::Revocations => {
                let is_new = transactions.revocations.is_none();
                let list = revocations_of(payload.as_bytes())
                    .ok()
                    .filter(|list| !list.is_empty())
                    .ok_or_else(refused)?;
                transactions.revocations = Some((name.to_owned(), list));
                is_new
            }
        };
        let done = if is_new { "created" } else { "updated" };
        Ok(format!("transaction {done} for {} {name}!\n", kind.word()))
    }

    /// `commit ssl ca-file NAME` and `commit ssl crl-file NAME`.
    pub fn commit_trust(&self, kind: Trust, name: &str) -> Answer {
        let mut files = self.files.lock();
        let mut transactions = self.transactions.lock();
        let failed = |why: &str| Err(format!("{why}\nCan't commit {name}!\n"));
        match kind {
            Trust::Authorities => {
                let Some((own, list)) = transactions.authorities.clone() else {
                    return failed("No ongoing transaction! !");
                };
                if own != name {
                    return failed(&format!(
                        "The ongoing transaction is about '{own}' but you are trying to set '{name}'"
                    ));
                }
                let before = files.authorities.insert(own, Arc::new(list));
                if let Err(why) = self.rebuild_all(&mut files) {
                    files.authorities.insert(name.to_owned(), before.unwrap_or_default());
                    return failed(&why);
                }
                transactions.authorities = None;
            }
            Trust::Revocations => {
                let Some((own, list)) = transactions.revocations.clone() else {
                    return failed("No ongoing transaction! !");
                };
                if own != name {
                    return failed(&format!(
                        "The ongoing transaction is about '{own}' but you are trying to set '{name}'"
                    ));
                }
                let before = files.revocations.insert(own, Arc::new(list));
                if let Err(why) = self.rebuild_all(&mut files) {
                    files.revocations.insert(name.to_owned(), before.unwrap_or_default());
                    return failed(&why);
                }
                transactions.revocations = None;
            }
        }
        Ok(format!("Committing {name}\nSuccess!\n"))
    }

    /// `abort ssl ca-file NAME` and `abort ssl crl-file NAME`.
    pub fn abort_trust(&self, kind: Trust, name: &str) -> Answer {
        let mut transactions = self.transactions.lock();
        let own = match kind {
            Trust::Authorities => transactions.authorities.as_ref().map(|(own, _)| own.clone()),
            Trust::Revocations => transactions.revocations.as_ref().map(|(own, _)| own.clone()),
        };
        match own {
            None => Err("No ongoing transaction!\n".to_owned()),
            Some(own) if own != name => Err(format!(
                "The ongoing transaction is about '{own}' but you are trying to abort '{name}'\n"
            )),
            Some(_) => {
                match kind {
                    Trust::Authorities => transactions.authorities = None,
                    Trust::Revocations => transactions.revocations = None,
                }
                Ok(format!("Transaction aborted for certificate '{name}'!\n"))
            }
        }
    }

    /// `del ssl ca-file NAME` and `del ssl crl-file NAME`: one that no line names.
    pub fn delete_trust(&self, kind: Trust, name: &str) -> Answer {
        let word = kind.file();
        let refused = |why: &str| Err(format!("Can't remove the {word}: {word} '{name}' {why}\n"));
        let mut files = self.files.lock();
        let known = match kind {
            Trust::Authorities => files.authorities.contains_key(name),
            Trust::Revocations => files.revocations.contains_key(name),
        };
        if !known {
            return refused("doesn't exist!\n");
        }
        if files.configured.contains(name) {
            return refused("in use, can't be deleted!\n");
        }
        match kind {
            Trust::Authorities => _ = files.authorities.remove(name),
            Trust::Revocations => _ = files.revocations.remove(name),
        }
        Ok(format!("{word} '{name}' deleted!\n"))
    }
}

//! What the runtime API does to certificates, lists of them and authorities: transactions that are prepared, committed
//! or dropped. A commit makes new snapshots for every line that is concerned; connections that exist keep theirs.
//!
//! Texts are HAProxy's, for scripts read them. `Err` is a refusal that changed nothing.

use crate::certificate::{Certificate, Parts};
use crate::crt_list;
use crate::files::{Files, authorities_of, revocations_of};
use crate::listener::Surroundings;
use crate::registry::Tls;
use crate::tickets::{decode_base64, encode_base64};
use crate::{describe, ocsp};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::sign::CertifiedKey;
use std::fmt::Write;
use std::sync::Arc;

/// Stores and files that the runtime API may make.
const NEW_MAX: usize = 10_000;

/// Text for whoever asked.
pub type Answer = Result<String, String>;

/// Changes that wait for their commit: one of each kind at a time, as in HAProxy.
#[derive(Default)]
pub(crate) struct Transactions {
    certificate: Option<(String, Parts)>,
    authorities: Option<(String, Vec<CertificateDer<'static>>)>,
    revocations: Option<(String, Vec<CertificateRevocationListDer<'static>>)>,
}

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
    /// `show ssl cert`.
    pub fn show_certificates(&self) -> String {
        let mut out = String::new();
        if let Some((name, _)) = &self.transactions.lock().certificate {
            let _ = write!(out, "# transaction\n*{name}\n");
        }
        out.push_str("# filename\n");
        let files = self.files.lock();
        let mut names: Vec<&String> = files.certificates.keys().chain(&files.empty).collect();
        names.sort();
        names.iter().for_each(|name| _ = writeln!(out, "{name}"));
        out
    }

    /// `show ssl cert NAME`; `*NAME` is the one that waits for its commit.
    pub fn show_certificate(&self, name: &str) -> Answer {
        let missing = "Can't display the certificate: Not found or the certificate is a bundle!\n";
        let files = self.files.lock();
        if let Some(waiting) = name.strip_prefix('*') {
            let transactions = self.transactions.lock();
            let found = transactions.certificate.as_ref().filter(|(name, _)| name == waiting);
            let (_, parts) = found.ok_or(missing)?;
            let chain: Vec<Vec<u8>> = parts.certificates.iter().map(|der| der.to_vec()).collect();
            return Ok(format!(
                "Filename: {name}\nStatus: Unused\n{}OCSP Response Key: \n",
                describe::chain(&chain)
            ));
        }
        if files.empty.contains(name) {
            return Ok(format!("Filename: {name}\nStatus: Empty\nOCSP Response Key: \n"));
        }
        let certificate = files.certificates.get(name).ok_or(missing)?;
        let status = if self.uses_certificate(&files, name) { "Used" } else { "Unused" };
        let key = certificate.key.ocsp.as_deref().and_then(ocsp::key).unwrap_or_default();
        Ok(format!(
            "Filename: {name}\nStatus: {status}\n{}OCSP Response Key: {key}\n",
            describe::chain(&certificate.chain)
        ))
    }

    fn uses_certificate(&self, files: &Files, name: &str) -> bool {
        let listed = files.lists.values().flatten().any(|line| line.certificate == name);
        listed
            || self.each_listener().iter().any(|listener| listener.names_certificate(name))
            || self.each_connector().iter().any(|connector| connector.certificate() == Some(name))
    }

    /// `new ssl cert NAME`.
    pub fn new_certificate(&self, name: &str) -> Answer {
        let mut files = self.files.lock();
        if files.certificates.contains_key(name) || files.empty.contains(name) {
            return Err(format!("Certificate '{name}' already exists!\n"));
        }
        if files.empty.len() >= NEW_MAX {
            return Err(format!("more than {NEW_MAX} empty certificate stores\n"));
        }
        files.empty.insert(name.to_owned());
        Ok(format!("New empty certificate store '{name}'!\n"))
    }

    /// `set ssl cert NAME` with PEM: certificate, key or both; what is missing is kept from before.
    pub fn set_certificate(&self, name: &str, payload: &str) -> Answer {
        let mut transactions = self.transactions.lock();
        if let Some((other, _)) = transactions.certificate.as_ref().filter(|(other, _)| other != name) {
            return Err(format!(
                "The ongoing transaction is about '{other}' but you are trying to set '{name}'\nCan't update {name}!\n"
            ));
        }
        let files = self.files.lock();
        // `NAME.key`, `NAME.ocsp`: a part of a certificate by its file.
        let (base, part) = match name.rsplit_once('.') {
            Some((base, part @ ("key" | "ocsp" | "issuer" | "sctl")))
                if files.certificates.contains_key(base) =>
            {
                (base, part)
            }
            _ => (name, ""),
        };
        let before = match &transactions.certificate {
            Some((_, parts)) => parts.clone(),
            None if files.certificates.contains_key(base) => {
                files.parts.get(base).cloned().unwrap_or_default()
            }
            None if files.empty.contains(base) => Parts::default(),
            None => {
                return Err(format!(
                    "Can't replace a certificate which is not referenced by the configuration!\nCan't update {name}!\n"
                ));
            }
        };
        let mut given = Parts::default();
        let refused = || {
            format!(
                "unable to load certificate from file '{name}'.\nCan't load the payload\nCan't update {name}!\n"
            )
        };
        let mut parts = before;
        if part == "ocsp" {
            parts.ocsp = Some(decode_base64(&payload.replace(['\n', '\r'], "")).ok_or_else(refused)?);
        } else {
            given.add_pem(payload.as_bytes()).map_err(|_| refused())?;
            if given.certificates.is_empty() && given.key.is_none() {
                return Err(refused());
            }
            if !given.certificates.is_empty() && part != "key" {
                parts.certificates = given.certificates;
                // A response is about the certificate it came with.
                parts.ocsp = None;
            }
            if given.key.is_some() {
                parts.key = given.key;
            }
        }
        let is_new = transactions.certificate.is_none();
        transactions.certificate = Some((base.to_owned(), parts));
        Ok(match is_new {
            true => format!("Transaction created for certificate {name}!\n"),
            false => format!("Transaction updated for certificate {name}!\n"),
        })
    }

    /// `commit ssl cert NAME`: every line that uses it serves it from now on.
    pub fn commit_certificate(&self, name: &str) -> Answer {
        let mut transactions = self.transactions.lock();
        let failed = |why: &str| Err(format!("{why}\nCan't commit {name}!\n"));
        let Some((own, parts)) = &transactions.certificate else {
            return failed("No ongoing transaction! !");
        };
        if own != name {
            return failed(&format!(
                "The ongoing transaction is about '{own}' but you are trying to set '{name}'"
            ));
        }
        if parts.certificates.is_empty() || parts.key.is_none() {
            return failed("The transaction must contain at least a certificate and a private key!");
        }
        let mut files = self.files.lock();
        let certificate = match files.assemble(name, parts.clone(), &self.settings) {
            Ok(certificate) => certificate,
            Err(fault) => return failed(&format!("{}.", fault.message)),
        };
        let before = files.certificates.insert(name.to_owned(), Arc::new(certificate));
        if let Err(why) = self.rebuild(&mut files, |listener, files| {
            listener.names_certificate(name) || listener_lists(listener, files, name)
        }) {
            match before {
                Some(before) => files.certificates.insert(name.to_owned(), before),
                None => files.certificates.remove(name),
            };
            return failed(&why);
        }
        files.empty.remove(name);
        let parts = parts.clone();
        files.parts.insert(name.to_owned(), parts);
        transactions.certificate = None;
        Ok(format!("Committing {name}\nSuccess!\n"))
    }

    /// `abort ssl cert NAME`.
    pub fn abort_certificate(&self, name: &str) -> Answer {
        let mut transactions = self.transactions.lock();
        match &transactions.certificate {
            None => Err("No ongoing transaction!\n".to_owned()),
            Some((own, _)) if own != name => Err(format!(
                "The ongoing transaction is about '{own}' but you are trying to abort '{name}'\n"
            )),
            Some(_) => {
                transactions.certificate = None;
                Ok(format!("Transaction aborted for certificate '{name}'!\n"))
            }
        }
    }

    /// `del ssl cert NAME`: one that nobody uses.
    pub fn delete_certificate(&self, name: &str) -> Answer {
        let refused = |why: &str| Err(format!("Can't remove the certificate: certificate '{name}' {why}\n"));
        let mut files = self.files.lock();
        if files.empty.remove(name) {
            return Ok(format!("Certificate '{name}' deleted!\n"));
        }
        if !files.certificates.contains_key(name) {
            return refused("doesn't exist!\n");
        }
        if self.uses_certificate(&files, name) {
            return refused("in use, can't be deleted!\n");
        }
        files.certificates.remove(name);
        files.parts.remove(name);
        Ok(format!("Certificate '{name}' deleted!\n"))
    }

    /// `show ssl crt-list`.
    pub fn show_lists(&self) -> String {
        self.files.lock().lists.keys().fold(String::new(), |mut out, name| {
            let _ = writeln!(out, "{name}");
            out
        })
    }

    /// `show ssl crt-list NAME`; `numbered` adds the numbers that lines are deleted by.
    pub fn show_list(&self, name: &str, numbered: bool) -> Answer {
        let files = self.files.lock();
        let lines = files.lists.get(name).ok_or("didn't find the specified filename\n")?;
        let mut out = format!("# {name}\n");
        for line in lines {
            out.push_str(&line.certificate);
            if numbered {
                let _ = write!(out, ":{}", line.number);
            }
            if !line.written.is_empty() {
                let _ = write!(out, " [{}]", line.written);
            }
            for filter in &line.filters {
                let _ = write!(out, " {}{}", if filter.negated { "!" } else { "" }, filter.name);
            }
            out.push('\n');
        }
        Ok(out)
    }

    /// `add ssl crt-list NAME`: a line.
    pub fn add_line(&self, name: &str, text: &str) -> Answer {
        let refused = |why: String| Err(format!("Can't edit the crt-list: {why}\n"));
        let mut files = self.files.lock();
        if !files.lists.contains_key(name) {
            return refused(format!("crt-list '{name}' does not exist!"));
        }
        let mut line = match crt_list::parse_line(text) {
            Ok(Some(line)) => line,
            Ok(None) => return refused("no certificate in the line!".to_owned()),
            Err(why) => return refused(format!("{why}!")),
        };
        let certificate = line.certificate.clone();
        if files.empty.contains(&certificate) {
            return refused(format!("certificate '{certificate}' is empty!"));
        }
        if !files.certificates.contains_key(&certificate) {
            return refused(format!("certificate '{certificate}' does not exist!"));
        }
        let list = files.lists.get_mut(name).expect("looked up above");
        line.number = list.iter().map(|line| line.number).max().unwrap_or(0) + 1;
        list.push(line);
        if let Err(why) = self.rebuild(&mut files, |listener, _| listener.uses_list(name)) {
            files.lists.get_mut(name).expect("looked up above").pop();
            return refused(why);
        }
        Ok(format!("Inserting certificate '{certificate}' in crt-list '{name}'.\nSuccess!\n"))
    }

    /// `del ssl crt-list NAME CERTIFICATE[:LINE]`.
    pub fn delete_line(&self, name: &str, which: &str) -> Answer {
        let refused = |why: String| Err(format!("Can't delete the entry: {why}\n"));
        let mut files = self.files.lock();
        if !files.lists.contains_key(name) {
            return refused(format!("crt-list '{name}' does not exist!"));
        }
        let (certificate, number) = match which.rsplit_once(':') {
            Some((certificate, number)) if number.parse::<usize>().is_ok() => {
                (certificate, number.parse::<usize>().ok())
            }
            _ => (which, None),
        };
        if !files.certificates.contains_key(certificate) {
            return refused(format!("certificate '{certificate}' does not exist!"));
        }
        let lines = files.lists.get(name).expect("looked up above");
        let matches: Vec<usize> = (0..lines.len())
            .filter(|index| {
                lines[*index].certificate == certificate
                    && number.is_none_or(|number| lines[*index].number == number)
            })
            .collect();
        let index = match matches[..] {
            [] => return refused(format!("certificate '{certificate}' is not in crt-list '{name}'!")),
            [index] => index,
            _ => {
                let numbers: Vec<String> =
                    matches.iter().map(|index| lines[*index].number.to_string()).collect();
                return refused(format!(
                    "found the certificate '{certificate}' in several entries, please specify a line number preceded by colons ({})!",
                    numbers.join(", ")
                ));
            }
        };
        if index == 0 {
            return refused(format!(
                "certificate '{certificate}' cannot be deleted, it is used as default certificate by the following frontends:\n"
            ));
        }
        let removed = files.lists.get_mut(name).expect("looked up above").remove(index);
        if let Err(why) = self.rebuild(&mut files, |listener, _| listener.uses_list(name)) {
            files.lists.get_mut(name).expect("looked up above").insert(index, removed);
            return refused(why);
        }
        Ok(format!("Entry '{certificate}' deleted in crtlist '{name}'!\n"))
    }

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

    /// `show tls-keys`: the files, or their keys.
    pub fn show_ticket_keys(&self, which: Option<&str>) -> Answer {
        let mut files: Vec<_> = Vec::new();
        for listener in self.each_listener() {
            if let Some(file) = &listener.tickets.file
                && !files.iter().any(|(known, _): &(String, _)| known == file)
            {
                files.push((file.clone(), Arc::clone(&listener.tickets)));
            }
        }
        files.sort_by(|one, other| one.0.cmp(&other.0));
        let Some(which) = which else {
            let lines = files.iter().enumerate().map(|(id, (file, _))| format!("{id} ({file})\n"));
            return Ok(format!("# id (file)\n{}", lines.collect::<String>()));
        };
        let mut out = "# id secret\n".to_owned();
        let mut found = which == "*";
        for (id, (file, keys)) in files.iter().enumerate() {
            if which == "*" || which == file || which.strip_prefix('#') == Some(&id.to_string()) {
                found = true;
                let _ = writeln!(out, "# {id} ({file})");
                for (place, secret) in keys.secrets().iter().enumerate() {
                    let _ = writeln!(out, "{id}.{place} {}", encode_base64(secret));
                }
            }
        }
        if found { Ok(out) } else { Err("'show tls-keys' unable to locate referenced filename\n".to_owned()) }
    }

    /// `set ssl tls-key FILE KEY`.
    pub fn set_ticket_key(&self, which: &str, key: &str) -> Answer {
        let listeners = self.each_listener();
        let own: Vec<_> =
            listeners.iter().filter(|listener| listener.tickets.file.as_deref() == Some(which)).collect();
        if own.is_empty() {
            return Err("'set ssl tls-key' unable to locate referenced filename\n".to_owned());
        }
        let Some(secret) = decode_base64(key) else {
            return Err("'set ssl tls-key' received invalid base64 encoded TLS key.\n".to_owned());
        };
        if own.iter().all(|listener| listener.tickets.push(&secret)) {
            Ok("TLS ticket key updated!\n".to_owned())
        } else {
            Err("'set ssl tls-key' received a key of wrong size.\n".to_owned())
        }
    }

    /// `set ssl ocsp-response BASE64`: stapled with the certificate that it is about.
    pub fn set_ocsp(&self, text: &str) -> Answer {
        let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        let Some(response) = decode_base64(&text) else {
            return Err("'set ssl ocsp-response' received invalid base64 encoded response.\n".to_owned());
        };
        let Some(serial) = ocsp::serial(&response) else {
            return Err("Unable to parse OCSP response.\n".to_owned());
        };
        let mut files = self.files.lock();
        let about: Vec<Arc<Certificate>> = files
            .certificates
            .values()
            .filter(|certificate| {
                certificate.chain.first().and_then(|der| describe::serial(der)) == Some(serial.clone())
            })
            .cloned()
            .collect();
        if about.is_empty() {
            return Err(
                "OCSP single response: Certificate ID does not match any certificate or issuer.\n".to_owned()
            );
        }
        for before in about {
            let key = CertifiedKey { ocsp: Some(response.clone()), ..(*before.key).clone() };
            let after = before.with_key(key);
            let name = before.name.clone();
            files.certificates.insert(name.clone(), Arc::new(after));
            self.rebuild(&mut files, |listener, files| {
                listener.names_certificate(&name) || listener_lists(listener, files, &name)
            })
            .map_err(|why| format!("{why}\n"))?;
        }
        Ok("OCSP Response updated!\n".to_owned())
    }

    /// Makes new snapshots of the lines that `concerned` picks.
    fn rebuild(
        &self,
        files: &mut Files,
        concerned: impl Fn(&crate::listener::Listener, &Files) -> bool,
    ) -> Result<(), String> {
        for listener in self.each_listener() {
            if concerned(&listener, files) {
                let mut around =
                    Surroundings { files: &mut *files, settings: &self.settings, warnings: &mut Vec::new() };
                listener.rebuild(&mut around).map_err(|fault| fault.message)?;
            }
        }
        for connector in self.each_connector() {
            if connector.certificate().is_some() {
                connector.rebuild(files, &self.settings).map_err(|fault| fault.message)?;
            }
        }
        Ok(())
    }

    /// The same for all lines, with their settings read again.
    fn rebuild_all(&self, files: &mut Files) -> Result<(), String> {
        for listener in self.each_listener() {
            listener.forget_templates();
        }
        for connector in self.each_connector() {
            connector.rebuild(files, &self.settings).map_err(|fault| fault.message)?;
        }
        self.rebuild(files, |_, _| true)
    }
}

/// Whether a list of this line names the certificate.
fn listener_lists(listener: &crate::listener::Listener, files: &Files, name: &str) -> bool {
    files
        .lists
        .iter()
        .any(|(list, lines)| listener.uses_list(list) && lines.iter().any(|line| line.certificate == name))
}

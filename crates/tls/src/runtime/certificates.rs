//! `… ssl cert`.

use super::{Answer, NEW_MAX, listener_lists};
use crate::certificate::Parts;
use crate::files::Files;
use crate::ocsp::Response;
use crate::registry::Tls;
use crate::tickets::decode_base64;
use crate::{describe, ocsp_text};
use std::fmt::Write;
use std::sync::Arc;

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
        if let Some(base) = name.strip_suffix(".ocsp")
            && let Some(certificate) = files.certificates.get(base)
        {
            return Ok(certificate.stapled().map(ocsp_text::print).unwrap_or_default());
        }
        let certificate = files.certificates.get(name).ok_or(missing)?;
        let status = if self.uses_certificate(&files, name) { "Used" } else { "Unused" };
        let key = certificate.stapled().and_then(Response::key).unwrap_or_default();
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
            let der = decode_base64(&payload.replace(['\n', '\r'], "")).ok_or_else(refused)?;
            Response::parse(&der).map_err(|why| format!("{why}.\n{}", refused()))?;
            parts.ocsp = Some(der);
        } else if part == "sctl" {
            return Err(format!(
                "timestamps of certificate transparency are not sent.\nCan't update {name}!\n"
            ));
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
}

//! `show tls-keys` and `set ssl tls-key`.

use super::Answer;
use crate::registry::Tls;
use crate::tickets::{decode_base64, encode_base64};
use std::fmt::Write;
use std::sync::Arc;

impl Tls {
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
}

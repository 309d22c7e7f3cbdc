//! `… ssl ocsp-response`.

use super::{Answer, listener_lists};
use crate::certificate::{Certificate, now};
use crate::describe::{hex, magnitude};
use crate::ocsp::Response;
use crate::ocsp_text;
use crate::registry::Tls;
use crate::tickets::decode_base64;
use std::fmt::Write;
use std::sync::Arc;

impl Tls {
    /// `set ssl ocsp-response BASE64`: stapled with the certificate that it is about.
    pub fn set_ocsp(&self, text: &str) -> Answer {
        let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        let Some(der) = decode_base64(&text) else {
            return Err("'set ssl ocsp-response' received invalid base64 encoded response.\n".to_owned());
        };
        let response = Response::parse(&der).map_err(|why| format!("{why}.\n"))?;
        if !response.is_valid_at(now()) {
            return Err("OCSP single response: no longer valid..\n".to_owned());
        }
        let mut files = self.files.lock();
        let about: Vec<Arc<Certificate>> = files
            .certificates
            .values()
            .filter(|certificate| certificate.chain.first().is_some_and(|leaf| response.is_about(leaf)))
            .cloned()
            .collect();
        if about.is_empty() {
            return Err(
                "OCSP single response: Certificate ID does not match any certificate or issuer.\n".to_owned()
            );
        }
        for before in about {
            let after = before.stapling(response.clone());
            let name = before.name.clone();
            files.certificates.insert(name.clone(), Arc::new(after));
            self.rebuild(&mut files, |listener, files| {
                listener.names_certificate(&name) || listener_lists(listener, files, &name)
            })
            .map_err(|why| format!("{why}\n"))?;
        }
        Ok("OCSP Response updated!\n".to_owned())
    }

    /// `show ssl ocsp-response`: which certificates have one.
    pub fn show_ocsp_keys(&self) -> String {
        let mut out = String::from("# Certificate IDs\n");
        let mut shown = Vec::new();
        for certificate in self.files.lock().certificates.values() {
            let Some((response, key)) = certificate.stapled().and_then(|own| Some((own, own.key()?))) else {
                continue;
            };
            if shown.contains(&key) {
                continue;
            }
            let _ = write!(
                out,
                "Certificate ID key : {key}\n Certificate ID:\n   Issuer Name Hash: {}\n   Issuer Key Hash: {}\n   \
                 Serial Number: {}\n",
                hex(&response.issuer_name_hash),
                hex(&response.issuer_key_hash),
                hex(&magnitude(&response.serial)),
            );
            shown.push(key);
        }
        out
    }

    /// `show ssl ocsp-response ID`.
    pub fn show_ocsp(&self, id: &str) -> Answer {
        let files = self.files.lock();
        let mut responses = files.certificates.values().filter_map(|certificate| certificate.stapled());
        match responses.find(|response| response.key().is_some_and(|key| key.eq_ignore_ascii_case(id))) {
            Some(response) => Ok(ocsp_text::print(response)),
            None => Err("Certificate ID does not match any certificate.\n".to_owned()),
        }
    }
}

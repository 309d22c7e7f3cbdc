//! What the runtime API does to certificates, lists of them and authorities: transactions that are prepared, committed
//! or dropped. A commit makes new snapshots for every line that is concerned; connections that exist keep theirs.
//!
//! Texts are HAProxy's, for scripts read them. `Err` is a refusal that changed nothing.

mod certificates;
mod lists;
mod stapling;
mod ticket_keys;
mod trust;

pub use trust::Trust;

use crate::certificate::Parts;
use crate::files::Files;
use crate::listener::Surroundings;
use crate::registry::Tls;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

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

impl Tls {
    /// Makes new snapshots of the lines that `concerned` picks.
    pub(super) fn rebuild(
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
    pub(super) fn rebuild_all(&self, files: &mut Files) -> Result<(), String> {
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
pub(super) fn listener_lists(listener: &crate::listener::Listener, files: &Files, name: &str) -> bool {
    files
        .lists
        .iter()
        .any(|(list, lines)| listener.uses_list(list) && lines.iter().any(|line| line.certificate == name))
}

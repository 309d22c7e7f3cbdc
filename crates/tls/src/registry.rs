//! All TLS of a configuration: listeners and connectors by their lines, and the files they live on.

use crate::certificate::Fault;
use crate::connector::Connector;
use crate::files::Files;
use crate::listener::{Listener, Surroundings};
use crate::runtime::Transactions;
use diag::{Diagnostic, Severity, Span};
use haproxy_config::Model;
use haproxy_config::model::{BindTls, GlobalTls, ServerTls};
use parking_lot::{Mutex, RwLock};
use rules::ProxyId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The TLS of one configuration.
pub struct Tls {
    pub(crate) settings: GlobalTls,
    pub(crate) files: Mutex<Files>,
    pub(crate) transactions: Mutex<Transactions>,
    /// By proxy and position of the `bind` line's address.
    listeners: HashMap<(ProxyId, usize), Arc<Listener>>,
    /// By proxy and position of the server.
    connectors: RwLock<HashMap<(ProxyId, usize), Arc<Connector>>>,
    /// By section and `bind` line; `None` is `default-bind`.
    peer_listeners: HashMap<(usize, Option<usize>), Arc<Listener>>,
    /// By the position of the `log-forward` section and of the line in it.
    log_listeners: HashMap<(usize, usize), Arc<Listener>>,
    /// By section and instance.
    peer_connectors: HashMap<(usize, usize), Arc<Connector>>,
}

/// Seconds of a day: a certificate that ends within so many is told.
const DAY: i64 = 86_400;

fn alert(span: Span, what: &str, fault: Fault) -> Diagnostic {
    Diagnostic::alert(span, format!("{what}: {}", fault.message)).with_help(fault.help)
}

impl Tls {
    /// Reads every file that TLS lines name and makes what they say. Alerts among the diagnostics mean that the
    /// configuration cannot serve.
    pub fn load(model: &Model) -> (Tls, Vec<Diagnostic>) {
        let settings = model.global.tls.clone();
        let mut files = Files::default();
        let mut found = Vec::new();
        let uses_tls = model.proxies.iter().any(|proxy| proxy.binds.iter().any(|bind| bind.tls.is_some()));
        if let (Some(directory), true) = (&settings.issuers_chain_path, uses_tls)
            && let Err(fault) = files.read_issuers(directory)
        {
            found.push(Diagnostic::new(Severity::Warning, None, fault.message).with_help(fault.help));
        }
        let mut listeners = HashMap::new();
        let mut connectors = HashMap::new();
        for proxy in &model.proxies {
            // Every address of one line shares its certificates.
            let mut last: Option<(Span, Option<Arc<Listener>>)> = None;
            for (index, bind) in proxy.binds.iter().enumerate() {
                let Some(tls) = &bind.tls else { continue };
                if last.as_ref().is_none_or(|(span, _)| *span != bind.span) {
                    let made = listener(tls, bind.span, (&mut files, &settings), &mut found);
                    last = Some((bind.span, made));
                }
                if let Some((_, Some(listener))) = &last {
                    listeners.insert((proxy.id, index), Arc::clone(listener));
                }
            }
            for (index, server) in proxy.servers.iter().enumerate() {
                let Some(tls) = &server.tls else { continue };
                let what = format!("server `{}`", server.name);
                let made = connector(tls, (server.span, &what), (&mut files, &settings), &mut found);
                if let Some(connector) = made {
                    connectors.insert((proxy.id, index), connector);
                }
            }
        }
        let mut peer_listeners = HashMap::new();
        let mut peer_connectors = HashMap::new();
        for (section, peers) in model.peers.iter().enumerate().filter(|(_, peers)| !peers.disabled) {
            let lines =
                peers.binds.iter().enumerate().map(|(index, bind)| (Some(index), &bind.tls, bind.span));
            for (index, tls, span) in lines.chain([(None, &peers.default_tls, peers.span)]) {
                let made =
                    tls.as_ref().and_then(|tls| listener(tls, span, (&mut files, &settings), &mut found));
                if let Some(listener) = made {
                    peer_listeners.insert((section, index), listener);
                }
            }
            for (index, peer) in peers.peers.iter().enumerate() {
                let Some(tls) = &peer.tls else { continue };
                let what = format!("peer `{}`", peer.name);
                let made = connector(tls, (peers.span, &what), (&mut files, &settings), &mut found);
                if let Some(connector) = made {
                    peer_connectors.insert((section, index), connector);
                }
            }
        }
        let mut log_listeners = HashMap::new();
        for (section, forward) in model.log_forwards.iter().enumerate() {
            for (index, bind) in forward.binds.iter().enumerate() {
                let Some(tls) = &bind.tls else { continue };
                if let Some(listener) = listener(tls, bind.span, (&mut files, &settings), &mut found) {
                    log_listeners.insert((section, index), listener);
                }
            }
        }
        found.extend(dates(&files));
        files.configured = files.authorities.keys().chain(files.revocations.keys()).cloned().collect();
        (
            Tls {
                settings,
                files: Mutex::new(files),
                transactions: Mutex::default(),
                listeners,
                connectors: RwLock::new(connectors),
                peer_listeners,
                peer_connectors,
                log_listeners,
            },
            found,
        )
    }

    /// Goes on with the keys of tickets that `old` made by chance, so that its clients' sessions resume. `place`: where a line
    /// of this configuration was in the old one.
    pub fn inherit_tickets(&self, old: &Tls, place: &dyn Fn(ProxyId, usize) -> Option<(ProxyId, usize)>) {
        for (&(proxy, bind), listener) in &self.listeners {
            let before = place(proxy, bind).and_then(|place| old.listeners.get(&place));
            if let Some(before) = before {
                listener.tickets.inherit(&before.tickets);
            }
        }
    }

    /// The TLS of a `bind` line.
    pub fn listener(&self, proxy: ProxyId, bind: usize) -> Option<&Arc<Listener>> {
        self.listeners.get(&(proxy, bind))
    }

    /// The TLS of a server line.
    pub fn connector(&self, proxy: ProxyId, server: usize) -> Option<Arc<Connector>> {
        self.connectors.read().get(&(proxy, server)).cloned()
    }

    /// The TLS of a listener of a `peers` section: of a `bind` line, or of `default-bind`.
    pub fn peer_listener(&self, section: usize, bind: Option<usize>) -> Option<Arc<Listener>> {
        let own = self.peer_listeners.get(&(section, bind));
        own.or_else(|| self.peer_listeners.get(&(section, None))).cloned()
    }

    /// The TLS of a `bind` line of a `log-forward` section.
    pub fn log_listener(&self, section: usize, bind: usize) -> Option<Arc<Listener>> {
        self.log_listeners.get(&(section, bind)).cloned()
    }

    /// The TLS with an instance of a `peers` section.
    pub fn peer_connector(&self, section: usize, peer: usize) -> Option<Arc<Connector>> {
        self.peer_connectors.get(&(section, peer)).cloned()
    }

    /// The TLS of a server line that is not part of the configuration.
    ///
    /// # Errors
    /// What is wrong with its files or settings.
    pub fn prepare(&self, tls: &ServerTls) -> Result<Connector, Fault> {
        Connector::new(tls, &mut self.files.lock(), &self.settings, &mut Vec::new())
    }

    /// Gives a server that was added at run time its TLS.
    pub fn add_connector(&self, proxy: ProxyId, server: usize, connector: Connector) {
        self.connectors.write().insert((proxy, server), Arc::new(connector));
    }

    /// Every `bind` line with TLS, once.
    pub(crate) fn each_listener(&self) -> Vec<Arc<Listener>> {
        let mut listeners: Vec<Arc<Listener>> = Vec::new();
        for listener in self.listeners.values() {
            if !listeners.iter().any(|known| Arc::ptr_eq(known, listener)) {
                listeners.push(Arc::clone(listener));
            }
        }
        listeners
    }

    pub(crate) fn each_connector(&self) -> Vec<Arc<Connector>> {
        self.connectors.read().values().cloned().collect()
    }
}

/// What a `bind` line with TLS makes; faults and warnings go to `found`.
fn listener(
    tls: &BindTls,
    span: Span,
    (files, settings): (&mut Files, &GlobalTls),
    found: &mut Vec<Diagnostic>,
) -> Option<Arc<Listener>> {
    let mut warnings = Vec::new();
    let made = Listener::new(tls, &mut Surroundings { files, settings, warnings: &mut warnings });
    let listener = match made {
        Ok(listener) => {
            if listener.is_empty() && !listener.is_strict() {
                let message = "no SSL certificate specified for this `bind … ssl`";
                found.push(Diagnostic::alert(span, message).with_help("add crt FILE"));
            }
            Some(Arc::new(listener))
        }
        Err(fault) => {
            found.push(alert(span, "TLS", fault));
            None
        }
    };
    found.extend(warnings.into_iter().map(|text| Diagnostic::warning(span, text)));
    listener
}

/// What a server line with TLS makes; faults and warnings go to `found`.
fn connector(
    tls: &ServerTls,
    (span, what): (Span, &str),
    (files, settings): (&mut Files, &GlobalTls),
    found: &mut Vec<Diagnostic>,
) -> Option<Arc<Connector>> {
    let mut warnings = Vec::new();
    let made = match Connector::new(tls, files, settings, &mut warnings) {
        Ok(connector) => Some(Arc::new(connector)),
        Err(fault) => {
            found.push(alert(span, what, fault));
            None
        }
    };
    found.extend(warnings.into_iter().map(|text| Diagnostic::warning(span, text)));
    made
}

/// Certificates that are out of date: they are served, and clients will refuse them.
fn dates(files: &Files) -> Vec<Diagnostic> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    files
        .certificates
        .values()
        .filter(|certificate| certificate.not_after < now)
        .map(|certificate| {
            let days = (now - certificate.not_after) / DAY;
            let message = format!("the certificate '{}' expired {days} days ago", certificate.name);
            Diagnostic::new(Severity::Warning, None, message)
                .with_help("clients refuse it: renew it, then reload or use `set ssl cert`")
        })
        .collect()
}

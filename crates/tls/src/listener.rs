//! What a `bind … ssl` line serves: its certificates by name, each with settings. A snapshot that connections read
//! without a lock; the runtime API makes another one.

use crate::certificate::{Certificate, Fault};
use crate::crt_list::{Filter, Line};
use crate::files::{Files, below};
use crate::fixed::Fixed;
use crate::hello::Hello;
use crate::kept::Kept;
use crate::suites;
use crate::tickets::{TicketKeys, Tickets};
use crate::verify::{ClientVerifier, KeepSecrets};
use arc_swap::ArcSwap;
use haproxy_config::model::{BindTls, GlobalTls, TlsOptions, Verify};
use parking_lot::Mutex;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{DistinguishedName, RootCertStore, ServerConfig};
use std::collections::HashMap;
use std::sync::Arc;

/// One line's TLS.
pub struct Listener {
    snapshot: ArcSwap<Snapshot>,
    sources: Vec<Source>,
    defaults: Vec<String>,
    options: TlsOptions,
    strict: bool,
    /// By settings. They keep session caches and ticket keys while certificates come and go.
    templates: Mutex<HashMap<TlsOptions, Arc<ServerConfig>>>,
    pub tickets: Arc<TicketKeys>,
    pub capture_size: usize,
}

/// Where certificates come from, in the order of the line.
#[derive(Debug, Clone)]
enum Source {
    Certificate(String),
    List(String),
}

/// What a client gets.
pub struct Entry {
    pub certificate: Arc<Certificate>,
    pub config: Arc<ServerConfig>,
}

impl Entry {
    /// The settings for this client. One that names protocols, but none of ours, goes on without, as with HAProxy: RFC 7301
    /// §3.2 would have the handshake fail.
    pub fn config_for(&self, hello: &Hello) -> Arc<ServerConfig> {
        if self.config.alpn_protocols.is_empty() || !hello.names_none_of(&self.config.alpn_protocols) {
            return Arc::clone(&self.config);
        }
        let mut config = (*self.config).clone();
        config.alpn_protocols.clear();
        Arc::new(config)
    }
}

/// Entries that share a name: at most one for each kind of key.
#[derive(Default, Clone)]
struct Kinds {
    rsa: Option<Arc<Entry>>,
    ecdsa: Option<Arc<Entry>>,
}

impl Kinds {
    /// The first of a kind stays, as in HAProxy.
    fn add(&mut self, entry: &Arc<Entry>) {
        let slot = if entry.certificate.is_ecdsa { &mut self.ecdsa } else { &mut self.rsa };
        slot.get_or_insert_with(|| Arc::clone(entry));
    }

    /// What this client can use; else what there is.
    fn choose(&self, hello: &Hello) -> Option<&Arc<Entry>> {
        match (&self.ecdsa, &self.rsa) {
            (Some(ecdsa), _) if hello.takes_ecdsa() => Some(ecdsa),
            (_, Some(rsa)) if hello.takes_rsa() => Some(rsa),
            (ecdsa, rsa) => rsa.as_ref().or(ecdsa.as_ref()),
        }
    }
}

#[derive(Default)]
struct Snapshot {
    exact: HashMap<Box<str>, Kinds>,
    /// `*.example.org` under `example.org`.
    wildcard: HashMap<Box<str>, Kinds>,
    /// Names that no wildcard covers.
    negated: HashMap<Box<str>, ()>,
    default: Kinds,
    /// For bytes that are no hello: any settings will do to say so.
    any: Option<Arc<ServerConfig>>,
}

/// Everything a new listener or a change of one needs.
pub(crate) struct Surroundings<'a> {
    pub files: &'a mut Files,
    pub settings: &'a GlobalTls,
    /// What was asked for and is not offered.
    pub warnings: &'a mut Vec<String>,
}

impl Listener {
    pub(crate) fn new(tls: &BindTls, around: &mut Surroundings<'_>) -> Result<Listener, Fault> {
        let settings = around.settings;
        let base = settings.crt_base.as_ref();
        let mut sources = Vec::new();
        let mut defaults = Vec::new();
        for name in &tls.default_certificates {
            defaults.extend(around.files.certificate(&below(base, name), settings)?);
        }
        for name in &tls.certificates {
            let name = below(base, name);
            if std::path::Path::new(&name).is_dir() {
                around.files.list(&name, settings)?;
                sources.push(Source::List(name));
            } else {
                let names = around.files.certificate(&name, settings)?;
                sources.extend(names.into_iter().map(Source::Certificate));
            }
        }
        for name in &tls.crt_lists {
            around.files.list(name, settings)?;
            let lines = around.files.lists.get(name).into_iter().flatten();
            let without_effect = lines.flat_map(|line| line.without_effect(name)).collect::<Vec<_>>();
            around.warnings.extend(without_effect);
            sources.push(Source::List(name.clone()));
        }
        let tickets = match &tls.ticket_keys {
            None => TicketKeys::random(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| Fault {
                    message: format!("cannot read '{path}': {error}"),
                    help: "check the name and that it may be read".to_owned(),
                })?;
                TicketKeys::from_file(path, &text).map_err(|message| Fault {
                    message: format!("'{path}': {message}"),
                    help: "make keys by: openssl rand -base64 80, one a line".to_owned(),
                })?
            }
        };
        let listener = Listener {
            snapshot: ArcSwap::default(),
            sources,
            defaults,
            options: tls.options.or(&settings.bind),
            strict: tls.strict_sni || settings.bind_strict_sni,
            templates: Mutex::default(),
            tickets: Arc::new(tickets),
            capture_size: settings.capture_size,
        };
        listener.rebuild(around)?;
        around.warnings.append(&mut around.files.warnings);
        Ok(listener)
    }

    /// Certificates and lists this line is made of, for the runtime API.
    pub fn uses_list(&self, name: &str) -> bool {
        self.sources.iter().any(|source| matches!(source, Source::List(list) if list == name))
    }

    /// Whether a certificate is named by this line itself.
    pub fn names_certificate(&self, name: &str) -> bool {
        self.sources.iter().any(|source| matches!(source, Source::Certificate(own) if own == name))
            || self.defaults.iter().any(|own| own == name)
    }

    /// Settings are read again: authorities or revocation lists have changed.
    pub(crate) fn forget_templates(&self) {
        self.templates.lock().clear();
    }

    /// Makes a new snapshot of what the files say now. The old one stays when that fails.
    pub(crate) fn rebuild(&self, around: &mut Surroundings<'_>) -> Result<(), Fault> {
        let mut snapshot = Snapshot::default();
        let mut first = None;
        for name in &self.defaults {
            let entry = self.entry(&Line::plain(name), around)?;
            snapshot.default.add(&entry);
        }
        for source in &self.sources {
            let lines = match source {
                Source::Certificate(name) => vec![Line::plain(name)],
                Source::List(name) => around.files.lists.get(name).cloned().unwrap_or_default(),
            };
            for line in lines {
                let entry = self.entry(&line, around)?;
                // The kinds of one bundle are the default together.
                let stem = line.certificate.rsplit_once('.').map_or("", |(stem, _)| stem).to_owned();
                let default = first.get_or_insert_with(|| stem.clone());
                if self.defaults.is_empty() && (*default == stem || snapshot.any.is_none()) {
                    snapshot.default.add(&entry);
                }
                snapshot.any.get_or_insert_with(|| Arc::clone(&entry.config));
                snapshot.add(&line.filters, &entry);
            }
        }
        if snapshot.any.is_none() {
            let template = self.template(&self.options, around)?;
            let mut config = (*template).clone();
            config.cert_resolver = Arc::new(Fixed::none());
            snapshot.any = Some(Arc::new(config));
        }
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    fn entry(&self, line: &Line, around: &mut Surroundings<'_>) -> Result<Arc<Entry>, Fault> {
        let Some(certificate) = around.files.certificates.get(&line.certificate).cloned() else {
            return Err(Fault {
                message: format!("the certificate '{}' is not loaded", line.certificate),
                help: "load it by `new ssl cert` and `set ssl cert`".to_owned(),
            });
        };
        let template = self.template(&line.options.or(&self.options), around)?;
        let mut config = (*template).clone();
        config.cert_resolver = Arc::new(certificate.resolver());
        Ok(Arc::new(Entry { certificate, config: Arc::new(config) }))
    }

    /// The settings without a certificate.
    fn template(
        &self,
        options: &TlsOptions,
        around: &mut Surroundings<'_>,
    ) -> Result<Arc<ServerConfig>, Fault> {
        if let Some(known) = self.templates.lock().get(options) {
            return Ok(Arc::clone(known));
        }
        let template = Arc::new(self.build_template(options, around)?);
        self.templates.lock().insert(options.clone(), Arc::clone(&template));
        Ok(template)
    }

    fn build_template(
        &self,
        options: &TlsOptions,
        around: &mut Surroundings<'_>,
    ) -> Result<ServerConfig, Fault> {
        let unusable = |message: String| Fault {
            message,
            help: "TLS 1.2 with ECDHE and AEAD ciphers, and TLS 1.3 are offered".to_owned(),
        };
        let offered = suites::offered(options).map_err(unusable)?;
        around.warnings.extend(offered.warnings);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&offered.provider))
            .with_protocol_versions(&offered.versions)
            .map_err(|error| unusable(error.to_string()))?;
        let verifier = client_verifier(options, &offered.provider, around)?;
        let builder = match &verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier) as _),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Fixed::none()));
        config.alpn_protocols = options.alpn.clone().unwrap_or_default();
        config.ignore_client_order = !options.prefer_client_ciphers;
        config.max_fragment_size = around.settings.max_record.map(|size| size + 5);
        config.session_storage = match around.settings.cache_size {
            0 => Arc::new(NoServerSessionStorage {}),
            size => Kept::new(size),
        };
        // Without tickets both versions resume from the cache: those of TLS 1.3 then hold no more than a name.
        if !options.no_tickets {
            config.ticketer = Arc::new(Tickets {
                keys: Arc::clone(&self.tickets),
                lifetime: around.settings.lifetime,
                scope: scope(options),
            });
        } else if around.settings.cache_size == 0 {
            config.send_tls13_tickets = 0;
        }
        if around.settings.keylog {
            config.key_log = Arc::new(KeepSecrets);
        }
        Ok(config)
    }

    /// What the client of this hello gets. `None`: nothing, by `strict-sni` or for want of certificates.
    pub fn choose(&self, hello: &Hello) -> Option<Arc<Entry>> {
        let snapshot = self.snapshot.load();
        let named = hello.server_name.as_deref().and_then(|name| snapshot.named(name, hello));
        match named {
            Some(entry) => Some(Arc::clone(entry)),
            None if self.strict => None,
            None => snapshot.default.choose(hello).cloned(),
        }
    }

    /// Settings to refuse bytes with that are no hello.
    pub fn any(&self) -> Option<Arc<ServerConfig>> {
        self.snapshot.load().any.clone()
    }

    /// Whether there is a certificate at all.
    pub fn is_empty(&self) -> bool {
        let snapshot = self.snapshot.load();
        snapshot.default.rsa.is_none() && snapshot.default.ecdsa.is_none()
    }

    pub fn is_strict(&self) -> bool {
        self.strict
    }
}

impl Snapshot {
    fn add(&mut self, filters: &[Filter], entry: &Arc<Entry>) {
        let own = |name: &String| Filter { name: name.clone(), negated: false };
        let by_certificate: Vec<Filter>;
        // A line with exclusions alone is for the certificate's own names too.
        let filters = if filters.iter().all(|filter| filter.negated) {
            by_certificate = entry.certificate.names.iter().map(own).chain(filters.iter().cloned()).collect();
            &by_certificate
        } else {
            filters
        };
        for filter in filters {
            let name = filter.name.as_str();
            if filter.negated {
                self.negated.insert(name.into(), ());
            } else if name == "*" {
                self.default.add(entry);
            } else if let Some(parent) = name.strip_prefix("*.") {
                self.wildcard.entry(parent.into()).or_default().add(entry);
            } else {
                self.exact.entry(name.into()).or_default().add(entry);
            }
        }
    }

    fn named(&self, name: &str, hello: &Hello) -> Option<&Arc<Entry>> {
        if let Some(entry) = self.exact.get(name).and_then(|kinds| kinds.choose(hello)) {
            return Some(entry);
        }
        if self.negated.contains_key(name) {
            return None;
        }
        let (_, parent) = name.split_once('.')?;
        self.wildcard.get(parent)?.choose(hello)
    }
}

/// What tickets are bound to: whoever is asked for a certificate must not resume a session that was not.
fn scope(options: &TlsOptions) -> Vec<u8> {
    format!("{:?} {:?} {:?}", options.verify, options.ca_file, options.ca_verify_file).into_bytes()
}

fn client_verifier(
    options: &TlsOptions,
    provider: &Arc<rustls::crypto::CryptoProvider>,
    around: &mut Surroundings<'_>,
) -> Result<Option<Arc<ClientVerifier>>, Fault> {
    let mandatory = match options.verify {
        None | Some(Verify::None) => return Ok(None),
        Some(Verify::Optional) => false,
        Some(Verify::Required) => true,
    };
    let base = around.settings.ca_base.as_ref();
    let told = options.ca_file.as_ref().map(|name| below(base, name));
    let silent = options.ca_verify_file.as_ref().map(|name| below(base, name));
    if told.is_none() && silent.is_none() {
        return Err(Fault {
            message: "verify is enabled but no CA file specified".to_owned(),
            help: "add ca-file FILE".to_owned(),
        });
    }
    let mut roots = RootCertStore::empty();
    let mut trusted = Vec::new();
    for name in told.iter().chain(&silent) {
        trusted.extend(around.files.authority(name)?.iter().cloned());
        for authority in around.files.authority(name)?.iter() {
            // Systems trust some that webpki cannot read: those verify nothing.
            let _ = roots.add(authority.clone());
        }
    }
    let hints: Vec<DistinguishedName> = match (&told, options.no_ca_names) {
        (Some(name), false) => {
            let mut own = RootCertStore::empty();
            own.add_parsable_certificates(around.files.authority(name)?.iter().cloned());
            own.subjects()
        }
        _ => Vec::new(),
    };
    let roots = Arc::new(roots);
    let build = |lists: Vec<_>| {
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider))
            .with_crls(lists)
            .build()
            .map_err(|error| Fault {
                message: format!("client certificates cannot be verified: {error}"),
                help: "check ca-file and crl-file".to_owned(),
            })
    };
    let lists = match &options.crl_file {
        None => Vec::new(),
        Some(name) => around.files.revocation(&below(base, name))?.to_vec(),
    };
    let without_lists = if lists.is_empty() { None } else { Some(build(Vec::new())?) };
    Ok(Some(Arc::new(ClientVerifier {
        inner: build(lists)?,
        without_lists,
        algorithms: provider.signature_verification_algorithms,
        trusted: Arc::new(trusted),
        mandatory,
        hints,
        ca_ignore: options.ca_ignore.clone(),
        certificate_ignore: options.crt_ignore.clone(),
    })))
}

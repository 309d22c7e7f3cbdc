//! What a `server … ssl` line speaks: settings of the side that connects.

use crate::certificate::Fault;
use crate::files::{Files, below};
use crate::fixed::FixedClient;
use crate::session::Session;
use crate::sessions::Sessions;
use crate::suites;
use crate::verify::{KeepSecrets, ServerVerifier};
use arc_swap::ArcSwap;
use haproxy_config::model::{GlobalTls, ServerTls, TlsOptions, Verify};
use rustls::client::{Resumption, Tls12Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Stands for the server where no name is sent; resumption needs one.
const NAMELESS: &str = "nameless.invalid";

/// One server's TLS.
pub struct Connector {
    settings: ServerTls,
    configs: ArcSwap<Configs>,
}

struct Configs {
    named: Arc<ClientConfig>,
    nameless: Arc<ClientConfig>,
}

impl Connector {
    pub(crate) fn new(
        tls: &ServerTls,
        files: &mut Files,
        settings: &GlobalTls,
        warnings: &mut Vec<String>,
    ) -> Result<Connector, Fault> {
        let configs = build(tls, files, settings, warnings)?;
        Ok(Connector { settings: tls.clone(), configs: ArcSwap::from_pointee(configs) })
    }

    /// Reads the files' content again: certificate, authorities or revocation lists have changed.
    pub(crate) fn rebuild(&self, files: &mut Files, settings: &GlobalTls) -> Result<(), Fault> {
        let configs = build(&self.settings, files, settings, &mut Vec::new())?;
        self.configs.store(Arc::new(configs));
        Ok(())
    }

    /// The certificate that servers are shown, for the runtime API.
    pub fn certificate(&self) -> Option<&str> {
        self.settings.certificate.as_deref()
    }

    /// A new connection's machine. `name` is sent as SNI where it is a host name; `alpn` replaces the line's.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn connect(&self, name: Option<&str>, alpn: Option<&[Vec<u8>]>) -> Result<Session, rustls::Error> {
        let configs = self.configs.load();
        let name = name
            .and_then(|name| ServerName::try_from(name.to_owned()).ok())
            .filter(|name| matches!(name, ServerName::DnsName(_)));
        let (mut config, name) = match name {
            Some(name) => (Arc::clone(&configs.named), name),
            None => {
                let nobody = ServerName::try_from(NAMELESS).expect("a valid host name");
                (Arc::clone(&configs.nameless), nobody)
            }
        };
        if let Some(alpn) = alpn {
            Arc::make_mut(&mut config).alpn_protocols = alpn.to_vec();
        }
        Session::client(config, name)
    }
}

fn build(
    tls: &ServerTls,
    files: &mut Files,
    settings: &GlobalTls,
    warnings: &mut Vec<String>,
) -> Result<Configs, Fault> {
    let options = tls.options.or(&settings.server);
    let offered = suites::offered(&options).map_err(|message| Fault {
        message,
        help: "TLS 1.2 with ECDHE and AEAD ciphers, and TLS 1.3 are offered".into(),
    })?;
    warnings.extend(offered.warnings);
    let required = match options.verify.unwrap_or(settings.server_verify) {
        Verify::None => false,
        Verify::Optional | Verify::Required => true,
    };
    let chain =
        if required { Some(chain_verifier(&options, &offered.provider, files, settings)?) } else { None };
    let key = match &tls.certificate {
        None => None,
        Some(name) => {
            let names = files.certificate(&below(settings.crt_base.as_ref(), name), settings)?;
            names.first().and_then(|name| files.certificates.get(name)).map(|own| Arc::clone(&own.key))
        }
    };
    let config = |use_name: bool| -> Result<Arc<ClientConfig>, Fault> {
        let verifier = ServerVerifier {
            chain: chain.as_ref().map(|(chain, _)| Arc::clone(chain) as _),
            trusted: chain.as_ref().map(|(_, trusted)| Arc::clone(trusted)).unwrap_or_default(),
            algorithms: offered.provider.signature_verification_algorithms,
            host: tls.verify_host.clone(),
            use_name,
        };
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&offered.provider))
            .with_protocol_versions(&offered.versions)
            .map_err(|error| Fault {
                message: error.to_string(),
                help: "change the versions or suites".into(),
            })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(FixedClient(key.clone())));
        config.enable_sni = use_name;
        config.alpn_protocols = options.alpn.clone().unwrap_or_default();
        config.max_fragment_size = settings.max_record.map(|size| size + 5);
        config.resumption = if tls.no_reuse {
            Resumption::disabled()
        } else {
            let tickets = if options.no_tickets {
                Tls12Resumption::SessionIdOnly
            } else {
                Tls12Resumption::SessionIdOrTickets
            };
            Resumption::store(Arc::new(Sessions::new())).tls12_resumption(tickets)
        };
        if settings.keylog {
            config.key_log = Arc::new(KeepSecrets);
        }
        Ok(Arc::new(config))
    };
    Ok(Configs { named: config(true)?, nameless: config(false)? })
}

/// A verifier, and what it trusts.
type Chain = (Arc<WebPkiServerVerifier>, Arc<Vec<CertificateDer<'static>>>);

/// Verifies chains against `ca-file` and `crl-file`.
fn chain_verifier(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
    files: &mut Files,
    settings: &GlobalTls,
) -> Result<Chain, Fault> {
    let base = settings.ca_base.as_ref();
    let Some(name) = &options.ca_file else {
        return Err(Fault {
            message: "verify is enabled by default but no CA file specified".to_owned(),
            help: "add ca-file FILE or ca-file @system-ca; on a network you trust: verify none".to_owned(),
        });
    };
    let name = if name.starts_with('@') { name.clone() } else { below(base, name) };
    let mut roots = RootCertStore::empty();
    let trusted = files.authority(&name)?;
    roots.add_parsable_certificates(trusted.iter().cloned());
    let lists = match &options.crl_file {
        Some(name) => files.revocation(&below(base, name))?.to_vec(),
        None => Vec::new(),
    };
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .with_crls(lists)
        .build()
        .map(|verifier| (verifier, trusted))
        .map_err(|error| Fault {
            message: format!("servers cannot be verified: {error}"),
            help: "check ca-file and crl-file".to_owned(),
        })
}

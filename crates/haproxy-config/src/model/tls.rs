//! What lines say about TLS. Files are named here, not read: the proxy loads them.

use rules::Expr;
use std::collections::BTreeSet;

/// A protocol version; the old ones are known so that lines which forbid them can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    Ssl3,
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

/// `verify`: what happens with the peer's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verify {
    None,
    /// Asked for, and checked when it comes.
    Optional,
    Required,
}

/// `ca-ignore-err` and `crt-ignore-err`: verification errors that do not end a handshake, by OpenSSL's numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum IgnoredErrors {
    #[default]
    None,
    All,
    Listed(BTreeSet<u16>),
}

impl IgnoredErrors {
    pub fn contains(&self, code: u16) -> bool {
        match self {
            IgnoredErrors::None => false,
            IgnoredErrors::All => true,
            IgnoredErrors::Listed(codes) => codes.contains(&code),
        }
    }
}

/// Settings that bind lines, lines of a crt-list and server lines share. `None`: not said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsOptions {
    /// Most preferred first; an empty list is `no-alpn`.
    pub alpn: Option<Vec<Vec<u8>>>,
    pub min_version: Option<TlsVersion>,
    pub max_version: Option<TlsVersion>,
    /// `no-tlsv10` and the like.
    pub disabled_versions: BTreeSet<TlsVersion>,
    /// TLS 1.2 suites in OpenSSL's spelling.
    pub ciphers: Option<String>,
    /// TLS 1.3 suites in OpenSSL's spelling.
    pub ciphersuites: Option<String>,
    /// Key exchange groups, separated by colons.
    pub curves: Option<String>,
    pub ca_file: Option<String>,
    /// Authorities that verify but are not told to the client.
    pub ca_verify_file: Option<String>,
    pub crl_file: Option<String>,
    pub verify: Option<Verify>,
    pub ca_ignore: IgnoredErrors,
    pub crt_ignore: IgnoredErrors,
    pub no_ca_names: bool,
    pub no_tickets: bool,
    pub prefer_client_ciphers: bool,
}

impl TlsOptions {
    /// What `self` does not say is taken from `defaults`.
    pub fn or(&self, defaults: &TlsOptions) -> TlsOptions {
        let ignored = |own: &IgnoredErrors, default: &IgnoredErrors| match own {
            IgnoredErrors::None => default.clone(),
            IgnoredErrors::All | IgnoredErrors::Listed(_) => own.clone(),
        };
        // Bounds belong together: whoever says one of them says what versions there are.
        let own_versions =
            self.min_version.is_some() || self.max_version.is_some() || !self.disabled_versions.is_empty();
        let versions = if own_versions { self } else { defaults };
        TlsOptions {
            alpn: self.alpn.clone().or_else(|| defaults.alpn.clone()),
            min_version: versions.min_version.or(defaults.min_version),
            max_version: versions.max_version,
            disabled_versions: versions.disabled_versions.clone(),
            ciphers: self.ciphers.clone().or_else(|| defaults.ciphers.clone()),
            ciphersuites: self.ciphersuites.clone().or_else(|| defaults.ciphersuites.clone()),
            curves: self.curves.clone().or_else(|| defaults.curves.clone()),
            ca_file: self.ca_file.clone().or_else(|| defaults.ca_file.clone()),
            ca_verify_file: self.ca_verify_file.clone().or_else(|| defaults.ca_verify_file.clone()),
            crl_file: self.crl_file.clone().or_else(|| defaults.crl_file.clone()),
            verify: self.verify.or(defaults.verify),
            ca_ignore: ignored(&self.ca_ignore, &defaults.ca_ignore),
            crt_ignore: ignored(&self.crt_ignore, &defaults.crt_ignore),
            no_ca_names: self.no_ca_names || defaults.no_ca_names,
            no_tickets: self.no_tickets || defaults.no_tickets,
            prefer_client_ciphers: self.prefer_client_ciphers || defaults.prefer_client_ciphers,
        }
    }
}

/// `bind … ssl`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BindTls {
    /// `ssl` itself was said; without it the others mean nothing.
    pub enabled: bool,
    /// `crt`: files and directories, in order. The first certificate is the default one.
    pub certificates: Vec<String>,
    /// `default-crt`: served to whoever names no known host.
    pub default_certificates: Vec<String>,
    pub crt_lists: Vec<String>,
    pub strict_sni: bool,
    pub ticket_keys: Option<String>,
    pub options: TlsOptions,
}

/// `server … ssl`.
#[derive(Debug, Clone, Default)]
pub struct ServerTls {
    /// `verifyhost`.
    pub verify_host: Option<String>,
    /// `sni`: evaluated for each request.
    pub sni: Option<Expr>,
    /// `crt`: the certificate shown to the server.
    pub certificate: Option<String>,
    /// `no-ssl-reuse`.
    pub no_reuse: bool,
    pub options: TlsOptions,
}

/// TLS settings of the global section.
#[derive(Debug, Clone)]
pub struct GlobalTls {
    pub ca_base: Option<String>,
    pub crt_base: Option<String>,
    /// `issuers-chain-path`: certificates that complete chains.
    pub issuers_chain_path: Option<String>,
    /// Connections on both sides together; `None` is no limit.
    pub maxsslconn: Option<u32>,
    /// Sessions a second; `None` is no limit.
    pub maxsslrate: Option<u32>,
    pub bind: TlsOptions,
    pub bind_strict_sni: bool,
    pub server: TlsOptions,
    /// `ssl-server-verify`.
    pub server_verify: Verify,
    pub extra_files: ExtraFiles,
    /// `ssl-load-extra-del-ext`: `a.key` instead of `a.pem.key`.
    pub extra_replaces_extension: bool,
    pub skip_self_issued_ca: bool,
    /// Sessions kept for resumption without tickets.
    pub cache_size: usize,
    /// Seconds that a session may be resumed.
    pub lifetime: u32,
    /// Bytes of each list of a ClientHello that are kept for `ssl_fc_*list_*`; 0: none.
    pub capture_size: usize,
    /// `tune.ssl.keylog on`: secrets are kept for `ssl_fc_*_secret`.
    pub keylog: bool,
    /// Largest plaintext of a record in bytes; `None`: as the protocol allows.
    pub max_record: Option<usize>,
}

impl Default for GlobalTls {
    fn default() -> Self {
        GlobalTls {
            ca_base: None,
            crt_base: None,
            issuers_chain_path: None,
            maxsslconn: None,
            maxsslrate: None,
            bind: TlsOptions::default(),
            bind_strict_sni: false,
            server: TlsOptions::default(),
            server_verify: Verify::Required,
            extra_files: ExtraFiles::default(),
            extra_replaces_extension: false,
            skip_self_issued_ca: false,
            cache_size: 20_000,
            lifetime: 300,
            capture_size: 0,
            keylog: false,
            max_record: None,
        }
    }
}

/// `ssl-load-extra-files`: what is looked for beside a certificate's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtraFiles {
    /// `name.rsa`, `name.ecdsa`, `name.dsa` for `crt name`.
    pub bundle: bool,
    pub ocsp: bool,
    pub issuer: bool,
    pub key: bool,
    pub sctl: bool,
}

impl Default for ExtraFiles {
    fn default() -> Self {
        ExtraFiles { bundle: true, ocsp: true, issuer: true, key: true, sctl: true }
    }
}

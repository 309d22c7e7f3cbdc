//! The files that TLS lives on, as they were read: certificates, lists of them, authorities, revocation lists. The
//! runtime API changes what is here; the disk is read only while a configuration is loaded.

use crate::certificate::{Certificate, Fault, Parts, is_self_issued, now};
use crate::crt_list::{self, Line};
use crate::ocsp::Response;
use haproxy_config::model::GlobalTls;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Largest file that is read.
const FILE_MAX: u64 = 64 << 20;
/// Files of one directory.
const DIRECTORY_MAX: usize = 65_536;
/// `ca-file @system-ca`.
pub const SYSTEM: &str = "@system-ca";
/// Where systems keep the authorities they trust.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Kinds of keys of a bundle, by the ending of their files.
const BUNDLE: [&str; 3] = ["rsa", "ecdsa", "dsa"];

/// Everything read, by the name that the configuration uses (its path).
#[derive(Debug, Default)]
pub struct Files {
    pub certificates: BTreeMap<String, Arc<Certificate>>,
    /// Directories are lists too.
    pub lists: BTreeMap<String, Vec<Line>>,
    pub authorities: BTreeMap<String, Arc<Vec<CertificateDer<'static>>>>,
    pub revocations: BTreeMap<String, Arc<Vec<CertificateRevocationListDer<'static>>>>,
    /// What the certificates were put together from.
    pub parts: BTreeMap<String, Parts>,
    /// Stores without a certificate, of the runtime API.
    pub empty: BTreeSet<String>,
    /// Authorities and revocation lists that lines name.
    pub configured: BTreeSet<String>,
    /// What was read and is of no use, until whoever loads a line tells of it.
    pub warnings: Vec<String>,
    /// Certificates of `issuers-chain-path`.
    issuers: Vec<CertificateDer<'static>>,
}

/// `name` below `base`, unless it is absolute.
pub fn below(base: Option<&String>, name: &str) -> String {
    match base {
        Some(base) if !name.starts_with('/') => format!("{}/{name}", base.trim_end_matches('/')),
        Some(_) | None => name.to_owned(),
    }
}

fn read(path: &str) -> Result<Vec<u8>, Fault> {
    let fault = |message: String, help: &str| Fault { message, help: help.to_owned() };
    let length = std::fs::metadata(path)
        .map_err(|error| {
            fault(format!("unable to stat file '{path}': {error}"), "check the name and that it may be read")
        })?
        .len();
    if length > FILE_MAX {
        return Err(fault(
            format!("'{path}' is larger than {FILE_MAX} bytes"),
            "this is no certificate file",
        ));
    }
    std::fs::read(path).map_err(|error| {
        fault(format!("cannot open the file '{path}': {error}"), "check that it may be read")
    })
}

fn in_file(path: &str, message: String) -> Fault {
    Fault {
        message: format!("'{path}': {message}"),
        help: "check its content: openssl x509 -text -noout".to_owned(),
    }
}

impl Files {
    /// Reads the certificate of this name, with the files beside it, unless it is here already. Several come of a
    /// bundle; their names are returned.
    ///
    /// # Errors
    /// What is wrong, with the file's name.
    pub fn certificate(&mut self, name: &str, settings: &GlobalTls) -> Result<Vec<String>, Fault> {
        if self.certificates.contains_key(name) {
            return Ok(vec![name.to_owned()]);
        }
        if !Path::new(name).exists() && settings.extra_files.bundle {
            let parts: Vec<String> = BUNDLE
                .iter()
                .map(|kind| format!("{name}.{kind}"))
                .filter(|path| Path::new(path).exists())
                .collect();
            if !parts.is_empty() {
                for part in &parts {
                    self.load(part, settings)?;
                }
                return Ok(parts);
            }
        }
        self.load(name, settings)?;
        Ok(vec![name.to_owned()])
    }

    fn load(&mut self, name: &str, settings: &GlobalTls) -> Result<(), Fault> {
        if self.certificates.contains_key(name) {
            return Ok(());
        }
        let mut parts = Parts::default();
        parts.add_pem(&read(name)?).map_err(|message| in_file(name, message))?;
        let stem = match (settings.extra_replaces_extension, name.strip_suffix(".crt")) {
            (true, Some(stem)) => stem,
            _ => name,
        };
        let beside = |kind: &str| {
            let path = format!("{stem}.{kind}");
            Path::new(&path).exists().then_some(path)
        };
        if parts.key.is_none()
            && settings.extra_files.key
            && let Some(path) = beside("key")
        {
            parts.add_pem(&read(&path)?).map_err(|message| in_file(&path, message))?;
        }
        if settings.extra_files.ocsp
            && let Some(path) = beside("ocsp")
        {
            parts.ocsp = Some(read(&path)?);
        }
        if settings.extra_files.sctl
            && let Some(path) = beside("sctl")
        {
            // RFC 6962 §3.3.1: an extension that rustls does not write.
            self.warnings.push(format!(
                "'{path}' is not used: timestamps of certificate transparency go out only where the certificate has them"
            ));
        }
        let certificate = self.assemble(name, parts.clone(), settings)?;
        if let (Some(der), Some(why)) =
            (&parts.ocsp, parts.ocsp.as_deref().and_then(|der| unused(der, &certificate)))
        {
            // An empty file is how a response is announced that the runtime API brings.
            if !der.is_empty() {
                self.warnings.push(format!("'{stem}.ocsp': {why}. Content will be ignored"));
            }
            parts.ocsp = None;
        }
        self.parts.insert(name.to_owned(), parts);
        self.certificates.insert(name.to_owned(), Arc::new(certificate));
        Ok(())
    }

    /// A certificate of these parts, its chain completed from `issuers-chain-path`.
    ///
    /// # Errors
    /// What is wrong with the parts.
    pub fn assemble(&self, name: &str, parts: Parts, settings: &GlobalTls) -> Result<Certificate, Fault> {
        let complete = |leaf: &CertificateDer<'_>| self.issuers_of(leaf);
        Certificate::new(name, parts, &complete, settings.skip_self_issued_ca).map_err(|mut fault| {
            if !fault.message.contains(name) {
                fault.message = format!("'{name}': {}", fault.message);
            }
            fault
        })
    }

    /// The chain above `leaf`, as far as it is known.
    fn issuers_of(&self, leaf: &CertificateDer<'_>) -> Vec<CertificateDer<'static>> {
        const DEPTH_MAX: usize = 10;
        let mut chain: Vec<CertificateDer<'static>> = Vec::new();
        let mut current = leaf.clone();
        while chain.len() < DEPTH_MAX && !is_self_issued(&current) {
            let Ok((_, parsed)) = X509Certificate::from_der(&current) else { break };
            let wanted = parsed.issuer().as_raw().to_vec();
            let found = self.issuers.iter().find(|issuer| {
                X509Certificate::from_der(issuer).is_ok_and(|(_, issuer)| issuer.subject().as_raw() == wanted)
            });
            let Some(found) = found.cloned() else { break };
            chain.push(found.clone());
            current = found;
        }
        chain
    }

    /// Reads the directory of `issuers-chain-path`.
    ///
    /// # Errors
    /// The directory or one of its files cannot be read.
    pub fn read_issuers(&mut self, directory: &str) -> Result<(), Fault> {
        for path in files_of(directory)? {
            let mut parts = Parts::default();
            parts.add_pem(&read(&path)?).map_err(|message| in_file(&path, message))?;
            self.issuers.extend(parts.certificates);
        }
        Ok(())
    }

    /// Reads a list of certificates with the certificates it names, or a directory of them.
    ///
    /// # Errors
    /// What is wrong, with the file's name and line.
    pub fn list(&mut self, name: &str, settings: &GlobalTls) -> Result<(), Fault> {
        if self.lists.contains_key(name) {
            return Ok(());
        }
        let lines = if Path::new(name).is_dir() {
            let extras = ["key", "ocsp", "issuer", "sctl"];
            files_of(name)?
                .into_iter()
                .filter(|path| !extras.iter().any(|extra| path.ends_with(&format!(".{extra}"))))
                .map(|path| Line::plain(&path))
                .collect()
        } else {
            let text = read(name)?;
            let text = String::from_utf8_lossy(&text).into_owned();
            crt_list::parse(&text).map_err(|message| Fault {
                message: format!("'{name}', {message}"),
                help: "a line is: FILE [OPTIONS] NAME…".to_owned(),
            })?
        };
        let mut expanded = Vec::new();
        for mut line in lines {
            if !Path::new(name).is_dir() {
                line.certificate = below(settings.crt_base.as_ref(), &line.certificate);
            }
            for certificate in self.certificate(&line.certificate, settings)? {
                expanded.push(Line { certificate, ..line.clone() });
            }
        }
        self.lists.insert(name.to_owned(), expanded);
        Ok(())
    }

    /// Reads a `ca-file`.
    ///
    /// # Errors
    /// It cannot be read, or holds no certificate.
    pub fn authority(&mut self, name: &str) -> Result<Arc<Vec<CertificateDer<'static>>>, Fault> {
        if let Some(known) = self.authorities.get(name) {
            return Ok(Arc::clone(known));
        }
        let paths = match name {
            SYSTEM => SYSTEM_FILES
                .iter()
                .find(|path| Path::new(path).exists())
                .map(|path| vec![(*path).to_owned()])
                .ok_or_else(|| Fault {
                    message: "the system has no file of authorities".to_owned(),
                    help: "install ca-certificates, or name a file by ca-file".to_owned(),
                })?,
            path if Path::new(path).is_dir() => files_of(path)?,
            path => vec![path.to_owned()],
        };
        let mut certificates = Vec::new();
        for path in &paths {
            certificates.extend(authorities_of(&read(path)?).map_err(|message| in_file(path, message))?);
        }
        if certificates.is_empty() {
            return Err(in_file(name, "there is no certificate in it".to_owned()));
        }
        let certificates = Arc::new(certificates);
        self.authorities.insert(name.to_owned(), Arc::clone(&certificates));
        Ok(certificates)
    }

    /// Reads a `crl-file`.
    ///
    /// # Errors
    /// It cannot be read, or holds no list.
    pub fn revocation(
        &mut self,
        name: &str,
    ) -> Result<Arc<Vec<CertificateRevocationListDer<'static>>>, Fault> {
        if let Some(known) = self.revocations.get(name) {
            return Ok(Arc::clone(known));
        }
        let lists = Arc::new(revocations_of(&read(name)?).map_err(|message| in_file(name, message))?);
        if lists.is_empty() {
            return Err(in_file(name, "there is no revocation list in it".to_owned()));
        }
        self.revocations.insert(name.to_owned(), Arc::clone(&lists));
        Ok(lists)
    }
}

/// Why a response cannot be stapled with this certificate.
fn unused(der: &[u8], certificate: &Certificate) -> Option<String> {
    match Response::parse(der) {
        Err(why) => Some(why),
        Ok(response) if !response.is_valid_at(now()) => {
            Some("OCSP single response: no longer valid".to_owned())
        }
        Ok(_) if certificate.stapled().is_none() => {
            Some("OCSP single response: Certificate ID does not match certificate and issuer".to_owned())
        }
        Ok(_) => None,
    }
}

/// The certificates of a PEM text.
///
/// # Errors
/// The text is no PEM.
pub fn authorities_of(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut parts = Parts::default();
    sections(text, |kind, der| {
        if kind == SectionKind::Certificate {
            parts.certificates.push(der.into());
        }
    })?;
    Ok(parts.certificates)
}

/// The revocation lists of a PEM text.
///
/// # Errors
/// The text is no PEM.
pub fn revocations_of(text: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let mut lists = Vec::new();
    sections(text, |kind, der| {
        if kind == SectionKind::Crl {
            lists.push(der.into());
        }
    })?;
    Ok(lists)
}

fn sections(text: &[u8], mut take: impl FnMut(SectionKind, Vec<u8>)) -> Result<(), String> {
    for section in <(SectionKind, Vec<u8>) as PemObject>::pem_slice_iter(text) {
        let (kind, der) = section.map_err(|error| format!("it is no valid PEM: {error:?}"))?;
        take(kind, der);
    }
    Ok(())
}

/// The files of a directory by name, without hidden ones.
fn files_of(directory: &str) -> Result<Vec<String>, Fault> {
    let fault = |error: std::io::Error| Fault {
        message: format!("cannot read the directory '{directory}': {error}"),
        help: "check the name and that it may be read".to_owned(),
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            paths.push(path);
        }
        if paths.len() > DIRECTORY_MAX {
            return Err(Fault {
                message: format!("'{directory}' has more than {DIRECTORY_MAX} files"),
                help: "this is no directory of certificates".to_owned(),
            });
        }
    }
    paths.sort();
    Ok(paths.into_iter().map(|path| path.to_string_lossy().into_owned()).collect())
}

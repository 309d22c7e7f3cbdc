//! TLS words that bind lines, crt-lists, server lines and global defaults share: one row a word.

use crate::model::{IgnoredErrors, TlsOptions, TlsVersion, Verify};
use std::collections::BTreeSet;

/// Protocols one line may offer.
const PROTOCOLS_MAX: usize = 64;

/// How a word changes the options; the argument is empty for flags.
type Set = fn(&mut TlsOptions, &str) -> Result<(), String>;

struct Row {
    name: &'static str,
    argument: bool,
    set: Set,
}

const fn word(name: &'static str, set: Set) -> Row {
    Row { name, argument: true, set }
}

const fn flag(name: &'static str, set: Set) -> Row {
    Row { name, argument: false, set }
}

/// An assignment of the word's text.
macro_rules! text {
    ($field:ident) => {
        |options, value| {
            options.$field = Some(value.to_owned());
            Ok(())
        }
    };
}

/// An assignment of a constant.
macro_rules! put {
    ($field:ident = $value:expr) => {
        |options, _| {
            options.$field = $value;
            Ok(())
        }
    };
}

/// `no-tlsv12` and the like.
macro_rules! disable {
    ($version:ident) => {
        |options, _| {
            options.disabled_versions.insert(TlsVersion::$version);
            Ok(())
        }
    };
}

/// `force-tlsv12` and the like.
macro_rules! force {
    ($version:ident) => {
        |options, _| {
            options.min_version = Some(TlsVersion::$version);
            options.max_version = Some(TlsVersion::$version);
            Ok(())
        }
    };
}

static ROWS: &[Row] = &[
    word("alpn", alpn),
    word("ca-file", text!(ca_file)),
    word("ca-ignore-err", |options, value| ignored(value).map(|codes| options.ca_ignore = codes)),
    word("ca-verify-file", text!(ca_verify_file)),
    word("ciphers", text!(ciphers)),
    word("ciphersuites", text!(ciphersuites)),
    word("crl-file", text!(crl_file)),
    word("crt-ignore-err", |options, value| ignored(value).map(|codes| options.crt_ignore = codes)),
    word("curves", text!(curves)),
    word("ecdhe", text!(curves)),
    flag("force-sslv3", force!(Ssl3)),
    flag("force-tlsv10", force!(Tls10)),
    flag("force-tlsv11", force!(Tls11)),
    flag("force-tlsv12", force!(Tls12)),
    flag("force-tlsv13", force!(Tls13)),
    flag("no-alpn", put!(alpn = Some(Vec::new()))),
    flag("no-ca-names", put!(no_ca_names = true)),
    flag("no-sslv3", disable!(Ssl3)),
    flag("no-tls-tickets", put!(no_tickets = true)),
    flag("no-tlsv10", disable!(Tls10)),
    flag("no-tlsv11", disable!(Tls11)),
    flag("no-tlsv12", disable!(Tls12)),
    flag("no-tlsv13", disable!(Tls13)),
    flag("prefer-client-ciphers", put!(prefer_client_ciphers = true)),
    word("ssl-max-ver", |options, value| version(value).map(|version| options.max_version = Some(version))),
    word("ssl-min-ver", |options, value| version(value).map(|version| options.min_version = Some(version))),
    flag("tls-tickets", put!(no_tickets = false)),
    word("verify", |options, value| verify(value).map(|verify| options.verify = Some(verify))),
];

/// Whether `name` is a TLS word of [`set`], and whether an argument follows it.
pub fn takes_argument(name: &str) -> Option<bool> {
    ROWS.iter().find(|row| row.name == name).map(|row| row.argument)
}

/// Every TLS word of [`set`], and whether an argument follows it.
pub fn words() -> impl Iterator<Item = (&'static str, bool)> {
    ROWS.iter().map(|row| (row.name, row.argument))
}

/// Applies one TLS word with its argument (empty for flags).
///
/// # Errors
/// What is wrong with the argument, or with the word.
pub fn set(options: &mut TlsOptions, name: &str, value: &str) -> Result<(), String> {
    match ROWS.iter().find(|row| row.name == name) {
        Some(row) => (row.set)(options, value),
        None => Err(format!("`{name}` is no TLS setting")),
    }
}

fn alpn(options: &mut TlsOptions, value: &str) -> Result<(), String> {
    let protocols: Vec<Vec<u8>> = value.split(',').map(|name| name.as_bytes().to_vec()).collect();
    if protocols.len() > PROTOCOLS_MAX {
        return Err(format!("more than {PROTOCOLS_MAX} protocols"));
    }
    match protocols.iter().find(|name| name.is_empty() || name.len() > 255) {
        Some(name) if name.is_empty() => Err("a name in the list is empty".to_owned()),
        Some(_) => Err("a name in the list is longer than 255 bytes".to_owned()),
        None => {
            options.alpn = Some(protocols);
            Ok(())
        }
    }
}

fn version(value: &str) -> Result<TlsVersion, String> {
    match value {
        "SSLv3" => Ok(TlsVersion::Ssl3),
        "TLSv1.0" => Ok(TlsVersion::Tls10),
        "TLSv1.1" => Ok(TlsVersion::Tls11),
        "TLSv1.2" => Ok(TlsVersion::Tls12),
        "TLSv1.3" => Ok(TlsVersion::Tls13),
        other => Err(format!("`{other}` is none of SSLv3, TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3")),
    }
}

fn verify(value: &str) -> Result<Verify, String> {
    match value {
        "none" => Ok(Verify::None),
        "optional" => Ok(Verify::Optional),
        "required" => Ok(Verify::Required),
        other => Err(format!("`{other}` is none of none, optional, required")),
    }
}

/// `all`, or numbers and names of OpenSSL separated by commas.
fn ignored(value: &str) -> Result<IgnoredErrors, String> {
    if value == "all" {
        return Ok(IgnoredErrors::All);
    }
    let mut codes = BTreeSet::new();
    for part in value.split(',') {
        let code = match part.parse::<u16>() {
            Ok(code) => Some(code),
            Err(_) => rules::tls::verify_code(part),
        };
        codes.insert(code.ok_or_else(|| format!("`{part}` is no number or name of a verification error"))?);
    }
    Ok(IgnoredErrors::Listed(codes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_change_the_options_that_they_name() {
        let mut options = TlsOptions::default();
        for (name, value) in [
            ("alpn", "h2,http/1.1"),
            ("ssl-min-ver", "TLSv1.2"),
            ("no-tlsv13", ""),
            ("verify", "optional"),
            ("crt-ignore-err", "10,X509_V_ERR_CERT_REVOKED"),
        ] {
            set(&mut options, name, value).unwrap();
        }
        assert_eq!(options.alpn, Some(vec![b"h2".to_vec(), b"http/1.1".to_vec()]));
        assert_eq!(options.min_version, Some(TlsVersion::Tls12));
        assert!(options.disabled_versions.contains(&TlsVersion::Tls13));
        assert_eq!(options.verify, Some(Verify::Optional));
        assert!(options.crt_ignore.contains(10) && options.crt_ignore.contains(23));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let mut options = TlsOptions::default();
        assert!(set(&mut options, "alpn", "h2,,x").is_err());
        assert!(set(&mut options, "ssl-min-ver", "1.2").is_err());
        assert!(set(&mut options, "verify", "maybe").is_err());
        assert!(set(&mut options, "ca-ignore-err", "often").is_err());
    }
}

//! Cipher suites, groups and versions: OpenSSL's spelling, and what rustls offers of it.

use haproxy_config::model::{TlsOptions, TlsVersion};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::{CipherSuite, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion};
use std::sync::Arc;

/// One suite under OpenSSL's name, with the words that lists choose it by.
struct Suite {
    openssl: &'static str,
    id: CipherSuite,
    bits: u16,
    tags: &'static [&'static str],
}

macro_rules! suite {
    ($openssl:literal, $id:ident, $bits:literal, [$($tag:literal),*]) => {
        Suite { openssl: $openssl, id: CipherSuite::$id, bits: $bits, tags: &[$($tag),*] }
    };
}

const TLS13: &[Suite] = &[
    suite!("TLS_AES_256_GCM_SHA384", TLS13_AES_256_GCM_SHA384, 256, []),
    suite!("TLS_CHACHA20_POLY1305_SHA256", TLS13_CHACHA20_POLY1305_SHA256, 256, []),
    suite!("TLS_AES_128_GCM_SHA256", TLS13_AES_128_GCM_SHA256, 128, []),
];

/// Their order where no line says one: docs/decisions/0015.
const TLS13_PREFERRED: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
];

const TLS12: &[Suite] = &[
    suite!(
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        256,
        ["ECDSA", "aECDSA", "AES256", "AESGCM", "AES", "SHA384"]
    ),
    suite!(
        "ECDHE-RSA-AES256-GCM-SHA384",
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        256,
        ["aRSA", "AES256", "AESGCM", "AES", "SHA384"]
    ),
    suite!(
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        256,
        ["ECDSA", "aECDSA", "CHACHA20"]
    ),
    suite!(
        "ECDHE-RSA-CHACHA20-POLY1305",
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        256,
        ["aRSA", "CHACHA20"]
    ),
    suite!(
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        128,
        ["ECDSA", "aECDSA", "AES128", "AESGCM", "AES", "SHA256"]
    ),
    suite!(
        "ECDHE-RSA-AES128-GCM-SHA256",
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        128,
        ["aRSA", "AES128", "AESGCM", "AES", "SHA256"]
    ),
];

/// Words that every suite of ours has.
const COMMON: &[&str] = &[
    "ALL",
    "AEAD",
    "COMPLEMENTOFDEFAULT",
    "DEFAULT",
    "ECDH",
    "ECDHE",
    "EECDH",
    "FIPS",
    "HIGH",
    "TLSv1.2",
    "kECDHE",
    "kEECDH",
];

/// OpenSSL's name of a suite, and the length of its key in bits.
pub fn describe(suite: CipherSuite) -> (Option<&'static str>, u16) {
    let found = TLS13.iter().chain(TLS12).find(|known| known.id == suite);
    (found.map(|known| known.openssl), found.map_or(0, |known| known.bits))
}

/// The version as OpenSSL writes it.
pub fn version_name(version: ProtocolVersion) -> Option<&'static str> {
    match version {
        ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
        ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
        _ => None,
    }
}

/// What a line's words come to.
pub struct Offered {
    pub provider: Arc<CryptoProvider>,
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// What was asked for and is not offered, one sentence each.
    pub warnings: Vec<String>,
}

/// Maps the words of a line.
///
/// # Errors
/// Nothing is left to offer.
pub fn offered(options: &TlsOptions) -> Result<Offered, String> {
    let mut warnings = Vec::new();
    let versions = versions(options, &mut warnings)?;
    let mut provider = aws_lc_rs::default_provider();
    let has = |version: ProtocolVersion| versions.iter().any(|offered| offered.version == version);
    let mut suites = Vec::new();
    if has(ProtocolVersion::TLSv1_3) {
        let chosen = match &options.ciphersuites {
            None => TLS13_PREFERRED.to_vec(),
            Some(list) => tls13_list(list, &mut warnings),
        };
        suites.extend(chosen);
    }
    if has(ProtocolVersion::TLSv1_2) {
        let chosen = match &options.ciphers {
            None => TLS12.iter().map(|suite| suite.id).collect(),
            Some(list) => tls12_list(list, &mut warnings),
        };
        suites.extend(chosen);
    }
    provider.cipher_suites =
        suites.iter().filter_map(|id| find_suite(&provider.cipher_suites, *id)).collect();
    let offers = |version| provider.cipher_suites.iter().any(|suite| suite.version().version == version);
    let versions: Vec<_> = versions.into_iter().filter(|version| offers(version.version)).collect();
    if versions.is_empty() {
        return Err("none of the cipher suites asked for is offered".to_owned());
    }
    if let Some(list) = &options.curves {
        provider.kx_groups = groups(list, &provider.kx_groups, &mut warnings);
        if provider.kx_groups.is_empty() {
            return Err(format!(
                "none of the curves `{list}` is offered: X25519MLKEM768, X25519, P-256, P-384 are"
            ));
        }
    }
    Ok(Offered { provider: Arc::new(provider), versions, warnings })
}

fn find_suite(all: &[SupportedCipherSuite], id: CipherSuite) -> Option<SupportedCipherSuite> {
    all.iter().find(|suite| suite.suite() == id).copied()
}

fn versions(
    options: &TlsOptions,
    warnings: &mut Vec<String>,
) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let min = options.min_version.unwrap_or(TlsVersion::Tls12);
    let max = options.max_version.unwrap_or(TlsVersion::Tls13);
    if min < TlsVersion::Tls12 && max >= TlsVersion::Tls12 {
        warnings.push("TLS before 1.2 is broken and not offered: clients need TLS 1.2 or 1.3".to_owned());
    }
    let offers =
        |version: TlsVersion| (min..=max).contains(&version) && !options.disabled_versions.contains(&version);
    let mut versions = Vec::new();
    if offers(TlsVersion::Tls13) {
        versions.push(&rustls::version::TLS13);
    }
    if offers(TlsVersion::Tls12) {
        versions.push(&rustls::version::TLS12);
    }
    match versions.is_empty() {
        true => Err("no TLS version is left to offer: TLS 1.2 and 1.3 are".to_owned()),
        false => Ok(versions),
    }
}

fn tls13_list(list: &str, warnings: &mut Vec<String>) -> Vec<CipherSuite> {
    let mut chosen = Vec::new();
    for name in list.split(':').filter(|name| !name.is_empty()) {
        match TLS13.iter().find(|suite| suite.openssl == name) {
            Some(suite) if chosen.contains(&suite.id) => {}
            Some(suite) => chosen.push(suite.id),
            None => warnings.push(format!("cipher suite `{name}` is not offered")),
        }
    }
    chosen
}

/// OpenSSL's cipher list: names and words, joined by `+`, with `!`, `-` and `+` before them.
fn tls12_list(list: &str, warnings: &mut Vec<String>) -> Vec<CipherSuite> {
    let mut chosen: Vec<&Suite> = Vec::new();
    let mut banned: Vec<&str> = Vec::new();
    for word in list.split([':', ',', ' ', ';']).filter(|word| !word.is_empty()) {
        if word.starts_with('@') {
            continue;
        }
        let (sign, terms) = match word.as_bytes()[0] {
            sign @ (b'!' | b'-' | b'+') => (Some(sign), &word[1..]),
            _ => (None, word),
        };
        let matches = |suite: &Suite| {
            terms
                .split('+')
                .all(|term| suite.openssl == term || suite.tags.contains(&term) || COMMON.contains(&term))
        };
        match sign {
            Some(b'!') => {
                banned.extend(TLS12.iter().filter(|suite| matches(suite)).map(|suite| suite.openssl));
                chosen.retain(|suite| !matches(suite));
            }
            Some(b'-') => chosen.retain(|suite| !matches(suite)),
            Some(_) => chosen.sort_by_key(|suite| matches(suite)),
            None => {
                let mut found = false;
                for suite in TLS12.iter().filter(|suite| matches(suite)) {
                    found = true;
                    if !banned.contains(&suite.openssl)
                        && !chosen.iter().any(|had| had.openssl == suite.openssl)
                    {
                        chosen.push(suite);
                    }
                }
                // A suite of TLS 1.3 in this list is ignored by OpenSSL too.
                if !found && !TLS13.iter().any(|suite| suite.openssl == terms) {
                    warnings.push(format!("cipher `{terms}` is not offered"));
                }
            }
        }
    }
    chosen.into_iter().map(|suite| suite.id).collect()
}

/// Names of groups, in the spellings of OpenSSL, NIST and SEC.
fn group_name(name: &str) -> Option<rustls::NamedGroup> {
    use rustls::NamedGroup;
    match name.to_ascii_lowercase().as_str() {
        "x25519" => Some(NamedGroup::X25519),
        "p-256" | "prime256v1" | "secp256r1" => Some(NamedGroup::secp256r1),
        "p-384" | "secp384r1" => Some(NamedGroup::secp384r1),
        "x25519mlkem768" | "x25519_mlkem768" => Some(NamedGroup::X25519MLKEM768),
        "secp256r1mlkem768" => Some(NamedGroup::secp256r1MLKEM768),
        _ => None,
    }
}

fn groups(
    list: &str,
    default: &[&'static dyn SupportedKxGroup],
    warnings: &mut Vec<String>,
) -> Vec<&'static dyn SupportedKxGroup> {
    let mut chosen: Vec<&'static dyn SupportedKxGroup> = Vec::new();
    for name in list.split([':', ',']).filter(|name| !name.is_empty()) {
        let group = group_name(name)
            .and_then(|wanted| {
                default.iter().chain(aws_lc_rs::ALL_KX_GROUPS).find(|group| group.name() == wanted)
            })
            .copied();
        match group {
            Some(group) if chosen.iter().any(|had| had.name() == group.name()) => {}
            Some(group) => chosen.push(group),
            None => warnings.push(format!("curve `{name}` is not offered")),
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> (Vec<&'static str>, Vec<String>) {
        let mut warnings = Vec::new();
        let chosen = tls12_list(list, &mut warnings);
        (chosen.into_iter().filter_map(|id| describe(id).0).collect(), warnings)
    }

    #[test]
    fn lists_of_openssl_choose_in_their_order() {
        let (chosen, warnings) = names("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256");
        assert_eq!(chosen, ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"]);
        assert!(warnings.is_empty());
        let (chosen, _) = names("EECDH+AESGCM:!AES256");
        assert_eq!(chosen, ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"]);
        assert_eq!(names("HIGH:!aNULL:!MD5").0.len(), 6);
    }

    #[test]
    fn what_is_not_offered_is_told() {
        let (chosen, warnings) = names("DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA");
        assert!(chosen.is_empty());
        assert_eq!(warnings.len(), 2);
        let only_old = TlsOptions { max_version: Some(TlsVersion::Tls11), ..TlsOptions::default() };
        assert!(offered(&only_old).is_err());
        let p521 = TlsOptions { curves: Some("P-521:X25519".into()), ..TlsOptions::default() };
        let offered = offered(&p521).unwrap();
        assert_eq!(offered.provider.kx_groups.len(), 1);
        assert_eq!(offered.warnings, ["curve `P-521` is not offered"]);
    }

    #[test]
    fn sha_256_comes_first_where_no_line_says_otherwise() {
        let order = |ciphersuites: Option<&str>| -> Vec<_> {
            let options = TlsOptions { ciphersuites: ciphersuites.map(Into::into), ..TlsOptions::default() };
            let suites = offered(&options).unwrap().provider.cipher_suites.clone();
            suites.iter().filter_map(|suite| describe(suite.suite()).0).take(2).collect()
        };
        assert_eq!(order(None), ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"]);
        let asked = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";
        assert_eq!(order(Some(asked)), ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"]);
    }

    #[test]
    fn post_quantum_key_exchange_is_on_by_default() {
        let offered = offered(&TlsOptions::default()).unwrap();
        assert_eq!(offered.provider.kx_groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
    }
}

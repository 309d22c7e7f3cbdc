//! Global keywords about TLS: where files are, defaults of bind and server lines, limits.

use super::GlobalDraft;
use crate::keywords::Status::{Idle, NoEffect, ParsedOnly, Works};
use crate::keywords::{Keyword, Status, assign, read, row};
use crate::model::{ExtraFiles, TlsOptions, Verify};
use crate::parse::{Arguments, Context, Outcome, fail};
use crate::tls;

/// OpenSSL's own machinery; TLS is not OpenSSL here.
const OPENSSL: Status = ParsedOnly("TLS does not run on OpenSSL here");
/// Tunes what is refused.
const GENERATED: Status = Idle;

pub(super) static KEYWORDS: &[Keyword<GlobalDraft>] = &[
    row("ca-base", Works, read!(global.tls.ca_base = Some(string)), "directory of authorities"),
    row("crt-base", Works, read!(global.tls.crt_base = Some(string)), "directory of certificates"),
    row(
        "issuers-chain-path",
        Works,
        read!(global.tls.issuers_chain_path = Some(string)),
        "directory of certificates that complete chains",
    ),
    row("maxsslconn", Works, read!(global.tls.maxsslconn = limit), "most concurrent TLS connections"),
    row("maxsslrate", Works, read!(global.tls.maxsslrate = limit), "most TLS handshakes a second"),
    row("ocsp-update.disable", NoEffect, words, "OCSP updates"),
    row("ssl-default-bind-ciphers", Works, bind_default, "ciphers of bind lines up to TLS 1.2"),
    row("ssl-default-bind-ciphersuites", Works, bind_default, "cipher suites of bind lines for TLS 1.3"),
    row("ssl-default-bind-curves", Works, bind_default, "key exchange groups of bind lines"),
    row("ssl-default-bind-options", Works, bind_options, "other TLS settings of bind lines"),
    row("ssl-default-server-ciphers", Works, server_default, "ciphers of server lines up to TLS 1.2"),
    row(
        "ssl-default-server-ciphersuites",
        Works,
        server_default,
        "cipher suites of server lines for TLS 1.3",
    ),
    row("ssl-default-server-curves", Works, server_default, "key exchange groups of server lines"),
    row("ssl-default-server-options", Works, server_options, "other TLS settings of server lines"),
    row(
        "ssl-dh-param-file",
        ParsedOnly("finite-field key exchange is not offered: elliptic curves and ML-KEM are"),
        words,
        "Diffie-Hellman parameters",
    ),
    row("ssl-engine", OPENSSL, words, "OpenSSL engine"),
    row(
        "ssl-load-extra-del-ext",
        Works,
        assign!(global.tls.extra_replaces_extension = true),
        "extra files are named without the certificate's extension",
    ),
    row("ssl-load-extra-files", Works, extra_files, "files beside a certificate"),
    row("ssl-mode-async", OPENSSL, words, "asynchronous engines"),
    row("ssl-propquery", OPENSSL, words, "OpenSSL providers"),
    row("ssl-provider", OPENSSL, words, "OpenSSL providers"),
    row("ssl-provider-path", OPENSSL, words, "OpenSSL providers"),
    row("ssl-security-level", OPENSSL, words, "OpenSSL security level"),
    row("ssl-server-verify", Works, server_verify, "verification of servers"),
    row(
        "ssl-skip-self-issued-ca",
        Works,
        assign!(global.tls.skip_self_issued_ca = true),
        "leave self-issued authorities out of chains",
    ),
    row("tune.ssl.cachesize", Works, cache_size, "sessions kept for resumption"),
    row("tune.ssl.capture-buffer-size", Works, capture_size, "bytes of ClientHello lists kept"),
    row("tune.ssl.capture-cipherlist-size", Works, capture_size, "bytes of ClientHello lists kept"),
    row("tune.ssl.default-dh-param", NoEffect, words, "Diffie-Hellman size"),
    row("tune.ssl.force-private-cache", NoEffect, words, "TLS session cache"),
    row("tune.ssl.hard-maxrecord", Works, max_record, "largest TLS record"),
    row("tune.ssl.keylog", Works, read!(global.tls.keylog = switch), "keep secrets for fetches"),
    row("tune.ssl.lifetime", Works, lifetime, "seconds a session may be resumed"),
    row("tune.ssl.maxrecord", Works, max_record, "largest TLS record"),
    row("tune.ssl.ocsp-update.maxdelay", NoEffect, words, "OCSP updates"),
    row("tune.ssl.ocsp-update.mindelay", NoEffect, words, "OCSP updates"),
    row("tune.ssl.ssl-ctx-cache-size", GENERATED, words, "generated certificates"),
];

type Words<'a, 'l> = &'a mut Arguments<'l>;

/// Takes whatever follows: the keyword changes nothing here.
fn words(_: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
    Ok(())
}

/// `ssl-default-bind-ciphers LIST` and the like: the last part of the keyword is the word of a bind line.
fn default_word(prefix: &str, options: &mut TlsOptions, arguments: Words<'_, '_>) -> Outcome {
    let name = arguments.last().value.strip_prefix(prefix).unwrap_or_default().to_owned();
    let word = arguments.expect("a list")?;
    tls::set(options, &name, &word.value).or_else(|message| fail(word.span, message))
}

fn bind_default(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    default_word("ssl-default-bind-", &mut draft.global.tls.bind, arguments)
}

fn server_default(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    default_word("ssl-default-server-", &mut draft.global.tls.server, arguments)
}

/// Words of bind or server lines, one after the other.
fn options(options: &mut TlsOptions, arguments: Words<'_, '_>) -> Outcome {
    arguments.clone().expect("options, such as ssl-min-ver TLSv1.2")?;
    while let Some(word) = arguments.next() {
        let value = match tls::takes_argument(&word.value) {
            None => return fail(word.span, format!("`{}` is no TLS setting", word.value)),
            Some(false) => "",
            Some(true) => arguments.expect("a value")?.value.as_str(),
        };
        tls::set(options, &word.value, value).or_else(|message| fail(arguments.last().span, message))?;
    }
    Ok(())
}

fn bind_options(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let tls = &mut draft.global.tls;
    if arguments.peek().is_some_and(|word| word.value == "strict-sni") {
        arguments.next();
        tls.bind_strict_sni = true;
        if arguments.peek().is_none() {
            return Ok(());
        }
    }
    options(&mut tls.bind, arguments)
}

fn server_options(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    options(&mut draft.global.tls.server, arguments)
}

fn server_verify(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tls.server_verify =
        arguments.choice(&[("none", Verify::None), ("required", Verify::Required)])?;
    Ok(())
}

fn extra_files(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let nothing = ExtraFiles { bundle: false, ocsp: false, issuer: false, key: false, sctl: false };
    let files = &mut draft.global.tls.extra_files;
    *files = nothing;
    arguments.clone().expect("one of all, none, bundle, key, ocsp, issuer, sctl")?;
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "all" => *files = ExtraFiles::default(),
            "none" => *files = nothing,
            "bundle" => files.bundle = true,
            "key" => files.key = true,
            "ocsp" => files.ocsp = true,
            "issuer" => files.issuer = true,
            "sctl" => files.sctl = true,
            other => {
                return fail(
                    word.span,
                    format!("`{other}` is none of all, none, bundle, key, ocsp, issuer, sctl"),
                );
            }
        }
    }
    Ok(())
}

fn cache_size(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tls.cache_size = arguments.count()? as usize;
    Ok(())
}

fn capture_size(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tls.capture_size = arguments.count()? as usize;
    Ok(())
}

fn lifetime(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tls.lifetime = u32::try_from(arguments.seconds()?.as_secs()).unwrap_or(u32::MAX);
    Ok(())
}

/// 0 is "as the protocol allows".
fn max_record(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let size = arguments.integer(0..=16_384)? as usize;
    draft.global.tls.max_record = (size > 0).then_some(size);
    Ok(())
}

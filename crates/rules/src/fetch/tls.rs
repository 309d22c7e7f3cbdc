//! TLS of the client's and the server's connection: what was negotiated, and what the hello offered.
//!
//! rustls keeps some values to itself: `ssl_*_unique_id` (it ends with TLS 1.2's Finished message) is always missing, and
//! session keys and secrets are there with `tune.ssl.keylog on` only.

use super::{CLIENT, FRONTEND, Fetch, Fetched, SERVER_CONNECTION, tls_suites};
use crate::args::{Arg, Arguments, Param};
use crate::scope::Scope;
use crate::tls::{HelloCapture, TlsFacts};
use crate::value::{Value, ValueType};
use std::fmt::Write;

/// A row about the TLS of one side.
macro_rules! row {
    ($name:literal, $type:ident, $places:expr, $side:ident, $read:ident, $doc:literal) => {
        Fetch::new(
            $name,
            ValueType::$type,
            $places,
            |args, scope| $side(scope).map_or(Fetched::Missing, |facts| $read(facts, args)),
            $doc,
        )
    };
}

macro_rules! secret {
    ($name:literal, $label:literal) => {
        Fetch::new(
            $name,
            ValueType::Str,
            FRONTEND,
            |_, scope| client(scope).map_or(Fetched::Missing, |facts| secret(facts, $label)),
            "A secret in hexadecimal, with tune.ssl.keylog.",
        )
    };
}

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new("ssl_fc", ValueType::Bool, FRONTEND, over_tls, "Whether the client's connection is TLS."),
    Fetch::new(
        "ssl_bc",
        ValueType::Bool,
        SERVER_CONNECTION,
        server_over_tls,
        "Whether the server's connection is TLS.",
    ),
    row!("ssl_fc_alg_keysize", Int, FRONTEND, client, key_bits, "Bits of the cipher's key."),
    row!("ssl_bc_alg_keysize", Int, SERVER_CONNECTION, server, key_bits, "Bits of the cipher's key."),
    row!("ssl_fc_use_keysize", Int, FRONTEND, client, key_bits, "Bits of the key that are used."),
    row!("ssl_bc_use_keysize", Int, SERVER_CONNECTION, server, key_bits, "Bits of the key that are used."),
    row!("ssl_fc_alpn", Str, FRONTEND, client, alpn, "Protocol agreed on by ALPN."),
    row!("ssl_bc_alpn", Str, SERVER_CONNECTION, server, alpn, "Protocol agreed on by ALPN."),
    row!("ssl_fc_npn", Str, FRONTEND, client, nothing, "Protocol agreed on by NPN: never there."),
    row!("ssl_bc_npn", Str, SERVER_CONNECTION, server, nothing, "Protocol agreed on by NPN: never there."),
    row!("ssl_fc_cipher", Str, FRONTEND, client, cipher, "OpenSSL's name of the cipher suite."),
    row!("ssl_bc_cipher", Str, SERVER_CONNECTION, server, cipher, "OpenSSL's name of the cipher suite."),
    row!("ssl_fc_protocol", Str, FRONTEND, client, version, "Protocol version, such as TLSv1.3."),
    row!("ssl_bc_protocol", Str, SERVER_CONNECTION, server, version, "Protocol version, such as TLSv1.3."),
    Fetch::new(
        "ssl_fc_is_resumed",
        ValueType::Bool,
        FRONTEND,
        client_is_resumed,
        "Whether the session was resumed.",
    ),
    Fetch::new(
        "ssl_bc_is_resumed",
        ValueType::Bool,
        SERVER_CONNECTION,
        server_is_resumed,
        "Whether the session was resumed.",
    ),
    row!("ssl_fc_session_id", Bin, FRONTEND, client, session_id, "The session's number."),
    row!("ssl_bc_session_id", Bin, SERVER_CONNECTION, server, session_id, "The session's number."),
    row!(
        "ssl_fc_session_key",
        Bin,
        FRONTEND,
        client,
        session_key,
        "Master secret of TLS 1.2, with tune.ssl.keylog."
    ),
    row!(
        "ssl_bc_session_key",
        Bin,
        SERVER_CONNECTION,
        server,
        session_key,
        "Master secret of TLS 1.2, with tune.ssl.keylog."
    ),
    row!("ssl_fc_client_random", Bin, FRONTEND, client, client_random, "Random bytes of the client."),
    row!(
        "ssl_bc_client_random",
        Bin,
        SERVER_CONNECTION,
        server,
        client_random,
        "Random bytes of the client."
    ),
    row!("ssl_fc_server_random", Bin, FRONTEND, client, server_random, "Random bytes of the server."),
    row!(
        "ssl_bc_server_random",
        Bin,
        SERVER_CONNECTION,
        server,
        server_random,
        "Random bytes of the server."
    ),
    row!("ssl_fc_unique_id", Bin, FRONTEND, client, nothing, "The last Finished message: never there."),
    row!(
        "ssl_bc_unique_id",
        Bin,
        SERVER_CONNECTION,
        server,
        nothing,
        "The last Finished message: never there."
    ),
    row!("ssl_fc_err", Int, FRONTEND, client, error, "Number of the handshake's error, 0 for none."),
    row!("ssl_bc_err", Int, SERVER_CONNECTION, server, error, "Number of the handshake's error, 0 for none."),
    row!("ssl_fc_err_str", Str, FRONTEND, client, error_text, "Text of the handshake's error."),
    row!("ssl_bc_err_str", Str, SERVER_CONNECTION, server, error_text, "Text of the handshake's error."),
    row!("ssl_fc_has_early", Bool, FRONTEND, client, never, "Whether early data came: never, it is refused."),
    Fetch::new("ssl_fc_has_sni", ValueType::Bool, FRONTEND, has_sni, "Whether the client named a server."),
    row!("ssl_fc_sni", Str, FRONTEND, client, sni, "Server name that the client asked for."),
    row!("ssl_fc_protocol_hello_id", Int, FRONTEND, client, hello_version, "Version number of the hello."),
    row!("ssl_fc_cipherlist_bin", Bin, FRONTEND, client, ciphers, "Ciphers of the hello.").takes(FILTER, 0),
    row!("ssl_fc_cipherlist_hex", Str, FRONTEND, client, ciphers_hex, "The same in hexadecimal.")
        .takes(FILTER, 0),
    row!("ssl_fc_cipherlist_str", Str, FRONTEND, client, ciphers_text, "The same by name.").takes(FILTER, 0),
    row!("ssl_fc_cipherlist_xxh", Int, FRONTEND, client, ciphers_hash, "XXH64 of the ciphers of the hello."),
    row!("ssl_fc_extlist_bin", Bin, FRONTEND, client, extensions, "Extensions of the hello.")
        .takes(FILTER, 0),
    row!("ssl_fc_eclist_bin", Bin, FRONTEND, client, groups, "Curves of the hello.").takes(FILTER, 0),
    row!("ssl_fc_ecformats_bin", Bin, FRONTEND, client, point_formats, "Point formats of the hello."),
    secret!("ssl_fc_client_early_traffic_secret", "CLIENT_EARLY_TRAFFIC_SECRET"),
    secret!("ssl_fc_client_handshake_traffic_secret", "CLIENT_HANDSHAKE_TRAFFIC_SECRET"),
    secret!("ssl_fc_server_handshake_traffic_secret", "SERVER_HANDSHAKE_TRAFFIC_SECRET"),
    secret!("ssl_fc_client_traffic_secret_0", "CLIENT_TRAFFIC_SECRET_0"),
    secret!("ssl_fc_server_traffic_secret_0", "SERVER_TRAFFIC_SECRET_0"),
    secret!("ssl_fc_exporter_secret", "EXPORTER_SECRET"),
    secret!("ssl_fc_early_exporter_secret", "EARLY_EXPORTER_SECRET"),
    row!("ssl_c_verify", Int, CLIENT, client, verify, "Result of the verification, 0 is good."),
    row!("ssl_c_err", Int, CLIENT, client, certificate_error, "Ignored error of the client's certificate."),
    row!("ssl_c_ca_err", Int, CLIENT, client, ca_error, "Ignored error of the client's authorities."),
    row!("ssl_c_ca_err_depth", Int, CLIENT, client, ca_error_depth, "How deep in the chain that error is."),
];

/// 1: without GREASE (RFC 8701).
const FILTER: &[Param] = &[Param::Int];

pub(super) fn client<'a>(scope: &Scope<'a>) -> Option<&'a TlsFacts> {
    scope.stream.client_tls.as_deref()
}

pub(super) fn server<'a>(scope: &Scope<'a>) -> Option<&'a TlsFacts> {
    scope.stream.server_tls.as_deref()
}

fn over_tls<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(client(scope).is_some())
}

fn server_over_tls<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(server(scope).is_some())
}

fn client_is_resumed<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(client(scope).is_some_and(|facts| facts.is_resumed))
}

/// A connection without TLS resumed nothing; without a connection there is no answer.
fn server_is_resumed<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    match scope.stream.server_dst {
        Some(_) => Fetched::bool(server(scope).is_some_and(|facts| facts.is_resumed)),
        None => Fetched::Missing,
    }
}

fn text(text: Option<&[u8]>) -> Fetched<'_> {
    Fetched::of(text.map(|text| Value::Str(text.into())))
}

fn bytes(bytes: Option<&[u8]>) -> Fetched<'_> {
    Fetched::of(bytes.map(|bytes| Value::Bin(bytes.into())))
}

fn nothing<'a>(_: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    Fetched::Missing
}

fn never<'a>(_: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    Fetched::bool(false)
}

fn key_bits<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    match facts.key_bits {
        0 => Fetched::Missing,
        bits => Fetched::int(bits.into()),
    }
}

fn alpn<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    text(facts.alpn.as_deref())
}

fn cipher<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    text(facts.cipher.map(str::as_bytes))
}

fn version<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    text(facts.version.map(str::as_bytes))
}

fn session_id<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    bytes((!facts.session_id.is_empty() && facts.error.is_none()).then_some(&facts.session_id))
}

fn session_key<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    bytes(facts.secrets.as_ref().and_then(|secrets| secrets.get("CLIENT_RANDOM")))
}

fn client_random<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    bytes(facts.client_random.as_ref().map(<[u8; 32]>::as_slice))
}

fn server_random<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    bytes(facts.server_random.as_ref().map(<[u8; 32]>::as_slice))
}

fn error<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    Fetched::int(facts.error.as_ref().map_or(0, |error| error.code.into()))
}

fn error_text<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    text(facts.error.as_ref().map(|error| error.text.as_bytes()))
}

fn has_sni<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(client(scope).is_some_and(|facts| facts.server_name.is_some()))
}

fn sni<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    text(facts.sent_name.as_deref().or(facts.server_name.as_deref().map(str::as_bytes)))
}

fn verify<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    Fetched::int(facts.verify.into())
}

fn certificate_error<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    Fetched::int(facts.certificate_error.into())
}

fn ca_error<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    Fetched::int(facts.ca_error.into())
}

fn ca_error_depth<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    Fetched::int(facts.ca_error_depth.into())
}

fn secret<'a>(facts: &'a TlsFacts, label: &str) -> Fetched<'a> {
    let secret = facts.secrets.as_ref().and_then(|secrets| secrets.get(label));
    Fetched::of(secret.map(|secret| Value::Str(hex(secret).into_bytes().into())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// RFC 8701: both bytes are the same and end in A.
fn is_grease(pair: &[u8]) -> bool {
    matches!(pair, [first, second] if first == second && first & 0x0f == 0x0a)
}

/// A list of the hello, without GREASE when the argument says so.
fn list<'a>(facts: &'a TlsFacts, args: &[Arg], which: fn(&HelloCapture) -> &Vec<u8>) -> Option<Vec<u8>> {
    let list = which(facts.capture.as_ref()?);
    let filtered = args.int(0) == Some(1);
    Some(list.chunks(2).filter(|pair| !(filtered && is_grease(pair))).flatten().copied().collect())
}

fn binary<'a>(list: Option<Vec<u8>>) -> Fetched<'a> {
    Fetched::of(list.map(|list| Value::Bin(list.into())))
}

fn hello_version<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    Fetched::of(facts.capture.as_ref().map(|capture| Value::Int(capture.version.into())))
}

fn ciphers<'a>(facts: &'a TlsFacts, args: &'a [Arg]) -> Fetched<'a> {
    binary(list(facts, args, |capture| &capture.ciphers))
}

fn ciphers_hex<'a>(facts: &'a TlsFacts, args: &'a [Arg]) -> Fetched<'a> {
    let list = list(facts, args, |capture| &capture.ciphers);
    Fetched::of(list.map(|list| Value::Str(hex(&list).to_ascii_uppercase().into_bytes().into())))
}

fn ciphers_text<'a>(facts: &'a TlsFacts, args: &'a [Arg]) -> Fetched<'a> {
    let Some(list) = list(facts, args, |capture| &capture.ciphers) else { return Fetched::Missing };
    let mut text = String::new();
    for pair in list.chunks_exact(2) {
        if !text.is_empty() {
            text.push(',');
        }
        let suite = u16::from_be_bytes([pair[0], pair[1]]);
        match tls_suites::name(suite) {
            Some(name) => text.push_str(name),
            None => _ = write!(text, "UNKNOWN({suite:04x})"),
        }
    }
    Fetched::Ready(Value::Str(text.into_bytes().into()))
}

fn ciphers_hash<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    let capture = facts.capture.as_ref();
    let hash = capture.map(|capture| xxhash_rust::xxh64::xxh64(&capture.ciphers, 0));
    Fetched::of(hash.map(|hash| Value::Int(hash as i64)))
}

fn extensions<'a>(facts: &'a TlsFacts, args: &'a [Arg]) -> Fetched<'a> {
    binary(list(facts, args, |capture| &capture.extensions))
}

fn groups<'a>(facts: &'a TlsFacts, args: &'a [Arg]) -> Fetched<'a> {
    binary(list(facts, args, |capture| &capture.groups))
}

fn point_formats<'a>(facts: &'a TlsFacts, _: &'a [Arg]) -> Fetched<'a> {
    bytes(facts.capture.as_ref().map(|capture| capture.point_formats.as_slice()))
}

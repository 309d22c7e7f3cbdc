//! TLS with clients and with servers.

use super::{Equal, Lab, Question, ask_for, compared, exactly};
use crate::tls_lab::lab;
use differential::Instance;
use std::io::Write;
use std::process::{Command, Stdio};

const CLIENT: &str = "frontend handshake
 bind 127.0.0.1:$(handshake) ssl crt $(lab)/a.pem ca-file $(lab)/ca.crt verify optional crt-ignore-err all ca-ignore-err all alpn http/1.1 ciphersuites TLS_AES_128_GCM_SHA256
 bind 127.0.0.1:$(clear)
{log}{rules} http-request return status 200
";

/// What chance decides: only lengths can be equal.
const RANDOM: &[&str] = &[
    "ssl_fc_client_early_traffic_secret",
    "ssl_fc_client_handshake_traffic_secret",
    "ssl_fc_client_random",
    "ssl_fc_client_traffic_secret_0",
    "ssl_fc_early_exporter_secret",
    "ssl_fc_exporter_secret",
    "ssl_fc_server_handshake_traffic_secret",
    "ssl_fc_server_random",
    "ssl_fc_server_traffic_secret_0",
    "ssl_fc_session_id",
    "ssl_fc_session_key",
    "ssl_fc_unique_id",
];
const STEADY: &[&str] = &[
    "ssl_fc",
    "ssl_fc_alg_keysize",
    "ssl_fc_alpn",
    "ssl_fc_cipher",
    "ssl_fc_cipherlist_bin",
    "ssl_fc_cipherlist_bin(1)",
    "ssl_fc_cipherlist_hex",
    "ssl_fc_cipherlist_hex(1)",
    "ssl_fc_cipherlist_str",
    "ssl_fc_cipherlist_str(1)",
    "ssl_fc_cipherlist_xxh",
    "ssl_fc_ecformats_bin",
    "ssl_fc_eclist_bin",
    "ssl_fc_eclist_bin(1)",
    "ssl_fc_extlist_bin",
    "ssl_fc_extlist_bin(1)",
    "ssl_fc_err",
    "ssl_fc_err_str",
    "ssl_fc_has_crt",
    "ssl_fc_has_early",
    "ssl_fc_has_sni",
    "ssl_fc_is_resumed",
    "ssl_fc_npn",
    "ssl_fc_protocol",
    "ssl_fc_protocol_hello_id",
    "ssl_fc_sni",
    "ssl_fc_use_keysize",
    "ssl_c_ca_err",
    "ssl_c_ca_err_depth",
    "ssl_c_err",
    "ssl_c_used",
    "ssl_c_verify",
    "ssl_c_chain_der,sha1,hex",
    "ssl_s_chain_der,sha1,hex",
];
/// About a certificate: the client's, ours, what the frontend has.
const CERTIFICATE: &[&str] =
    &["der", "i_dn", "key_alg", "notafter", "notbefore", "s_dn", "serial", "sha1", "sig_alg", "version"];

fn questions() -> Vec<Question> {
    let mut all = exactly(STEADY);
    all.extend(compared(Equal::Length, RANDOM));
    for side in ["c", "f", "s"] {
        all.extend(exactly(CERTIFICATE.iter().map(|name| format!("ssl_{side}_{name}"))));
        for argument in ["(CN)", "(OU,2)", "(OU,-1)", "(XX)", "(,0,rfc2253)", "(CN,1,rfc2253)"] {
            all.extend(exactly(["i_dn", "s_dn"].map(|name| format!("ssl_{side}_{name}{argument}"))));
        }
    }
    all
}

/// Speaks HTTP over TLS with OpenSSL's own client, which offers whatever one asks for.
fn openssl(port: u16, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-quiet", "-ign_eof"])
        .args(arguments);
    command.current_dir(lab()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("openssl");
    let mut input = child.stdin.take().expect("its standard input");
    input.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").expect("openssl reads");
    child.wait().expect("openssl ends");
}

fn play(proxy: &Instance, input: &str) {
    let port = proxy.port("handshake");
    let client =
        ["-cert", "client.crt", "-key", "client.key", "-servername", "a.example", "-alpn", "h2,http/1.1"];
    let hostile =
        ["-cert", "self.crt", "-key", "self.key", "-servername", "A.EXAMPLE", "-alpn", "xx,http/1.1"];
    match input {
        "ordinary" => openssl(port, &client),
        "bare" => openssl(port, &["-noservername", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]),
        "clear" => drop(proxy.client("clear").ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")),
        "self-signed" => openssl(port, &hostile),
        "old, with a certificate" => openssl(port, &[&client[..], &["-tls1_2"]].concat()),
        "expired" => {
            openssl(port, &["-cert", "expired.crt", "-key", "expired.key", "-groups", "P-256", "-tls1_3"])
        }
        _ => unreachable!("{input}"),
    }
}

const SERVER: &str = "frontend secure_origin
 bind 127.0.0.1:$(tls13) ssl crt $(lab)/a.pem alpn http/1.1 ssl-min-ver TLSv1.3
 bind 127.0.0.1:$(tls12) ssl crt $(lab)/a.pem ssl-max-ver TLSv1.2
 bind 127.0.0.1:$(no_tls)
 http-request return status 200
frontend towards
 bind 127.0.0.1:$(towards)
{log} use_backend %[path,field(2,/)]
{rules}
backend to_tls13
 server s 127.0.0.1:$(tls13) ssl verify none alpn http/1.1 ciphersuites TLS_AES_128_GCM_SHA256 sni str(a.example)
backend to_tls12
 server s 127.0.0.1:$(tls12) ssl verify none
backend to_clear
 server s 127.0.0.1:$(no_tls)
backend to_wrong
 retries 0
 server s 127.0.0.1:$(no_tls) ssl verify none
";

fn server_questions() -> Vec<Question> {
    let steady = [
        "ssl_bc",
        "ssl_bc_alg_keysize",
        "ssl_bc_alpn",
        "ssl_bc_cipher",
        "ssl_bc_is_resumed",
        "ssl_bc_npn",
        "ssl_bc_protocol",
        "ssl_bc_use_keysize",
        "ssl_bc_err",
        "ssl_bc_err_str",
        "bc_err",
        "bc_err_str",
    ];
    let random = [
        "ssl_bc_client_random",
        "ssl_bc_server_random",
        "ssl_bc_session_id",
        "ssl_bc_session_key",
        "ssl_bc_unique_id",
    ];
    let mut all = exactly(steady);
    all.extend(compared(Equal::Length, random));
    all
}

pub fn labs() -> Vec<Lab> {
    vec![
        Lab {
            name: "handshake",
            config: CLIENT,
            rule: ("http-request", "txn", ""),
            questions: questions(),
            inputs: &["ordinary", "bare", "clear", "self-signed", "old, with a certificate", "expired"],
            play,
        },
        Lab {
            name: "towards",
            config: SERVER,
            rule: ("http-after-response", "txn", ""),
            questions: server_questions(),
            inputs: &["to_tls13", "to_tls12", "to_clear", "to_wrong"],
            play: |proxy, input| ask_for(proxy, "towards", input),
        },
    ]
}

//! `send-proxy`: tells the server who the client is, as the first bytes of a connection.

use super::transaction::Transaction;
use crate::proxy_protocol::{Announcement, Endpoints, TlsFacts, write_v1, write_v2};
use haproxy_config::model::{ProxyProtocol, Server};
use rules::Peer;
use rules::tls::certificate_words;

/// Appends the header that `server` wants, if it wants one.
pub fn write(transaction: &Transaction, server: &Server, out: &mut Vec<u8>) {
    let facts = &transaction.facts;
    let endpoints = match (facts.src, facts.dst) {
        (Some(Peer::Inet(source)), Some(Peer::Inet(destination))) => Some(Endpoints { source, destination }),
        (Some(Peer::Inet(_) | Peer::Unix) | None, _) => None,
    };
    match server.send_proxy {
        None => {}
        Some(ProxyProtocol::V1) => write_v1(out, endpoints),
        Some(ProxyProtocol::V2 { tlvs }) => {
            let unique_id = tlvs.unique_id.then(|| facts.unique_id.as_deref().unwrap_or_default());
            let client = facts.client_tls.as_deref();
            let peer = client.and_then(|tls| tls.peer.as_ref()).and_then(certificate_words);
            let own = client.and_then(|tls| tls.own.as_ref()).and_then(certificate_words);
            let tls = tlvs.ssl.then(|| TlsFacts {
                over_tls: client.is_some(),
                certificate_on_connection: client.is_some_and(|tls| tls.peer.is_some() && !tls.is_resumed),
                certificate_in_session: client.is_some_and(|tls| tls.peer.is_some()),
                verify: client.map_or(0, |tls| tls.verify.into()),
                version: client.and_then(|tls| tls.version).unwrap_or_default().as_bytes(),
                common_name: peer
                    .as_ref()
                    .filter(|_| tlvs.cert_cn)
                    .and_then(|words| words.common_name.as_deref()),
                cipher: client.filter(|_| tlvs.ssl_cipher).and_then(|tls| tls.cipher).map(str::as_bytes),
                signature_algorithm: own
                    .as_ref()
                    .filter(|_| tlvs.cert_sig)
                    .map(|words| words.signature.as_slice()),
                key_algorithm: own.as_ref().filter(|_| tlvs.cert_key).map(|words| words.key.as_slice()),
            });
            let authority = client.filter(|_| tlvs.authority).and_then(|tls| tls.server_name.as_deref());
            let announcement = Announcement {
                endpoints,
                crc32c: tlvs.crc32c,
                alpn: client.and_then(|tls| tls.alpn.as_deref()),
                authority: authority.map(str::as_bytes),
                unique_id,
                tls,
                network_namespace: None,
            };
            // Only TLVs can be too long: without them it always fits.
            if write_v2(out, &announcement).is_err() {
                let bare = Announcement { unique_id: None, authority: None, tls: None, ..announcement };
                let _ = write_v2(out, &bare);
            }
        }
    }
}

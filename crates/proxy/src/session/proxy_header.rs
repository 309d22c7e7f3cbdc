//! `send-proxy`: tells the server who the client is, as the first bytes of a connection.

use super::transaction::Transaction;
use crate::proxy_protocol::{Announcement, Endpoints, write_v1, write_v2};
use haproxy_config::model::{ProxyProtocol, Server};
use rules::Peer;

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
            let announcement =
                Announcement { endpoints, crc32c: tlvs.crc32c, unique_id, ..Announcement::default() };
            // Only TLVs can be too long: without them it always fits.
            if write_v2(out, &announcement).is_err() {
                let bare = Announcement { unique_id: None, ..announcement };
                let _ = write_v2(out, &bare);
            }
        }
    }
}

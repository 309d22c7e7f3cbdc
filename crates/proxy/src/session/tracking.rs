//! Stick tables as rules track them: which entries a stream holds, and what is counted there.

use super::client::Client;
use super::transaction::Transaction;
use crate::net::clock;
use rules::stick_table::{DataType, Tracked};
use rules::{TableId, Value};
use std::sync::Arc;

/// Counters a stream can track: sc0, sc1, sc2.
pub const TRACKERS: usize = 3;

/// The entries that a connection or a stream tracks.
pub type Trackers = [Option<Tracked>; TRACKERS];

/// Whose life the tracking has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// `tcp-request connection` and `session`: the connection.
    Connection,
    /// Content and HTTP rules: the stream.
    Stream,
}

/// Starts tracking `value` unless this counter tracks already.
pub fn track(
    client: &mut Client,
    transaction: &mut Transaction,
    counter: u8,
    table: TableId,
    value: &Value<'_>,
    holder: Holder,
) {
    let index = usize::from(counter);
    if index >= TRACKERS || client.tracker(index).is_some() || transaction.trackers[index].is_some() {
        return;
    }
    let Some(table) = client.worker.state().tables.get(table.0 as usize).map(Arc::clone) else { return };
    let Some(key) = table.key(value) else { return };
    let now = clock::now();
    let Some(mut tracked) = table.track(&key, now) else { return };
    let http = holder == Holder::Stream && !transaction.request.method().is_empty();
    tracked.update(now, |entry| {
        entry.add(DataType::ConnCur, 0, 1);
        entry.add(DataType::ConnCnt, 0, 1);
        entry.add(DataType::ConnRate, 0, 1);
        if http {
            entry.add(DataType::HttpReqCnt, 0, 1);
            entry.add(DataType::HttpReqRate, 0, 1);
        }
    });
    match holder {
        Holder::Connection => client.set_tracker(index, tracked),
        Holder::Stream => transaction.trackers[index] = Some(tracked),
    }
}

/// The connection was accepted by all rules that judge connections: it is a session now.
pub const SESSION: [(DataType, u64); 2] = [(DataType::SessCnt, 1), (DataType::SessRate, 1)];

/// A request came, readable or not.
pub const REQUEST: [(DataType, u64); 2] = [(DataType::HttpReqCnt, 1), (DataType::HttpReqRate, 1)];

/// The client's fault: refused, unauthorized, malformed, or answered with a 4xx by the server.
pub const CLIENT_ERROR: [(DataType, u64); 2] = [(DataType::HttpErrCnt, 1), (DataType::HttpErrRate, 1)];

/// The server's fault: no valid response, or a 5xx that does not say "I cannot do this".
pub const SERVER_FAILURE: [(DataType, u64); 2] = [(DataType::HttpFailCnt, 1), (DataType::HttpFailRate, 1)];

/// A server answered with `status`.
pub fn count_status(client: &mut Client, transaction: &mut Transaction, status: u16) {
    match status {
        400..=499 => count(client, transaction, &CLIENT_ERROR),
        501 | 505 => {}
        500..=599 => count(client, transaction, &SERVER_FAILURE),
        _ => {}
    }
}

/// The stream is over: what it moved.
pub fn count_bytes(client: &mut Client, transaction: &mut Transaction) {
    let (bytes_in, bytes_out) = (transaction.facts.bytes_in, transaction.facts.bytes_out);
    let items = [
        (DataType::BytesInCnt, bytes_in),
        (DataType::BytesInRate, bytes_in),
        (DataType::BytesOutCnt, bytes_out),
        (DataType::BytesOutRate, bytes_out),
    ];
    count(client, transaction, &items);
}

/// Counts on the entries that the connection tracks.
pub fn count_on_connection(client: &mut Client, items: &[(DataType, u64)]) {
    let Some(held) = &mut client.trackers else { return };
    let now = clock::now();
    for tracked in held.iter_mut().flatten() {
        tracked.update(now, |entry| {
            for (data, count) in items {
                entry.add(*data, 0, *count);
            }
        });
    }
}

/// Counts on every entry that the stream or its connection tracks.
pub fn count(client: &mut Client, transaction: &mut Transaction, items: &[(DataType, u64)]) {
    if client.trackers.is_none() && transaction.trackers.iter().all(Option::is_none) {
        return;
    }
    let now = clock::now();
    let held = client.trackers.iter_mut().flat_map(|held| held.iter_mut().flatten());
    for tracked in held.chain(transaction.trackers.iter_mut().flatten()) {
        tracked.update(now, |entry| {
            for (data, count) in items {
                entry.add(*data, 0, *count);
            }
        });
    }
}

/// The stream ends: what it tracked itself is released.
pub fn release(trackers: &mut Trackers) {
    let now = clock::now();
    for mut tracked in trackers.iter_mut().filter_map(Option::take) {
        tracked.update(now, |entry| entry.decrement(DataType::ConnCur));
        tracked.release(now);
    }
}

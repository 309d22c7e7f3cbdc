//! Connections of clients, from accept to close.
//!
//! ```text
//!  accept ─► handshake (PROXY protocol) ─► mode http: http.rs, a loop over requests
//!                                          │   route.rs      rules choose a backend or an answer
//!                                          │   dispatch.rs   a server: persistence, balancing, queue, connect, retry
//!                                          │   exchange.rs   request out, response in, bodies both ways (flow.rs)
//!                                          └ mode tcp: tcp.rs, two flows
//! ```

mod balancing;
mod body;
mod choice;
mod client;
mod content;
mod dispatch;
mod exchange;
mod flow;
mod handshake;
mod http1;
mod log;
mod persist;
mod proxy_header;
mod reply;
mod response;
mod route;
mod rules;
mod statistics;
mod stick;
mod tcp;
mod tracking;
mod transaction;
mod tunnel;

pub use client::{Client, serve};

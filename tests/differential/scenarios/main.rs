//! Scenarios by subject, each run against the real haproxy and against hawser.

mod balance;
mod browser;
mod compression;
mod configuration;
mod cookies;
mod destinations;
mod errors;
mod forwarding;
mod limits;
mod logs;
mod old_rules;
mod process;
mod proxy_protocol;
mod retries;
mod rules;
mod runtime_api;
mod servers;
mod smuggling;
mod sockets;
mod state;
mod stats_page;
mod stick;
mod support;
mod tls;
mod varnishtest;

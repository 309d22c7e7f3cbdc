//! Scenarios by subject, each run against the real haproxy and against hawser.

mod balance;
mod cookies;
mod errors;
mod forwarding;
mod logs;
mod retries;
mod smuggling;
mod support;

//! Scenarios by subject, each run against the real haproxy and against hawser.

mod forwarding;
mod smuggling;
mod support;

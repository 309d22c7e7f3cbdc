//! The ordinary side of failover: scripts, notices, mails, logs, dumps, the runtime socket. Nothing here may make an
//! advert late: it runs beside the engine and talks to it through bounded queues alone.

pub mod control;
pub mod dumps;
pub mod fifo;
pub mod files;
pub mod mail;
pub mod notify;
pub mod processes;
pub mod programs;
mod run;
pub mod scripts;
pub mod witness;

pub use run::{Options, Say, run, signal};

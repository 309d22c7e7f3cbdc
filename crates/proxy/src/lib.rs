//! The proxy strand: a [`haproxy_config::Model`] set to work on sockets.
//!
//! ```text
//!   Model (immutable) ──► Plan (immutable, Arc) ──► worker threads: one tokio current_thread runtime each,
//!                         State (atomics, by id)     listeners by SO_REUSEPORT, idle server connections per thread
//!                                               └─► control thread: checks, name resolution, runtime API, clocks
//! ```

mod busy;
mod cache;
mod control;
mod handover;
mod health;
mod http2;
mod listen;
mod log_forward;
mod logs;
mod mails;
mod net;
mod peers;
mod plan;
mod process_variables;
mod profile;
pub mod proxy_protocol;
mod registry;
mod reload;
mod resolve;
mod rings;
mod run;
mod session;
mod state;
mod state_file;
pub mod stats;
pub mod syslog;
mod thread;
mod upstream;
mod worker;

pub use control::{commands, mapped_code};
pub use log_forward::DATAGRAM_PREFIX;
pub use reload::{Asker, Loader, Outcome, Replacement};
pub use resolve::unresolved;
pub use run::{BindOptions, Bound, Command, Reloading, bind, worker_count};
pub use tls::Tls;

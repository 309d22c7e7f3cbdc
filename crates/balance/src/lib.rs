//! Load balancing: which server gets the next request.
//!
//! Owns every algorithm of HAProxy's `balance`, with the same placement for the same key and the same order for
//! the same sequence of events. Never does I/O, reads no clock and spawns no thread: the shell tells it what
//! happens to servers and asks it for a server.
//!
//! ```
//! use balance::{Algorithm, Picker, Server};
//!
//! let servers = [Server::new(1).weight(2), Server::new(2)];
//! let mut picker = Picker::new(Algorithm::RoundRobin, &servers, false, 0);
//! let order: Vec<usize> = (0..6).filter_map(|_| picker.pick(None, None, &|_| false)).map(|s| s.position()).collect();
//! assert_eq!(order, [0, 0, 1, 0, 0, 1]);
//! ```
//!
//! Flow of a request through a shell:
//!
//! ```text
//!  key::uri(..) etc. ─► Some(hash) ┐
//!                                  ├─► Picker::pick ─► server ─► taken ─► (request) ─► dropped
//!  no such key ───────► None ──────┘
//! ```

mod algorithm;
mod first;
pub mod hash;
pub mod key;
mod least_conn;
mod map;
mod picker;
mod ring;
mod roster;
mod round_robin;
pub mod slow_start;

pub use algorithm::{Algorithm, DEFAULT_DRAWS, HashFunction, HashMethod, HashType};
pub use picker::{Picker, StaticWeight};
pub use roster::{Load, MAX_WEIGHT, Server, ServerIndex, WEIGHT_SCALE};

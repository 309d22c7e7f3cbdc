//! keepalived.conf → [`Model`]: typed and valid, or a report of every mistake.
//!
//! Pure: text of files, users, interfaces and programs come through the [`Host`] trait; opens no socket.
//!
//! ```text
//! files ─► language: comments, conditions, variables, sequences ─► tree of statements with spans
//!                                                                    │ root: global_defs first
//!                                                                    ▼
//!          global, vrrp, track, network, checkers: keyword tables ─► drafts ─► finish: names → ids ─► Model ─► lint
//! ```
//!
//! ```
//! use keepalived_config::{MemoryHost, load_text};
//!
//! let text = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress { 192.0.2.9/24 }\n}\n";
//! let loaded = load_text(&MemoryHost::default(), "keepalived.conf", text);
//! assert_eq!(loaded.model.unwrap().instances[0].priority, 100);
//! ```

mod arguments;
mod checkers;
mod command;
mod context;
mod global;
mod host;
mod keywords;
mod language;
pub mod listing;
mod load;
pub mod model;
mod network;
mod root;
mod track;
mod unfinished;
mod vrrp;

pub use host::{
    Host, HostError, InterfaceFacts, MemoryHost, NumberNames, ProgramFacts, SystemHost, find_number,
};
pub use keywords::{Listed, Status};
pub use load::{DEFAULT_PATH, LoadOptions, Loaded, Verdict, load, load_text, load_text_with};
pub use model::Model;
pub use vrrp::compare_nodes;

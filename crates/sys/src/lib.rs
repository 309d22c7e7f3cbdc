//! Every raw syscall and every unsafe block of hawser, behind safe wrappers.
//!
//! What rustix or socket2 offer safely is used from there; here is the rest, and the ICMP echo that two shells send. Nothing
//! here has a policy.

pub mod allocator;
pub mod bpf;
pub mod clock;
pub mod confine;
pub mod datagram;
pub mod descriptor;
pub mod echo;
pub mod environment;
pub mod filesystem;
pub mod interface;
pub mod names;
pub mod namespace;
pub mod process;
pub mod raw;
pub mod realtime;
pub mod signals;
pub mod socket_options;
pub mod transfer;

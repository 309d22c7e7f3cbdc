//! SNMP: what a manager sees of the daemon, and what it is told. Owns the socket to the master agent and the layout of the
//! MIBs; the protocol is the `agentx` crate's, the numbers are a snapshot's. Nothing here waits: a master that does not
//! read, or asks too much, is left.

mod agent;
pub mod mib;
pub mod traps;

pub use agent::Agent;

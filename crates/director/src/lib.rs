//! The packet director: virtual services and their real servers, kept in the kernel's IP virtual server.
//!
//! Owns what there should be and how it gets there; the checks' protocols are in `checks`, the messages in `netlink`.

#![forbid(unsafe_code)]

mod advice;
pub mod check;
pub mod control;
pub mod dataplane;
pub mod kernel;
pub mod plane;
pub mod pool;
mod remembered;
pub mod runner;
pub mod table;
pub mod xdp;

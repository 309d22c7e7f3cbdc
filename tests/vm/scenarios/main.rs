//! Scenarios in the virtual machine.

mod checks;
mod daemon;
mod dataplane;
mod directors;
mod drain;
mod forwarding;
mod ipvsadm;
mod masquerade;
mod sync;
mod virtual_servers;
mod xdp;

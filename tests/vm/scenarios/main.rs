//! Scenarios in the virtual machine.

mod daemon;
mod dataplane;
mod directors;
mod forwarding;
mod ipvsadm;
mod virtual_servers;
mod xdp;

//! Scenarios in the virtual machine.

mod bfd;
mod checks;
mod daemon;
mod dataplane;
mod directors;
mod drain;
mod dumps;
mod forwarding;
mod ipvsadm;
mod managers;
mod masquerade;
mod sync;
mod virtual_servers;
mod words;
mod xdp;

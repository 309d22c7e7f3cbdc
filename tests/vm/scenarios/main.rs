//! Scenarios in the virtual machine.

mod dataplane;
mod forwarding;
mod ipvsadm;

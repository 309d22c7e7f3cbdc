//! Scenarios in the virtual machine.

mod ipvsadm;

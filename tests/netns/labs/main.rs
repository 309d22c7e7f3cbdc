//! Labs of one host.

mod failover;
mod privileges;
mod tutorial;

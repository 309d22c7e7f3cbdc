//! Labs of one host.

mod failover;
mod director_packets;
mod director_traffic;
mod privileges;
mod tutorial;

//! Labs of one host.

mod director_flows;
mod director_packets;
mod director_traffic;
mod failover;
mod privileges;
mod system;
mod tutorial;

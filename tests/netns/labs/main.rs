//! Labs of one host.

mod director_daemon;
mod director_disruption;
mod director_flows;
mod director_fuzz;
mod director_packets;
mod director_plane;
mod director_sync;
mod director_traffic;
mod failover;
mod privileges;
mod proxy_namespaces;
mod switch;
mod system;
mod tutorial;

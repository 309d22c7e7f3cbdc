//! The commands that make what is there.

use super::command::Command;
use super::option::Kind;
use super::{Failure, list, names};
use director::kernel::Kernel;
use netlink::ipvs::{ChecksumMode, Flags, Forward, Key, SCTP, Tunnel, UDP};
use std::io::Write;

/// Prints a line for each service and real server.
///
/// # Errors
/// What the kernel refuses.
pub fn save(command: &Command, kernel: &mut Kernel, output: &mut dyn Write) -> Result<(), Failure> {
    let is_numeric = command.given(Kind::Numeric);
    for service in list::all_services(command, kernel)? {
        let name = service_option(&service.key, is_numeric);
        write!(output, "-A {name} -s {}", service.scheduler)?;
        if service.flags.has(Flags::PERSISTENT) {
            write!(output, " -p {}", service.timeout)?;
            if let Some(mask) = list::netmask(&service) {
                write!(output, " -M {mask}")?;
            }
        }
        if !service.engine.is_empty() {
            write!(output, " --pe {}", service.engine)?;
        }
        if service.flags.has(Flags::ONE_PACKET) {
            write!(output, " -o")?;
        }
        if let Some(flags) = list::scheduler_flags(&service) {
            write!(output, " -b {flags}")?;
        }
        writeln!(output)?;
        let protocol = list::protocol_of(&service.key);
        for server in list::destinations(command, kernel, &service.key)? {
            let host = names::host_and_port(server.address, server.port, protocol, is_numeric);
            write!(output, "-a {name} -r {host} ")?;
            match server.forward {
                Forward::Masquerade => writeln!(output, "-m -w {}", server.weight)?,
                Forward::Tunnel(tunnel) => {
                    writeln!(output, "-i -w {} --tun-type {}", server.weight, tunnel_options(tunnel))?;
                }
                Forward::Route | Forward::Local | Forward::Bypass => {
                    writeln!(output, "-g -w {}", server.weight)?;
                }
            }
        }
    }
    Ok(())
}

fn service_option(key: &Key, is_numeric: bool) -> String {
    match *key {
        Key::Address { protocol, address, port } => {
            let option = match protocol {
                UDP => "-u",
                SCTP => "--sctp-service",
                _ => "-t",
            };
            format!("{option} {}", names::host_and_port(address, port, protocol, is_numeric))
        }
        Key::Mark { mark, is_ipv6: false } => format!("-f {}", mark.cast_signed()),
        Key::Mark { mark, is_ipv6: true } => format!("-f {} -6", mark.cast_signed()),
    }
}

fn tunnel_options(tunnel: Tunnel) -> String {
    let option = |checksum| match checksum {
        ChecksumMode::None => "--tun-nocsum",
        ChecksumMode::Checksum => "--tun-csum",
        ChecksumMode::Remote => "--tun-remcsum",
    };
    match tunnel {
        Tunnel::IpInIp => "ipip".to_owned(),
        Tunnel::Gue { port, checksum } => format!("gue --tun-port {port} {}", option(checksum)),
        Tunnel::Gre { checksum } => format!("gre {}", option(checksum)),
    }
}

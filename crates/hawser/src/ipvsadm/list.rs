//! The list of services and their real servers, timeouts and daemons, in ipvsadm's columns.

use super::command::Command;
use super::option::Kind;
use super::{Failure, STATUS_NOT_LISTED, ask, connections, names, order};
use ::director::kernel::Kernel;
use netlink::ipvs::{
    ChecksumMode, Destination, Flags, Forward, Key, Netmask, Reply, Request, Role, SCTP, Service, Statistics,
    TCP, Tunnel, UDP,
};
use std::io::Write;

/// Which columns follow the real servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Columns {
    Usual,
    Totals,
    Rates,
    Thresholds,
    Persistence,
    Tunnels,
}

/// Prints what the options ask for.
///
/// # Errors
/// What the kernel refuses: a service that is not there.
pub fn list(command: &Command, kernel: &mut Kernel, output: &mut dyn Write) -> Result<(), Failure> {
    if command.given(Kind::Connection) {
        let with_engine = command.given(Kind::PersistentConnections);
        let is_numeric = command.given(Kind::Numeric);
        if !kernel.is_ours() {
            return Ok(connections::print_of_kernel(output, is_numeric, with_engine)?);
        }
        let replies = ask(kernel, command, &Request::Connections)?;
        let lines = replies.into_iter().filter_map(|reply| match reply {
            Reply::Connection(line) => Some(Ok(line)),
            _ => None,
        });
        Ok(connections::print(output, lines, is_numeric, with_engine)?)
    } else if command.given(Kind::Timeout) {
        timeouts(command, kernel, output)
    } else if command.given(Kind::Daemon) {
        daemons(command, kernel, output)
    } else {
        services(command, kernel, output)
    }
}

fn timeouts(command: &Command, kernel: &mut Kernel, output: &mut dyn Write) -> Result<(), Failure> {
    for reply in ask(kernel, command, &Request::Timeouts)? {
        if let Reply::Timeouts(set) = reply {
            writeln!(output, "Timeout (tcp tcpfin udp): {} {} {}", set.tcp, set.tcp_fin, set.udp)?;
        }
    }
    Ok(())
}

fn daemons(command: &Command, kernel: &mut Kernel, output: &mut dyn Write) -> Result<(), Failure> {
    for reply in ask(kernel, command, &Request::Daemons)? {
        let Reply::Daemon(daemon) = reply else { continue };
        let role = match daemon.role {
            Role::Master => "master",
            Role::Backup => "backup",
        };
        write!(output, "{role} sync daemon (mcast={}, syncid={}", daemon.interface, daemon.sync_id)?;
        // Kernels before 4.3 do not say these.
        if daemon.length_max != 0 {
            write!(output, ", maxlen={}", daemon.length_max)?;
        }
        if let Some(group) = daemon.group {
            write!(output, ", group={group}")?;
        }
        if daemon.port != 0 {
            write!(output, ", port={}", daemon.port)?;
        }
        if daemon.hops != 0 {
            write!(output, ", ttl={}", daemon.hops)?;
        }
        writeln!(output, ")")?;
    }
    Ok(())
}

fn services(command: &Command, kernel: &mut Kernel, output: &mut dyn Write) -> Result<(), Failure> {
    let columns = if command.given(Kind::Rate) && !command.given(Kind::Stats) {
        Columns::Rates
    } else if command.given(Kind::Stats) {
        Columns::Totals
    } else if command.given(Kind::Thresholds) {
        Columns::Thresholds
    } else if command.given(Kind::PersistentConnections) {
        Columns::Persistence
    } else if command.given(Kind::TunnelInformation) {
        Columns::Tunnels
    } else {
        Columns::Usual
    };
    let found = if command.has_service() {
        let found = ask(kernel, command, &Request::Service(&command.key()));
        only_services(found.map_err(|failure| Failure { status: STATUS_NOT_LISTED, ..failure })?)
    } else {
        for reply in ask(kernel, command, &Request::Information)? {
            if let Reply::Information(information) = reply {
                let [_, major, minor, patch] = information.version.to_be_bytes();
                let size = information.table_size;
                writeln!(output, "IP Virtual Server version {major}.{minor}.{patch} (size={size})")?;
            }
        }
        all_services(command, kernel)?
    };
    header(columns, output)?;
    for service in &found {
        let name = service_name(command, service);
        match columns {
            Columns::Totals | Columns::Rates => {
                write!(output, "{name:<33}")?;
                numbers(columns, command.given(Kind::Exact), &service.statistics, output)?;
            }
            Columns::Usual | Columns::Thresholds | Columns::Persistence | Columns::Tunnels => {
                writeln!(output, "{name}{}", service_properties(service))?;
            }
        }
        for destination in destinations(command, kernel, &service.key)? {
            row(command, columns, service, &destination, output)?;
        }
    }
    Ok(())
}

fn only_services(replies: Vec<Reply>) -> Vec<Service> {
    let services = replies.into_iter().filter_map(|reply| match reply {
        Reply::Service(service) => Some(service),
        Reply::Destination(_)
        | Reply::Daemon(_)
        | Reply::Timeouts(_)
        | Reply::Information(_)
        | Reply::Connection(_) => None,
    });
    services.collect()
}

/// Every service, in the order that the options ask for.
///
/// # Errors
/// What the kernel refuses.
pub fn all_services(command: &Command, kernel: &mut Kernel) -> Result<Vec<Service>, Failure> {
    let mut services = only_services(ask(kernel, command, &Request::Services)?);
    if !command.given(Kind::NoSort) {
        order::services(&mut services);
    }
    Ok(services)
}

/// The real servers of a service, in the order that the options ask for.
///
/// # Errors
/// What the kernel refuses.
pub fn destinations(command: &Command, kernel: &mut Kernel, key: &Key) -> Result<Vec<Destination>, Failure> {
    let replies = ask(kernel, command, &Request::Destinations(key))?;
    let mut destinations: Vec<Destination> = replies
        .into_iter()
        .filter_map(|reply| match reply {
            Reply::Destination(destination) => Some(destination),
            Reply::Service(_)
            | Reply::Daemon(_)
            | Reply::Timeouts(_)
            | Reply::Information(_)
            | Reply::Connection(_) => None,
        })
        .collect();
    if !command.given(Kind::NoSort) {
        order::destinations(&mut destinations);
    }
    Ok(destinations)
}

fn header(columns: Columns, output: &mut dyn Write) -> std::io::Result<()> {
    let wide = |cells: [&str; 5]| {
        let cells: Vec<String> = cells.iter().map(|cell| format!(" {cell:>8}")).collect();
        format!("{:<33}{}\n  -> RemoteAddress:Port", "Prot LocalAddress:Port", cells.concat())
    };
    let text = match columns {
        Columns::Totals => wide(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]),
        Columns::Rates => wide(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]),
        Columns::Thresholds => format!(
            "{:<33} {:<10} {:<10} {:<10} {:<10}\n  -> RemoteAddress:Port",
            "Prot LocalAddress:Port", "Uthreshold", "Lthreshold", "ActiveConn", "InActConn"
        ),
        Columns::Persistence => format!(
            "{:<33} {:<9} {:<11} {:<10} {:<10}\n  -> RemoteAddress:Port",
            "Prot LocalAddress:Port", "Weight", "PersistConn", "ActiveConn", "InActConn"
        ),
        Columns::Tunnels => "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           \
                             Forward TunnelInfo    Weight ActiveConn InActConn"
            .to_owned(),
        Columns::Usual => "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           \
                           Forward Weight ActiveConn InActConn"
            .to_owned(),
    };
    writeln!(output, "{text}")
}

/// The protocol that names of ports are of; services by mark have none.
pub fn protocol_of(key: &Key) -> u16 {
    match key {
        Key::Address { protocol, .. } => *protocol,
        Key::Mark { .. } => 0,
    }
}

fn service_name(command: &Command, service: &Service) -> String {
    match service.key {
        Key::Address { protocol, address, port } => {
            let name = match protocol {
                TCP => "TCP",
                UDP => "UDP",
                SCTP => "SCTP",
                _ => "?",
            };
            let host = names::host_and_port(address, port, protocol, command.given(Kind::Numeric));
            format!("{name:<4} {host}")
        }
        // ipvsadm shows marks with a sign.
        Key::Mark { mark, is_ipv6: false } => format!("FWM  {}", mark.cast_signed()),
        Key::Mark { mark, is_ipv6: true } => format!("FWM  {} IPv6", mark.cast_signed()),
    }
}

/// The scheduler's flags that are set, by their names; `None` where none is.
pub fn scheduler_flags(service: &Service) -> Option<String> {
    let names: [&str; 3] = match service.scheduler.as_str() {
        "sh" => ["sh-fallback", "sh-port", ""],
        "mh" => ["mh-fallback", "mh-port", ""],
        _ => ["flag-1", "flag-2", "flag-3"],
    };
    let is_set = |at: usize| service.flags.has(Flags::SCHEDULER[at]);
    let set: Vec<&str> =
        (0..3).filter(|at| is_set(*at) && !names[*at].is_empty()).map(|at| names[at]).collect();
    (0..3).any(is_set).then(|| set.join(","))
}

/// The mask of persistence, unless each client stands for itself.
pub fn netmask(service: &Service) -> Option<String> {
    if service.netmask == Netmask::host(service.key.is_ipv6()) {
        return None;
    }
    Some(match service.netmask {
        Netmask::Ipv4(mask) => mask.to_string(),
        Netmask::Ipv6(length) => length.to_string(),
    })
}

fn service_properties(service: &Service) -> String {
    let mut text = format!(" {}", service.scheduler);
    if let Some(flags) = scheduler_flags(service) {
        text.push_str(&format!(" ({flags})"));
    }
    if service.flags.has(Flags::PERSISTENT) {
        text.push_str(&format!(" persistent {}", service.timeout));
        if let Some(mask) = netmask(service) {
            text.push_str(&format!(" mask {mask}"));
        }
        if !service.engine.is_empty() {
            text.push_str(&format!(" pe {}", service.engine));
        }
    }
    if service.flags.has(Flags::ONE_PACKET) {
        text.push_str(" ops");
    }
    text
}

fn row(
    command: &Command,
    columns: Columns,
    service: &Service,
    server: &Destination,
    output: &mut dyn Write,
) -> std::io::Result<()> {
    let is_numeric = command.given(Kind::Numeric);
    let name = names::host_and_port(server.address, server.port, protocol_of(&service.key), is_numeric);
    let Destination { weight, active, inactive, .. } = server;
    match columns {
        Columns::Totals | Columns::Rates => {
            write!(output, "  -> {name:<28}")?;
            numbers(columns, command.given(Kind::Exact), &server.statistics, output)
        }
        Columns::Thresholds => {
            let (upper, lower) = (server.upper_threshold, server.lower_threshold);
            writeln!(output, "  -> {name:<28} {upper:<10} {lower:<10} {active:<10} {inactive:<10}")
        }
        Columns::Persistence => {
            let persistent = server.persistent;
            writeln!(output, "  -> {name:<28} {weight:<9} {persistent:<11} {active:<10} {inactive:<10}")
        }
        Columns::Tunnels => {
            let (forward, tunnel) = (forward(server.forward), tunnel(server.forward));
            writeln!(
                output,
                "  -> {name:<28} {forward:<7} {tunnel:<13} {weight:<6} {active:<10} {inactive:<10}"
            )
        }
        Columns::Usual => {
            let forward = forward(server.forward);
            writeln!(output, "  -> {name:<28} {forward:<7} {weight:<6} {active:<10} {inactive:<10}")
        }
    }
}

fn forward(forward: Forward) -> &'static str {
    match forward {
        Forward::Masquerade => "Masq",
        Forward::Local => "Local",
        Forward::Tunnel(_) => "Tunnel",
        Forward::Route => "Route",
        Forward::Bypass => "Bypass",
    }
}

fn tunnel(forward: Forward) -> String {
    let sign = |checksum| match checksum {
        ChecksumMode::None => "-c",
        ChecksumMode::Checksum => "+c",
        ChecksumMode::Remote => "r+c",
    };
    match forward {
        Forward::Tunnel(Tunnel::IpInIp) => "ipip".to_owned(),
        Forward::Tunnel(Tunnel::Gue { port, checksum }) => format!("gue:{port}:{}", sign(checksum)),
        Forward::Tunnel(Tunnel::Gre { checksum }) => format!("gre:{}", sign(checksum)),
        Forward::Masquerade | Forward::Local | Forward::Route | Forward::Bypass => "n/a".to_owned(),
    }
}

fn numbers(
    columns: Columns,
    is_exact: bool,
    counted: &Statistics,
    output: &mut dyn Write,
) -> std::io::Result<()> {
    let five = if columns == Columns::Rates {
        [
            counted.connection_rate,
            counted.packet_rate_in,
            counted.packet_rate_out,
            counted.byte_rate_in,
            counted.byte_rate_out,
        ]
    } else {
        [counted.connections, counted.packets_in, counted.packets_out, counted.bytes_in, counted.bytes_out]
    };
    let cells = five.map(|number| if is_exact { exact(number) } else { rounded(number) });
    writeln!(output, "{}", cells.concat())
}

/// At least nine columns, and a blank before every number.
fn exact(number: u64) -> String {
    format!(" {number:>8}")
}

/// Nine columns.
fn rounded(number: u64) -> String {
    const MILLION: u64 = 1_000_000;
    match number {
        0..100_000_000 => format!("{number:>9}"),
        100_000_000..1_000_000_000 => format!("{:>8}K", number / 1000),
        1_000_000_000..100_000_000_000 => format!("{:>8}M", number / MILLION),
        100_000_000_000..100_000_000_000_000 => format!("{:>8}G", number / 1000 / MILLION),
        100_000_000_000_000.. => format!("{:>8}T", number / MILLION / MILLION),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_rounded_to_nine_columns() {
        assert_eq!(rounded(99_999_999), " 99999999");
        assert_eq!(rounded(100_000_000), "  100000K");
        assert_eq!(rounded(999_999_999), "  999999K");
        assert_eq!(rounded(1_000_000_000), "    1000M");
        assert_eq!(rounded(99_999_999_999), "   99999M");
        assert_eq!(rounded(100_000_000_000), "     100G");
        assert_eq!(rounded(100_000_000_000_000), "     100T");
        assert_eq!(exact(123), "      123");
        assert_eq!(exact(1_234_567_890_123), " 1234567890123");
    }
}

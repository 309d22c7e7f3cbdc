//! This machine, as far as files tell of it.

use super::memory::matches;
use super::{Host, HostError, InterfaceFacts, NumberNames, ProgramFacts, find_number};
use crate::model::{Prefix, RunAs};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// Largest configuration file that is read.
const FILE_LENGTH_MAX: u64 = 256 << 20;
/// Files that one pattern may match.
const MATCHES_MAX: usize = 65_536;
/// Where programs without a slash are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Reads /etc, /proc and /sys; opens no socket.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemHost;

impl Host for SystemHost {
    fn read_file(&self, path: &Path) -> Result<Vec<u8>, HostError> {
        let file = std::fs::File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(HostError::from(std::io::ErrorKind::IsADirectory));
        }
        let mut text = Vec::new();
        if file.take(FILE_LENGTH_MAX + 1).read_to_end(&mut text)? as u64 > FILE_LENGTH_MAX {
            return Err(HostError::other(format!("larger than {FILE_LENGTH_MAX} bytes")));
        }
        Ok(text)
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let mut found = vec![PathBuf::new()];
        for component in pattern.components() {
            let part = match component {
                Component::Normal(part) => part.to_string_lossy(),
                Component::RootDir | Component::Prefix(_) | Component::CurDir | Component::ParentDir => {
                    found.iter_mut().for_each(|path| path.push(component));
                    continue;
                }
            };
            found = found.iter().flat_map(|path| entries(path, &part)).take(MATCHES_MAX).collect();
        }
        found.sort();
        found
    }

    fn host_name(&self) -> String {
        first_line("/proc/sys/kernel/hostname")
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn user(&self, name: &str) -> Option<RunAs> {
        let number: Option<u32> = name.parse().ok();
        let found = lines("/etc/passwd").find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let user: u32 = fields.get(2)?.parse().ok()?;
            (fields[0] == name || Some(user) == number)
                .then_some(RunAs { user, group: fields.get(3)?.parse().ok()? })
        });
        found.or(number.map(|user| RunAs { user, group: user }))
    }

    fn group(&self, name: &str) -> Option<u32> {
        let by_name = lines("/etc/group").find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            if fields[0] == name { fields.get(2)?.parse().ok() } else { None }
        });
        by_name.or(name.parse().ok())
    }

    fn own_user(&self) -> RunAs {
        let metadata = std::fs::metadata("/proc/self");
        metadata.map_or(RunAs { user: 0, group: 0 }, |facts| RunAs { user: facts.uid(), group: facts.gid() })
    }

    fn program(&self, path: &str, run_as: RunAs) -> ProgramFacts {
        match find_program(path) {
            Some(found) => inspect(&found, run_as),
            None => ProgramFacts::Missing,
        }
    }

    fn interface(&self, name: &str) -> Option<Option<InterfaceFacts>> {
        // /proc/net is the one of our own network namespace, which /sys may not be.
        if std::fs::metadata("/proc/self/net/dev").is_err() {
            return Some(None);
        }
        let known = lines("/proc/self/net/dev")
            .skip(2)
            .any(|line| line.split(':').next().is_some_and(|first| first.trim() == name));
        known.then(|| Some(InterfaceFacts { loopback: name == "lo", networks: networks(name) }))
    }

    fn number(&self, names: NumberNames, name: &str) -> Option<u32> {
        ["/etc/iproute2", "/usr/lib/iproute2", "/usr/share/iproute2"].iter().find_map(|directory| {
            let text = std::fs::read_to_string(Path::new(directory).join(names.file())).ok()?;
            find_number(&text, name)
        })
    }
}

fn lines(path: &str) -> impl Iterator<Item = String> + use<> {
    let text = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn first_line(path: &str) -> String {
    lines(path).next().unwrap_or_default()
}

/// Entries of a directory that a name or pattern stands for.
fn entries(directory: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains(['*', '?', '[']) {
        let path = directory.join(part);
        return if path.exists() { vec![path] } else { Vec::new() };
    }
    let listed = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let Ok(read) = std::fs::read_dir(listed) else {
        return Vec::new();
    };
    read.flatten()
        .take(MATCHES_MAX)
        .map(|entry| entry.file_name())
        .filter(|name| {
            let name = name.to_string_lossy();
            // Hidden files need a dot in the pattern, as in a shell.
            (part.starts_with('.') || !name.starts_with('.')) && matches(part.as_bytes(), name.as_bytes())
        })
        .map(|name| directory.join(name))
        .collect()
}

fn find_program(path: &str) -> Option<PathBuf> {
    if path.contains('/') {
        let path = PathBuf::from(path);
        return path.exists().then_some(path);
    }
    let search = std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned());
    search.split(':').map(|directory| Path::new(directory).join(path)).find(|path| path.is_file())
}

const WRITABLE_BY_OTHERS: u32 = 0o022;

fn inspect(path: &Path, run_as: RunAs) -> ProgramFacts {
    let Ok(real) = path.canonicalize() else {
        return ProgramFacts::Missing;
    };
    let Ok(facts) = std::fs::metadata(&real) else {
        return ProgramFacts::Missing;
    };
    let mode = facts.permissions().mode();
    let executable = match run_as.user {
        0 => mode & 0o111 != 0,
        user if user == facts.uid() => mode & 0o100 != 0,
        _ if run_as.group == facts.gid() => mode & 0o010 != 0,
        _ => mode & 0o001 != 0,
    };
    if !facts.is_file() || !executable {
        return ProgramFacts::NotExecutable;
    }
    let insecure = real.ancestors().filter_map(|part| std::fs::metadata(part).ok()).any(|facts| {
        let sticky_directory = facts.is_dir() && facts.mode() & 0o1000 != 0;
        facts.uid() != 0 || (facts.mode() & WRITABLE_BY_OTHERS != 0 && !sticky_directory)
    });
    if insecure { ProgramFacts::Insecure } else { ProgramFacts::Runs }
}

/// Networks on an interface: the IPv4 routes without a gateway, and the IPv6 addresses.
fn networks(name: &str) -> Vec<Prefix> {
    let mut found = Vec::new();
    for line in lines("/proc/self/net/route").skip(1) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [interface, destination, gateway, _, _, _, _, mask, ..] = fields[..] else {
            continue;
        };
        if interface != name || gateway != "00000000" {
            continue;
        }
        // The kernel prints network byte order as it lies in memory.
        let number = |text: &str| u32::from_str_radix(text, 16).map(u32::swap_bytes).ok();
        if let (Some(address), Some(mask)) = (number(destination), number(mask)) {
            let address = IpAddr::V4(Ipv4Addr::from(address));
            found.push(Prefix { address, length: mask.count_ones() as u8 });
        }
    }
    for line in lines("/proc/self/net/if_inet6") {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [address, _, length, _, _, interface] = fields[..] else {
            continue;
        };
        let address = u128::from_str_radix(address, 16).ok();
        if let (true, Some(address), Ok(length)) =
            (interface == name, address, u8::from_str_radix(length, 16))
        {
            found.push(Prefix { address: IpAddr::V6(Ipv6Addr::from(address)), length });
        }
    }
    found
}

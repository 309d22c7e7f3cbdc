//! `-S ADDRESS[,OPTION…]`: the master's own listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Rights of a client, as on `stats socket`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    User,
    Operator,
    Admin,
}

/// One open listener.
#[derive(Debug)]
pub struct MasterListener {
    descriptor: OwnedFd,
    pub level: Level,
}

impl AsFd for MasterListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl MasterListener {
    /// The next client, if one waits. Non-blocking.
    pub fn accept(&self) -> Option<OwnedFd> {
        use rustix::net::{SocketFlags, accept_with};
        accept_with(&self.descriptor, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).ok()
    }
}

/// What the words after the address say.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    level: Level,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
}

/// Opens all of them.
///
/// # Errors
/// A line that names the argument and the reason.
pub fn open(arguments: &[String]) -> Result<Vec<MasterListener>, String> {
    arguments.iter().map(|argument| open_one(argument)).collect()
}

fn open_one(argument: &str) -> Result<MasterListener, String> {
    let mut words = argument.split(',');
    let address = words.next().unwrap_or_default();
    let options = parse_options(&mut words).map_err(|reason| format!("-S {argument}: {reason}"))?;
    let descriptor = listen(address, &options).map_err(|error| format!("-S {argument}: {error}"))?;
    rustix::io::ioctl_fionbio(&descriptor, true).map_err(|error| format!("-S {argument}: {error}"))?;
    Ok(MasterListener { descriptor, level: options.level })
}

fn parse_options<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Options, String> {
    let mut options = Options { level: Level::Admin, mode: None, uid: None, gid: None };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("'{word}' expects a value"))?;
        let invalid = || format!("'{word}' does not take '{value}'");
        match word {
            "level" => {
                options.level = match value {
                    "user" => Level::User,
                    "operator" => Level::Operator,
                    "admin" => Level::Admin,
                    _ => return Err(invalid()),
                }
            }
            "mode" => options.mode = Some(u32::from_str_radix(value, 8).map_err(|_| invalid())?),
            "uid" => options.uid = Some(value.parse().map_err(|_| invalid())?),
            "gid" => options.gid = Some(value.parse().map_err(|_| invalid())?),
            "user" => options.uid = Some(sys::process::user_ids(value).ok_or_else(invalid)?.0),
            "group" => options.gid = Some(sys::process::group_id(value).ok_or_else(invalid)?),
            _ => return Err(format!("unknown option '{word}'; known: level, mode, user, group, uid, gid")),
        }
    }
    Ok(options)
}

fn listen(address: &str, options: &Options) -> io::Result<OwnedFd> {
    if let Some(number) = address.strip_prefix("fd@") {
        let number = number.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
        return sys::descriptor::take(number);
    }
    if let Some(name) = address.strip_prefix("abns@") {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return Ok(UnixListener::bind_addr(&address)?.into());
    }
    let path = address.strip_prefix("unix@").unwrap_or(address);
    if path.contains('/') {
        return listen_unix(Path::new(path), options);
    }
    let address: SocketAddr = address
        .strip_prefix("ipv4@")
        .or_else(|| address.strip_prefix("ipv6@"))
        .unwrap_or(address)
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not an address"))?;
    Ok(TcpListener::bind(address)?.into())
}

/// Bound beside its place and renamed over it: a client never finds nothing there.
fn listen_unix(path: &Path, options: &Options) -> io::Result<OwnedFd> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let listener = UnixListener::bind(&temporary)?;
    let settle = || {
        if options.uid.is_some() || options.gid.is_some() {
            std::os::unix::fs::chown(&temporary, options.uid, options.gid)?;
        }
        if let Some(mode) = options.mode {
            std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(mode))?;
        }
        std::fs::rename(&temporary, path)
    };
    settle().inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })?;
    Ok(listener.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Options, String> {
        parse_options(&mut words.split(',').filter(|word| !word.is_empty()))
    }

    #[test]
    fn options_follow_the_address_in_pairs() {
        let options = parsed("mode,660,level,operator,gid,0").expect("valid");
        assert_eq!(options, Options { level: Level::Operator, mode: Some(0o660), uid: None, gid: Some(0) });
        assert_eq!(parsed("").expect("none").level, Level::Admin);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parsed("level"), Err("'level' expects a value".to_owned()));
        assert_eq!(parsed("level,root"), Err("'level' does not take 'root'".to_owned()));
        assert!(parsed("ssl,yes").expect_err("unknown").starts_with("unknown option 'ssl'"));
    }
}

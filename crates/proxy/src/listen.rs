//! Opens listening sockets, while the process still has its privileges.

use crate::net::{Namespaces, SocketTuning};
use crate::worker::OpenListener;
use haproxy_config::Model;
use haproxy_config::model::{Address, Bind, Proxy};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What concerns all listeners.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListenOptions {
    /// One socket for each of these threads.
    pub workers: usize,
    /// `noreuseport`: all threads share one socket.
    pub noreuseport: bool,
    /// Used where a line gives no `backlog`.
    pub backlog: u32,
    /// What connections inherit; the line's own words come on top.
    pub tuning: SocketTuning,
}

impl ListenOptions {
    /// What concerns the lines of one frontend. `maxconn`: the connections of the process.
    pub fn of(proxy: &Proxy, model: &Model, workers: usize, maxconn: u32) -> ListenOptions {
        ListenOptions {
            workers,
            noreuseport: model.global.noreuseport,
            backlog: proxy.backlog.or(proxy.maxconn).unwrap_or(maxconn),
            tuning: SocketTuning {
                keepalive: proxy.options.clitcpka.then_some(proxy.client_keepalive),
                receive_buffer: model.global.tune.rcvbuf_client,
                send_buffer: model.global.tune.sndbuf_client,
                delayed_ack: proxy.options.tcp_smart_accept,
                ..SocketTuning::default()
            },
        }
    }
}

/// Sets on a socket that listens what a line says now: for the connections to come.
///
/// # Errors
/// What the kernel says.
pub fn retune(socket: BorrowedFd<'_>, bind: &Bind, options: ListenOptions) -> io::Result<()> {
    let socket = socket2::SockRef::from(&socket);
    let backlog = i32::try_from(bind.backlog.unwrap_or(options.backlog)).unwrap_or(i32::MAX);
    if matches!(bind.address, Address::Inet { .. }) {
        // A word that is gone takes its effect with it; sizes of buffers stay until the next start.
        socket.set_keepalive(options.tuning.keepalive.is_some())?;
        tuning_of(bind, options).apply(&socket)?;
        sys::socket_options::set_tcp_defer_accept(&*socket, u16::from(bind.defer_accept))?;
        if bind.tfo {
            sys::socket_options::set_tcp_fast_open(&*socket, fast_open_queue(options))?;
        }
        return socket.listen(backlog);
    }
    Ok(())
}

fn tuning_of(bind: &Bind, options: ListenOptions) -> SocketTuning {
    SocketTuning { mss: bind.mss, user_timeout_ms: bind.tcp_user_timeout_ms, ..options.tuning }
}

fn fast_open_queue(options: ListenOptions) -> u16 {
    options.backlog.min(u32::from(u16::MAX)) as u16
}

/// Opens the sockets of one `bind` line: at least one for each worker; more when more were inherited, for each has
/// clients of its own waiting.
///
/// # Errors
/// What the kernel says, with the address.
pub fn open(
    bind: &Bind,
    inherited: Vec<OwnedFd>,
    options: ListenOptions,
    namespaces: &Namespaces,
) -> Result<Vec<OpenListener>, String> {
    let describe = |error: io::Error| format!("cannot bind {}: {error}", display(&bind.address));
    if !inherited.is_empty() {
        let adopted: io::Result<Vec<_>> = inherited.into_iter().map(adopt).collect();
        return adopted.and_then(|listeners| spread(listeners, options.workers)).map_err(describe);
    }
    let result = match &bind.address {
        Address::Fd(number) => sys::descriptor::duplicate(*number)
            .and_then(adopt)
            .and_then(|listener| share(listener, options.workers)),
        Address::Inet { ip, port } => namespaces
            .within(bind.namespace.as_deref(), || open_tcp(SocketAddr::new(*ip, *port), bind, options)),
        Address::Unix(path) => open_unix(path, bind).and_then(|listener| share(listener, options.workers)),
        Address::Abstract(name) => open_abstract(name).and_then(|listener| share(listener, options.workers)),
        Address::Host { name, .. } => {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("`{name}` is not resolved")))
        }
    };
    result.map_err(describe)
}

/// The address as messages show it.
pub fn display(address: &Address) -> String {
    match address {
        Address::Inet { ip, port } => SocketAddr::new(*ip, *port).to_string(),
        Address::Host { name, port } => format!("{name}:{port}"),
        Address::Unix(path) => path.display().to_string(),
        Address::Abstract(name) => format!("abns@{}", String::from_utf8_lossy(name)),
        Address::Fd(number) => format!("fd@{number}"),
    }
}

fn share(listener: OpenListener, workers: usize) -> io::Result<Vec<OpenListener>> {
    spread(vec![listener], workers)
}

/// Duplicates `listeners` in turn until every worker has one.
fn spread(mut listeners: Vec<OpenListener>, workers: usize) -> io::Result<Vec<OpenListener>> {
    let given = listeners.len();
    for place in given..workers {
        listeners.push(match &listeners[place % given] {
            OpenListener::Tcp(listener) => OpenListener::Tcp(listener.try_clone()?),
            OpenListener::Unix(listener) => OpenListener::Unix(listener.try_clone()?),
        });
    }
    Ok(listeners)
}

/// A socket that somebody else bound, and perhaps listens already.
fn adopt(fd: OwnedFd) -> io::Result<OpenListener> {
    let socket = Socket::from(fd);
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    if !socket.is_listener()? {
        socket.listen(1024)?;
    }
    if local.is_unix() { Ok(OpenListener::Unix(socket.into())) } else { Ok(OpenListener::Tcp(socket.into())) }
}

fn open_tcp(address: SocketAddr, bind: &Bind, options: ListenOptions) -> io::Result<Vec<OpenListener>> {
    if options.noreuseport {
        return share(open_tcp_once(address, bind, options)?, options.workers);
    }
    (0..options.workers).map(|_| open_tcp_once(address, bind, options)).collect()
}

fn open_tcp_once(address: SocketAddr, bind: &Bind, options: ListenOptions) -> io::Result<OpenListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if !options.noreuseport {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit these: one syscall here instead of one for each connection.
    socket.set_tcp_nodelay(true)?;
    tuning_of(bind, options).apply(&socket2::SockRef::from(&socket))?;
    if bind.defer_accept {
        sys::socket_options::set_tcp_defer_accept(&socket, 1)?;
    }
    if bind.tfo {
        sys::socket_options::set_tcp_fast_open(&socket, fast_open_queue(options))?;
    }
    bind_inet(&socket, address, bind)?;
    socket.listen(i32::try_from(bind.backlog.unwrap_or(options.backlog)).unwrap_or(i32::MAX))?;
    Ok(OpenListener::Tcp(socket.into()))
}

/// Binds a socket of IP as its line says.
///
/// # Errors
/// What the kernel says.
pub fn bind_inet(socket: &Socket, address: SocketAddr, bind: &Bind) -> io::Result<()> {
    if address.is_ipv6() {
        socket.set_only_v6(bind.v6only || !bind.v4v6)?;
    }
    if bind.transparent {
        sys::socket_options::set_transparent(socket, address.is_ipv6())?;
    }
    if let Some(interface) = &bind.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    match socket.bind(&address.into()) {
        // The address is not here yet: a VIP that the other node holds. It will be reachable when it comes.
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            if address.is_ipv4() {
                socket.set_freebind_v4(true)?;
            } else {
                socket.set_freebind_v6(true)?;
            }
            socket.bind(&address.into())
        }
        other => other,
    }
}

fn open_abstract(name: &[u8]) -> io::Result<OpenListener> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    Ok(OpenListener::Unix(std::os::unix::net::UnixListener::bind_addr(&address)?))
}

fn open_unix(path: &Path, bind: &Bind) -> io::Result<OpenListener> {
    bind_beside(path, bind, |place| std::os::unix::net::UnixListener::bind(place)).map(OpenListener::Unix)
}

/// Binds beside the path and renames over it, so that a process that is being replaced never leaves a gap.
///
/// # Errors
/// What the kernel says.
pub fn bind_beside<S>(path: &Path, bind: &Bind, make: impl FnOnce(&Path) -> io::Result<S>) -> io::Result<S> {
    let mut temporary = PathBuf::from(path);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    temporary.set_file_name(name);
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let socket = make(&temporary)?;
    let settle = || {
        if bind.unix_uid.is_some() || bind.unix_gid.is_some() {
            std::os::unix::fs::chown(&temporary, bind.unix_uid, bind.unix_gid)?;
        }
        if let Some(mode) = bind.unix_mode {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(mode))?;
        }
        std::fs::rename(&temporary, path)
    };
    if let Err(error) = settle() {
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(socket)
}

//! What the process is made of: descriptors, threads, memory, libraries. What this program does not have (task counters,
//! pools of objects) is not made up.

use super::session::{Outcome, Reply, Session, word};
use super::workers::ask_threads;
use crate::net::buffers;
use rustix::net::sockopt::socket_acceptconn;
use socket2::{SockAddr, SockRef};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

/// Where the system lists descriptors and mapped files.
const DESCRIPTORS: &str = "/proc/self/fd";
const MAPS: &str = "/proc/self/maps";

/// `show fd [num]`.
pub fn show_fd(_: &mut Session, words: &[&str]) -> Outcome {
    let wanted = match word(words, 2) {
        "" => None,
        number => Some(number.parse::<i32>().map_err(|_| Reply::error("not a descriptor number\n"))?),
    };
    let listed = std::fs::read_dir(DESCRIPTORS)
        .map_err(|error| Reply::error(format!("cannot read {DESCRIPTORS}: {error}\n")))?;
    let numbers = listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut numbers: Vec<i32> =
        numbers.filter(|number| wanted.is_none_or(|wanted| wanted == *number)).collect();
    numbers.sort_unstable();
    let mut out = String::new();
    for number in numbers {
        let Ok(target) = std::fs::read_link(format!("{DESCRIPTORS}/{number}")) else { continue };
        let _ = writeln!(out, "{number:>7} : {}", described(number, &target.to_string_lossy()));
    }
    Ok(Reply::Dump(out))
}

/// What a descriptor is: for a socket its family, state and ports.
fn described(number: i32, target: &str) -> String {
    if !target.starts_with("socket:") {
        return format!("file={target}");
    }
    let Ok(descriptor) = sys::descriptor::duplicate(number) else { return "closed".to_owned() };
    let socket = SockRef::from(&descriptor);
    let mut out =
        String::from(if socket_acceptconn(&descriptor).unwrap_or(false) { "listener" } else { "connection" });
    let port = |address: SockAddr| address.as_socket().map(|address| address.port());
    let Ok(local) = socket.local_addr() else { return out };
    let family = if local.is_ipv4() {
        "ipv4"
    } else if local.is_ipv6() {
        "ipv6"
    } else {
        "unix"
    };
    let _ = write!(out, " fam={family}");
    if let Some(port) = port(local) {
        let _ = write!(out, " lport={port}");
    }
    if let Some(port) = socket.peer_addr().ok().and_then(port) {
        let _ = write!(out, " rport={port}");
    }
    out
}

/// `show libs`: the files that code was mapped from.
pub fn show_libs(_: &mut Session, _: &[&str]) -> Outcome {
    let maps = std::fs::read_to_string(MAPS)
        .map_err(|error| Reply::error(format!("cannot read {MAPS}: {error}\n")))?;
    let mut out = String::new();
    for (path, (from, to)) in libraries(&maps) {
        let _ = writeln!(out, "0x{from:012x}-0x{:012x} (0x{:07x}) {path}", to - 1, to - from);
    }
    Ok(Reply::Dump(out))
}

/// The files that code of this process was mapped from, as `-dL` lists them.
pub fn mapped_code() -> Vec<String> {
    let maps = std::fs::read_to_string(MAPS).unwrap_or_default();
    libraries(&maps).into_iter().map(|(path, _)| path.to_owned()).collect()
}

/// Files with code, and the addresses they span.
fn libraries(maps: &str) -> Vec<(&str, (u64, u64))> {
    let mut files: BTreeMap<&str, (u64, u64, bool)> = BTreeMap::new();
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        let Some(path) = fields.nth(3).filter(|path| path.starts_with('/')) else { continue };
        let Some((from, to)) = range.split_once('-') else { continue };
        let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else {
            continue;
        };
        let file = files.entry(path).or_insert((from, to, false));
        *file = (file.0.min(from), file.1.max(to), file.2 || rights.contains('x'));
    }
    let with_code = files.into_iter().filter(|(_, file)| file.2);
    with_code.map(|(path, (from, to, _))| (path, (from, to))).collect()
}

/// `show threads`.
pub fn show_threads(session: &mut Session, _: &[&str]) -> Outcome {
    let control = Rc::clone(&session.control);
    Ok(Reply::Later(Box::pin(async move {
        let asked = |thread: &crate::thread::Thread| {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            let nanoseconds = time.tv_sec as i128 * 1_000_000_000 + time.tv_nsec as i128;
            (thread.index(), rustix::thread::gettid(), nanoseconds, thread.connections())
        };
        let mut out = String::new();
        for (index, thread, cpu, sessions) in ask_threads(&control, asked).await {
            let _ = writeln!(
                out,
                "  Thread {} : id={thread} act={} cpu_ns={cpu}",
                index + 1,
                u8::from(sessions > 0)
            );
            let _ = writeln!(out, "             sessions={sessions}");
        }
        Reply::Dump(out)
    })))
}

/// `show tasks`: each session is a task of its thread.
pub fn show_tasks(session: &mut Session, _: &[&str]) -> Outcome {
    let control = Rc::clone(&session.control);
    Ok(Reply::Later(Box::pin(async move {
        let counts = ask_threads(&control, |thread| thread.connections()).await;
        let sessions: usize = counts.iter().sum();
        let mut out = format!("Running tasks: {sessions} ({} threads)\n", counts.len());
        out.push_str("  function                     places     %    lat_tot   lat_avg\n");
        if sessions > 0 {
            let _ = writeln!(out, "  session                 {sessions:>11} 100.0          -         -");
        }
        Reply::Dump(out)
    })))
}

/// Objects of a thread that are kept for reuse or in use.
#[derive(Debug, Clone, Copy)]
struct Pools {
    sessions: usize,
    idle_connections: usize,
    buffers: buffers::PoolSize,
}

/// `show pools`.
pub fn show_pools(session: &mut Session, _: &[&str]) -> Outcome {
    let control = Rc::clone(&session.control);
    Ok(Reply::Later(Box::pin(async move {
        let threads = ask_threads(&control, |thread| Pools {
            sessions: thread.connections(),
            idle_connections: thread.workers().iter().map(|worker| worker.idle.borrow().len()).sum(),
            buffers: buffers::pool_size(),
        })
        .await;
        let total = |count: fn(&Pools) -> usize| threads.iter().map(count).sum::<usize>();
        let mut out = String::from("Dumping pools usage.\n");
        let mut bytes = 0;
        let mut used_bytes = 0;
        let mut row = |name: &str, size: usize, kept: usize, used: usize| {
            let _ = writeln!(
                out,
                "  - Pool {name} ({size} bytes) : {} allocated ({} bytes), {used} used",
                kept + used,
                (kept + used) * size
            );
            bytes += (kept + used) * size;
            used_bytes += used * size;
        };
        let session = size_of::<crate::session::Client>();
        let connection = size_of::<crate::upstream::ServerConnection>();
        row("session", session, 0, total(|thread| thread.sessions));
        row("idle_conn", connection, 0, total(|thread| thread.idle_connections));
        row("scratch", buffers::SCRATCH_SIZE, 0, threads.len());
        let kept = total(|thread| thread.buffers.count);
        let size = total(|thread| thread.buffers.bytes).checked_div(kept).unwrap_or(0);
        row("buffer", size, kept, 0);
        let _ = writeln!(out, "Total: 4 pools, {bytes} bytes allocated, {used_bytes} used.");
        Reply::Dump(out)
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_with_code_are_libraries() {
        let maps = "1000-2000 r--p 0 fe:00 7 /usr/lib/x.so\n2000-4000 r-xp 1000 fe:00 7 /usr/lib/x.so\n\
                    5000-6000 r--p 0 fe:00 8 /usr/share/data\n7000-8000 rw-p 0 00:00 0 [heap]\n";
        assert_eq!(libraries(maps), [("/usr/lib/x.so", (0x1000, 0x4000))]);
    }
}

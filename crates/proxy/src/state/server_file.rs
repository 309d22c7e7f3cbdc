//! Server state files: what `show servers state` printed before a restart, read back. A file that is missing or makes no
//! sense never keeps the process from starting.

use super::{Admin, Running, ServerState, State};
use haproxy_config::model::{Global, LoadServerState, Proxy};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of a file that are read at most.
const FILE_SIZE_MAX: u64 = 64 << 20;

/// The form that is understood, as its first line says.
const FORM: &str = "1";

/// One line: the fields that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Saved {
    running: u8,
    admin: u32,
    weight: u32,
    configured_weight: u32,
    since_change_s: u64,
    health: u32,
}

/// Servers by `backend` and `server`.
type File = HashMap<(String, String), Saved>;

impl State {
    /// Gives the servers of all backends that ask for it the state of their file. Call before anything runs.
    pub fn restore_servers(&self) {
        let mut files: HashMap<PathBuf, File> = HashMap::new();
        for proxy in self.model.proxies.iter().filter(|proxy| proxy.is_backend && !proxy.disabled) {
            let Some(path) = path_of(&self.model.global, proxy) else { continue };
            let file = files.entry(path.clone()).or_insert_with(|| read(&path));
            let backend = self.backend(proxy.id);
            for server in backend.servers() {
                if let Some(saved) = file.get(&(proxy.name.clone(), server.name().to_owned())) {
                    self.restore_server(server, saved);
                }
            }
            backend.up.store(backend.servers().next().is_none() || backend.usable() > 0, Relaxed);
        }
    }

    fn restore_server(&self, server: &ServerState, saved: &Saved) {
        let backend = self.backend(server.id.proxy);
        let mut admin = server.admin();
        // What the old configuration disabled, the new one may enable; what an operator did stays.
        let was_configured = saved.admin & Admin::CONFIG_MAINT.0 != 0;
        if saved.admin & Admin::FORCED_MAINT.0 != 0 && !was_configured {
            admin = admin.with(Admin::FORCED_MAINT);
        }
        if saved.admin & Admin::FORCED_DRAIN.0 != 0 {
            admin = admin.with(Admin::FORCED_DRAIN);
        }
        // A server that nobody checks would never come up again.
        let is_checked = server.settings.check.is_some();
        let is_down = is_checked && saved.running == Running::Stopped as u8;
        let running = if admin.is_maintenance() || is_down { Running::Stopped } else { server.running() };
        backend.change(server, |_| (admin, running));
        if is_down {
            server.check.lock().health = saved
                .health
                .min(server.settings.check.as_ref().map_or(0, |check| check.rise.saturating_sub(1)));
        }
        // A weight that was set at run time; one from a configuration that has changed since is old news.
        if saved.configured_weight == server.settings.weight && saved.weight != saved.configured_weight {
            // A static algorithm refuses what it cannot do.
            let _ = backend.set_weight(server, saved.weight.min(u32::from(balance::MAX_WEIGHT)));
        }
        let now_ms = self.clock.millis(self.clock.started());
        server
            .last_change_ms
            .store(now_ms.saturating_sub(saved.since_change_s.saturating_mul(1000)), Relaxed);
    }
}

/// The file of a backend, if it has one.
fn path_of(global: &Global, proxy: &Proxy) -> Option<PathBuf> {
    let file = match proxy.load_server_state {
        LoadServerState::None => return None,
        LoadServerState::Global => global.server_state_file.clone()?,
        LoadServerState::Local => match proxy.server_state_file_name.as_deref() {
            None | Some("use-backend-name") => PathBuf::from(&proxy.name),
            Some(name) => PathBuf::from(name),
        },
    };
    match &global.server_state_base {
        Some(base) if file.is_relative() => Some(base.join(file)),
        Some(_) | None => Some(file),
    }
}

fn read(path: &PathBuf) -> File {
    let size = std::fs::metadata(path).map(|data| data.len());
    match size {
        Ok(size) if size <= FILE_SIZE_MAX => {}
        Ok(_) => {
            eprintln!("[WARNING] config : server state file '{}' is too large", path.display());
            return File::new();
        }
        Err(error) => {
            eprintln!("[WARNING] config : Can't open server state file '{}': {error}", path.display());
            return File::new();
        }
    }
    parse(&String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()))
}

fn parse(text: &str) -> File {
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some(FORM) {
        return File::new();
    }
    lines.filter(|line| !line.starts_with('#')).filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<((String, String), Saved)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let field = |index: usize| fields.get(index).copied();
    // The last field of the oldest form is the port.
    field(18)?;
    let saved = Saved {
        running: field(5)?.parse().ok()?,
        admin: field(6)?.parse().ok()?,
        weight: field(7)?.parse().ok()?,
        configured_weight: field(8)?.parse().ok()?,
        since_change_s: field(9)?.parse().ok()?,
        health: field(12)?.parse().ok()?,
    };
    Some(((field(1)?.to_owned(), field(3)?.to_owned()), saved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_show_servers_state_is_read_back() {
        // row: 204
        let file = parse("1\n# be_id …\n3 web 1 s1 127.0.0.1 0 9 5 10 77 8 2 1 6 0 0 0 - 80 - 0 0 - - 0\n");
        let saved =
            Saved { running: 0, admin: 9, weight: 5, configured_weight: 10, since_change_s: 77, health: 1 };
        assert_eq!(file.get(&("web".to_owned(), "s1".to_owned())), Some(&saved));
    }

    #[test]
    fn other_forms_and_broken_lines_are_passed_over() {
        assert!(parse("2\n3 web 1 s1 127.0.0.1 0 9 5 10 77 8 2 1 6 0 0 0 - 80\n").is_empty());
        assert!(parse("1\nnonsense\n3 web 1 s1 127.0.0.1 0 x 5 10 77 8 2 1 6 0 0 0 - 80\n").is_empty());
        assert!(parse("").is_empty());
    }
}

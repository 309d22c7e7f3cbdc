//! The words of the `status` column of a server.

use crate::state::{Admin, Running, ServerState, State};

/// Longest chain of tracking servers that is followed; the configuration refuses loops.
const TRACK_DEPTH_MAX: usize = 64;

/// Whose checks decide about `server`: itself, or the end of the chain it tracks.
fn end_of_chain<'a>(state: &'a State, server: &'a ServerState) -> &'a ServerState {
    let mut end = server;
    for _ in 0..TRACK_DEPTH_MAX {
        match end.settings.track {
            Some(tracked) => end = state.server(tracked),
            None => break,
        }
    }
    end
}

/// `UP`, `DOWN 1/2`, `MAINT (via b/s)`, `no check` …
pub fn server_status(state: &State, server: &ServerState) -> String {
    let admin = server.admin();
    if admin.contains(Admin::RESOLUTION_MAINT) {
        return "MAINT (resolution)".to_owned();
    }
    if admin.contains(Admin::INHERITED_MAINT) {
        let via = server.settings.track.map_or(server, |tracked| state.server(tracked));
        let owner = &state.model.proxies[via.id.proxy.index()].name;
        return format!("MAINT (via {owner}/{})", via.name());
    }
    if admin.is_maintenance() {
        return "MAINT".to_owned();
    }
    let checked = end_of_chain(state, server);
    let check = checked.check.lock().clone();
    let agent = checked.agent.lock().clone();
    let top = check.rise + check.fall.saturating_sub(1);
    let full_health = check.health >= top;
    // How far it is on its way to the other state.
    let progress = |word: &str| match checked.running() {
        Running::Stopped => format!("{word} {}/{}", check.health, check.rise),
        Running::Starting | Running::Up | Running::Stopping => {
            // Below 1 for a server that its agent keeps up while its check fails: shown as it is.
            let left = i64::from(check.health) + 1 - i64::from(check.rise);
            format!("{word} {left}/{}", check.fall)
        }
    };
    match server.running() {
        Running::Up | Running::Starting => {
            let going_down = check.enabled && !full_health;
            match (admin.is_drain(), going_down) {
                (true, _) if agent.enabled => "DRAIN (agent)".to_owned(),
                (true, true) => progress("DRAIN"),
                (true, false) => "DRAIN".to_owned(),
                (false, true) => progress("UP"),
                (false, false) if check.enabled => "UP".to_owned(),
                (false, false) => "no check".to_owned(),
            }
        }
        Running::Stopping => {
            let unchecked = !server.check.lock().enabled && server.settings.track.is_none();
            if unchecked || full_health { "NOLB".to_owned() } else { progress("NOLB") }
        }
        Running::Stopped => {
            if agent.enabled && agent.health == 0 {
                "DOWN (agent)".to_owned()
            } else if check.enabled && check.health == 0 {
                "DOWN".to_owned()
            } else if agent.enabled || check.enabled {
                progress("DOWN")
            } else {
                "DOWN".to_owned()
            }
        }
    }
}

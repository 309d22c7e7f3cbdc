//! Checks that are told of changes: numbers in files, and sessions of BFD. Who watches them is not ours.

use super::Director;
use crate::pool::file_offset;
use keepalived_config::model::CheckKind;

impl Director {
    /// What each file's check adds to the weight.
    fn offsets(&self) -> Vec<((usize, usize, usize), i64)> {
        let offset = |place: (usize, usize, usize)| {
            let (pool, server, check) = place;
            let kind = &self.pools[pool].virtual_server().real_servers[server].checks[check].kind;
            file_offset(kind, &self.numbers).map(|offset| (place, offset))
        };
        self.checks().into_iter().filter_map(offset).collect()
    }

    /// For those who ask where checks stand.
    pub(super) fn note_offsets(&self) {
        for (place, offset) in self.offsets() {
            if let Some((_, standing)) = self.standings.iter().find(|(known, _)| *known == place) {
                standing.borrow_mut().offset = offset;
            }
        }
    }

    pub(super) fn handle_numbers(&mut self, numbers: Vec<i64>) {
        self.numbers = numbers;
        for (place, offset) in self.offsets() {
            self.pools[place.0].handle_offset(place.1, place.2, offset);
        }
        self.note_offsets();
    }

    /// A session of BFD has gone up or down, or is known now.
    pub(super) fn handle_session(&mut self, name: String, is_up: bool) {
        self.apply_session(&name, is_up);
        self.sessions.insert(name, is_up);
    }

    /// Checks of a new configuration take what is known of their sessions.
    pub(super) fn apply_sessions(&mut self) {
        for (name, is_up) in self.sessions.clone() {
            self.apply_session(&name, is_up);
        }
    }

    fn apply_session(&mut self, name: &str, is_up: bool) {
        for (pool, server, check) in self.checks() {
            let real = &self.pools[pool].virtual_server().real_servers[server];
            let CheckKind::Bfd { session } = real.checks[check].kind else { continue };
            let is_it = self.model.bfd_sessions.get(session.index()).is_some_and(|known| known.name == name);
            let place = (pool, server, check);
            let standing =
                self.standings.iter().find(|(known, _)| *known == place).map(|(_, one)| one.clone());
            let (true, Some(standing)) = (is_it, standing) else { continue };
            let has_run = std::mem::replace(&mut standing.borrow_mut().has_run, true);
            if has_run && self.pools[pool].is_passing(server, check) == is_up {
                continue;
            }
            let state = if is_up { "UP" } else { "DOWN" };
            self.say(&format!(
                "BFD check of [{name}] RS({}) is {state}",
                self.pools[pool].server_name(server)
            ));
            let verb = if is_up { "succeed" } else { "failed" };
            self.pools[pool].handle_verdict(
                server,
                check,
                is_up,
                &format!("=> BFD CHECK {verb} on service <="),
            );
            // What follows is said before the next server's turn.
            self.act();
        }
    }
}

//! Another configuration takes the place of the running one, and nothing that was found out is lost.

use super::{Director, pools};
use crate::pool::Pool;
use keepalived_config::model::Model;
use std::rc::Rc;

impl Director {
    /// Builds the new pools on what the old ones know. Returns the old ones, for their checkers' results.
    pub(super) fn reload(&mut self, model: Rc<Model>, numbers: Vec<i64>) -> Vec<Pool> {
        self.generation += 1;
        let mut before = std::mem::replace(&mut self.pools, pools(&model, &numbers));
        self.model = model;
        self.numbers = numbers;
        for pool in &mut self.pools {
            if let Some(old) = before.iter().find(|old| old.name() == pool.name()) {
                pool.carry_over(old);
            }
        }
        for old in &mut before {
            self.take_leave(old);
        }
        // Services of both are ours until the plane has been brought to the new ones.
        self.owned.extend(self.pools.iter().flat_map(Pool::keys).copied());
        before
    }

    /// Says what is gone, and tells those who hear of it.
    fn take_leave(&self, old: &mut Pool) {
        match self.pools.iter().find(|pool| pool.name() == old.name()) {
            None => old.remove(),
            Some(pool) => {
                let left: Vec<String> = names(pool);
                for (server, name) in names(old).iter().enumerate() {
                    if !left.contains(name) {
                        self.say(&format!("service {name} no longer exist"));
                        old.remove_server(server);
                    }
                }
            }
        }
        while let Some(action) = old.poll_action() {
            self.take(old, action);
        }
    }
}

fn names(pool: &Pool) -> Vec<String> {
    (0..pool.virtual_server().real_servers.len()).map(|server| pool.server_name(server)).collect()
}

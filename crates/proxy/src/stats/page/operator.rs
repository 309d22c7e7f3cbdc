//! What the page's form does to the servers of the running proxy.

use super::form::{Effect, Servers};
use crate::control::actions::{ServerAction, act_on_server};
use crate::health::Operator;
use crate::worker::Shared;
use rules::ProxyId;

/// The running proxy, as the form sees it.
pub struct Visitor<'a> {
    pub shared: &'a Shared,
}

impl Servers for Visitor<'_> {
    type Backend = ProxyId;

    fn backend(&self, name: &str) -> Option<ProxyId> {
        let number = name.strip_prefix('#').and_then(|number| number.parse::<u32>().ok());
        let mut backends = self.shared.state.model.proxies.iter().filter(|proxy| proxy.is_backend);
        let found = backends.find(|proxy| number.map_or(proxy.name == name, |number| proxy.uuid == number));
        found.map(|proxy| proxy.id)
    }

    fn act(&mut self, backend: ProxyId, server: &str, action: ServerAction) -> Effect {
        match self.shared.state.backend(backend).server_by_name(server) {
            Some(server) if act_on_server(self.shared, server.id, action, Operator::Web) => Effect::Applied,
            Some(_) => Effect::NotApplicable,
            None => Effect::Unknown,
        }
    }
}

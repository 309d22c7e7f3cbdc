//! Every program that a configuration may run.

use super::{CheckKind, Command, Model};

impl Model {
    /// Notifiers, scripts, checks: in no particular order.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        let global = &self.global;
        let fifos = [&global.notify_fifo, &global.vrrp_notify_fifo, &global.lvs_notify_fifo];
        let fifos = fifos.into_iter().flatten().filter_map(|fifo| fifo.script.as_ref());
        let own = [&global.startup_script, &global.shutdown_script].into_iter().flatten();
        let instances = self.instances.iter().map(|instance| &instance.notify);
        let notifiers =
            instances.chain(self.sync_groups.iter().map(|group| &group.notify)).flat_map(|notify| {
                let states = [&notify.master, &notify.backup, &notify.fault, &notify.stop];
                states.into_iter().chain([&notify.deleted, &notify.any, &notify.master_hears_lower]).flatten()
            });
        let services = self.virtual_servers.iter().flat_map(|service| {
            let servers = service.real_servers.iter().flat_map(|server| {
                let checks = server.checks.iter().filter_map(|check| {
                    let CheckKind::Misc { command, .. } = &check.kind else { return None };
                    Some(command)
                });
                [&server.notify_up, &server.notify_down].into_iter().flatten().chain(checks)
            });
            [&service.quorum_up, &service.quorum_down].into_iter().flatten().chain(servers)
        });
        let scripts = self.scripts.iter().map(|script| &script.command);
        scripts.chain(fifos).chain(own).chain(notifiers).chain(services)
    }
}

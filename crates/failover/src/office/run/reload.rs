//! SIGHUP: another configuration takes the place of this one, or changes nothing.

use super::{Office, Owner, Say, Wish, courses, forwards_ipv6, say_macvlans};
use crate::channel::Order;
use crate::engine::holdings::Holdings;
use crate::log::Level;
use crate::office::fifo::Fifo;
use crate::office::files::Files;
use crate::office::processes::Tracked;
use crate::plan::Plan;
use keepalived_config::model::Fifo as WantedFifo;
use std::time::Instant;

impl Office {
    /// SIGHUP. A configuration with a mistake changes nothing.
    pub(super) fn reload(&mut self) {
        if self.reloading.is_some() || self.stopped.is_some() {
            return;
        }
        self.log.line(Level::Info, "Reloading");
        (self.options.say)(Say::Reloading);
        let planned = (self.options.reload)().and_then(|(model, remarks)| {
            let plan = Plan::new(&model, self.plan.generation + 1, forwards_ipv6());
            plan.map(|plan| (model, plan, remarks)).map_err(|error| error.to_string())
        });
        match planned {
            Ok((model, plan, remarks)) => {
                remarks.lines().for_each(|line| self.log.line(Level::Warning, line));
                // New macvlans come before their instances, old ones go after theirs.
                let mut wanted = self.plan.macvlans();
                wanted.extend(plan.macvlans());
                wanted.dedup();
                let outcomes = self.macvlans.apply(&mut self.kernel, &wanted);
                say_macvlans(&mut self.log, &plan, outcomes);
                self.orders.send(Order::Reload(Box::new(plan.clone())));
                self.reloading = Some((model, plan));
            }
            Err(report) => self.refuse_reload(&report),
        }
    }

    pub(super) fn refuse_reload(&mut self, report: &str) {
        for line in report.lines() {
            self.log.line(Level::Error, line);
        }
        self.log.line(Level::Error, "Configuration not changed: the new one has errors");
        if let Some(path) = &self.options.model.global.reload_check_log {
            // Where it cannot be written, the log has it.
            let _ = std::fs::write(path, report);
        }
        (self.options.say)(Say::Refused);
    }

    pub(super) fn reloaded(&mut self, result: Result<(), String>) {
        let Some((model, plan)) = self.reloading.take() else { return };
        if let Err(error) = result {
            let wanted = self.plan.macvlans();
            let outcomes = self.macvlans.apply(&mut self.kernel, &wanted);
            say_macvlans(&mut self.log, &plan, outcomes);
            self.refuse_reload(&error);
            return;
        }
        let now = Instant::now();
        let mut fresh = courses(&model, now);
        for course in &mut fresh {
            if let Some(before) = self.courses.iter().find(|one| one.script.name == course.script.name) {
                course.carry_over(before);
                // The run that goes on belongs to the plan before: its end is not counted.
                course.is_running = false;
            }
        }
        self.courses = fresh;
        self.processes = model.track_processes.iter().cloned().map(Tracked::new).collect();
        match Files::watch(&model.track_files) {
            Ok(files) => self.files = files,
            Err(error) => self.log.line(Level::Error, &format!("track_file: {error}")),
        }
        let outcomes = self.macvlans.apply(&mut self.kernel, &plan.macvlans());
        say_macvlans(&mut self.log, &plan, outcomes);
        self.options.model = model;
        self.plan = plan;
        self.queues.retain(|_, queue| !queue.is_idle());
        self.open_fifos();
        self.apply_beside_instances();
        self.configure_witnesses();
        self.tell_all_tracked();
        self.configure_bfd();
        self.configure_snmp();
        if self.options.model.global.fifo_states_on_reload {
            self.wish(Wish::Pipes);
        }
        (self.options.say)(Say::Ready);
    }

    /// What a configuration asks for beside its instances: statics, settings of interfaces, and words on what has no effect.
    pub(super) fn apply_beside_instances(&mut self) {
        for line in crate::plan::without_effect(&self.options.model) {
            self.log.line(Level::Warning, &line);
        }
        if let Err(error) = self.kernel.read_all() {
            self.log.line(Level::Error, &format!("Netlink: {error}"));
        }
        let (mut next, missing) = Holdings::of_statics(&self.kernel.interfaces, &self.options.model);
        for name in missing {
            let line = format!("WARNING - interface {name} for static address or route doesn't exist");
            self.log.line(Level::Warning, &line);
        }
        let gone = self.statics.remove_except(&mut self.kernel, &next);
        let failed = next.add(&mut self.kernel);
        self.statics = next;
        for failure in gone.into_iter().chain(failed) {
            self.log.line(Level::Error, &format!("static {}: {}", failure.what, failure.error));
        }
        let promoted = self.options.model.instances.iter().filter(|one| one.promote_secondaries);
        let promoted: Vec<String> = promoted.filter_map(|one| one.interface.clone()).collect();
        if let Err(error) = self.macvlans.promote_secondaries(&promoted) {
            self.log.line(Level::Error, &format!("promote_secondaries: {error}"));
        }
    }

    /// Pipes of the same path stay open.
    pub(super) fn open_fifos(&mut self) {
        let global = &self.options.model.global;
        let wanted: Vec<WantedFifo> =
            [&global.notify_fifo, &global.vrrp_notify_fifo].into_iter().flatten().cloned().collect();
        let old = std::mem::take(&mut self.fifos);
        let mut opened = Vec::new();
        for fifo in old {
            if wanted.iter().any(|one| one.path == fifo.path()) {
                self.fifos.push(fifo);
            } else {
                fifo.remove();
            }
        }
        for one in &wanted {
            if self.fifos.iter().any(|fifo| fifo.path() == one.path) {
                continue;
            }
            match Fifo::open(&one.path, one.owner.map(|owner| (owner.user, owner.group))) {
                Ok(fifo) => {
                    self.fifos.push(fifo);
                    opened.push(one.clone());
                }
                Err(error) => {
                    let line = format!("Unable to open notify fifo {}: {error}", one.path.display());
                    self.log.line(Level::Error, &line);
                }
            }
        }
        for one in opened {
            let Some(script) = &one.script else { continue };
            let path = one.path.display().to_string();
            if let Err(error) = self.programs.start_tied(Owner::Reader, script, &[&path], Instant::now()) {
                self.log.line(Level::Error, &format!("Error running the script of fifo {path}: {error}"));
            }
        }
    }
}

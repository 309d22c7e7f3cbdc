//! What instances track: scripts, files and processes; each change becomes an order to the engine.

use super::{Office, Owner};
use crate::bfd;
use crate::channel::Order;
use crate::log::Level;
use crate::office::processes;
use crate::office::programs::Ended;
use crate::office::scripts::{Change, Standing};
use std::time::Instant;
use vrrp::Witness;
use vrrp::tracking::Status;

impl Office {
    /// Takeovers of instances with a witness wait for it.
    pub(super) fn configure_witnesses(&mut self) {
        let (held, free, started) = self.witnesses.configure(&self.options.model);
        for (instances, witness) in [(held, Witness::Silent), (free, Witness::None)] {
            if !instances.is_empty() {
                self.orders.send(Order::Witness { instances, witness });
            }
        }
        if let Err(error) = started {
            self.log.line(Level::Error, &format!("witness: {error}"));
        }
        self.read_witnesses();
    }

    pub(super) fn read_witnesses(&mut self) {
        for verdict in self.witnesses.verdicts() {
            let (count, targets, quorum) = (verdict.count, verdict.targets, verdict.quorum);
            let (level, what, witness) = match verdict.asked {
                Some(asked) => (Level::Info, "witness answers", Witness::Answers { asked }),
                None => (Level::Error, "witness is out of reach: nothing is taken over", Witness::Silent),
            };
            if verdict.is_new {
                for instance in &verdict.instances {
                    let line = format!("({instance}) {what} ({count} of {targets} answer, {quorum} must)");
                    self.log.line(level, &line);
                }
            }
            self.orders.send(Order::Witness { instances: verdict.instances, witness });
        }
    }

    /// Sessions of BFD follow the plan; their thread starts with the first of them.
    pub(super) fn configure_bfd(&mut self) {
        if self.bfd.is_none() && !self.plan.bfd.is_empty() {
            let tuning = self.options.model.global.bfd_process.clone();
            let prepare = move || super::become_punctual(&tuning);
            match bfd::Handle::start(self.orders.clone(), self.notices_of_bfd.clone(), prepare) {
                Ok(handle) => self.bfd = Some(handle),
                Err(error) => self.log.line(Level::Error, &format!("BFD thread: {error}")),
            }
        }
        if let Some(bfd) = &self.bfd {
            bfd.configure(&self.plan);
        }
    }

    pub(super) fn script_ended(&mut self, index: usize, how: Ended) {
        let Some(course) = self.courses.get_mut(index) else { return };
        let name = course.script.name.clone();
        // Before its first run a script is taken to have returned 0, as in keepalived.
        let before = course.last.unwrap_or(Ended::Exited(0));
        let change = course.ended(how);
        if let (Ended::Exited(was), Ended::Exited(code)) = (before, how)
            && was != code
        {
            self.log.line(Level::Info, &format!("Script `{name}` now returning {code}"));
        }
        self.script_changed(index, change, how);
    }

    pub(super) fn script_changed(&mut self, index: usize, change: Option<Change>, how: Ended) {
        let Some(change) = change else { return };
        let name = &self.courses[index].script.name;
        let line = match (change.clone(), how) {
            (Change::Good, _) => format!("VRRP_Script({name}) succeeded"),
            (Change::Bad, Ended::TimedOut) => format!("VRRP_Script({name}) timed out"),
            (Change::Bad, Ended::Exited(code)) => {
                format!("VRRP_Script({name}) failed (exited with status {code})")
            }
            (Change::Bad, Ended::Signalled(signal)) => {
                format!("VRRP_Script({name}) failed (due to signal {signal})")
            }
        };
        self.log.line(Level::Info, &line);
        self.tell_script(index);
    }

    pub(super) fn tell_script(&mut self, index: usize) {
        let status = match self.courses[index].standing {
            Standing::Unknown => Status::Unknown,
            Standing::Good => Status::Up,
            Standing::Bad => Status::Down,
        };
        let (generation, tracker) = (self.plan.generation, self.plan.scripts[index]);
        self.orders.send(Order::Track { generation, tracker, status });
    }

    /// Starts the scripts whose time has come.
    pub(super) fn run_due(&mut self, now: Instant) {
        for index in 0..self.courses.len() {
            let course = &mut self.courses[index];
            if course.deadline().is_none_or(|at| at > now) || self.stopped.is_some() {
                continue;
            }
            let script = &course.script;
            let owner = Owner::Script { generation: self.plan.generation, index };
            let timeout = Some(script.timeout).filter(|timeout| !timeout.is_zero()).or(Some(script.interval));
            match self.programs.start(owner, &script.command, &[], timeout, now) {
                Ok(()) => course.started(now),
                Err(error) => {
                    let line = format!("Error running script `{}`: {error}", script.name);
                    let first = course.last.is_none();
                    let change = course.not_started(now);
                    let how = course.last.unwrap_or(Ended::Exited(0));
                    if first || change.is_some() {
                        self.log.line(Level::Error, &line);
                    }
                    self.script_changed(index, change, how);
                }
            }
        }
    }

    pub(super) fn read_files(&mut self) {
        for index in self.files.changes() {
            self.tell_file(index);
        }
    }

    pub(super) fn tell_file(&mut self, index: usize) {
        let status = Status::Value(self.files.value(index));
        let (generation, tracker) = (self.plan.generation, self.plan.files[index]);
        self.orders.send(Order::Track { generation, tracker, status });
    }

    pub(super) fn look_at_processes(&mut self, now: Instant) {
        if self.processes.is_empty() || self.next_look > now {
            return;
        }
        self.next_look = now + processes::INTERVAL;
        let all = processes::list(processes::needs_full(&self.processes));
        for index in 0..self.processes.len() {
            let tracked = &mut self.processes[index];
            let count = all.iter().filter(|one| processes::matches(&tracked.wanted, one)).count();
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            if let Some(good) = tracked.counted(count, now) {
                let quorum = if good { "Quorum gained" } else { "Quorum lost" };
                let line = format!("{quorum} for tracked process {}", tracked.wanted.name);
                self.log.line(Level::Info, &line);
                self.tell_process(index);
            }
        }
    }

    pub(super) fn tell_process(&mut self, index: usize) {
        let status = match self.processes[index].is_good {
            None => Status::Unknown,
            Some(true) => Status::Up,
            Some(false) => Status::Down,
        };
        let (generation, tracker) = (self.plan.generation, self.plan.processes[index]);
        self.orders.send(Order::Track { generation, tracker, status });
    }

    /// Everything that is known, for a new plan.
    pub(super) fn tell_all_tracked(&mut self) {
        for index in 0..self.courses.len() {
            self.tell_script(index);
        }
        for index in 0..self.plan.files.len() {
            self.tell_file(index);
        }
        for index in 0..self.processes.len() {
            self.tell_process(index);
        }
        self.tell_track_groups();
        self.tell_proxies();
    }
}

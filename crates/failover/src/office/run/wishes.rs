//! What was wished of a snapshot of the engine: dumps, answers, states for the pipes, SNMP.

use super::{Office, Wish};
use crate::bfd;
use crate::log::Level;
use crate::office::control::Request;
use crate::office::dumps::{self, Dump};
use crate::office::notify::{self, Subject, Told};
use crate::snapshot::Snapshot;

impl Office {
    /// A snapshot came: for whoever wished for one first.
    pub(super) fn show(&mut self, snapshot: &Snapshot) {
        if self.wishes.is_empty() {
            return;
        }
        match self.wishes.remove(0) {
            Wish::Dump(dump) => self.dump(dump, snapshot),
            Wish::Answer(client, Request::Metrics) => {
                let text = dumps::metrics(&self.options.model, snapshot);
                self.control.answer(client, &text);
            }
            Wish::Answer(client, Request::Status { json }) => {
                let text = if json {
                    dumps::json(&self.options.model, snapshot)
                } else {
                    dumps::status(&self.options.model, snapshot)
                };
                self.control.answer(client, &text);
            }
            Wish::Answer(..) => {}
            Wish::Pipes => self.tell_pipes(snapshot),
            Wish::Managers => self.answer_managers(snapshot),
        }
    }

    /// `fifo_write_vrrp_states_on_reload`: everybody's state, though nothing has changed.
    fn tell_pipes(&mut self, snapshot: &Snapshot) {
        let instances = snapshot
            .instances
            .iter()
            .map(|one| (Subject::Instance(one.name.clone()), one.state, one.priority));
        let groups = snapshot.groups.iter().map(|(name, state)| (Subject::Group(name.clone()), *state, 0));
        for (subject, state, priority) in instances.chain(groups) {
            let what = match state {
                vrrp::State::Master => notify::Happening::Master,
                vrrp::State::Backup => notify::Happening::Backup,
                vrrp::State::Fault => notify::Happening::Fault,
                vrrp::State::Initialize => continue,
            };
            let line = Told { subject, what, priority, mastership: None }.line();
            self.fifos.iter_mut().for_each(|fifo| fifo.line(&line));
        }
    }

    pub(super) fn view<'a>(&'a self, snapshot: &'a Snapshot) -> dumps::View<'a> {
        dumps::View {
            model: &self.options.model,
            snapshot,
            courses: &self.courses,
            files: &self.files,
            processes: &self.processes,
            statics: &self.statics,
            host_name: &self.options.host_name,
        }
    }

    fn dump(&mut self, dump: Dump, snapshot: &Snapshot) {
        let view = self.view(snapshot);
        if dump == Dump::Log {
            let text = dumps::data(&view);
            for line in text.lines() {
                self.log.line(Level::Info, line);
            }
            return;
        }
        let pid = std::process::id();
        let (what, mut result) = dumps::write(dump, &view, &self.options.dump_directory);
        if let (Dump::Data, Some(sessions)) = (dump, self.bfd.as_ref().and_then(bfd::Handle::dump)) {
            result = result.and(dumps::write_bfd(&view, &sessions, &self.options.dump_directory));
        }
        self.log.line(Level::Info, &format!("Printing VRRP {what} for process({pid}) on signal"));
        if let Err((path, error)) = result {
            self.log.line(Level::Error, &format!("Can't open dump file {}: {error}", path.display()));
        }
    }
}

//! What follows from the end of one check: counters, the view of the statistics, the line of `log-health-checks`, and the
//! state of the server.

use crate::state::{CheckView, Running, ServerState};
use crate::worker::Shared;
use checks::{
    AdminCommand, AgentAdmin, AgentReply, Cause, CheckResult, CheckStatus, HealthStep, Outcome, Report,
    RiseFall, Turn, check_notice,
};
use std::sync::atomic::Ordering::Relaxed;

/// Which of a server's two checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Probe {
    Health,
    Agent,
}

impl Probe {
    pub(super) fn view(self, server: &ServerState) -> parking_lot::MutexGuard<'_, CheckView> {
        match self {
            Probe::Health => server.check.lock(),
            Probe::Agent => server.agent.lock(),
        }
    }
}

impl CheckView {
    pub(super) fn counter(&self) -> RiseFall {
        RiseFall::with_health(self.rise, self.fall, self.health)
    }
}

impl Shared {
    /// Applies the end of a check.
    pub(super) fn apply_outcome(&self, server: &ServerState, probe: Probe, outcome: &Outcome) {
        // Maintenance began while the check ran: its result is about another time.
        if probe == Probe::Health && server.admin().is_maintenance() {
            probe.view(server).running = false;
            return;
        }
        if let Some(reply) = &outcome.agent {
            self.obey_agent(server, reply);
        }
        if outcome.status == CheckStatus::L4Timeout && server.settings.resolvers.is_some() {
            self.resolve.hasten(server.id);
        }
        let report = Report {
            status: outcome.status,
            code: outcome.code,
            description: &outcome.description,
            duration: Some(outcome.duration),
        };
        self.apply_report(server, probe, report);
    }

    /// Records a report and lets the server follow its counter.
    pub(super) fn apply_report(&self, server: &ServerState, probe: Probe, report: Report<'_>) {
        let (counter, is_news) = self.record(server, probe, report);
        let tells = self.state.model.proxies[server.id.proxy.index()].options.log_health_checks;
        if tells && is_news {
            let notice = check_notice(self.subject(server), probe == Probe::Agent, report, counter);
            self.log_notice(server.id, &notice);
        }
        let cause = if tells { Cause::Told } else { Cause::Check(report) };
        match report.status.result() {
            CheckResult::Failed if !counter.is_up() && counts(probe, report.status) => {
                self.turn_server(server.id, Turn::Down, cause);
            }
            CheckResult::Passed if self.may_be_up(server) => {
                // An agent's "up" does not end what a 404 began.
                if probe != Probe::Agent || server.running() != Running::Stopping {
                    self.turn_server(server.id, Turn::Up, cause);
                }
            }
            CheckResult::Conditional if self.may_be_up(server) => {
                self.turn_server(server.id, Turn::Stopping, cause);
            }
            CheckResult::Failed
            | CheckResult::Passed
            | CheckResult::Conditional
            | CheckResult::Neutral
            | CheckResult::Unknown => {}
        }
    }

    // Updates the view and the counter; returns whether `log-health-checks` has something to tell.
    fn record(&self, server: &ServerState, probe: Probe, report: Report<'_>) -> (RiseFall, bool) {
        let mut view = probe.view(server);
        let mut counter = view.counter();
        let before = counter.health();
        let result = report.status.result();
        let step = match result {
            CheckResult::Failed if counts(probe, report.status) => {
                if before > 0 {
                    server.failed_checks.fetch_add(1, Relaxed);
                }
                counter.fail()
            }
            CheckResult::Passed | CheckResult::Conditional => counter.succeed(),
            CheckResult::Failed | CheckResult::Neutral | CheckResult::Unknown => HealthStep::Same,
        };
        if matches!(result, CheckResult::Passed | CheckResult::Conditional) {
            server.observed_errors.store(0, Relaxed);
        }
        let told = matches!(result, CheckResult::Passed | CheckResult::Conditional | CheckResult::Failed);
        let is_news = told && (view.status != report.status.word() || step != HealthStep::Same);
        view.running = false;
        view.status = report.status.word();
        view.status_description = report.status.description();
        view.code = report.status.has_code().then_some(u16::try_from(report.code).unwrap_or(0));
        view.duration_ms = report.duration.map(|duration| duration.as_millis() as u64);
        view.description = report.description.to_owned();
        view.health = counter.health();
        (counter, is_news)
    }

    fn obey_agent(&self, server: &ServerState, reply: &AgentReply) {
        if let Some(admin) = reply.admin {
            self.command_server(
                server.id,
                match admin {
                    AgentAdmin::Ready => AdminCommand::Ready,
                    AgentAdmin::Drain => AdminCommand::Drain,
                    AgentAdmin::Maintenance => AdminCommand::Maintenance,
                },
            );
        }
        if let Some(weight) = reply.weight {
            let share = u64::from(server.settings.weight) * u64::from(weight.percent) / 100;
            let weight = share.min(u64::from(balance::MAX_WEIGHT)) as u32;
            // A static algorithm refuses, as it refuses the runtime API: the agent's wish stays a wish.
            let _ = self.state.backend(server.id.proxy).set_weight(server, weight);
        }
        if let Some(maxconn) = reply.maxconn {
            server.maxconn.store(maxconn, Relaxed);
            self.state.backend(server.id.proxy).serve_queues(server);
        }
    }
}

// An agent that cannot be reached says nothing about the server; only its own "down" does.
fn counts(probe: Probe, status: CheckStatus) -> bool {
    probe == Probe::Health || status == CheckStatus::L7Status
}

//! Whether what has been received is as a step expects it: of bytes, of HTTP responses, of agents. Waits where more must come.

use super::{Conversation, Environment, Input};
use crate::agent::AGENT_LINE_MAX;
use crate::binary_reply::Judgement;
use crate::matching::{contains, decode_hex, encode_hex, field_matches};
use crate::report;
use crate::{AgentReply, AgentState, CheckStatus, Expect, Match, RecipeKind, Step};
use std::sync::Arc;
use std::time::Instant;

/// Where an agent's reply stands among the steps of its check, counted from 1.
const AGENT_REPLY_STEP: u32 = 2;

impl Conversation {
    /// Decides the `expect` at `step`, or leaves the phase as it is to wait for more.
    pub(super) fn expect(&mut self, now: Instant, environment: &mut dyn Environment) {
        let recipe = Arc::clone(&self.recipe);
        let Some(Step::Expect(expect)) = recipe.steps.get(self.step) else { return };
        match &expect.test {
            Match::AgentReply => self.expect_agent(now),
            Match::String(_)
            | Match::StringFormat(_)
            | Match::Regex(_)
            | Match::Binary(_)
            | Match::BinaryFormat(_)
            | Match::BinaryRegex(_)
            | Match::Status(_)
            | Match::StatusRegex(_)
            | Match::Field(_)
            | Match::Reply(_)
            | Match::FullField(_) => match &self.input {
                Input::Bytes(_) => self.expect_bytes(now, expect, environment),
                Input::Http(_) => self.expect_response(now, expect, environment),
            },
        }
    }

    fn expect_bytes(&mut self, now: Instant, expect: &Expect, environment: &mut dyn Environment) {
        let Input::Bytes(received) = &self.input else { return };
        let number = report::number(&self.recipe, self.step);
        if received.is_empty() && self.eof {
            let comment = report::quoted_comment(&self.recipe, self.step);
            let text = format!("TCPCHK got an empty response at step {number}{comment}");
            let status = expect.error_status.unwrap_or(CheckStatus::L7Response);
            return self.conclude(now, status, 0, text);
        }
        if let Match::Reply(reply) = &expect.test {
            return match reply.judge(received, self.eof) {
                Judgement::Wait => {}
                Judgement::Good => self.next_step(),
                Judgement::Bad { status, code, text } => self.conclude(now, status, code, text),
            };
        }
        let needed = match &expect.test {
            Match::String(bytes) | Match::Binary(bytes) if expect.min_receive != Some(0) => bytes.len(),
            _ => 0,
        };
        let least = needed.max(expect.min_receive.unwrap_or(0) as usize).max(1);
        if !self.eof && received.len() < least {
            return;
        }
        let seen = self.input.seen(self.eof);
        let matched = match &expect.test {
            Match::String(bytes) | Match::Binary(bytes) => Some(contains(received, bytes)),
            Match::Regex(pattern) => Some(pattern.is_match(received)),
            Match::BinaryRegex(pattern) => Some(pattern.is_match(encode_hex(received).as_bytes())),
            Match::StringFormat(format) => {
                environment.render(format, seen).map(|bytes| contains(received, &bytes))
            }
            Match::BinaryFormat(format) => environment
                .render(format, seen)
                .and_then(|text| decode_hex(&text))
                .map(|bytes| contains(received, &bytes)),
            Match::Status(_)
            | Match::StatusRegex(_)
            | Match::Field(_)
            | Match::FullField(_)
            | Match::Reply(_)
            | Match::AgentReply => Some(false),
        };
        let Some(matched) = matched else {
            let status = expect.error_status.unwrap_or(CheckStatus::L7Response);
            return self.conclude(now, status, 0, "invalid log-format string".to_owned());
        };
        if !matched && !self.eof && expect.min_receive.is_none() {
            return;
        }
        if matched != expect.negated {
            return self.next_step();
        }
        let text = match self.recipe.kind {
            RecipeKind::Protocol => String::new(),
            RecipeKind::Tcp | RecipeKind::Http | RecipeKind::Agent => {
                report::tcp_mismatch(expect, number, report::comment(&self.recipe, self.step))
            }
        };
        self.mismatch(now, expect, CheckStatus::L7Response, text, environment);
    }

    fn expect_response(&mut self, now: Instant, expect: &Expect, environment: &mut dyn Environment) {
        let Input::Http(response) = &self.input else { return };
        if response.is_malformed() || (self.eof && !response.has_head()) {
            return self.conclude(now, CheckStatus::L7Response, 0, String::new());
        }
        if !response.has_head() {
            return;
        }
        let whole = response.is_complete() || self.eof;
        let (head, body) = (response.head(), &response.body);
        if self.settings.disable_on_404 && head.status() == 404 {
            return self.conclude(now, CheckStatus::L7OkConditional, 404, String::new());
        }
        let seen = self.input.seen(self.eof);
        let looks_at_body = matches!(
            expect.test,
            Match::String(_) | Match::StringFormat(_) | Match::Regex(_) | Match::Binary(_)
        );
        if looks_at_body && body.is_empty() {
            if whole {
                let text = "HTTP content check could not find a response body";
                let text = report::with_comment(text, report::comment(&self.recipe, self.step));
                self.mismatch(now, expect, CheckStatus::L7Response, text, environment);
            }
            return;
        }
        let matched = match &expect.test {
            Match::Status(set) => set.contains(head.status()),
            Match::StatusRegex(pattern) => pattern.is_match(head.status().to_string().as_bytes()),
            Match::Field(pattern) => field_matches(head, pattern, true, seen, environment),
            Match::FullField(pattern) => field_matches(head, pattern, false, seen, environment),
            Match::String(bytes) | Match::Binary(bytes) => contains(body, bytes),
            Match::Regex(pattern) => pattern.is_match(body),
            Match::StringFormat(format) => {
                environment.render(format, seen).is_some_and(|bytes| contains(body, &bytes))
            }
            Match::BinaryFormat(_) | Match::BinaryRegex(_) | Match::Reply(_) | Match::AgentReply => false,
        };
        if looks_at_body && !matched && !whole {
            return;
        }
        if matched != expect.negated {
            return self.next_step();
        }
        let (status, text) = if looks_at_body {
            let text = if expect.negated {
                "HTTP check matched unwanted content"
            } else {
                "HTTP content check did not match"
            };
            (CheckStatus::L7Response, text.to_owned())
        } else {
            (CheckStatus::L7Status, String::from_utf8_lossy(head.reason()).into_owned())
        };
        let text = report::with_comment(&text, report::comment(&self.recipe, self.step));
        self.mismatch(now, expect, status, text, environment);
    }

    fn mismatch(
        &mut self,
        now: Instant,
        expect: &Expect,
        default_status: CheckStatus,
        text: String,
        environment: &mut dyn Environment,
    ) {
        let status = expect.error_status.unwrap_or(default_status);
        let code = self.code_of(expect, environment);
        let text = expect
            .on_error
            .as_ref()
            .and_then(|format| self.render(format, environment))
            .map_or(text, |bytes| String::from_utf8_lossy(&bytes).into_owned());
        self.conclude(now, status, code, text);
    }

    pub(super) fn code_of(&self, expect: &Expect, environment: &mut dyn Environment) -> i64 {
        let seen = self.input.seen(self.eof);
        expect
            .status_code
            .as_ref()
            .and_then(|expr| environment.number(expr, seen))
            .or_else(|| seen.response.map(|head| i64::from(head.status())))
            .unwrap_or(0)
    }

    fn expect_agent(&mut self, now: Instant) {
        let Input::Bytes(received) = &self.input else { return };
        let Some(end) = received.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            if received.is_empty() && self.eof {
                let text = format!("TCPCHK got an empty response at step {AGENT_REPLY_STEP}");
                self.conclude(now, CheckStatus::L7Response, 0, text);
            } else if self.eof || received.len() > AGENT_LINE_MAX {
                let text = "Ignoring incomplete line from agent".to_owned();
                self.conclude(now, CheckStatus::L7Timeout, 0, text);
            }
            return;
        };
        let reply = AgentReply::parse(&received[..end]);
        let status = match reply.state {
            Some(AgentState::Up) => CheckStatus::L7Ok,
            Some(AgentState::Down) => CheckStatus::L7Status,
            None => CheckStatus::Checked,
        };
        let description = reply.description.clone();
        self.conclude(now, status, 0, description);
        if let Some(outcome) = &mut self.outcome {
            outcome.agent = Some(reply);
        }
    }
}

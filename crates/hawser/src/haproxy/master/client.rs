//! One client of the master's socket: lines in, answers out, commands with a prefix relayed to a worker.
//!
//! Commands run one after the other; while a worker answers, the next one waits. Nothing blocks.

use super::super::control;
use super::api::{self, Facts, Outcome};
use super::socket::Level;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// Ends a line behind which lines of a payload follow, up to an empty one.
const PAYLOAD_MARK: &[u8] = b"<<";

/// Unread commands of a client, in bytes.
const INPUT_LENGTH_MAX: usize = 64 * 1024;
/// Answers that a client has not taken yet; a worker's answer pauses above it.
const OUTPUT_LENGTH_MAX: usize = 1024 * 1024;
const READ_LENGTH: usize = 16 * 1024;

/// Whom commands without a prefix go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Master,
    Worker(u32),
}

#[derive(Debug)]
pub struct Client {
    stream: OwnedFd,
    level: Level,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The client sends no more.
    input_ended: bool,
    closing: bool,
    broken: bool,
    prompt: bool,
    target: Target,
    /// A worker that is answering.
    relay: Option<UnixStream>,
}

impl Client {
    pub fn new(stream: OwnedFd, level: Level) -> Client {
        Client {
            stream,
            level,
            input: Vec::new(),
            output: Vec::new(),
            input_ended: false,
            closing: false,
            broken: false,
            prompt: false,
            target: Target::Master,
            relay: None,
        }
    }

    /// What to wait for: room, a worker's answer, or commands.
    pub fn interest(&self) -> PollFd<'_> {
        if !self.output.is_empty() {
            return PollFd::new(&self.stream, PollFlags::OUT);
        }
        match &self.relay {
            Some(worker) => PollFd::new(worker, PollFlags::IN),
            None => PollFd::new(&self.stream, PollFlags::IN),
        }
    }

    pub fn is_over(&self) -> bool {
        self.broken || (self.closing && self.output.is_empty() && self.relay.is_none())
    }

    /// Does what can be done now. `true`: the client asked for a reload.
    pub fn progress(&mut self, facts: &Facts<'_>) -> bool {
        if self.relay.is_some() {
            self.read_worker();
        } else if self.output.is_empty() {
            self.read_client();
        }
        let mut reload = false;
        while self.relay.is_none() && !self.closing && self.output.len() < OUTPUT_LENGTH_MAX {
            let Some(line) = self.next_command() else { break };
            reload |= self.run(line.trim(), facts);
        }
        if self.relay.is_none() && self.input_ended && self.next_command_end().is_none() {
            self.closing = true;
        }
        self.flush();
        reload
    }

    fn read_client(&mut self) {
        let mut buffer = [0; READ_LENGTH];
        match rustix::io::read(&self.stream, &mut buffer) {
            Ok(0) => {
                self.input_ended = true;
                // A last command may lack its newline.
                if !self.input.is_empty() {
                    self.input.push(b'\n');
                }
            }
            Ok(length) => {
                self.input.extend_from_slice(&buffer[..length]);
                self.broken |= self.input.len() > INPUT_LENGTH_MAX;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.broken = true,
        }
    }

    fn read_worker(&mut self) {
        if self.output.len() >= OUTPUT_LENGTH_MAX {
            return;
        }
        let Some(worker) = &self.relay else { return };
        let mut buffer = [0; READ_LENGTH];
        match rustix::io::read(worker, &mut buffer) {
            Ok(0) | Err(Errno::CONNRESET) => {
                self.relay = None;
                self.prompt_again();
            }
            Ok(length) => self.output.extend_from_slice(&buffer[..length]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.relay = None,
        }
    }

    fn flush(&mut self) {
        match rustix::net::send(&self.stream, &self.output, rustix::net::SendFlags::NOSIGNAL) {
            Ok(length) => drop(self.output.drain(..length)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // A terminal or pipe given by `fd@` is no socket.
            Err(_) => self.broken = true,
        }
    }

    /// Where the next command ends: at a `;` or a newline; behind a line that ends with `<<` at the next empty line.
    fn next_command_end(&self) -> Option<usize> {
        let end = self.input.iter().position(|byte| matches!(byte, b'\n' | b';'))?;
        let announces =
            self.input[end] == b'\n' && self.input[..end].trim_ascii_end().ends_with(PAYLOAD_MARK);
        if !announces {
            return Some(end);
        }
        let payload = &self.input[end..];
        match payload.windows(2).position(|pair| pair == b"\n\n") {
            Some(at) => Some(end + at + 1),
            // No more will come: what is here is all of it.
            None if self.input_ended => Some(self.input.len() - 1),
            None => None,
        }
    }

    fn next_command(&mut self) -> Option<String> {
        let end = self.next_command_end()?;
        let line: Vec<u8> = self.input.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    fn run(&mut self, line: &str, facts: &Facts<'_>) -> bool {
        let (prefix, rest) = match line.strip_prefix('@') {
            Some(_) => line.split_once(char::is_whitespace).unwrap_or((line, "")),
            None => ("", line),
        };
        let target = if prefix.is_empty() { Some(self.target) } else { resolve(prefix, facts) };
        let Some(target) = target else {
            self.say(&format!("Can't find the target PID matching the prefix '{prefix}'\n"));
            self.closing = !self.prompt;
            self.prompt_again();
            return false;
        };
        let command = rest.trim();
        if command.is_empty() && !prefix.is_empty() {
            // A prefix alone redirects what follows.
            self.target = target;
            self.prompt_again();
            return false;
        }
        match target {
            Target::Worker(pid) if !matches!(command, "prompt" | "quit") => {
                self.relay_to(pid, command, facts);
                false
            }
            Target::Worker(_) | Target::Master => self.answer(command, facts),
        }
    }

    fn answer(&mut self, command: &str, facts: &Facts<'_>) -> bool {
        match api::run(command, facts, self.level) {
            Outcome::Answer(text) => self.say(&format!("{text}\n")),
            Outcome::Reload => {
                self.closing = true;
                return true;
            }
            Outcome::TogglePrompt => self.prompt = !self.prompt,
            Outcome::Lower(level) => self.level = self.level.min(level),
            Outcome::Quit => self.closing = true,
        }
        // Also after `quit`, as HAProxy.
        self.prompt_again();
        false
    }

    /// Sends one command to a worker; its end of stream ends the answer.
    fn relay_to(&mut self, pid: u32, command: &str, facts: &Facts<'_>) {
        let lowering = match self.level {
            Level::User => "user;",
            Level::Operator => "operator;",
            Level::Admin => "",
        };
        let connect = || {
            let worker = facts.workers.by_pid(pid)?;
            let mut stream = control::connect_runtime_api(worker.channel()).ok()?;
            // A payload ends with an empty line.
            let end = if command.contains('\n') { "\n\n" } else { "\n" };
            stream.write_all(format!("{lowering}{command}{end}").as_bytes()).ok()?;
            stream.shutdown(std::net::Shutdown::Write).ok()?;
            stream.set_nonblocking(true).ok()?;
            Some(stream)
        };
        match connect() {
            Some(stream) => self.relay = Some(stream),
            None => {
                self.say(&format!("Can't find the target PID matching the prefix '@!{pid}'\n"));
                self.target = Target::Master;
                self.prompt_again();
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
    }

    fn prompt_again(&mut self) {
        if self.prompt {
            let prompt = match self.target {
                Target::Master => "master> ".to_owned(),
                Target::Worker(pid) => format!("{pid}> "),
            };
            self.say(&prompt);
        }
    }
}

/// `@`, `@master`, `@0`: the master; `@N`: the N-th worker; `@!PID`.
fn resolve(prefix: &str, facts: &Facts<'_>) -> Option<Target> {
    let name = &prefix[1..];
    if let Some(pid) = name.strip_prefix('!') {
        let pid = pid.parse().ok()?;
        if pid == std::process::id() {
            return Some(Target::Master);
        }
        return facts.workers.by_pid(pid).map(|worker| Target::Worker(worker.pid()));
    }
    match name {
        "" | "master" | "0" => Some(Target::Master),
        // There is one worker at a time; its relative number is 1.
        "1" => facts.workers.current().map(|worker| Target::Worker(worker.pid())),
        _ => None,
    }
}

//! The cases of h2spec, by its numbers (generic, RFC 7540 and RFC 7541; RFC 9113 keeps their sense), and more that RFC 9113
//! and RFC 8441 bring: frames right and wrong, and what must come of them. haproxy is no oracle here but stands beside.
//!
//! `cargo nextest run -p differential http2_spec --no-capture` prints a row for each.

mod frames;
mod generic;
mod hpack;
mod messages;

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use differential::http2::{
    Came, DATA, END_STREAM, Frame, FrameClient, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, frame,
};
use differential::{Backend, Instance, Program};

use crate::support::{get, web};

/// What a case does, in turn.
enum Step {
    Send(Vec<u8>),
    /// Until the response on a stream is whole.
    Answered(u32),
    /// The next DATA on a stream has this many bytes.
    Data(u32, usize),
    /// Reads this long, so that what was sent is looked at before the rest comes.
    Pause(u64),
}

/// What must come of it.
#[derive(Clone, Copy)]
enum Want {
    /// The connection ends, with one of these codes where it says why.
    Connection(&'static [u32]),
    /// The stream or the connection ends, with one of these codes where it says why.
    Stream(&'static [u32]),
    /// Stream 1 is answered with 200.
    Served,
    /// Nothing: the connection goes on.
    Ignored,
    /// Nothing is wrong: the connection goes on, or closes since nobody needs it any more.
    Farewell,
    /// A frame of that type and these flags comes.
    Frame(u8, u8),
    /// The connection is closed, whatever it says.
    Closed,
}

struct Case {
    name: &'static str,
    /// Without the preface when false: the first step sends it, or something else.
    greets: bool,
    steps: Vec<Step>,
    want: Want,
}

/// A case that sends bytes once.
fn case(name: &'static str, bytes: Vec<u8>, want: Want) -> Case {
    steps(name, vec![Step::Send(bytes)], want)
}

fn steps(name: &'static str, steps: Vec<Step>, want: Want) -> Case {
    Case { name, greets: true, steps, want }
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Goaway(u32),
    Reset(u32),
    Answer(Option<u16>),
    Came(u8, u8),
    Closed,
    /// The connection goes on, and nothing was said.
    Alive,
    /// A step waited in vain.
    Stuck,
    Silent,
}

impl Display for Outcome {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let code = |code: &u32| {
            const NAMES: [&str; 14] = [
                "NO_ERROR",
                "PROTOCOL_ERROR",
                "INTERNAL_ERROR",
                "FLOW_CONTROL_ERROR",
                "SETTINGS_TIMEOUT",
                "STREAM_CLOSED",
                "FRAME_SIZE_ERROR",
                "REFUSED_STREAM",
                "CANCEL",
                "COMPRESSION_ERROR",
                "CONNECT_ERROR",
                "ENHANCE_YOUR_CALM",
                "INADEQUATE_SECURITY",
                "HTTP_1_1_REQUIRED",
            ];
            NAMES.get(*code as usize).copied().unwrap_or("unknown")
        };
        let text = match self {
            Outcome::Goaway(number) => format!("GOAWAY {}", code(number)),
            Outcome::Reset(number) => format!("RST_STREAM {}", code(number)),
            Outcome::Answer(Some(status)) => format!("{status}"),
            Outcome::Answer(None) => "a response without status".to_owned(),
            Outcome::Came(kind, flags) => format!("frame {kind} with flags {flags}"),
            Outcome::Closed => "closed".to_owned(),
            Outcome::Alive => "goes on".to_owned(),
            Outcome::Stuck => "waits in vain".to_owned(),
            Outcome::Silent => "silence".to_owned(),
        };
        formatter.pad(&text)
    }
}

impl Want {
    fn is_met_by(self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Want::Connection(codes), Outcome::Goaway(code)) => codes.contains(code),
            (Want::Stream(codes), Outcome::Goaway(code) | Outcome::Reset(code)) => codes.contains(code),
            // A connection that ends without a word refused whatever came.
            (Want::Connection(_) | Want::Stream(_), Outcome::Closed) => true,
            // A malformed request may be answered instead (RFC 9113 §8.1.1).
            (Want::Stream(_), Outcome::Answer(Some(status))) => (400..500).contains(status),
            (Want::Served, Outcome::Answer(status)) => *status == Some(200),
            (Want::Ignored, Outcome::Alive) => true,
            (Want::Farewell, Outcome::Alive | Outcome::Closed) => true,
            (Want::Frame(kind, flags), Outcome::Came(found, with)) => kind == *found && flags == *with,
            (Want::Closed, Outcome::Goaway(_) | Outcome::Closed) => true,
            _ => false,
        }
    }
}

/// The payload of the PING that tells that a connection goes on.
const PROBE: &[u8] = b"h2 alive";

/// How long one answer is waited for.
const WAIT: Duration = Duration::from_secs(3);

/// How long what must be ignored may still be complained of after the PING came back.
const AFTERMATH: Duration = Duration::from_millis(100);

fn run(port: u16, case: &Case) -> Outcome {
    let mut client = if case.greets { FrameClient::connect(port) } else { FrameClient::silent(port) };
    for step in &case.steps {
        match step {
            // A peer that has closed meanwhile is heard below.
            Step::Send(bytes) => _ = client.send(bytes),
            Step::Answered(stream) => {
                let is_last = |frame: &Frame| {
                    frame.stream == *stream
                        && matches!(frame.kind, HEADERS | DATA)
                        && frame.flags & END_STREAM != 0
                };
                if !wait(&mut client, WAIT, is_last) {
                    return Outcome::Stuck;
                }
            }
            Step::Data(stream, length) => {
                let mut right = false;
                let found = wait(&mut client, WAIT, |frame| {
                    let is_it = frame.kind == DATA && frame.stream == *stream;
                    right = is_it && frame.payload.len() == *length;
                    is_it
                });
                if !found || !right {
                    return Outcome::Stuck;
                }
            }
            Step::Pause(time) => _ = wait(&mut client, Duration::from_millis(*time), |_| false),
        }
    }
    if matches!(case.want, Want::Ignored | Want::Farewell) {
        client.send(&frame(PING, 0, 0, PROBE));
    }
    judge(&mut client, case.want)
}

/// The first thing that decides the case.
fn judge(client: &mut FrameClient, want: Want) -> Outcome {
    let mut end = Instant::now() + WAIT;
    let mut alive = false;
    loop {
        let found = match client.next(end.saturating_duration_since(Instant::now())) {
            Came::Frame(found) => found,
            Came::End => return Outcome::Closed,
            Came::Nothing if alive => return Outcome::Alive,
            Came::Nothing => return Outcome::Silent,
        };
        match (found.kind, found.error_code()) {
            (GOAWAY, Some(0)) if !matches!(want, Want::Closed) => {}
            (GOAWAY, Some(code)) => return Outcome::Goaway(code),
            (RST_STREAM, Some(code)) => return Outcome::Reset(code),
            (PING, _) if found.payload == PROBE => {
                alive = true;
                end = end.min(Instant::now() + AFTERMATH);
            }
            (kind, _) if matches!(want, Want::Frame(wanted, flags) if kind == wanted && found.flags == flags) =>
            {
                return Outcome::Came(kind, found.flags);
            }
            (HEADERS, _)
                if !matches!(
                    want,
                    Want::Ignored | Want::Farewell | Want::Frame(..) | Want::Connection(_)
                ) =>
            {
                let status = found.status();
                if status.is_none_or(|status| status >= 200) {
                    return Outcome::Answer(status);
                }
            }
            _ => {}
        }
    }
}

fn wait(client: &mut FrameClient, within: Duration, mut wanted: impl FnMut(&Frame) -> bool) -> bool {
    let end = Instant::now() + within;
    loop {
        match client.next(end.saturating_duration_since(Instant::now())) {
            Came::Frame(found) if wanted(&found) => return true,
            Came::Frame(_) => {}
            Came::End | Came::Nothing => return false,
        }
    }
}

fn start(program: Program) -> (Backend, Instance) {
    let backend = Backend::named("s1");
    let proxy = web(program, "", &backend);
    (backend, proxy)
}

#[test]
fn every_case_ends_as_the_rfc_says() {
    let (_theirs, haproxy) = start(Program::Haproxy);
    let (_ours, hawser) = start(Program::Hawser);
    let cases: Vec<Case> = [generic::cases(), frames::cases(), messages::cases(), hpack::cases()]
        .into_iter()
        .flatten()
        .collect();
    let mut otherwise = Vec::new();
    println!("{:58} {:30} haproxy 2.6", "case", "hawser");
    for case in &cases {
        let (own, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| run(haproxy.port("web"), case));
            (run(hawser.port("web"), case), other.join().expect("no panic"))
        });
        let mark = |outcome: &Outcome| if case.want.is_met_by(outcome) { ' ' } else { '!' };
        println!("{:58}{}{own:30}{}{other}", case.name, mark(&own), mark(&other));
        if !case.want.is_met_by(&own) {
            otherwise.push((case.name, own.to_string()));
        }
    }
    println!("{} cases, {} otherwise", cases.len(), otherwise.len());
    // Whatever one client does, others are served.
    assert_eq!(hawser.client("web").ask(get("/", &[])).status, 200);
    assert!(otherwise.is_empty(), "{otherwise:#?}");
}

/// The preface and SETTINGS, for cases that send them themselves.
fn greeting() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

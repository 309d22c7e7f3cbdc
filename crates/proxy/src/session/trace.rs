//! `filter trace`: what a stream goes through, on standard error, in the words of HAProxy's filter (manual, 9.1). Of its
//! moments there are those that exist here: streams, backends, heads, bodies; it has no analysers to tell of.

use super::client::Client;
use super::transaction::Transaction;
use haproxy_config::model::{Filter, Mode, Proxy};
use http::Head;
use rules::Direction;
use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::io::Write as _;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes in a line of a dump.
const DUMPED: usize = 16;

/// One filter of a stream.
#[derive(Debug)]
struct Traced {
    /// Its name and its proxy's.
    place: String,
    hexdump: bool,
    of_backend: bool,
}

/// The trace filters of one stream.
#[derive(Debug)]
pub struct Tracer {
    id: u64,
    thread: usize,
    mode: &'static str,
    filters: RefCell<Vec<Traced>>,
    has_backend: Cell<bool>,
}

fn traced(proxy: &Proxy, of_backend: bool) -> impl Iterator<Item = Traced> {
    proxy.filters.iter().filter_map(move |filter| match filter {
        Filter::Trace(trace) if !trace.quiet => Some(Traced {
            place: format!("{}/{}", trace.name, proxy.name),
            hexdump: trace.hexdump,
            of_backend,
        }),
        _ => None,
    })
}

/// A stream has come to its frontend.
pub fn begin(client: &Client, transaction: &mut Transaction) {
    let front = client.worker.plan().settings(client.frontend);
    if !front.filters.is_empty() {
        attach(client, transaction, front, false);
    }
}

/// A stream goes to a backend.
pub fn set_backend(client: &Client, transaction: &mut Transaction, back: &Proxy) {
    if back.id != client.frontend && !back.filters.is_empty() {
        attach(client, transaction, back, true);
    }
    if let Some(tracer) = &transaction.tracer {
        tracer.has_backend.set(true);
        tracer.say("trace_stream_set_backend", &format!("backend={}", back.name));
    }
}

fn attach(client: &Client, transaction: &mut Transaction, proxy: &Proxy, of_backend: bool) {
    let new: Vec<Traced> = traced(proxy, of_backend).collect();
    if new.is_empty() {
        return;
    }
    let tracer = transaction.tracer.get_or_insert_with(|| {
        Rc::new(Tracer {
            id: transaction.facts.id,
            thread: client.worker.index,
            mode: if proxy.mode == Mode::Http { "HTTP" } else { "TCP" },
            filters: RefCell::default(),
            has_backend: Cell::new(false),
        })
    });
    let side = if of_backend { "backend" } else { "frontend" };
    let mut text = String::new();
    for filter in &new {
        tracer.line(&mut text, filter, "trace_attach", &format!("filter-type={side}"));
        if !of_backend {
            tracer.line(&mut text, filter, "trace_stream_start", "");
        }
    }
    print(&text);
    tracer.filters.borrow_mut().extend(new);
}

/// A head goes on.
pub fn head(transaction: &Transaction, head: &Head, direction: Direction) {
    let Some(tracer) = &transaction.tracer else { return };
    let mut first = tracer.channel(direction);
    first.push('\t');
    let lossy = String::from_utf8_lossy;
    let version = lossy(head.version().as_bytes());
    match direction {
        Direction::Request => {
            let _ = write!(first, "{} {} {version}", lossy(head.method()), lossy(head.uri()));
        }
        Direction::Response => {
            let _ = write!(first, "{version} {} {}", head.status(), lossy(head.reason()));
        }
    }
    let mut text = String::new();
    for filter in &*tracer.filters.borrow() {
        tracer.line(&mut text, filter, "trace_http_headers", &first);
        for (name, value) in head.fields() {
            tracer.prefix(&mut text, filter);
            let _ = writeln!(text, "\t{}: {}", lossy(name).to_ascii_lowercase(), lossy(value));
        }
    }
    print(&text);
}

impl Tracer {
    fn channel(&self, direction: Direction) -> String {
        let channel = match direction {
            Direction::Request => "REQUEST",
            Direction::Response => "RESPONSE",
        };
        let side = if self.has_backend.get() { "backend" } else { "frontend" };
        format!("channel={channel:<10} - mode={:<5} ({side})", self.mode)
    }

    /// A line of every filter.
    fn say(&self, function: &str, rest: &str) {
        let mut text = String::new();
        for filter in &*self.filters.borrow() {
            self.line(&mut text, filter, function, rest);
        }
        print(&text);
    }

    fn line(&self, text: &mut String, filter: &Traced, function: &str, rest: &str) {
        self.prefix(text, filter);
        let _ = match rest {
            "" => writeln!(text, "{function:<25}"),
            rest => writeln!(text, "{function:<25}: {rest}"),
        };
    }

    fn prefix(&self, text: &mut String, filter: &Traced) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, micros) = (now.as_secs(), now.subsec_micros());
        let _ = write!(
            text,
            "{seconds}.{micros:06} [{:<20}] [strm {:#x}({})] ",
            filter.place, self.id, self.thread
        );
    }

    /// A piece of a body goes on.
    fn payload(&self, direction: Direction, offset: u64, bytes: &[u8]) {
        let function = if self.mode == "HTTP" { "trace_http_payload" } else { "trace_tcp_payload" };
        let length = bytes.len();
        let rest = format!("{} - offset={offset} - len={length} - forward={length}", self.channel(direction));
        let mut text = String::new();
        for filter in &*self.filters.borrow() {
            self.line(&mut text, filter, function, &rest);
            if filter.hexdump {
                dump(&mut text, bytes);
            }
        }
        print(&text);
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let filters = self.filters.take();
        let mut text = String::new();
        for filter in filters.iter().filter(|filter| filter.of_backend) {
            self.line(&mut text, filter, "trace_detach", "filter-type=backend");
        }
        for filter in filters.iter().filter(|filter| !filter.of_backend) {
            self.line(&mut text, filter, "trace_stream_stop", "");
            self.line(&mut text, filter, "trace_detach", "filter-type=frontend");
        }
        print(&text);
    }
}

fn print(text: &str) {
    // Where nobody listens there is nobody to tell.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn dump(text: &mut String, bytes: &[u8]) {
    for (index, line) in bytes.chunks(DUMPED).enumerate() {
        let _ = write!(text, "\t0x{:06x}: ", index * DUMPED);
        for place in 0..DUMPED {
            let gap = if place == DUMPED / 2 { "  " } else { "" };
            let _ = match line.get(place) {
                Some(byte) => write!(text, "{gap}{byte:02x} "),
                None => write!(text, "{gap}   "),
            };
        }
        let shown = line.iter().map(|byte| if matches!(byte, 0x20..=0x7e) { char::from(*byte) } else { '.' });
        let _ = writeln!(text, "  |{}|", shown.collect::<String>());
    }
}

/// One direction of a stream's bytes, as they pass.
#[derive(Debug)]
pub struct TracedBody {
    tracer: Rc<Tracer>,
    direction: Direction,
    passed: u64,
}

impl TracedBody {
    pub fn new(tracer: &Rc<Tracer>, direction: Direction) -> TracedBody {
        TracedBody { tracer: Rc::clone(tracer), direction, passed: 0 }
    }

    pub fn take(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.tracer.payload(self.direction, self.passed, bytes);
            self.passed += bytes.len() as u64;
        }
    }

    /// The body is whole.
    pub fn end(self) {
        if self.tracer.mode == "HTTP" {
            self.tracer.say("trace_http_end", &self.tracer.channel(self.direction));
        }
    }
}

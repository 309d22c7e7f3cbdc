//! `hawser dashboard`: one page about everything, and one `/metrics`. A process of its own with no rights: it asks the strands
//! over their sockets, and what it may not see there it cannot show.
//!
//! ```text
//!  runtime API ─┐
//!  vrrp.sock ───┼─ every 2 s ─► Board: sample, history, events ─► /api/status ─► page
//!  director     ┘                                                 /metrics: asked anew for each scrape
//! ```

mod access;
pub mod arguments;
mod board;
mod metrics;
mod server;
mod sources;
mod statistics;

use access::{Access, Right};
use arguments::Arguments;
use board::{Answers, Board};
use serde_json::Value;
use server::{Request, Response};
use std::cell::RefCell;
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use sys::signals::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// How often the strands are asked.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(2);
/// Somebody who guesses waits for each answer.
const REFUSAL_PAUSE: Duration = Duration::from_millis(300);

const PAGE: &str = include_str!("page.html");

struct Dashboard {
    arguments: Arguments,
    access: Access,
    board: RefCell<Board>,
    node: String,
}

/// Serves until told to stop.
pub fn run(words: &[OsString]) -> ExitCode {
    let arguments = match arguments::parse(words) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(reason) => {
            eprintln!("hawser dashboard: {reason}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("hawser dashboard: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments) -> Result<(), String> {
    // A supervisor blocks them for itself, and what it starts begins so.
    sys::signals::unblock(&[Signal::TERM, Signal::INT]).map_err(|error| format!("signals: {error}"))?;
    let (access, token) = Access::open(&arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let address = arguments.listen;
    let dashboard = Rc::new(Dashboard { arguments, access, board: RefCell::default(), node });
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.map_err(|error| format!("cannot bind {address}: {error}"))?;
        let address = listener.local_addr().unwrap_or(address);
        eprintln!("hawser dashboard: http://{address}/");
        if let Some(token) = token {
            eprintln!("hawser dashboard: any user, password {token}");
        }
        if let Err(error) = crate::run::confine::dashboard() {
            eprintln!("hawser dashboard: not confined as it should be: {error}");
        }
        crate::haproxy::notify::ready();
        tokio::task::spawn_local(sample_forever(Rc::clone(&dashboard)));
        tokio::task::spawn_local(server::serve(listener, move |request| {
            answer(Rc::clone(&dashboard), request)
        }));
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

async fn sample_forever(dashboard: Rc<Dashboard>) {
    let mut interval = tokio::time::interval(SAMPLE_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let arguments = &dashboard.arguments;
        let (stat, info, vrrp, director) = tokio::join!(
            sources::proxy(arguments, "show stat"),
            sources::proxy(arguments, "show info"),
            sources::ask(&arguments.vrrp, "status json"),
            sources::ask(&arguments.director, "status"),
        );
        let answers = Answers { stat: stat.ok(), info: info.ok(), vrrp: vrrp.ok(), director: director.ok() };
        dashboard.board.borrow_mut().take(&answers, now());
    }
}

async fn answer(dashboard: Rc<Dashboard>, request: Request) -> Response {
    let plain = |status, text: &str| Response::new(status, "text/plain; charset=utf-8", text);
    let access = &dashboard.access;
    if !access.is_ours(request.head.get(b"host")) {
        return plain(421, "this is not a name of this server: see --host\n");
    }
    let right = access.right(request.head.get(b"authorization"));
    if right == Right::Nothing {
        tokio::time::sleep(REFUSAL_PAUSE).await;
        let mut response = plain(401, "who are you?\n");
        response.fields = "WWW-Authenticate: Basic realm=\"hawser\", charset=\"UTF-8\"\r\n".to_owned();
        return response;
    }
    match (request.head.method(), request.path()) {
        (b"GET" | b"HEAD", b"/") => page(),
        (b"GET" | b"HEAD", b"/metrics") => {
            let text = scrape(&dashboard).await;
            Response::new(200, "text/plain; version=0.0.4; charset=utf-8", text)
        }
        (b"GET" | b"HEAD", b"/api/status") => {
            let csrf = (right == Right::Change).then_some(access.csrf.as_str());
            let document = dashboard.board.borrow().document(&dashboard.node, now(), csrf);
            Response::new(200, "application/json", document.to_string())
        }
        (b"POST", b"/api/server") if right != Right::Change => plain(403, "only to be seen\n"),
        (b"POST", b"/api/server") if !access.is_own_order(request.head.get(b"x-csrf-token")) => {
            plain(403, "not asked by this page\n")
        }
        (b"POST", b"/api/server") => order(&dashboard, &request.body).await,
        (_, b"/" | b"/metrics" | b"/api/status" | b"/api/server") => plain(405, "no such method here\n"),
        _ => plain(404, "there is nothing here\n"),
    }
}

/// The page, which runs nothing but what stands in it.
fn page() -> Response {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    if filled.is_err() {
        return Response::new(500, "text/plain", "no random numbers\n");
    }
    let nonce: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut response = Response::new(200, "text/html; charset=utf-8", PAGE.replace("{{nonce}}", &nonce));
    response.fields = format!(
        "Content-Security-Policy: default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    );
    response
}

async fn scrape(dashboard: &Dashboard) -> String {
    let arguments = &dashboard.arguments;
    let (proxy, vrrp, director) = tokio::join!(
        sources::proxy(arguments, "show metrics"),
        sources::ask(&arguments.vrrp, "metrics"),
        sources::ask(&arguments.director, "status"),
    );
    let [proxy, vrrp, director] = [proxy, vrrp, director].map(Result::ok);
    metrics::document(proxy.as_deref(), vrrp.as_deref(), director.as_deref())
}

/// `{"backend": …, "server": …, "state": "ready" | "drain" | "maint"}`.
async fn order(dashboard: &Dashboard, body: &[u8]) -> Response {
    let plain = |status, text: &str| Response::new(status, "text/plain; charset=utf-8", text);
    let Ok(order) = serde_json::from_slice::<Value>(body) else { return plain(400, "not JSON\n") };
    let word = |name: &str| order.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (backend, server, state) = (word("backend"), word("server"), word("state"));
    // Only names that the proxy itself told are sent to it.
    if !dashboard.board.borrow().has_server(&backend, &server) {
        return plain(404, "no such server\n");
    }
    if !matches!(state.as_str(), "ready" | "drain" | "maint") {
        return plain(400, "state is ready, drain or maint\n");
    }
    eprintln!("hawser dashboard: {backend}/{server} is to be {state}");
    let command = format!("set server {backend}/{server} state {state}");
    match sources::proxy(&dashboard.arguments, &command).await {
        Ok(answer) if answer.trim().is_empty() => Response::new(200, "application/json", "{}"),
        Ok(answer) => plain(409, &answer),
        Err(error) => plain(502, &format!("the proxy does not answer: {error}\n")),
    }
}

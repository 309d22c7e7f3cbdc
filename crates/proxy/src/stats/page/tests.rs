//! Whole pages, made from a state with traffic.

use super::form::{Effect, Servers};
use super::testing::{busy_state, request, settings};
use super::*;

/// Knows every server, remembers what was done.
#[derive(Default)]
struct Recorder(Vec<(String, Action)>);

impl Servers for Recorder {
    type Backend = ();

    fn backend(&self, name: &str) -> Option<()> {
        (name == "shop").then_some(())
    }

    fn act(&mut self, (): (), server: &str, action: Action) -> Effect {
        self.0.push((server.to_owned(), action));
        Effect::Applied
    }
}

fn visit<'a>(request: &'a Head, settings: &'a Stats) -> Visit<'a> {
    let release = Release { version: "2.6.12-test", date: "2026/11/22" };
    Visit { request, body: None, settings, access: Access::Admin, connection: None, release }
}

/// Status, head and body of an answer to GET.
fn get(uri: &str, lines: &str) -> (u16, String, String) {
    let (request, settings) = (request("GET", uri, &[("Host", "a")]), settings(lines));
    split(respond(&visit(&request, &settings), &busy_state(), &mut Recorder::default()))
}

fn split(page: Page) -> (u16, String, String) {
    let text = String::from_utf8(page.bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (page.status, head.to_owned(), body.to_owned())
}

#[test]
fn dump() {
    if let Ok(path) = std::env::var("PAGE_OUT") {
        let state = busy_state();
        let settings = state.model.proxies.last().unwrap().stats.clone().unwrap();
        let uri = std::env::var("PAGE_URI").unwrap_or("/haproxy?stats".to_owned());
        let request = request("GET", &uri, &[("Host", "a")]);
        let page = respond(&visit(&request, &settings), &state, &mut Recorder::default());
        let body = page.bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        std::fs::write(path, &page.bytes[body..]).unwrap();
    }
}

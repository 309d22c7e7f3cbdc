//! The statistics page in a real browser, driven headless over the WebDriver protocol.

use std::process::{Child, Command, Stdio};

use differential::{Backend, Client, Instance, Program, ReservedPort, same, wait_until};

/// chromedriver with one session; both end when dropped.
struct Browser {
    driver: Child,
    port: ReservedPort,
    session: String,
}

impl Browser {
    fn start() -> Self {
        let port = ReservedPort::new();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={}", port.number())).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = command.spawn().expect("chromedriver is installed");
        let mut browser = Self { driver, port, session: String::new() };
        wait_until("chromedriver", || {
            std::net::TcpStream::connect(("127.0.0.1", browser.port.number())).is_ok()
        });
        let capabilities = r#"{"capabilities":{"alwaysMatch":{"goog:chromeOptions":{"args":["--headless=new","--no-sandbox","--disable-gpu","--disable-dev-shm-usage"]},"goog:loggingPrefs":{"browser":"ALL"}}}}"#;
        let answer = browser.post("/session", capabilities);
        let id = answer.split("\"sessionId\":\"").nth(1).and_then(|rest| rest.split('"').next());
        browser.session = id.unwrap_or_else(|| panic!("no session: {answer}")).to_owned();
        browser
    }

    fn post(&self, path: &str, body: &str) -> String {
        let mut client = Client::connect(self.port.number()).patience(std::time::Duration::from_secs(60));
        let length = body.len();
        client
            .ask(format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
            .body
    }

    fn open(&self, url: &str) {
        let answer = self.post(&format!("/session/{}/url", self.session), &format!("{{\"url\":\"{url}\"}}"));
        assert!(!answer.contains("\"error\""), "{answer}");
    }

    /// What the script returns: a string without quotes in it.
    #[track_caller]
    fn script(&self, script: &str) -> String {
        assert!(!script.contains('"'), "the script stands inside JSON");
        let body = format!("{{\"script\":\"{script}\",\"args\":[]}}");
        let answer = self.post(&format!("/session/{}/execute/sync", self.session), &body);
        assert!(!answer.contains("\"error\""), "{script}: {answer}");
        answer.trim_start_matches("{\"value\":").trim_end_matches('}').trim_matches('"').to_owned()
    }

    /// Errors that the page wrote to the console.
    fn console_errors(&self) -> bool {
        let answer = self.post(&format!("/session/{}/se/log", self.session), "{\"type\":\"browser\"}");
        // A missing icon is the browser's own question, not the page's.
        answer
            .split("\"level\":")
            .skip(1)
            .any(|entry| entry.starts_with("\"SEVERE\"") && !entry.contains("favicon"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = std::panic::catch_unwind(|| {
                let mut client = Client::connect(self.port.number());
                let _ = client.try_send(format!(
                    "DELETE /session/{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    self.session
                ));
                let _ = client.try_response();
            });
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn proxy(program: Program, backend: &Backend) -> Instance {
    let text = "listen stats\n bind 127.0.0.1:$(stats)\n stats enable\n stats uri /s\n stats auth admin:secret\n stats admin if TRUE\n\
                listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:$(s)\n server s2 127.0.0.1:$(s)\n";
    program.http(text).with("s", backend.port()).start()
}

// row: 142, 147, 148, 149, 157
#[test]
fn an_admin_reads_the_page_and_takes_a_server_out_by_its_form() {
    let (listed, status, foreign) = same(|program| {
        let backend = Backend::named("s1");
        let proxy = proxy(program, &backend);
        let browser = Browser::start();
        browser.open(&format!("http://admin:secret@127.0.0.1:{}/s", proxy.port("stats")));
        let listed = browser.script("return ['s1','s2','BACKEND'].every(function(name){return document.body.innerText.toUpperCase().includes(name.toUpperCase())})+''");
        let foreign = browser.script("return performance.getEntriesByType('resource').filter(function(entry){return !entry.name.startsWith(location.origin)}).length+''");
        assert!(!browser.console_errors(), "the page complains");
        let submit = "var box=document.querySelector('input[name=s][value=s1]');var form=box.form;box.checked=true;\
                      form.querySelector('[name=action]').value='maint';\
                      (form.querySelector('[type=submit]')||form.querySelector('button')).click();return 'sent'";
        browser.script(submit);
        wait_until("maintenance", || proxy.stat("web", "s1", "status") == "MAINT");
        (listed, proxy.stat("web", "s2", "status"), foreign)
    });
    assert_eq!((listed.as_str(), status.as_str(), foreign.as_str()), ("true", "no check", "0"));
}

// row: 157
#[test]
fn the_page_follows_the_readers_colour_scheme() {
    let result = differential::both(|program| {
        let backend = Backend::named("s1");
        let proxy = proxy(program, &backend);
        let browser = Browser::start();
        let background = |scheme: &str| {
            let body = format!(
                "{{\"cmd\":\"Emulation.setEmulatedMedia\",\"params\":{{\"features\":[{{\"name\":\"prefers-color-scheme\",\"value\":\"{scheme}\"}}]}}}}"
            );
            browser.post(&format!("/session/{}/goog/cdp/execute", browser.session), &body);
            browser.open(&format!("http://admin:secret@127.0.0.1:{}/s", proxy.port("stats")));
            browser.script("return getComputedStyle(document.body).backgroundColor")
        };
        [background("light"), background("dark")]
    });
    if let Some([light, dark]) = result.hawser {
        assert_ne!(light, dark, "light and dark differ");
    }
}

/// Runs the steps on our page alone: haproxy's has no such things. Three backends make it taller than the window.
fn on_our_page(lines: &str, steps: impl Fn(&Instance, &Browser) + Sync) {
    differential::both(|program| match program {
        Program::Haproxy => {}
        Program::Hawser => {
            let servers: String =
                (1..=40).map(|number| format!(" server app{number} 127.0.0.1:1\n")).collect();
            let text = format!(
                "listen stats\n bind 127.0.0.1:$(stats)\n stats enable\n stats uri /s\n stats admin if TRUE\n{lines}\n\
                 backend shop\n{servers}backend api\n{servers}"
            );
            let proxy = program.http(&text).start();
            let browser = Browser::start();
            let window = format!("/session/{}/window/rect", browser.session);
            browser.post(&window, r#"{"width":1696,"height":900}"#);
            browser.open(&format!("http://127.0.0.1:{}/s", proxy.port("stats")));
            steps(&proxy, &browser);
            assert!(!browser.console_errors(), "the page complains");
        }
    });
}

const SHOWN: &str = "return [].filter.call(document.querySelectorAll('tbody tr'),function(row){return row.offsetParent}).length+''";

// row: 157
#[test]
fn the_filter_leaves_the_rows_that_match_and_survives_a_refresh() {
    on_our_page("", |_, browser| {
        assert_eq!(browser.script(SHOWN), "84");
        browser.script(
            "var box=document.getElementById('filter');box.value='shop app1';box.dispatchEvent(new Event('input'));return ''",
        );
        assert_eq!(browser.script(SHOWN), "11", "app1 and app10 to app19");
        let reloaded = browser.script("location.reload();return ''");
        assert_eq!(reloaded, "");
        wait_until("the reloaded page", || browser.script(SHOWN) == "11");
        browser.script("var box=document.querySelector('#shop th input');box.click();return ''");
        let checked = "return document.querySelectorAll('td input:checked').length+''";
        assert_eq!(browser.script(checked), "11", "what is hidden is never acted on");
    });
}

// row: 157
#[test]
fn the_colours_can_be_switched_by_hand_and_stay() {
    on_our_page("", |_, browser| {
        let colour = "return getComputedStyle(document.body).backgroundColor";
        let before = browser.script(colour);
        browser.script("document.getElementById('theme').click();return ''");
        let after = browser.script(colour);
        assert_ne!(before, after);
        browser.script("location.reload();return ''");
        wait_until("the reloaded page", || browser.script("return document.readyState") == "complete");
        assert_eq!(browser.script(colour), after);
    });
}

// row: 157
#[test]
fn headings_stay_in_sight_and_nothing_hangs_over_a_wide_window() {
    on_our_page("", |_, browser| {
        let width = "return (document.documentElement.scrollWidth-document.documentElement.clientWidth)+''";
        assert_eq!(browser.script(width), "0", "the page is wider than the window");
        browser.script(
            "scrollTo(0,document.querySelector('#shop tbody tr:nth-child(20)').offsetTop+300);return ''",
        );
        let top =
            "return Math.round(document.querySelector('#shop thead th').getBoundingClientRect().top)+''";
        assert_eq!(browser.script(top), "48", "the table's heading is below the bar");
        let bar = "return Math.round(document.querySelector('header').getBoundingClientRect().top)+''";
        assert_eq!(browser.script(bar), "0");
        browser.script("document.querySelector('#shop td.has[tabindex]').focus();return ''");
        let tip = "return getComputedStyle(document.activeElement.querySelector('.tips')).display";
        assert_eq!(browser.script(tip), "block", "details open for the keyboard too");
    });
}

// row: 148, 149
#[test]
fn the_page_tells_how_an_action_ended() {
    on_our_page(" stats refresh 60s\n", |_, browser| {
        browser.script(
            "var form=document.querySelector('#shop form');form.querySelector('[value=app7]').checked=true;\
             form.action.value;form.querySelector('select').value='drain';form.querySelector('button').click();return ''",
        );
        let note = "var note=document.querySelector('.note');return note?note.className:'none'";
        wait_until("the outcome", || browser.script(note) == "note active_up");
        assert_eq!(browser.script("return location.pathname"), "/s;st=DONE");
        let row = "return document.getElementById('shop/app7').closest('tr').className";
        assert_eq!(browser.script(row), "active_draining");
    });
}

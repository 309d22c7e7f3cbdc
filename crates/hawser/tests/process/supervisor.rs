//! `hawser run` with a proxy alone: start, reload, restart, end. What needs hosts is in the labs.

use super::program::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Run {
    child: Child,
    log: PathBuf,
}

impl Run {
    pub fn start(folder: &Folder, more: &[&str]) -> Run {
        let log = folder.path().join("log");
        let file = std::fs::File::create(&log).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_hawser"))
            .args(["run", "-f", "web.cfg", "--run-directory", "run"])
            .args(more)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a handle"))
            .stderr(file)
            .spawn()
            .expect("it starts");
        Run { child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill is there").success());
    }

    /// Processes that it started.
    pub fn children(&self) -> Vec<String> {
        let output =
            Command::new("pgrep").args(["-P", &self.child.id().to_string()]).output().expect("pgrep");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn end(&mut self) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status.code();
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Its strands end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn web(port: u16, answer: &str) -> String {
    format!(
        "defaults\n    mode http\n    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\n\
         listen web\n    bind 127.0.0.1:{port}\n    http-request return status 200 content-type text/plain string {answer}\n"
    )
}

pub fn ask(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

#[track_caller]
pub fn wait_for(port: u16, answer: &str, run: &Run) {
    let end = Instant::now() + Duration::from_secs(10);
    while ask(port).as_deref() != Some(answer) {
        assert!(Instant::now() < end, "no '{answer}':\n{}", run.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn it_serves_reloads_keeps_what_is_broken_out_and_ends() {
    let folder = Folder::new();
    let port = free_port();
    folder.file("web.cfg", &web(port, "one"));
    let mut run = Run::start(&folder, &[]);
    wait_for(port, "one", &run);
    folder.file("web.cfg", &web(port, "two"));
    run.signal("HUP");
    wait_for(port, "two", &run);
    folder.file("web.cfg", &web(port, "three").replace("mode http", "mode htttp"));
    run.signal("USR2");
    let end = Instant::now() + Duration::from_secs(5);
    while !run.log().contains("nothing is changed: the files have errors") {
        assert!(Instant::now() < end, "{}", run.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(ask(port).as_deref(), Some("two"));
    run.signal("TERM");
    assert_eq!(run.end(), Some(0));
    assert_eq!(ask(port), None);
}

/// The process that started `pid`.
fn parent_of(pid: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")).map(|parent| parent.trim().to_owned())
}

/// Waits until the worker of a strand other than `former` serves; that strand. The worker of a killed strand goes on
/// answering until it notices, and for a pause there is no strand at all.
#[track_caller]
pub fn next_strand(run: &Run, port: u16, former: Option<&str>) -> String {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let children = run.children();
        assert!(children.len() <= 1, "{children:?}\n{}", run.log());
        let served_by = ask(port).and_then(|worker| parent_of(worker.trim()));
        if let Some(strand) = children.into_iter().next()
            && former != Some(strand.as_str())
            && served_by.as_ref() == Some(&strand)
        {
            return strand;
        }
        assert!(Instant::now() < end, "no strand after {former:?} serves:\n{}", run.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_strand_that_is_killed_is_started_again_and_again_more_slowly() {
    let folder = Folder::new();
    let port = free_port();
    folder.file("web.cfg", &web(port, "%pid").replace(" string ", " lf-string "));
    let run = Run::start(&folder, &[]);
    let mut strand = next_strand(&run, port, None);
    for pause in [10, 20, 40] {
        let worker = ask(port).expect("it serves");
        let status = Command::new("kill").args(["-KILL", &strand]).status();
        assert!(status.expect("kill is there").success());
        strand = next_strand(&run, port, Some(&strand));
        assert!(run.log().contains(&format!("again in {pause} ms")), "{}", run.log());
        // What the killed one had started is gone too.
        let end = Instant::now() + Duration::from_secs(10);
        while std::path::Path::new("/proc").join(worker.trim()).join("exe").exists() {
            assert!(Instant::now() < end, "worker {worker} is left:\n{}", run.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_file_with_a_mistake_keeps_it_from_starting_and_says_why() {
    let folder = Folder::new();
    folder.file("web.cfg", "listen web\n    bogus\n");
    let mut run = Run::start(&folder, &[]);
    assert_eq!(run.end(), Some(1));
    assert!(run.log().contains("web.cfg:2:5: error: unknown keyword `bogus`"), "{}", run.log());
    // A port that somebody has: the proxy says why it cannot start, and nothing is tried again.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    folder.file("web.cfg", &web(taken.local_addr().expect("bound").port(), "one"));
    let mut run = Run::start(&folder, &[]);
    assert_eq!(run.end(), Some(1));
    assert!(run.log().contains("hawser run: proxy ended with code 1"), "{}", run.log());
}

#[test]
fn the_dashboard_comes_along_when_asked_for() {
    let folder = Folder::new();
    let (port, page) = (free_port(), free_port());
    folder.file("web.cfg", &web(port, "one"));
    folder.file("token", "sixteen-bytes-or-more\n");
    let address = format!("127.0.0.1:{page}");
    let token = folder.path().join("token").display().to_string();
    let words = ["--dashboard", &address, "--dashboard-option", "--token-file", "--dashboard-option", &token];
    let run = Run::start(&folder, &words);
    wait_for(port, "one", &run);
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let output = Command::new("curl")
            .args(["-s", "-m", "2", "-H", "Authorization: Bearer sixteen-bytes-or-more"])
            .arg(format!("http://{address}/metrics"))
            .output()
            .expect("curl is there");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if said.contains("haproxy_frontend_status") && said.contains("hawser_strand_up") {
            break;
        }
        assert!(Instant::now() < end, "{said:.300}\n{}", run.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    // Nothing is left of it, however the supervisor ends.
    let strands = run.children();
    assert_eq!(strands.len(), 2, "{strands:?}");
    drop(run);
    let end = Instant::now() + Duration::from_secs(5);
    while strands.iter().any(|pid| std::path::Path::new("/proc").join(pid).join("exe").exists()) {
        assert!(Instant::now() < end, "{strands:?} are left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! Labs: tests that need hosts, addresses and folders of their own. Owns the namespaces they run in; what runs inside
//! is the lab's.
//!
//! A lab is a test that runs itself again inside fresh network, mount and process namespaces, where it may add
//! addresses, mount folders and kill what it likes; everything ends with it. It needs root, or a kernel that lets
//! users have namespaces.

#![forbid(unsafe_code)]

pub mod hosts;
pub mod packet;
pub mod site;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set in the process that runs inside.
const INSIDE: &str = "HAWSER_LAB";

/// Runs the lab inside namespaces of its own; `name` is the test's full name.
#[track_caller]
pub fn lab(name: &str, inside: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        run("ip link set lo up");
        inside();
        return;
    }
    let is_root = run_quietly("test $(id -u) = 0");
    let user: &[&str] = if is_root { &[] } else { &["--user", "--map-root-user"] };
    let status = Command::new("unshare")
        .args(user)
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().expect("the test's binary"))
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env(INSIDE, name)
        .status()
        .expect("unshare is installed");
    assert!(status.success(), "the lab {name} failed: {status}");
}

/// Runs a shell line that must succeed; returns its output.
#[track_caller]
pub fn run(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().expect("sh is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "`{line}` failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Runs a shell line; whether it succeeded.
pub fn run_quietly(line: &str) -> bool {
    let mut command = Command::new("sh");
    command.args(["-c", line]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Waits until `done` says so.
#[track_caller]
pub fn wait_until(limit: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < end, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A real nginx that answers its name, killed when dropped.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
}

impl Nginx {
    /// Listens at `address` (with its port) and answers `body` to everything.
    #[track_caller]
    pub fn start(folder: &Path, address: &str, body: &str) -> Self {
        let folder = folder.join(address);
        std::fs::create_dir_all(&folder).expect("a folder");
        let directory = folder.display();
        let text = format!(
            "daemon off; master_process off; pid {directory}/pid; error_log {directory}/error; user root;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log {directory}/access; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;\n\
             fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;\n\
             server {{ listen {address}; location / {{ return 200 {body}; }} location /empty {{ return 204; }} }} }}\n"
        );
        std::fs::write(folder.join("conf"), text).expect("its configuration");
        let child = Command::new("/usr/sbin/nginx").arg("-c").arg(folder.join("conf")).spawn();
        let nginx = Self { child: child.expect("nginx is installed") };
        differential::wait_until("nginx", || std::net::TcpStream::connect(address).is_ok());
        nginx
    }

    /// SIGKILL: no connection is closed in an orderly way.
    pub fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

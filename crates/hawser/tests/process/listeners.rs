//! Sockets that come from outside: by number, and from an old process.

use super::program::*;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

fn inheritable(listener: &TcpListener) -> String {
    rustix::io::fcntl_setfd(listener, rustix::io::FdFlags::empty()).expect("flags");
    listener.as_raw_fd().to_string()
}

#[test]
fn an_inherited_listener_serves_clients_that_came_before() {
    use std::io::Read;
    for program in BOTH {
        for mode in ["-d", "-W"] {
            let folder = Folder::new();
            folder.file("l.cfg", &configuration("", "\"fd@${my_fd}\"", greeter("hello")));
            let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
            let address = listener.local_addr().expect("bound");
            let mut early = TcpStream::connect(address).expect("connects before the program starts");
            let mut command = program.command();
            command
                .args([mode, "-f", "l.cfg"])
                .current_dir(folder.path())
                .env("my_fd", inheritable(&listener));
            let _running = Running::start(command);
            early.set_read_timeout(Some(PATIENCE)).expect("timeout");
            let mut text = String::new();
            early.read_to_string(&mut text).expect("an answer");
            assert_eq!(text, "hello", "{program:?} {mode}");
            assert_eq!(ask(address.port()).as_deref(), Some("hello"), "{program:?} {mode}");
        }
    }
}

#[test]
fn hawser_takes_the_listeners_of_a_running_haproxy() {
    // Without SO_REUSEPORT nobody else could bind the port.
    let folder = Folder::new();
    let port = free_port();
    let bind = format!("127.0.0.1:{port}");
    let socket = folder.path().join("old.sock").display().to_string();
    let global = format!("  noreuseport\n  stats socket {socket} level admin expose-fd listeners");
    folder.file("old.cfg", &configuration(&global, &bind, greeter("old")));
    folder.file("new.cfg", &configuration("  noreuseport", &bind, greeter("new")));
    let mut command = Program::Haproxy.command();
    command.args(["-db", "-f", "old.cfg"]).current_dir(folder.path());
    let old = Running::start(command);
    eventually("the old one serves", || ask(port).as_deref() == Some("old"));
    let mut command = Program::Hawser.command();
    let old_pid = old.pid().to_string();
    command.args(["-db", "-f", "new.cfg", "-x", &socket, "-sf", &old_pid]).current_dir(folder.path());
    let _new = Running::start(command);
    eventually("the new one serves", || ask(port).as_deref() == Some("new"));
}

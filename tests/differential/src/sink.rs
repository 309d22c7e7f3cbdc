//! Log sinks: owns datagram sockets that collect what a program logs, never looks into the lines.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::wait_until;

/// Collects datagrams, as a syslog server would, until dropped.
#[derive(Debug)]
pub struct Sink {
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    /// A UDP sink on a port of 127.0.0.1 that the kernel chose.
    pub fn udp() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        let port = socket.local_addr().expect("its address").port();
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a read timeout");
        Self::collect(port, move |buffer| socket.recv(buffer))
    }

    /// A UNIX datagram sink at the path.
    pub fn unix(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a UNIX datagram socket");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a read timeout");
        Self::collect(0, move |buffer| socket.recv(buffer))
    }

    fn collect(port: u16, receive: impl Fn(&mut [u8]) -> std::io::Result<usize> + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let weak = Arc::downgrade(&lines);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while weak.strong_count() > 0 {
                let Ok(length) = receive(&mut buffer) else { continue };
                let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if let Some(lines) = weak.upgrade() {
                    lines.lock().expect("no collector panics").push(line);
                }
            }
        });
        Self { port, lines }
    }

    /// The UDP port (0 for a UNIX sink).
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All datagrams so far, in order of arrival.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no collector panics").clone()
    }

    /// Waits for the first datagram that contains the text.
    #[track_caller]
    pub fn expect(&self, text: &str) -> String {
        let mut found = None;
        let start = std::time::Instant::now();
        while found.is_none() && start.elapsed() < crate::PATIENCE {
            found = self.lines().into_iter().find(|line| line.contains(text));
            std::thread::sleep(Duration::from_millis(5));
        }
        found.unwrap_or_else(|| panic!("no log line has {text:?}; logged so far: {:#?}", self.lines()))
    }

    /// Waits until at least so many datagrams arrived that satisfy the filter, and returns those.
    #[track_caller]
    pub fn wait_for(&self, count: usize, filter: impl Fn(&str) -> bool) -> Vec<String> {
        let matching = || self.lines().into_iter().filter(|line| filter(line)).collect::<Vec<_>>();
        wait_until(&format!("{count} log lines"), || matching().len() >= count);
        matching()
    }
}

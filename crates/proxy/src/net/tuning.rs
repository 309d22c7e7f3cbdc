//! What the configuration sets on sockets of either side. Options of one kind of socket alone stay with `listen` and
//! `connect`.

use haproxy_config::model::KeepaliveTuning;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;

/// Options of a TCP socket. On a listener they are set once, and its connections inherit them.
#[derive(Debug, Clone, Copy, Default)]
pub struct SocketTuning {
    /// Keep-alive probes, `None` without them.
    pub keepalive: Option<KeepaliveTuning>,
    /// Bytes of the kernel's buffers.
    pub receive_buffer: Option<u32>,
    pub send_buffer: Option<u32>,
    /// Negative: the largest segment is this much smaller than what the kernel found, which is the kernel's business.
    pub mss: Option<i32>,
    pub user_timeout_ms: Option<u32>,
    /// Do not acknowledge at once what may soon be answered with data.
    pub delayed_ack: bool,
}

impl SocketTuning {
    /// # Errors
    /// What the kernel says to the first option that it refuses.
    pub fn apply(&self, socket: &SockRef<'_>) -> io::Result<()> {
        if let Some(tuning) = &self.keepalive {
            socket.set_tcp_keepalive(&probes(tuning))?;
        }
        if let Some(size) = self.receive_buffer {
            socket.set_recv_buffer_size(size as usize)?;
        }
        if let Some(size) = self.send_buffer {
            socket.set_send_buffer_size(size as usize)?;
        }
        if let Some(mss) = self.mss {
            socket.set_tcp_mss(mss.unsigned_abs())?;
        }
        if let Some(timeout) = self.user_timeout_ms {
            socket.set_tcp_user_timeout(Some(Duration::from_millis(timeout.into())))?;
        }
        if self.delayed_ack {
            sys::socket_options::set_tcp_quick_ack(&**socket, false)?;
        }
        Ok(())
    }
}

fn probes(tuning: &KeepaliveTuning) -> TcpKeepalive {
    let mut probes = TcpKeepalive::new();
    if let Some(idle) = tuning.idle {
        probes = probes.with_time(idle);
    }
    if let Some(interval) = tuning.interval {
        probes = probes.with_interval(interval);
    }
    if let Some(count) = tuning.count {
        probes = probes.with_retries(count);
    }
    probes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn accepted_connections_have_what_was_set_on_their_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let keepalive = KeepaliveTuning {
            count: Some(7),
            idle: Some(Duration::from_secs(11)),
            interval: Some(Duration::from_secs(3)),
        };
        let tuning = SocketTuning {
            keepalive: Some(keepalive),
            receive_buffer: Some(20_000),
            send_buffer: Some(30_000),
            delayed_ack: true,
            ..SocketTuning::default()
        };
        tuning.apply(&SockRef::from(&listener)).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), Duration::from_secs(11));
        assert_eq!(accepted.tcp_keepalive_interval().unwrap(), Duration::from_secs(3));
        assert_eq!(accepted.tcp_keepalive_retries().unwrap(), 7);
        // The kernel doubles both, for its own bookkeeping.
        assert_eq!(accepted.recv_buffer_size().unwrap(), 40_000);
        assert_eq!(accepted.send_buffer_size().unwrap(), 60_000);
    }
}

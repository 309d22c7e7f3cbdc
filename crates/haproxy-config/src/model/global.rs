//! The `global` sections, merged.

use super::{Address, Bind, GlobalTls};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// `profiling.tasks`. `auto` measures nothing here: what would turn it on is a measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Profiling {
    #[default]
    Off,
    Auto,
    On,
}

#[derive(Debug, Default)]
pub struct Global {
    pub daemon: bool,
    /// `master-worker`, or -W on the command line; `no-exit-on-failure` with it.
    pub master_worker: bool,
    pub master_worker_no_exit_on_failure: bool,
    pub chroot: Option<PathBuf>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub pidfile: Option<PathBuf>,
    /// `None`: as many threads as usable CPUs. With `nbproc` it is the product of both: use at most the usable CPUs.
    pub nbthread: Option<u32>,
    /// Old configurations: `nbproc N`, mapped to threads.
    pub nbproc: Option<u32>,
    pub cpu_maps: Vec<CpuMap>,
    pub maxconn: Option<u32>,
    pub maxconnrate: Option<u32>,
    pub maxsessrate: Option<u32>,
    /// `maxcomprate`: kilobytes per second given to the compressor.
    pub max_compression_rate: Option<u32>,
    /// `maxcompcpuusage`: percent of its time that a thread may be busy and still compress.
    pub max_compression_cpu: Option<u32>,
    pub maxpipes: Option<u32>,
    pub ulimit_n: Option<u64>,
    pub fd_hard_limit: Option<u64>,
    pub log_targets: Vec<LogTarget>,
    pub log_tag: Option<String>,
    pub log_send_hostname: Option<String>,
    pub stats_sockets: Vec<StatsSocket>,
    pub stats_timeout: Option<Duration>,
    pub stats_maxconn: Option<u32>,
    pub node: Option<String>,
    pub profiling_tasks: Profiling,
    pub description: Option<String>,
    pub localpeer: Option<String>,
    /// Percent, 0..=50.
    pub spread_checks: u32,
    pub max_spread_checks: Option<Duration>,
    pub server_state_base: Option<PathBuf>,
    pub server_state_file: Option<PathBuf>,
    pub hard_stop_after: Option<Duration>,
    pub grace: Option<Duration>,
    pub external_check: bool,
    pub insecure_fork_wanted: bool,
    pub insecure_setuid_wanted: bool,
    pub quiet: bool,
    pub zero_warning: bool,
    pub strict_limits: bool,
    pub noreuseport: bool,
    pub nosplice: bool,
    pub tune: Tune,
    pub tls: GlobalTls,
    /// `h1-case-adjust`: spellings of header names, by their lower case.
    pub h1_case_adjust: HashMap<String, String>,
    /// Checks in version 2 of the PROXY protocol tell their own addresses.
    pub pp2_never_send_local: bool,
    /// Reloads after which a former worker is ended.
    pub mworker_max_reloads: Option<u32>,
    /// `setenv`, `presetenv`, `resetenv`, `unsetenv` have been applied while reading; kept for scripts.
    pub environment: Vec<(String, String)>,
    /// `set-var proc.x` lines: name and constant expression are evaluated at start.
    pub process_variables: Vec<(rules::VariableName, ProcessValue)>,
}

/// What `set-var` and `set-var-fmt` give a variable of the process; evaluated once, at the start.
#[derive(Debug, Clone)]
pub enum ProcessValue {
    Expr(rules::Expr),
    Format(rules::LogFormat),
}

/// `tune.*` settings that change behaviour. Sizes in bytes.
#[derive(Debug)]
pub struct Tune {
    pub bufsize: usize,
    pub maxrewrite: usize,
    pub http_maxhdr: usize,
    pub http_logurilen: usize,
    pub http_cookielen: usize,
    pub rcvbuf_client: Option<u32>,
    pub rcvbuf_server: Option<u32>,
    pub sndbuf_client: Option<u32>,
    pub sndbuf_server: Option<u32>,
    /// Updates told to a peer in a row.
    pub peers_updates_max: u32,
    /// Percent of the descriptors beyond which no connection to a server is kept idle.
    pub pool_high_fd_ratio: u32,
    pub comp_maxlevel: u32,
    /// `tune.h2.initial-window-size` and `tune.h2.max-concurrent-streams`.
    pub http2: Http2Side,
    /// The same of one side alone.
    pub http2_frontend: Http2Override,
    pub http2_backend: Http2Override,
    pub http2_header_table_size: u32,
    pub http2_max_frame_size: u32,
    /// `tune.h2.fe.max-total-streams`: streams until a client is told to reconnect.
    pub http2_total_streams_max: Option<u32>,
}

/// What HTTP/2 connections of one side allow their peers.
#[derive(Debug, Clone, Copy)]
pub struct Http2Side {
    /// Bytes that may come on a stream before they are acknowledged.
    pub initial_window_size: u32,
    pub max_concurrent_streams: u32,
}

/// What one side says differently.
#[derive(Debug, Clone, Copy, Default)]
pub struct Http2Override {
    pub initial_window_size: Option<u32>,
    pub max_concurrent_streams: Option<u32>,
}

impl Http2Override {
    /// What is in force, where `general` is what both sides share.
    pub fn over(self, general: Http2Side) -> Http2Side {
        Http2Side {
            initial_window_size: self.initial_window_size.unwrap_or(general.initial_window_size),
            max_concurrent_streams: self.max_concurrent_streams.unwrap_or(general.max_concurrent_streams),
        }
    }
}

impl Default for Http2Side {
    fn default() -> Self {
        Http2Side { initial_window_size: 65_535, max_concurrent_streams: 100 }
    }
}

impl Default for Tune {
    fn default() -> Self {
        Tune {
            bufsize: 16_384,
            maxrewrite: 1024,
            http_maxhdr: 101,
            http_logurilen: 1024,
            http_cookielen: 63,
            rcvbuf_client: None,
            rcvbuf_server: None,
            sndbuf_client: None,
            sndbuf_server: None,
            peers_updates_max: 200,
            pool_high_fd_ratio: 25,
            comp_maxlevel: 1,
            http2: Http2Side::default(),
            http2_frontend: Http2Override::default(),
            http2_backend: Http2Override::default(),
            http2_header_table_size: 4096,
            http2_max_frame_size: 16_384,
            http2_total_streams_max: None,
        }
    }
}

/// One `cpu-map` line after expansion: a thread (0-based) and the CPUs it may run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuMap {
    pub thread: u32,
    pub cpus: Vec<u32>,
}

/// `stats socket …`.
#[derive(Debug, Clone)]
pub struct StatsSocket {
    pub bind: Bind,
}

/// Rights on the runtime API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    User,
    #[default]
    Operator,
    Admin,
}

/// One `log` line.
#[derive(Debug, Clone)]
pub struct LogTarget {
    pub address: LogTargetAddress,
    /// Bytes; longer messages are cut. Default 1024.
    pub max_length: usize,
    pub format: LogFormatKind,
    /// `sample 1-3,5:10`: which messages of each round of `size` are sent (1-based, inclusive).
    pub sample: Option<(Vec<(u32, u32)>, u32)>,
    /// 0..=23.
    pub facility: u8,
    /// Highest level sent, 0 (emerg) ..= 7 (debug).
    pub max_level: u8,
    /// Levels more important than this are sent as this.
    pub min_level: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTargetAddress {
    /// UDP, default port 514; or a UNIX datagram socket.
    Datagram(Address),
    Stdout,
    Stderr,
    Fd(i32),
    Ring(String),
}

/// `format` of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormatKind {
    /// None was named: `Rfc3164` with `log-send-hostname`, else `Local`.
    Unspecified,
    Local,
    Rfc3164,
    Rfc5424,
    Priority,
    Short,
    Timed,
    Iso,
    Raw,
}

//! Which metrics there are: HAProxy's names, and the column or line of statistics that each is read from.

use super::super::fields::Field;
use Reading::{CheckState, CheckStates, Codes, Milliseconds, Number, ServerStates, States};

/// How Prometheus treats the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }
}

/// How a metric is read from a row.
#[derive(Debug, Clone, Copy)]
pub enum Reading {
    Number(Field),
    /// Milliseconds, told in seconds.
    Milliseconds(Field),
    /// One sample for each class of responses.
    Codes,
    /// One sample for each state that the object may be in.
    States,
    /// One for each outcome of a check.
    CheckState,
    /// How many servers are in each state.
    ServerStates,
    /// How many servers have each outcome of a check.
    CheckStates,
}

impl Reading {
    pub fn description(self) -> &'static str {
        match self {
            Number(field) | Milliseconds(field) => field.description(),
            Codes => "Responses by the class of their status",
            States => "1 for the state that the object is in",
            CheckState => "1 for the outcome of the last check",
            ServerStates => "Servers by state",
            CheckStates => "Servers by the outcome of their last check",
        }
    }
}

/// One metric of a scope.
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub reading: Reading,
}

const fn counter(name: &'static str, reading: Reading) -> Metric {
    Metric { name, kind: Kind::Counter, reading }
}

const fn gauge(name: &'static str, reading: Reading) -> Metric {
    Metric { name, kind: Kind::Gauge, reading }
}

/// Classes of responses.
pub(super) const CODES: [(&str, Field); 6] = [
    ("1xx", Field::Hrsp1xx),
    ("2xx", Field::Hrsp2xx),
    ("3xx", Field::Hrsp3xx),
    ("4xx", Field::Hrsp4xx),
    ("5xx", Field::Hrsp5xx),
    ("other", Field::HrspOther),
];

/// Outcomes of checks.
pub(super) const CHECK_STATES: [&str; 16] = [
    "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP", "L7OK",
    "L7OKC", "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
];

/// Of the process: name, kind, and the line of `show info`.
pub(super) static PROCESS: &[(&str, Kind, &str)] = &[
    ("nbthread", Kind::Gauge, "Nbthread"),
    ("nbproc", Kind::Gauge, "Nbproc"),
    ("relative_process_id", Kind::Gauge, "Process_num"),
    ("uptime_seconds", Kind::Gauge, "Uptime_sec"),
    ("pool_failures_total", Kind::Counter, "PoolFailed"),
    ("max_fds", Kind::Gauge, "Ulimit-n"),
    ("max_sockets", Kind::Gauge, "Maxsock"),
    ("max_connections", Kind::Gauge, "Maxconn"),
    ("hard_max_connections", Kind::Gauge, "Hard_maxconn"),
    ("current_connections", Kind::Gauge, "CurrConns"),
    ("connections_total", Kind::Counter, "CumConns"),
    ("requests_total", Kind::Counter, "CumReq"),
    ("max_ssl_connections", Kind::Gauge, "MaxSslConns"),
    ("current_ssl_connections", Kind::Gauge, "CurrSslConns"),
    ("ssl_connections_total", Kind::Counter, "CumSslConns"),
    ("max_pipes", Kind::Gauge, "Maxpipes"),
    ("pipes_used_total", Kind::Counter, "PipesUsed"),
    ("pipes_free_total", Kind::Counter, "PipesFree"),
    ("current_connection_rate", Kind::Gauge, "ConnRate"),
    ("limit_connection_rate", Kind::Gauge, "ConnRateLimit"),
    ("max_connection_rate", Kind::Gauge, "MaxConnRate"),
    ("current_session_rate", Kind::Gauge, "SessRate"),
    ("limit_session_rate", Kind::Gauge, "SessRateLimit"),
    ("max_session_rate", Kind::Gauge, "MaxSessRate"),
    ("current_ssl_rate", Kind::Gauge, "SslRate"),
    ("limit_ssl_rate", Kind::Gauge, "SslRateLimit"),
    ("max_ssl_rate", Kind::Gauge, "MaxSslRate"),
    ("current_frontend_ssl_key_rate", Kind::Gauge, "SslFrontendKeyRate"),
    ("max_frontend_ssl_key_rate", Kind::Gauge, "SslFrontendMaxKeyRate"),
    ("frontend_ssl_reuse", Kind::Gauge, "SslFrontendSessionReuse_pct"),
    ("current_backend_ssl_key_rate", Kind::Gauge, "SslBackendKeyRate"),
    ("max_backend_ssl_key_rate", Kind::Gauge, "SslBackendMaxKeyRate"),
    ("ssl_cache_lookups_total", Kind::Counter, "SslCacheLookups"),
    ("ssl_cache_misses_total", Kind::Counter, "SslCacheMisses"),
    ("http_comp_bytes_in_total", Kind::Counter, "CompressBpsIn"),
    ("http_comp_bytes_out_total", Kind::Counter, "CompressBpsOut"),
    ("limit_http_comp", Kind::Gauge, "CompressBpsRateLim"),
    ("current_zlib_memory", Kind::Gauge, "ZlibMemUsage"),
    ("max_zlib_memory", Kind::Gauge, "MaxZlibMemUsage"),
    ("current_tasks", Kind::Gauge, "Tasks"),
    ("current_run_queue", Kind::Gauge, "Run_queue"),
    ("idle_time_percent", Kind::Gauge, "Idle_pct"),
    ("stopping", Kind::Gauge, "Stopping"),
    ("jobs", Kind::Gauge, "Jobs"),
    ("unstoppable_jobs", Kind::Gauge, "Unstoppable Jobs"),
    ("listeners", Kind::Gauge, "Listeners"),
    ("active_peers", Kind::Gauge, "ActivePeers"),
    ("connected_peers", Kind::Gauge, "ConnectedPeers"),
    ("dropped_logs_total", Kind::Counter, "DroppedLogs"),
    ("busy_polling_enabled", Kind::Gauge, "BusyPolling"),
    ("failed_resolutions", Kind::Counter, "FailedResolutions"),
    ("bytes_out_total", Kind::Counter, "TotalBytesOut"),
    ("spliced_bytes_out_total", Kind::Counter, "TotalSplicdedBytesOut"),
    ("bytes_out_rate", Kind::Gauge, "BytesOutRate"),
    ("recv_logs_total", Kind::Counter, "CumRecvLogs"),
    ("build_info", Kind::Gauge, "Build info"),
    ("max_memory_bytes", Kind::Gauge, "Memmax_bytes"),
    ("pool_allocated_bytes", Kind::Gauge, "PoolAlloc_bytes"),
    ("pool_used_bytes", Kind::Gauge, "PoolUsed_bytes"),
    ("start_time_seconds", Kind::Gauge, "Start_time_sec"),
];

pub(super) static FRONTEND: &[Metric] = &[
    gauge("current_sessions", Number(Field::Scur)),
    gauge("max_sessions", Number(Field::Smax)),
    gauge("limit_sessions", Number(Field::Slim)),
    counter("sessions_total", Number(Field::Stot)),
    counter("bytes_in_total", Number(Field::Bin)),
    counter("bytes_out_total", Number(Field::Bout)),
    counter("requests_denied_total", Number(Field::Dreq)),
    counter("responses_denied_total", Number(Field::Dresp)),
    counter("request_errors_total", Number(Field::Ereq)),
    gauge("status", States),
    gauge("limit_session_rate", Number(Field::RateLim)),
    gauge("max_session_rate", Number(Field::RateMax)),
    counter("http_responses_total", Codes),
    gauge("http_requests_rate_max", Number(Field::ReqRateMax)),
    counter("http_requests_total", Number(Field::ReqTot)),
    counter("http_comp_bytes_in_total", Number(Field::CompIn)),
    counter("http_comp_bytes_out_total", Number(Field::CompOut)),
    counter("http_comp_bytes_bypassed_total", Number(Field::CompByp)),
    counter("http_comp_responses_total", Number(Field::CompRsp)),
    gauge("connections_rate_max", Number(Field::ConnRateMax)),
    counter("connections_total", Number(Field::ConnTot)),
    counter("intercepted_requests_total", Number(Field::Intercepted)),
    counter("denied_connections_total", Number(Field::Dcon)),
    counter("denied_sessions_total", Number(Field::Dses)),
    counter("failed_header_rewriting_total", Number(Field::Wrew)),
    counter("http_cache_lookups_total", Number(Field::CacheLookups)),
    counter("http_cache_hits_total", Number(Field::CacheHits)),
    counter("internal_errors_total", Number(Field::Eint)),
];

pub(super) static LISTENER: &[Metric] = &[
    gauge("current_sessions", Number(Field::Scur)),
    gauge("max_sessions", Number(Field::Smax)),
    gauge("limit_sessions", Number(Field::Slim)),
    counter("sessions_total", Number(Field::Stot)),
    counter("bytes_in_total", Number(Field::Bin)),
    counter("bytes_out_total", Number(Field::Bout)),
    counter("requests_denied_total", Number(Field::Dreq)),
    counter("responses_denied_total", Number(Field::Dresp)),
    counter("request_errors_total", Number(Field::Ereq)),
    gauge("status", States),
    counter("denied_connections_total", Number(Field::Dcon)),
    counter("denied_sessions_total", Number(Field::Dses)),
    counter("failed_header_rewriting_total", Number(Field::Wrew)),
    counter("internal_errors_total", Number(Field::Eint)),
];

pub(super) static BACKEND: &[Metric] = &[
    gauge("current_queue", Number(Field::Qcur)),
    gauge("max_queue", Number(Field::Qmax)),
    gauge("current_sessions", Number(Field::Scur)),
    gauge("max_sessions", Number(Field::Smax)),
    gauge("limit_sessions", Number(Field::Slim)),
    counter("sessions_total", Number(Field::Stot)),
    counter("bytes_in_total", Number(Field::Bin)),
    counter("bytes_out_total", Number(Field::Bout)),
    counter("requests_denied_total", Number(Field::Dreq)),
    counter("responses_denied_total", Number(Field::Dresp)),
    counter("connection_errors_total", Number(Field::Econ)),
    counter("response_errors_total", Number(Field::Eresp)),
    counter("retry_warnings_total", Number(Field::Wretr)),
    counter("redispatch_warnings_total", Number(Field::Wredis)),
    gauge("status", States),
    gauge("weight", Number(Field::Weight)),
    gauge("active_servers", Number(Field::Act)),
    gauge("backup_servers", Number(Field::Bck)),
    counter("check_up_down_total", Number(Field::Chkdown)),
    gauge("check_last_change_seconds", Number(Field::Lastchg)),
    counter("downtime_seconds_total", Number(Field::Downtime)),
    counter("loadbalanced_total", Number(Field::Lbtot)),
    gauge("max_session_rate", Number(Field::RateMax)),
    counter("http_responses_total", Codes),
    counter("http_requests_total", Number(Field::ReqTot)),
    counter("client_aborts_total", Number(Field::CliAbrt)),
    counter("server_aborts_total", Number(Field::SrvAbrt)),
    counter("http_comp_bytes_in_total", Number(Field::CompIn)),
    counter("http_comp_bytes_out_total", Number(Field::CompOut)),
    counter("http_comp_bytes_bypassed_total", Number(Field::CompByp)),
    counter("http_comp_responses_total", Number(Field::CompRsp)),
    gauge("last_session_seconds", Number(Field::Lastsess)),
    gauge("queue_time_average_seconds", Milliseconds(Field::Qtime)),
    gauge("connect_time_average_seconds", Milliseconds(Field::Ctime)),
    gauge("response_time_average_seconds", Milliseconds(Field::Rtime)),
    gauge("total_time_average_seconds", Milliseconds(Field::Ttime)),
    counter("failed_header_rewriting_total", Number(Field::Wrew)),
    counter("connection_attempts_total", Number(Field::Connect)),
    counter("connection_reuses_total", Number(Field::Reuse)),
    counter("http_cache_lookups_total", Number(Field::CacheLookups)),
    counter("http_cache_hits_total", Number(Field::CacheHits)),
    gauge("max_queue_time_seconds", Milliseconds(Field::QtimeMax)),
    gauge("max_connect_time_seconds", Milliseconds(Field::CtimeMax)),
    gauge("max_response_time_seconds", Milliseconds(Field::RtimeMax)),
    gauge("max_total_time_seconds", Milliseconds(Field::TtimeMax)),
    counter("internal_errors_total", Number(Field::Eint)),
    gauge("uweight", Number(Field::Uweight)),
    gauge("agg_server_status", ServerStates),
    gauge("agg_server_check_status", ServerStates),
    gauge("agg_check_status", CheckStates),
];

pub(super) static SERVER: &[Metric] = &[
    gauge("current_queue", Number(Field::Qcur)),
    gauge("max_queue", Number(Field::Qmax)),
    gauge("current_sessions", Number(Field::Scur)),
    gauge("max_sessions", Number(Field::Smax)),
    gauge("limit_sessions", Number(Field::Slim)),
    counter("sessions_total", Number(Field::Stot)),
    counter("bytes_in_total", Number(Field::Bin)),
    counter("bytes_out_total", Number(Field::Bout)),
    counter("responses_denied_total", Number(Field::Dresp)),
    counter("connection_errors_total", Number(Field::Econ)),
    counter("response_errors_total", Number(Field::Eresp)),
    counter("retry_warnings_total", Number(Field::Wretr)),
    counter("redispatch_warnings_total", Number(Field::Wredis)),
    gauge("status", States),
    gauge("weight", Number(Field::Weight)),
    counter("check_failures_total", Number(Field::Chkfail)),
    counter("check_up_down_total", Number(Field::Chkdown)),
    gauge("check_last_change_seconds", Number(Field::Lastchg)),
    counter("downtime_seconds_total", Number(Field::Downtime)),
    gauge("queue_limit", Number(Field::Qlimit)),
    gauge("current_throttle", Number(Field::Throttle)),
    counter("loadbalanced_total", Number(Field::Lbtot)),
    gauge("max_session_rate", Number(Field::RateMax)),
    gauge("check_status", CheckState),
    gauge("check_code", Number(Field::CheckCode)),
    gauge("check_duration_seconds", Milliseconds(Field::CheckDuration)),
    counter("http_responses_total", Codes),
    counter("client_aborts_total", Number(Field::CliAbrt)),
    counter("server_aborts_total", Number(Field::SrvAbrt)),
    gauge("last_session_seconds", Number(Field::Lastsess)),
    gauge("queue_time_average_seconds", Milliseconds(Field::Qtime)),
    gauge("connect_time_average_seconds", Milliseconds(Field::Ctime)),
    gauge("response_time_average_seconds", Milliseconds(Field::Rtime)),
    gauge("total_time_average_seconds", Milliseconds(Field::Ttime)),
    counter("failed_header_rewriting_total", Number(Field::Wrew)),
    counter("connection_attempts_total", Number(Field::Connect)),
    counter("connection_reuses_total", Number(Field::Reuse)),
    gauge("idle_connections_current", Number(Field::SrvIcur)),
    gauge("idle_connections_limit", Number(Field::ServerIdleLimit)),
    gauge("max_queue_time_seconds", Milliseconds(Field::QtimeMax)),
    gauge("max_connect_time_seconds", Milliseconds(Field::CtimeMax)),
    gauge("max_response_time_seconds", Milliseconds(Field::RtimeMax)),
    gauge("max_total_time_seconds", Milliseconds(Field::TtimeMax)),
    counter("internal_errors_total", Number(Field::Eint)),
    gauge("unsafe_idle_connections_current", Number(Field::IdleConnCur)),
    gauge("safe_idle_connections_current", Number(Field::SafeConnCur)),
    gauge("used_connections_current", Number(Field::UsedConnCur)),
    gauge("need_connections_current", Number(Field::NeedConnEst)),
    gauge("uweight", Number(Field::Uweight)),
];

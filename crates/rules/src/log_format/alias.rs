//! The table of `%` variables: name, meaning, what they need. Owns the names; printing them is elsewhere.

/// What an alias needs to exist before it can be printed in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The connection alone.
    Connection,
    /// The end of the stream, or, with `option logasap`, its response.
    End,
}

/// One row per variable: variant, name, whether it exists in HTTP mode only, stage, meaning.
macro_rules! aliases {
    ($($variant:ident $name:literal $http:literal $stage:ident $doc:literal,)+) => {
        /// A `%` variable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Alias { $(#[doc = $doc] $variant),+ }

        /// Every variable: name, HTTP mode only, stage, meaning.
        pub const ALIASES: &[(Alias, &str, bool, Stage, &str)] =
            &[$((Alias::$variant, $name, $http, Stage::$stage, $doc)),+];
    };
}

aliases! {
    BytesRead "B" false End "bytes sent to the client",
    CapturedRequestCookie "CC" true End "captured request cookie",
    CapturedResponseCookie "CS" true End "captured response cookie",
    Hostname "H" false Connection "host name",
    HttpMethod "HM" true End "HTTP method",
    HttpPath "HP" true End "request URI without query string",
    HttpPathOnly "HPO" true End "path without host and query string",
    HttpQuery "HQ" true End "query string with its question mark",
    HttpUri "HU" true End "request URI",
    HttpVersion "HV" true End "HTTP version",
    UniqueId "ID" false End "unique id",
    Status "ST" false End "status code",
    DateGmt "T" false Connection "accept date, GMT",
    ActiveTime "Ta" true End "active time of the request, ms",
    ConnectTime "Tc" false End "time to connect to the server, ms",
    DataTime "Td" false End "time from response headers to end, ms",
    HandshakeTime "Th" false Connection "handshake time, ms",
    IdleTime "Ti" true End "idle time before the request, ms",
    DateLocal "Tl" false Connection "accept date, local",
    RequestTotalTime "Tq" true End "time from accept to complete request, ms",
    RequestTime "TR" true End "time to receive the request, ms",
    ResponseTime "Tr" true End "time to the response headers, ms",
    Timestamp "Ts" false Connection "accept date, seconds since the epoch",
    TotalTime "Tt" false End "time from accept to end, ms",
    UserTime "Tu" false End "time from the request's first byte to end, ms",
    QueueTime "Tw" false End "time in queues, ms",
    BytesUploaded "U" false End "bytes received from the client",
    ProcessConnections "ac" false End "connections of the process",
    BackendName "b" false End "backend name",
    BackendConnections "bc" false End "connections of the backend",
    BackendSourceIp "bi" false End "our address towards the server",
    BackendSourcePort "bp" false End "our port towards the server",
    BackendQueue "bq" false End "requests queued before this one in the backend",
    ClientIp "ci" false Connection "client address",
    ClientPort "cp" false Connection "client port",
    FrontendName "f" false Connection "frontend name",
    FrontendConnections "fc" false End "connections of the frontend",
    FrontendIp "fi" false Connection "address the client connected to",
    FrontendPort "fp" false Connection "port the client connected to",
    FrontendNameTransport "ft" false Connection "frontend name, with ~ when the client speaks TLS",
    RequestHeaders "hr" false End "captured request headers between braces",
    RequestHeadersList "hrl" false End "captured request headers one by one",
    ResponseHeaders "hs" false End "captured response headers between braces",
    ResponseHeadersList "hsl" false End "captured response headers one by one",
    LogCounter "lc" false Connection "lines logged by this frontend",
    Milliseconds "ms" false Connection "milliseconds of the accept date",
    ProcessId "pid" false Connection "process id",
    Request "r" true End "request line",
    Retries "rc" false End "connection retries, + when redispatched",
    RequestCounter "rt" false Connection "request counter",
    ServerName "s" false End "server name",
    ServerConnections "sc" false End "connections of the server",
    ServerIp "si" false End "server address",
    ServerPort "sp" false End "server port",
    ServerQueue "sq" false End "requests queued before this one at the server",
    TlsCiphers "sslc" false End "TLS cipher",
    TlsVersion "sslv" false End "TLS version",
    DateMs "t" false Connection "accept date, local, with milliseconds",
    RequestDateMs "tr" true End "request date, local, with milliseconds",
    RequestDateGmt "trg" true End "request date, GMT",
    RequestDateLocal "trl" true End "request date, local",
    TerminationState "ts" false End "termination state",
    TerminationStateCookie "tsc" true End "termination state with cookie status",
}

/// Finds a variable by name.
pub(super) fn find(name: &[u8]) -> Option<&'static (Alias, &'static str, bool, Stage, &'static str)> {
    ALIASES.iter().find(|row| row.1.as_bytes() == name)
}

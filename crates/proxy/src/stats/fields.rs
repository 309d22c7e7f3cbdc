//! The fields of a statistics row, in the order and under the names of `show stat`, with the tags of its typed form.
//! Owns no values.

/// Where a value comes from, what kind of number it is, and whom it describes: the three letters of the typed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tags(pub [u8; 3]);

impl Tags {
    pub const fn new(letters: &str) -> Tags {
        let bytes = letters.as_bytes();
        Tags([bytes[0], bytes[1], bytes[2]])
    }

    /// The letters as printed.
    pub fn letters(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// Origin, nature and scope as the JSON form names them.
    pub fn words(self) -> [&'static str; 3] {
        let origin = match self.0[0] {
            b'M' => "Metric",
            b'S' => "Status",
            b'K' => "Key",
            b'C' => "Config",
            b'P' => "Product",
            _ => "Unknown",
        };
        let nature = match self.0[1] {
            b'G' => "Gauge",
            b'L' => "Limit",
            b'm' => "Min",
            b'M' => "Max",
            b'R' => "Rate",
            b'C' => "Counter",
            b'D' => "Duration",
            b'A' => "Age",
            b'T' => "Time",
            b'N' => "Name",
            b'O' => "Output",
            b'a' => "Avg",
            _ => "Unknown",
        };
        let scope = match self.0[2] {
            b'C' => "Cluster",
            b'P' => "Process",
            b'S' => "Service",
            b's' => "System",
            _ => "Unknown",
        };
        [origin, nature, scope]
    }
}

macro_rules! fields {
    ($(($variant:ident, $name:literal, $tags:literal, $description:literal),)*) => {
        /// A column of `show stat`, in its order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field { $(#[doc = $description] $variant),* }

        impl Field {
            /// Every column in order.
            pub const ALL: &[Field] = &[$(Field::$variant),*];

            /// The column's name in the CSV header.
            pub fn name(self) -> &'static str {
                match self { $(Field::$variant => $name),* }
            }

            /// What the column means, in a few words.
            pub fn description(self) -> &'static str {
                match self { $(Field::$variant => $description),* }
            }

            pub(super) fn usual_tags(self) -> Tags {
                match self { $(Field::$variant => const { Tags::new($tags) }),* }
            }
        }
    };
}

fields! {
    (Pxname, "pxname", "KNS", "Proxy name"),
    (Svname, "svname", "KNS", "Server, or FRONTEND, BACKEND, or the name of a listener"),
    (Qcur, "qcur", "MGP", "Requests waiting in the queue"),
    (Qmax, "qmax", "MMP", "Most requests ever waiting in the queue"),
    (Scur, "scur", "MGP", "Sessions in progress"),
    (Smax, "smax", "MMP", "Most sessions ever in progress at once"),
    (Slim, "slim", "CLP", "Limit on sessions: maxconn, or the backend's fullconn"),
    (Stot, "stot", "MCP", "Sessions so far"),
    (Bin, "bin", "MCP", "Bytes received from clients"),
    (Bout, "bout", "MCP", "Bytes sent to clients"),
    (Dreq, "dreq", "MCP", "Requests denied"),
    (Dresp, "dresp", "MCP", "Responses denied"),
    (Ereq, "ereq", "MCP", "Invalid requests"),
    (Econ, "econ", "MCP", "Failed connections to servers"),
    (Eresp, "eresp", "MCP", "Invalid or missing responses of servers"),
    (Wretr, "wretr", "MCP", "Connections tried again"),
    (Wredis, "wredis", "MCP", "Requests moved to another server after a failed connection"),
    (Status, "status", "SGP", "Status of the object"),
    (Weight, "weight", "MaP", "Effective weight; of a backend, the sum over its usable servers"),
    (Act, "act", "SGP", "Usable active servers; of a server, whether it is one"),
    (Bck, "bck", "SGP", "Usable backup servers; of a server, whether it is one"),
    (Chkfail, "chkfail", "MCP", "Failed checks"),
    (Chkdown, "chkdown", "MCP", "Times the object went down"),
    (Lastchg, "lastchg", "MAP", "Seconds since the last change of state"),
    (Downtime, "downtime", "MCP", "Seconds spent down"),
    (Qlimit, "qlimit", "CLS", "Limit on the server's queue"),
    (Pid, "pid", "KGP", "Number of the process, always 1"),
    (Iid, "iid", "KGS", "Number of the proxy"),
    (Sid, "sid", "KGS", "Number of the server or listener"),
    (Throttle, "throttle", "MaP", "Percentage of its weight that a server in slow start gets"),
    (Lbtot, "lbtot", "MCP", "Requests placed here by the balancing algorithm"),
    (Tracked, "tracked", "CNS", "Server whose state this one follows"),
    (Type, "type", "CGS", "0 frontend, 1 backend, 2 server, 3 listener"),
    (Rate, "rate", "MRP", "Sessions in the last second"),
    (RateLim, "rate_lim", "CLP", "Limit on new sessions per second"),
    (RateMax, "rate_max", "MMP", "Most sessions in a second"),
    (CheckStatus, "check_status", "MOP", "Outcome of the last check, starred while another runs"),
    (CheckCode, "check_code", "MOP", "Status code of the last check"),
    (CheckDuration, "check_duration", "MDP", "Milliseconds the last check took"),
    (Hrsp1xx, "hrsp_1xx", "MCP", "Responses with status 100 to 199"),
    (Hrsp2xx, "hrsp_2xx", "MCP", "Responses with status 200 to 299"),
    (Hrsp3xx, "hrsp_3xx", "MCP", "Responses with status 300 to 399"),
    (Hrsp4xx, "hrsp_4xx", "MCP", "Responses with status 400 to 499"),
    (Hrsp5xx, "hrsp_5xx", "MCP", "Responses with status 500 to 599"),
    (HrspOther, "hrsp_other", "MCP", "Responses with any other status"),
    (Hanafail, "hanafail", "MCP", "Failures found by observing traffic"),
    (ReqRate, "req_rate", "MRP", "Requests in the last second"),
    (ReqRateMax, "req_rate_max", "MMP", "Most requests in a second"),
    (ReqTot, "req_tot", "MCP", "Requests so far"),
    (CliAbrt, "cli_abrt", "MCP", "Transfers ended early by the client"),
    (SrvAbrt, "srv_abrt", "MCP", "Transfers ended early by the server"),
    (CompIn, "comp_in", "MCP", "Bytes given to the compressor"),
    (CompOut, "comp_out", "MCP", "Bytes the compressor made of them"),
    (CompByp, "comp_byp", "MCP", "Bytes that went past the compressor"),
    (CompRsp, "comp_rsp", "MCP", "Responses compressed"),
    (Lastsess, "lastsess", "MAP", "Seconds since the last session, -1 without one"),
    (LastChk, "last_chk", "MOP", "Report of the last check"),
    (LastAgt, "last_agt", "MOP", "Report of the last agent check"),
    (Qtime, "qtime", "MaP", "Milliseconds in the queue, average of the last 1024 requests"),
    (Ctime, "ctime", "MaP", "Milliseconds to connect, average of the last 1024 requests"),
    (Rtime, "rtime", "MaP", "Milliseconds to the response, average of the last 1024 requests"),
    (Ttime, "ttime", "MaP", "Milliseconds in all, average of the last 1024 requests"),
    (AgentStatus, "agent_status", "MOP", "Outcome of the last agent check, starred while another runs"),
    (AgentCode, "agent_code", "MOP", "Code of the last agent check, unused"),
    (AgentDuration, "agent_duration", "MDP", "Milliseconds the last agent check took"),
    (CheckDesc, "check_desc", "MOP", "What check_status means"),
    (AgentDesc, "agent_desc", "MOP", "What agent_status means"),
    (CheckRise, "check_rise", "CGS", "Good checks that bring the server up"),
    (CheckFall, "check_fall", "CGS", "Bad checks that take the server down"),
    (CheckHealth, "check_health", "CGS", "Check level: below rise is down"),
    (AgentRise, "agent_rise", "CGS", "Good agent checks that bring the server up"),
    (AgentFall, "agent_fall", "CGS", "Bad agent checks that take the server down"),
    (AgentHealth, "agent_health", "CGS", "Agent check level: below rise is down"),
    (Addr, "addr", "CGS", "Address and port"),
    (Cookie, "cookie", "CNS", "Cookie name of the backend, or value of the server"),
    (Mode, "mode", "CGS", "Proxy mode"),
    (Algo, "algo", "CGS", "Balancing algorithm"),
    (ConnRate, "conn_rate", "MRP", "Connections in the last second"),
    (ConnRateMax, "conn_rate_max", "MMP", "Most connections in a second"),
    (ConnTot, "conn_tot", "MCP", "Connections so far"),
    (Intercepted, "intercepted", "MCP", "Requests answered here: redirects, statistics, returned content"),
    (Dcon, "dcon", "MCP", "Connections refused by a rule"),
    (Dses, "dses", "MCP", "Sessions refused by a rule"),
    (Wrew, "wrew", "MCP", "Header changes that failed"),
    (Connect, "connect", "MCP", "Connections to servers tried"),
    (Reuse, "reuse", "MCP", "Requests that went over an existing server connection"),
    (CacheLookups, "cache_lookups", "MCP", "Requests looked up in the cache"),
    (CacheHits, "cache_hits", "MCP", "Requests answered from the cache"),
    (SrvIcur, "srv_icur", "MGP", "Idle connections to the server"),
    (ServerIdleLimit, "src_ilim", "CLP", "Limit on idle connections to the server"),
    (QtimeMax, "qtime_max", "MMP", "Longest time in the queue, milliseconds"),
    (CtimeMax, "ctime_max", "MMP", "Longest time to connect, milliseconds"),
    (RtimeMax, "rtime_max", "MMP", "Longest time to the response, milliseconds"),
    (TtimeMax, "ttime_max", "MMP", "Longest time in all, milliseconds"),
    (Eint, "eint", "MCP", "Internal errors"),
    (IdleConnCur, "idle_conn_cur", "MGP", "Idle connections that only their own session may reuse at once"),
    (SafeConnCur, "safe_conn_cur", "MGP", "Idle connections that are safe to reuse"),
    (UsedConnCur, "used_conn_cur", "MGP", "Connections in use"),
    (NeedConnEst, "need_conn_est", "MGP", "Estimate of the connections that are needed"),
    (Uweight, "uweight", "MaP", "Weight as set by the user; of a backend, the sum over its usable servers"),
    (AggServerStatus, "agg_server_status", "MGP", "Servers by status, for exporters"),
    (AggServerCheckStatus, "agg_server_check_status", "MGP", "Servers by check status, for exporters"),
    (AggCheckStatus, "agg_check_status", "MGP", "Checks by status, for exporters"),
    (SslSess, "ssl_sess", "MCP", "TLS sessions"),
    (SslReusedSess, "ssl_reused_sess", "MCP", "TLS sessions resumed"),
    (SslFailedHandshake, "ssl_failed_handshake", "MCP", "TLS handshakes that failed"),
    (H2HeadersRcvd, "h2_headers_rcvd", "MCP", "HTTP/2 HEADERS frames received"),
    (H2DataRcvd, "h2_data_rcvd", "MCP", "HTTP/2 DATA frames received"),
    (H2SettingsRcvd, "h2_settings_rcvd", "MCP", "HTTP/2 SETTINGS frames received"),
    (H2RstStreamRcvd, "h2_rst_stream_rcvd", "MCP", "HTTP/2 RST_STREAM frames received"),
    (H2GoawayRcvd, "h2_goaway_rcvd", "MCP", "HTTP/2 GOAWAY frames received"),
    (H2DetectedConnProtocolErrors, "h2_detected_conn_protocol_errors", "MCP", "HTTP/2 errors of whole connections"),
    (H2DetectedStrmProtocolErrors, "h2_detected_strm_protocol_errors", "MCP", "HTTP/2 errors of single streams"),
    (H2RstStreamResp, "h2_rst_stream_resp", "MCP", "HTTP/2 RST_STREAM frames sent for an error"),
    (H2GoawayResp, "h2_goaway_resp", "MCP", "HTTP/2 GOAWAY frames sent for an error"),
    (H2OpenConnections, "h2_open_connections", "MGP", "HTTP/2 connections now"),
    (H2BackendOpenStreams, "h2_backend_open_streams", "MGP", "HTTP/2 streams now"),
    (H2TotalConnections, "h2_total_connections", "MCP", "HTTP/2 connections so far"),
    (H2BackendTotalStreams, "h2_backend_total_streams", "MCP", "HTTP/2 streams so far"),
    (H1OpenConnections, "h1_open_connections", "MGP", "HTTP/1 connections now"),
    (H1OpenStreams, "h1_open_streams", "MGP", "HTTP/1 streams now"),
    (H1TotalConnections, "h1_total_connections", "MCP", "HTTP/1 connections so far"),
    (H1TotalStreams, "h1_total_streams", "MCP", "HTTP/1 streams so far"),
    (H1BytesIn, "h1_bytes_in", "MCP", "HTTP/1 bytes received"),
    (H1BytesOut, "h1_bytes_out", "MCP", "HTTP/1 bytes sent"),
    (H1SplicedBytesIn, "h1_spliced_bytes_in", "MCP", "HTTP/1 bytes received by splicing"),
    (H1SplicedBytesOut, "h1_spliced_bytes_out", "MCP", "HTTP/1 bytes sent by splicing"),
}

impl Field {
    /// The fields that every row may have come first; behind them (and a `-` in the CSV header) those of protocols.
    pub const FIRST_OF_PROTOCOLS: Field = Field::SslSess;

    /// Position in the typed form.
    pub fn position(self) -> usize {
        self as usize
    }
}

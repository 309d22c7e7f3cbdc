//! The table of actions: one keyword, one row, one small function. Parsing, the generated documentation and "did you
//! mean" all read it.

use super::parse::Line;
use super::parse_message as message;
use super::parse_stream as stream;
use super::{HttpAction, StreamAction, TcpAction};
use crate::LoadError;

/// A rule set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Ruleset {
    HttpRequest = 1,
    HttpResponse = 2,
    HttpAfterResponse = 4,
    TcpRequestConnection = 8,
    TcpRequestSession = 16,
    TcpRequestContent = 32,
    TcpResponseContent = 64,
}

impl Ruleset {
    /// The words that begin its lines.
    pub fn name(self) -> &'static str {
        match self {
            Ruleset::HttpRequest => "http-request",
            Ruleset::HttpResponse => "http-response",
            Ruleset::HttpAfterResponse => "http-after-response",
            Ruleset::TcpRequestConnection => "tcp-request connection",
            Ruleset::TcpRequestSession => "tcp-request session",
            Ruleset::TcpRequestContent => "tcp-request content",
            Ruleset::TcpResponseContent => "tcp-response content",
        }
    }

    /// All rule sets.
    pub const ALL: [Ruleset; 7] = [
        Ruleset::HttpRequest,
        Ruleset::HttpResponse,
        Ruleset::HttpAfterResponse,
        Ruleset::TcpRequestConnection,
        Ruleset::TcpRequestSession,
        Ruleset::TcpRequestContent,
        Ruleset::TcpResponseContent,
    ];
}

const REQ: u8 = Ruleset::HttpRequest as u8;
const RES: u8 = Ruleset::HttpResponse as u8;
const AFT: u8 = Ruleset::HttpAfterResponse as u8;
const HTTP: u8 = REQ | RES | AFT;
const CON: u8 = Ruleset::TcpRequestConnection as u8;
const SES: u8 = Ruleset::TcpRequestSession as u8;
const CNT: u8 = Ruleset::TcpRequestContent as u8;
const TRS: u8 = Ruleset::TcpResponseContent as u8;
const TCP: u8 = CON | SES | CNT | TRS;

/// An action before it is known to fit its kind of rule.
pub(super) enum Parsed {
    Http(HttpAction),
    Tcp(TcpAction),
    Stream(StreamAction),
}

/// One row.
pub struct Keyword {
    pub name: &'static str,
    /// Written `name(argument,…)`.
    pub has_argument: bool,
    rulesets: u8,
    /// One line for the generated documentation.
    pub doc: &'static str,
    pub(super) parse: fn(&mut Line<'_, '_, '_>) -> Result<Parsed, LoadError>,
}

impl Keyword {
    /// Whether it may stand in a rule set.
    pub fn is_valid_in(&self, ruleset: Ruleset) -> bool {
        self.rulesets & ruleset as u8 != 0
    }

    /// Whether it does what it says: some are refused by name, others are read and done by nobody yet.
    pub fn works(&self) -> bool {
        !UNDONE.contains(&self.name)
    }
}

/// Not (yet) done by any session.
const UNDONE: [&str; 3] = ["expect-netscaler-cip", "ot-group", "send-spoe-group"];

macro_rules! rows {
    ($($name:literal $argument:literal $rulesets:expr, $parse:path, $doc:literal;)+) => {
        &[$(Keyword {
            name: $name, has_argument: $argument, rulesets: $rulesets, doc: $doc, parse: $parse,
        }),+]
    };
}

/// Every action that is known; what is known but refused has a row that says so.
pub fn keywords() -> &'static [Keyword] {
    KEYWORDS
}

static KEYWORDS: &[Keyword] = rows! {
    "accept" false TCP, stream::accept, "ends the rule set and goes on";
    "add-acl" true REQ | RES, stream::list_change, "adds a pattern to a list";
    "add-header" false HTTP, message::add_header, "adds a header line";
    "allow" false HTTP, message::allow, "ends the rule set and goes on";
    "auth" false REQ, message::auth, "asks for a user name and password";
    "cache-store" false RES, message::cache_store, "stores the response in a cache";
    "cache-use" false REQ, message::cache_use, "answers from a cache";
    "capture" false HTTP | CNT, stream::capture, "keeps a sample for the log";
    "close" false TRS, stream::close, "closes the server's connection";
    "del-acl" true REQ | RES, stream::list_change, "removes a pattern from a list";
    "del-header" false HTTP, message::del_header, "removes header lines";
    "del-map" true REQ | RES, stream::list_change, "removes a key from a map";
    "deny" false REQ | RES, message::deny, "answers 403, or as told";
    "disable-l7-retry" false REQ, message::disable_l7_retry, "never sends the request twice";
    "do-resolve" true REQ | CNT, stream::do_resolve, "resolves a name into a variable";
    "early-hint" false REQ, message::early_hint, "adds a header to a 103 response";
    "expect-netscaler-cip" false CON, stream::expect_netscaler_cip, "reads a NetScaler client IP header";
    "expect-proxy" false CON, stream::expect_proxy, "reads a PROXY protocol header";
    "normalize-uri" false REQ, message::normalize_uri, "brings the URI into a normal form";
    "ot-group" false HTTP | TCP, stream::refused, "OpenTracing: not implemented";
    "redirect" false REQ | RES, message::redirect, "answers with another location";
    "reject" false REQ | TCP, stream::reject, "closes without an answer";
    "replace-header" false HTTP, message::replace_header, "regular expression on header lines";
    "replace-path" false REQ, message::replace_path, "regular expression on the path";
    "replace-pathq" false REQ, message::replace_path_query, "regular expression on path and query";
    "replace-uri" false REQ, message::replace_uri, "regular expression on the URI";
    "replace-value" false HTTP, message::replace_value, "regular expression on each value of a header";
    "return" false REQ | RES, message::return_reply, "answers instead of a server";
    "sc-add-gpc" true REQ | RES | TCP, stream::counter_add, "adds to a tracked counter";
    "sc-inc-gpc" true REQ | RES | TCP, stream::counter_increment, "counts on a tracked entry";
    "sc-inc-gpc0" true REQ | RES | TCP, stream::counter_increment, "counts gpc0 of a tracked entry";
    "sc-inc-gpc1" true REQ | RES | TCP, stream::counter_increment, "counts gpc1 of a tracked entry";
    "sc-set-gpt" true REQ | RES | TCP, stream::counter_set_tag, "sets a tag of a tracked entry";
    "sc-set-gpt0" true REQ | RES | TCP, stream::counter_set_tag, "sets gpt0 of a tracked entry";
    "send-spoe-group" false REQ | RES | CNT | TRS, stream::refused, "SPOE: not implemented";
    "set-bandwidth-limit" false REQ | RES | CNT | TRS, stream::bandwidth_limit, "limits bytes per period";
    "set-dst" false REQ | CON | SES | CNT, stream::set_address, "changes the destination address";
    "set-dst-port" false REQ | CON | SES | CNT, stream::set_address, "changes the destination port";
    "set-header" false HTTP, message::set_header, "replaces a header";
    "set-log-level" false REQ | RES | CNT | TRS, stream::set_log_level, "changes the log line's level";
    "set-map" true REQ | RES, stream::list_change, "sets a key of a map";
    "set-mark" false REQ | RES | TCP, stream::set_mark, "marks packets to the client";
    "set-method" false REQ, message::set_method, "changes the method";
    "set-nice" false REQ | RES | CNT | TRS, stream::set_nice, "changes the scheduling priority";
    "set-path" false REQ, message::set_path, "changes the path, the query stays";
    "set-pathq" false REQ, message::set_path_query, "changes path and query";
    "set-priority-class" false REQ | CNT, stream::set_priority_class, "changes the class in queues";
    "set-priority-offset" false REQ | CNT, stream::set_priority_offset, "changes the time in queues";
    "set-query" false REQ, message::set_query, "changes the query";
    "set-src" false REQ | CON | SES | CNT, stream::set_address, "changes the source address";
    "set-src-port" false REQ | CON | SES | CNT, stream::set_address, "changes the source port";
    "set-status" false RES | AFT, message::set_status, "changes the status";
    "set-timeout" false REQ | RES, stream::set_timeout, "changes a timeout of this stream";
    "set-tos" false REQ | RES | TCP, stream::set_tos, "sets the TOS byte of packets to the client";
    "set-uri" false REQ, message::set_uri, "changes the URI";
    "set-var" true HTTP | TCP, stream::set_variable, "sets a variable";
    "set-var-fmt" true HTTP | TCP, stream::set_variable, "sets a variable to a formatted text";
    "silent-drop" false REQ | RES | TCP, stream::silent_drop, "forgets the connection silently";
    "strict-mode" false HTTP, message::strict_mode, "whether failed rewrites are errors";
    "switch-mode" false CNT, stream::switch_mode, "goes on in HTTP mode";
    "tarpit" false REQ, message::tarpit, "answers 500 after a delay";
    "track-sc0" false REQ | RES | CON | SES | CNT, stream::track, "tracks an entry of a stick table";
    "track-sc1" false REQ | RES | CON | SES | CNT, stream::track, "tracks a second entry";
    "track-sc2" false REQ | RES | CON | SES | CNT, stream::track, "tracks a third entry";
    "unset-var" true HTTP | TCP, stream::unset_variable, "forgets a variable";
    "use-service" false REQ | CNT, stream::use_service, "lets a built-in service answer";
    "wait-for-body" false REQ | RES, message::wait_for_body, "waits for the body";
    "wait-for-handshake" false REQ, message::wait_for_handshake, "waits for early data to be confirmed";
};

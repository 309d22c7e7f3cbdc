//! A small fixed process for rules to look at: one frontend, one backend, two servers, a table, some variables.

use diag::{FileId, Span};
use http::{Head, Limits, Parsed};
use rules::log_format::Zone;
use rules::{
    AclSet, BackendNumber, Direction, FrontendNumber, Host, LoadError, LogContext, Names, ParseContext,
    PatternStore, Peer, Place, PlaceSet, ProcessNumber, ProxyId, Scope, Section, ServerId, ServerNumber,
    StickTable, StickTableConfig, StreamFacts, StreamTimeout, StreamVariables, TableId, Times, UserlistId,
    VariableLimits, WallTime, Word,
};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that variables may take in every scope.
const VARIABLES_SIZE_MAX: usize = 64 << 10;

/// The table line of the backend.
const TABLE: &str =
    "type string len 64 size 100 expire 1m store conn_cnt,http_req_rate(10s),gpc(3),gpt(2),bytes_in_cnt";

/// What every pattern file holds, whatever its name.
const PATTERN_FILE: &[u8] = b"# comment\n10.0.0.0/8 one\n/static two\nexample.com three\n^a.*b$ four\n17 5\n";

/// Where every expression may stand.
pub const SECTION: Section =
    Section { proxy: Some(ProxyId(0)), is_frontend: true, is_backend: true, is_http: true };

/// A stream in the middle of its life, with the messages that an input brought.
pub struct World {
    facts: StreamFacts,
    request: Option<Head>,
    response: Option<Head>,
    payload: Vec<u8>,
    direction: Direction,
    variables: StreamVariables,
    host: FixedHost,
    pub patterns: PatternStore,
    pub acls: AclSet,
    now: Instant,
}

impl World {
    /// A stream whose request, or response when it reads as one, is `message`; a plain request when it reads as neither,
    /// and `message` is then what a TCP client sent.
    pub fn new(message: &[u8]) -> World {
        let now = Instant::now();
        let limits = Limits { accept_invalid: true, ..Limits::default() };
        let (mut request, mut response) = (Head::new(), Head::new());
        let mut direction = Direction::Request;
        let mut payload = message;
        if let Ok(Parsed::Complete { consumed }) = http::parse_request(message, &limits, &mut request) {
            payload = &message[consumed..];
        } else {
            let plain = b"GET /a/b.html?c=d&e=%41 HTTP/1.1\r\nhost: example.com\r\ncookie: k=v; l=w\r\n\r\n";
            request = Head::new();
            let read = http::parse_request(plain, &limits, &mut request);
            assert!(matches!(read, Ok(Parsed::Complete { .. })));
        }
        let response = match http::parse_response(message, &limits, &mut response) {
            Ok(Parsed::Complete { consumed }) => {
                payload = &message[consumed..];
                direction = Direction::Response;
                Some(response)
            }
            Ok(Parsed::Partial) | Err(_) => None,
        };
        let limits = VariableLimits {
            process: VARIABLES_SIZE_MAX,
            session: VARIABLES_SIZE_MAX,
            transaction: VARIABLES_SIZE_MAX,
            request_response: VARIABLES_SIZE_MAX,
            check: VARIABLES_SIZE_MAX,
        };
        World {
            facts: facts(now, &request),
            request: Some(request),
            response,
            payload: payload.to_vec(),
            direction,
            variables: StreamVariables::new(Arc::default(), Rc::default(), limits),
            host: FixedHost { table: table(now) },
            patterns: PatternStore::new(),
            acls: AclSet::new(),
            now,
        }
    }

    /// Parses something that may stand in any rule.
    pub fn parse<T>(
        &mut self,
        places: PlaceSet,
        run: impl FnOnce(&mut ParseContext<'_>) -> Result<T, LoadError>,
    ) -> Result<T, LoadError> {
        let mut warnings = Vec::new();
        let result = run(&mut ParseContext {
            names: &FixedNames,
            read_file: &mut |_| Ok(PATTERN_FILE.to_vec()),
            patterns: &mut self.patterns,
            acls: &self.acls,
            section: SECTION,
            places,
            locate: &|_| ("any.cfg".to_owned(), 1),
            at: Span { file: FileId(0), start: 0, end: 0 },
            uses: &mut Default::default(),
            warnings: &mut warnings,
        });
        if let Err(error) = &result {
            assert!(!error.message.is_empty());
        }
        result
    }

    pub fn scope(&self) -> Scope<'_> {
        Scope {
            client: None,
            direction: self.direction,
            stream: &self.facts,
            request: self.request.as_ref(),
            response: self.response.as_ref(),
            payload: &self.payload,
            payload_final: true,
            host: &self.host,
            variables: &self.variables,
            tracked: [&[], &[]],
            set_timeouts: Default::default(),
            now: self.now,
            wall: WallTime(Duration::from_micros(1_700_000_000_123_456)),
        }
    }
}

/// What a worker thread keeps for writing lines.
pub fn log_context() -> LogContext {
    let zone = Zone::from_posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a rule of Central Europe");
    LogContext::new(zone, 4321)
}

/// The sides of an input: up to the first newline, and behind it.
pub fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, b""),
    }
}

/// A word that lies at `start` of its file.
pub fn word(text: &[u8], start: usize) -> Word<'_> {
    let span = Span { file: FileId(0), start: start as u32, end: (start + text.len()) as u32 };
    Word::new(text, span)
}

/// The words of a line, cut at blanks.
pub fn words(line: &[u8]) -> Vec<Word<'_>> {
    let mut start = 0;
    let mut words = Vec::new();
    for part in line.split(|byte| *byte == b' ') {
        if !part.is_empty() {
            words.push(word(part, start));
        }
        start += part.len() + 1;
    }
    words
}

/// The places where expressions of most kinds are taken.
pub fn places() -> [PlaceSet; 3] {
    [
        PlaceSet::http_request(SECTION),
        PlaceSet::http_response(SECTION).with(Place::Log.only()),
        PlaceSet::tcp_request_content(SECTION),
    ]
}

fn table(epoch: Instant) -> Arc<StickTable> {
    let words: Vec<&str> = TABLE.split(' ').collect();
    let config = StickTableConfig::parse(&words, &mut Vec::new());
    Arc::new(StickTable::new(config.unwrap_or_else(|error| panic!("{TABLE}: {error:?}")), epoch))
}

fn facts(now: Instant, request: &Head) -> StreamFacts {
    let after = |milliseconds| Some(now + Duration::from_millis(milliseconds));
    let times = Times {
        accept: now,
        accept_wall: WallTime(Duration::from_secs(1_700_000_000)),
        handshake_done: after(1),
        request_start: after(2),
        request_start_wall: WallTime(Duration::from_secs(1_700_000_000)),
        request_done: after(3),
        queue_done: after(4),
        connected: after(5),
        response_done: after(6),
        end: after(7),
    };
    StreamFacts {
        id: 1,
        backend: Some(ProxyId(1)),
        server: Some(ServerId { proxy: ProxyId(1), index: 0 }),
        src: Some(Peer::Inet(([10, 0, 0, 1], 4321).into())),
        dst: Some(Peer::Unix),
        server_src: Some(Peer::Inet(([0, 0, 0, 0, 0, 0, 0, 1], 5555).into())),
        server_dst: Some(Peer::Inet(([10, 9, 9, 1], 8080).into())),
        captured_uri: request.uri().to_vec(),
        request_captures: vec![Some(request.uri().to_vec()), None].into(),
        response_captures: vec![None, Some(b"a\x00b".to_vec())].into(),
        cookie_capture_request: Some(request.uri().to_vec()),
        unique_id: Some(request.uri().to_vec()),
        request_version: Some(request.version()),
        is_http: true,
        ..StreamFacts::new(ProxyId(0), times)
    }
}

/// Fixed answers.
struct FixedHost {
    table: Arc<StickTable>,
}

impl Host for FixedHost {
    fn proxy_name(&self, proxy: ProxyId) -> &str {
        if proxy.0 == 0 { "front" } else { "app" }
    }

    fn proxy_number(&self, proxy: ProxyId) -> u32 {
        proxy.0 + 1
    }

    fn server_name(&self, server: ServerId) -> &str {
        if server.index == 0 { "a" } else { "b" }
    }

    fn server_number(&self, server: ServerId) -> u32 {
        server.index + 1
    }

    fn server_is_up(&self, server: ServerId) -> bool {
        server.index == 0
    }

    fn listener(&self, _: ProxyId, index: u32) -> (Option<&str>, u32) {
        ((index == 0).then_some("sock"), 1)
    }

    fn listener_connections(&self, _: ProxyId, _: u32) -> u32 {
        1
    }

    fn capture_length(&self, _: ProxyId, _: rules::Direction, slot: usize) -> Option<usize> {
        (slot < 2).then_some(8)
    }

    fn default_backend(&self, _: ProxyId) -> Option<ProxyId> {
        Some(ProxyId(1))
    }

    fn backend(&self, _: ProxyId, _: BackendNumber) -> i64 {
        -1
    }

    fn frontend(&self, _: ProxyId, _: FrontendNumber) -> i64 {
        i64::MAX
    }

    fn server(&self, _: ServerId, _: ServerNumber) -> i64 {
        i64::MIN
    }

    fn process(&self, _: ProcessNumber) -> i64 {
        1
    }

    fn timeout(&self, _: &StreamFacts, _: StreamTimeout) -> Option<Duration> {
        Some(Duration::from_secs(5))
    }

    fn backend_by_name(&self, name: &[u8]) -> Option<ProxyId> {
        (name == b"app").then_some(ProxyId(1))
    }

    fn server_by_name(&self, proxy: ProxyId, name: &[u8]) -> Option<ServerId> {
        let index = [b"a", b"b"].iter().position(|known| *known == name)?;
        Some(ServerId { proxy, index: index as u32 })
    }

    fn table(&self, _: TableId) -> Option<&Arc<StickTable>> {
        Some(&self.table)
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn hostname(&self) -> &str {
        "machine"
    }

    fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback()
    }

    fn local_offset(&self, _: i64) -> i32 {
        3600
    }

    fn random(&self) -> u64 {
        0x1234_5678_9abc_def0
    }

    fn user_is_valid(&self, _: UserlistId, user: &[u8], password: &[u8]) -> bool {
        user == b"alice" && password == b"secret"
    }

    fn user_in_group(&self, _: UserlistId, user: &[u8], group: &[u8]) -> bool {
        user == b"alice" && group == b"admins"
    }
}

/// Every name that the corpus uses.
struct FixedNames;

impl Names for FixedNames {
    fn frontend(&self, name: &[u8]) -> Option<ProxyId> {
        (name == b"front").then_some(ProxyId(0))
    }

    fn backend(&self, name: &[u8]) -> Option<ProxyId> {
        (name == b"app").then_some(ProxyId(1))
    }

    fn server(&self, proxy: ProxyId, name: &[u8]) -> Option<ServerId> {
        let index = [b"a", b"b"].iter().position(|known| *known == name)?;
        Some(ServerId { proxy, index: index as u32 })
    }

    fn table(&self, name: &[u8]) -> Option<TableId> {
        (name == b"app").then_some(TableId(0))
    }

    fn own_table(&self, _: ProxyId) -> Option<TableId> {
        Some(TableId(0))
    }

    fn userlist(&self, name: &[u8]) -> Option<UserlistId> {
        (name == b"people").then_some(UserlistId(0))
    }

    fn environment(&self, name: &[u8]) -> Option<Vec<u8>> {
        (name == b"HOME").then(|| b"/root".to_vec())
    }
}

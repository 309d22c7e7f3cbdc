//! A scope for the unit tests of this crate: fixed facts, a few proxies and servers, variables in a map.

use crate::acl::AclSet;
use crate::scope::{
    BackendNumber, Direction, FrontendNumber, Host, Peer, ProcessNumber, Scope, ServerNumber, StreamFacts,
    StreamTimeout, Times, Variables, WallTime,
};
use crate::{
    Condition, Expr, LoadError, Names, ParseContext, PatternStore, PlaceSet, ProxyId, Section, ServerId,
    TableId, UserlistId, Value, VariableName, Word,
};
use crate::{StickTable, Tracked};
use diag::{FileId, Span};
use http::Head;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Frontend 0 `front`, backend 1 `app` with servers `a` (up) and `b` (down), userlist 0 `people`.
pub(crate) struct World {
    pub(crate) stream: StreamFacts,
    pub(crate) request: Option<Head>,
    pub(crate) response: Option<Head>,
    pub(crate) direction: Direction,
    pub(crate) payload: Vec<u8>,
    pub(crate) payload_final: bool,
    pub(crate) wall: Duration,
    pub(crate) variables: MapOfVariables,
    pub(crate) tracked: Vec<Option<Tracked>>,
    host: FixedHost,
    pub(crate) files: HashMap<Vec<u8>, Vec<u8>>,
    pub(crate) patterns: PatternStore,
    pub(crate) acls: AclSet,
    pub(crate) section: Section,
    pub(crate) places: PlaceSet,
    pub(crate) warnings: Vec<LoadError>,
    now: Instant,
}

#[derive(Default)]
pub(crate) struct MapOfVariables(RefCell<HashMap<VariableName, Value<'static>>>);

impl Variables for MapOfVariables {
    fn get(&self, name: &VariableName) -> Option<Value<'static>> {
        self.0.borrow().get(name).cloned()
    }

    fn set(&self, name: &VariableName, value: Value<'static>) -> bool {
        self.0.borrow_mut().insert(name.clone(), value);
        true
    }

    fn unset(&self, name: &VariableName) {
        self.0.borrow_mut().remove(name);
    }
}

/// A host with fixed answers and maybe a stick table.
#[derive(Default)]
pub(crate) struct FixedHost {
    table: Option<Arc<StickTable>>,
}

impl Host for FixedHost {
    fn proxy_name(&self, proxy: ProxyId) -> &str {
        ["front", "app", "none"][proxy.index().min(2)]
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

    fn capture_length(&self, _: ProxyId, _: crate::scope::Direction, slot: usize) -> Option<usize> {
        (slot < 2).then_some(8)
    }

    fn default_backend(&self, _: ProxyId) -> Option<ProxyId> {
        Some(ProxyId(1))
    }

    fn backend(&self, _: ProxyId, which: BackendNumber) -> i64 {
        match which {
            BackendNumber::UsableServers => 1,
            BackendNumber::FreeConnections | BackendNumber::FreeSlots => -1,
            BackendNumber::Connections | BackendNumber::SessionRate | BackendNumber::Queued => 0,
        }
    }

    fn frontend(&self, _: ProxyId, which: FrontendNumber) -> i64 {
        match which {
            FrontendNumber::Connections => 1,
            FrontendNumber::RequestRate | FrontendNumber::SessionRate => 1,
        }
    }

    fn server(&self, _: ServerId, which: ServerNumber) -> i64 {
        match which {
            ServerNumber::Weight | ServerNumber::InitialWeight | ServerNumber::UserWeight => 1,
            ServerNumber::FreeConnections => -1,
            ServerNumber::Connections | ServerNumber::Queued | ServerNumber::SessionRate => 0,
        }
    }

    fn process(&self, which: ProcessNumber) -> i64 {
        match which {
            ProcessNumber::Thread => 0,
        }
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
        self.table.as_ref()
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
        0
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

pub(crate) struct FixedNames;

impl Names for FixedNames {
    fn frontend(&self, name: &[u8]) -> Option<ProxyId> {
        (name == b"front").then_some(ProxyId(0))
    }

    fn backend(&self, name: &[u8]) -> Option<ProxyId> {
        FixedHost::default().backend_by_name(name)
    }

    fn server(&self, backend: ProxyId, name: &[u8]) -> Option<ServerId> {
        FixedHost::default().server_by_name(backend, name)
    }

    fn table(&self, name: &[u8]) -> Option<TableId> {
        (name == b"app").then_some(TableId(0))
    }

    fn own_table(&self, _: ProxyId) -> Option<TableId> {
        None
    }

    fn userlist(&self, name: &[u8]) -> Option<UserlistId> {
        (name == b"people").then_some(UserlistId(0))
    }

    fn environment(&self, name: &[u8]) -> Option<Vec<u8>> {
        (name == b"HOME").then(|| b"/root".to_vec())
    }
}

impl World {
    /// A client 10.0.0.1:4321 that connected to 192.0.2.1:80 and has sent nothing.
    pub(crate) fn new() -> World {
        let now = Instant::now();
        let section =
            Section { proxy: Some(ProxyId(0)), is_frontend: true, is_backend: false, is_http: true };
        World {
            stream: facts(now),
            request: None,
            response: None,
            direction: Direction::Request,
            payload: Vec::new(),
            payload_final: true,
            wall: Duration::from_micros(1_700_000_000_123_456),
            variables: MapOfVariables::default(),
            tracked: Vec::new(),
            host: FixedHost::default(),
            files: HashMap::new(),
            patterns: PatternStore::new(),
            acls: AclSet::new(),
            section,
            places: PlaceSet::http_request(section),
            warnings: Vec::new(),
            now,
        }
    }

    /// The same with a request head.
    pub(crate) fn with_request(head: &str) -> World {
        let mut world = World::new();
        let mut parsed = Head::new();
        let lines: Vec<&str> = head.trim_end().split('\n').map(str::trim).collect();
        let wire = format!("{}\r\n\r\n", lines.join("\r\n"));
        http::parse_request(wire.as_bytes(), &http::Limits::default(), &mut parsed).expect("a request");
        world.request = Some(parsed);
        world
    }

    /// As the vectors were recorded: a client on 127.0.0.1; rules run on the response where there is one.
    pub(crate) fn recorded(request: &[u8], response: &[u8]) -> World {
        let mut world = World::new();
        world.stream.src = Some(Peer::Inet(([127, 0, 0, 1], 4321).into()));
        world.stream.dst = Some(Peer::Inet(([127, 0, 0, 1], 80).into()));
        world.stream.is_http = true;
        world.stream.listener = 1;
        world.stream.server_src = world.stream.src;
        world.stream.server_dst = world.stream.dst;
        let limits = http::Limits::default();
        if !request.is_empty() {
            let mut head = Head::new();
            http::parse_request(request, &limits, &mut head).expect("a request");
            world.stream.captured_uri =
                [head.method(), b" ", head.uri(), b" ", head.version().as_bytes()].concat();
            world.stream.request_version = Some(head.version());
            world.request = Some(head);
            world.payload = body_of(request).to_vec();
        }
        if !response.is_empty() {
            let mut head = Head::new();
            http::parse_response(response, &limits, &mut head).expect("a response");
            world.stream.response_version = Some(head.version());
            world.response = Some(head);
            world.payload = body_of(response).to_vec();
            world.direction = Direction::Response;
            world.places = PlaceSet::http_response(world.section);
        }
        world
    }

    /// A condition of words that may have blanks inside.
    pub(crate) fn condition_of_words(&mut self, words: &[String]) -> Result<Condition, LoadError> {
        let mut all = vec![word("if", 0)];
        all.extend(words.iter().map(|text| word(text, 3)));
        self.with_context(|context| Condition::parse(&all, context))
    }

    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            client: None,
            direction: self.direction,
            stream: &self.stream,
            request: self.request.as_ref(),
            response: self.response.as_ref(),
            payload: &self.payload,
            payload_final: self.payload_final,
            host: &self.host,
            variables: &self.variables,
            tracked: [&self.tracked, &[]],
            set_timeouts: Default::default(),
            now: self.now,
            wall: WallTime(self.wall),
        }
    }

    pub(crate) fn with_context<T>(&mut self, run: impl FnOnce(&mut ParseContext<'_>) -> T) -> T {
        let files = &self.files;
        let mut read_file = |name: &[u8]| files.get(name).cloned().ok_or_else(|| "no such file".to_string());
        let acls = self.acls.clone();
        let mut context = ParseContext {
            names: &FixedNames,
            read_file: &mut read_file,
            patterns: &mut self.patterns,
            acls: &acls,
            section: self.section,
            places: self.places,
            locate: &|_| ("test.cfg".into(), 1),
            at: Span { file: FileId(0), start: 0, end: 0 },
            uses: &mut Default::default(),
            warnings: &mut self.warnings,
        };
        run(&mut context)
    }

    pub(crate) fn expr(&mut self, text: &str) -> Result<Expr, LoadError> {
        self.with_context(|context| Expr::parse_word(word(text, 0), context))
    }

    /// Words are cut at blanks; quotes are not known here.
    pub(crate) fn condition(&mut self, text: &str) -> Result<Condition, LoadError> {
        let words = words(text);
        self.with_context(|context| Condition::parse(&words, context))
    }

    pub(crate) fn acl(&mut self, text: &str) -> Result<(), LoadError> {
        let words = words(text);
        let line = self.with_context(|context| AclSet::parse(&words, context))?;
        self.acls.insert(line);
        Ok(())
    }

    /// Makes every table of that name this one.
    pub(crate) fn set_table(&mut self, table: Arc<StickTable>) {
        self.host.table = Some(table);
    }

    /// The text form of an expression's value.
    pub(crate) fn text(&mut self, expression: &str) -> Option<String> {
        let expr = self.expr(expression).unwrap_or_else(|error| panic!("{expression}: {}", error.message));
        let scope = self.scope();
        expr.eval_text(&scope).map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    /// Whether a condition without `if` holds.
    pub(crate) fn holds(&mut self, condition: &str) -> bool {
        let parsed = self.condition(&format!("if {condition}"));
        let parsed = parsed.unwrap_or_else(|error| panic!("{condition}: {}", error.message));
        parsed.matches(&self.scope())
    }
}

/// What follows the empty line.
fn body_of(message: &[u8]) -> &[u8] {
    match memchr::memmem::find(message, b"\r\n\r\n") {
        Some(end) => &message[end + 4..],
        None => b"",
    }
}

pub(crate) fn words(text: &str) -> Vec<Word<'_>> {
    let base = text.as_ptr() as usize;
    text.split_whitespace().map(|part| word(part, part.as_ptr() as usize - base)).collect()
}

pub(crate) fn word(text: &str, start: usize) -> Word<'_> {
    let span = Span { file: FileId(0), start: start as u32, end: (start + text.len()) as u32 };
    Word { text: text.as_bytes(), span }
}

fn facts(now: Instant) -> StreamFacts {
    StreamFacts {
        id: 1,
        backend: Some(ProxyId(1)),
        server: Some(ServerId { proxy: ProxyId(1), index: 0 }),
        applet: None,
        src: Some(Peer::Inet(([10, 0, 0, 1], 4321).into())),
        dst: Some(Peer::Inet(([192, 0, 2, 1], 80).into())),
        server_src: Some(Peer::Inet(([10, 9, 9, 9], 5555).into())),
        server_dst: Some(Peer::Inet(([10, 9, 9, 1], 8080).into())),
        captured_uri: b"GET /path?query HTTP/1.1".to_vec(),
        request_captures: vec![Some(b"captured".to_vec()), None].into(),
        request_version: Some(http::Version::Http11),
        ..StreamFacts::new(
            ProxyId(0),
            Times {
                accept: now,
                accept_wall: WallTime::default(),
                handshake_done: None,
                request_start: None,
                request_start_wall: WallTime::default(),
                request_done: None,
                queue_done: None,
                connected: None,
                response_done: None,
                end: None,
            },
        )
    }
}

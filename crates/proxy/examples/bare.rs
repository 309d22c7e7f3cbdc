use haproxy_config::Model;
use haproxy_config::model::*;
use rules::ProxyId;
use std::sync::Arc;
use std::time::Duration;
fn bind(port: u16) -> Bind {
    Bind {
        address: Address::Inet { ip: "127.0.0.1".parse().unwrap(), port },
        span: span(),
        name: None,
        id: 1,
        accept_proxy: false,
        backlog: None,
        maxconn: None,
        unix_mode: None,
        unix_uid: None,
        unix_gid: None,
        transparent: false,
        v4v6: false,
        v6only: false,
        interface: None,
        mss: None,
        tcp_user_timeout_ms: None,
        tfo: false,
        defer_accept: false,
        nice: None,
        level: Level::User,
        severity_output: None,
        expose_fd_listeners: false,
        namespace: None,
        tls: None,
        http2_prior_knowledge: false,
        source_networks: vec![],
        proxy: None,
    }
}
fn span() -> diag::Span {
    diag::Span { file: diag::FileId(0), start: 0, end: 0 }
}
fn server(port: u16) -> Server {
    Server {
        name: "s".into(),
        span: span(),
        puid: 1,
        address: Address::Inet { ip: "127.0.0.1".parse().unwrap(), port },
        port: ServerPort::Fixed,
        weight: 1,
        backup: false,
        disabled: false,
        maxconn: 0,
        minconn: 0,
        maxqueue: 0,
        cookie: None,
        redir: None,
        slowstart: None,
        track: None,
        check: None,
        agent: None,
        observe: None,
        error_limit: 10,
        on_error: OnError::FailCheck,
        on_marked_down_shutdown_sessions: false,
        on_marked_up_shutdown_backup_sessions: false,
        send_proxy: None,
        pool_max_conn: -1,
        pool_low_conn: 0,
        pool_purge_delay: Duration::from_secs(5),
        max_reuse: None,
        source: None,
        init_addr: vec![],
        resolvers: None,
        resolve_prefer_ipv6: false,
        resolve_nets: vec![],
        resolve_opts: ResolveOptions::default(),
        tcp_user_timeout_ms: None,
        tfo: false,
        mss: None,
        namespace: None,
        non_stick: false,
        http2_prior_knowledge: false,
        tls: None,
        log_proto: None,
    }
}
fn proxy(id: u32, name: &str, mode: Mode, port: u16, to: u16) -> Proxy {
    Proxy {
        id: ProxyId(id),
        uuid: id + 2,
        name: name.into(),
        span: span(),
        is_frontend: true,
        is_backend: true,
        mode,
        disabled: false,
        description: None,
        binds: vec![bind(port)],
        maxconn: None,
        backlog: None,
        session_rate_limit: None,
        monitor_uri: None,
        monitor_fail: vec![],
        request_captures: vec![],
        response_captures: vec![],
        cookie_capture: None,
        use_backend: vec![],
        default_backend: None,
        unique_id_format: None,
        unique_id_header: None,
        servers: vec![server(to)],
        balance: Balance { algorithm: balance::Algorithm::RoundRobin, key: BalanceKey::None },
        fullconn: None,
        cookie: None,
        rdp_persist: None,
        use_server: vec![],
        force_persist: vec![],
        ignore_persist: vec![],
        retries: 3,
        retry_on: RetryOn::default(),
        redispatch: 0,
        http_reuse: HttpReuse::Safe,
        check: checks::Recipe::connect_only(),
        check_options: CheckOptions::default(),
        stick_table: None,
        stick_rules: vec![],
        source: None,
        hash_balance_factor: 0,
        dispatch: None,
        load_server_state: LoadServerState::None,
        server_state_file_name: None,
        timeouts: Timeouts {
            connect: Some(Duration::from_secs(5)),
            client: Some(Duration::from_secs(50)),
            server: Some(Duration::from_secs(50)),
            ..Timeouts::default()
        },
        options: Options::default(),
        http_connection: HttpConnection::KeepAlive,
        forwardfor: None,
        originalto: None,
        tcp_request_connection: vec![],
        tcp_request_session: vec![],
        tcp_request_content: vec![],
        tcp_request_inspect_delay: None,
        tcp_response_content: vec![],
        tcp_response_inspect_delay: None,
        http_request: vec![],
        http_response: vec![],
        http_after_response: vec![],
        redirects: vec![],
        log_targets: vec![],
        log_tag: None,
        log_format: None,
        error_log_format: None,
        log_format_sd: None,
        errors: vec![],
        stats: None,
        email_alert: None,
    }
}
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u16>().unwrap());
    let (h, t, b, tb) =
        (args.next().unwrap(), args.next().unwrap(), args.next().unwrap(), args.next().unwrap());
    let mut model = Model::default();
    model.global.nbthread = Some(1);
    model.global.maxconn = Some(20000);
    model.proxies = vec![proxy(0, "h", Mode::Http, h, b), proxy(1, "t", Mode::Tcp, t, tb)];
    let bound = proxy::bind(Arc::new(model), proxy::BindOptions::default()).unwrap();
    let (_tx, rx) = std::sync::mpsc::channel();
    std::process::exit(bound.run(rx));
}

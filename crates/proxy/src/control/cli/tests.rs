//! Commands on a state made from a configuration, without a socket.

use super::session::{Reply, Session};
use super::{Line, table};
use crate::control::Control;
use crate::handover::Handover;
use crate::health::Health;
use crate::logs::Logs;
use crate::net::Namespaces;
use crate::plan::Plan;
use crate::resolve::Resolve;
use crate::run::Stage;
use crate::state::{Admin, FrontendStatus, State};
use crate::worker::Shared;
use haproxy_config::model::{Level, SeverityOutput};
use haproxy_config::{LoadOptions, load_text};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;

const CONFIG: &str = "
global
    stats socket /nowhere/cli.sock mode 600 level admin
    maxconn 500
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend web
    bind 127.0.0.1:18081
    default_backend nginx
backend nginx
    balance roundrobin
    server 192.168.1.111 127.0.0.1:18082
    server 192.168.1.112 127.0.0.1:18083 weight 10 maxconn 5 check
    server follower 127.0.0.1:18084 track nginx/192.168.1.112
backend static
    balance source
    server one 127.0.0.1:18085 weight 4
backend table
    stick-table type string len 32 size 100 store gpc0
";

fn session(level: Level) -> Session {
    let loaded = load_text(&LoadOptions::new(Vec::new()), "test.cfg", CONFIG);
    let model = Arc::new(loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.report)));
    let state = State::new(Arc::clone(&model), 2, 500, 1);
    let shared = Shared {
        caches: crate::cache::Caches::default(),
        peers: Arc::default(),
        mails: crate::mails::Mails::new(&model),
        logs: Logs::open(&model).expect("nothing to open"),
        health: Health::new(&state),
        resolve: Resolve::new(&model),
        handover: Handover::default(),
        namespaces: Namespaces::default(),
        tls: Arc::new(tls::Tls::load(&model).0),
        startup_log: "[WARNING]  (1) : careful\n".to_owned(),
        number: 1,
        since: std::time::Instant::now(),
        living: Arc::default(),
        plan: Plan::new(model),
        state,
    };
    let (stage, _) = watch::channel(Stage::Running);
    let control = Control { shared: Arc::new(shared), orders: Arc::new([]), stage, commands: None };
    Session::new(Rc::new(control), level, SeverityOutput::None, Duration::from_secs(10))
}

fn admin() -> Session {
    session(Level::Admin)
}

/// What a client reads for a command.
fn ask(session: &mut Session, command: &str) -> String {
    let line = Line { words: command.split(' ').map(str::to_owned).collect(), payload: None };
    let words: Vec<&str> = line.words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    let reply = table::run(session, &words);
    assert!(!matches!(reply, Reply::Later(_)), "{command} needs workers");
    session.render(reply)
}

#[test]
fn a_server_is_disabled_and_enabled() {
    // row: 191, 192
    let mut session = admin();
    let id = session.find_server("nginx/192.168.1.111").ok().expect("configured");
    assert_eq!(ask(&mut session, "disable server nginx/192.168.1.111"), "\n");
    assert_eq!(session.state().server(id).admin(), Admin::FORCED_MAINT);
    assert_eq!(session.state().backend(id.proxy).usable(), 2);
    assert_eq!(ask(&mut session, "enable server nginx/192.168.1.111"), "\n");
    assert_eq!(session.state().backend(id.proxy).usable(), 3);
}

#[test]
fn wrong_names_have_the_texts_that_scripts_know() {
    // row: 193
    let mut session = admin();
    for (command, reply) in [
        ("disable server nginx/nobody", "No such server.\n\n"),
        ("disable server nobody/s", "No such backend.\n\n"),
        ("disable server nginx", "Require 'backend/server'.\n\n"),
        ("disable frontend nobody", "No such frontend.\n\n"),
        ("show table nobody", "No such table\n\n"),
        ("show map nobody", "Unknown map identifier. Please use #<id> or <file>.\n\n"),
        ("show servers state nobody", "Can't find backend.\n\n"),
        ("set server nginx/192.168.1.111 weight x", "Empty weight string empty or preceded by garbage\n"),
        (
            "set server nginx/192.168.1.111 weight 257",
            "Absolute weight can only be between 0 and 256 inclusive.\n\n",
        ),
        (
            "set server static/one weight 3",
            "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n\n",
        ),
    ] {
        assert_eq!(ask(&mut session, command), reply, "{command}");
    }
}

#[test]
fn an_unknown_command_is_answered_with_the_nearest_ones() {
    // row: 194
    let mut session = admin();
    let reply = ask(&mut session, "show stats");
    assert!(reply.starts_with("Unknown command, but maybe one of the following ones is a better match:\n"));
    assert!(reply.contains(
        "\n  show stat [desc|json|no-maint|typed|up]*: report counters for each proxy and server\n"
    ));
    assert!(reply.ends_with("\n  quit                                    : disconnect\n\n"), "{reply}");
    let all = ask(&mut session, "");
    assert!(all.starts_with(
        "Unknown command. Please enter one of the following commands only:\n  abort ssl ca-file "
    ));
}

#[test]
fn levels_bound_what_a_client_may_do() {
    // row: 195
    for (level, command, denied) in [
        (Level::User, "disable server nginx/192.168.1.111", true),
        (Level::Operator, "disable server nginx/192.168.1.111", true),
        (Level::User, "clear counters", true),
        (Level::Operator, "clear counters", false),
        (Level::Operator, "clear counters all", true),
        (Level::User, "show info", false),
        (Level::User, "operator", true),
        (Level::Operator, "operator", false),
    ] {
        let reply = ask(&mut session(level), command);
        assert_eq!(reply == "Permission denied\n\n", denied, "{level:?}: {command}: {reply}");
    }
    let mut lowered = admin();
    ask(&mut lowered, "user");
    assert_eq!(ask(&mut lowered, "show cli level"), "user\n\n");
    assert_eq!(ask(&mut lowered, "disable server nginx/192.168.1.111"), "Permission denied\n\n");
}

#[test]
fn show_stat_hides_addresses_from_users_and_can_be_narrowed() {
    // row: 199
    let operator = ask(&mut session(Level::Operator), "show stat nginx 4 2");
    let lines: Vec<&str> = operator.lines().collect();
    assert!(lines[0].starts_with("# pxname,svname,qcur,"), "{}", lines[0]);
    assert!(lines[1].starts_with("nginx,192.168.1.112,0,0,0,0,5,"), "{}", lines[1]);
    assert!(lines[1].contains("127.0.0.1:18083"));
    assert_eq!(lines.len(), 3, "one server and the empty line");
    assert!(!ask(&mut session(Level::User), "show stat").contains("127.0.0.1"));
    assert_eq!(ask(&mut admin(), "show stat nobody 1 1"), "No such proxy.\n\n");
}

#[test]
fn show_stat_speaks_of_maintenance_and_drain() {
    // row: 191, 201
    let mut session = admin();
    ask(&mut session, "set server nginx/192.168.1.112 state maint");
    let table = ask(&mut session, "show stat nginx 4 -1");
    assert!(table.contains(",MAINT,10,"), "{table}");
    assert!(table.contains(",MAINT (via nginx/192.168.1.112),"), "{table}");
    let up = ask(&mut session, "show stat up nginx 2 -1 up");
    assert!(!up.contains("192.168.1.112,"), "{up}");
    ask(&mut session, "set server nginx/192.168.1.112 state drain");
    assert!(ask(&mut session, "show stat nginx 4 2").contains(",DRAIN,10,"));
    ask(&mut session, "set server nginx/192.168.1.112 state ready");
    assert!(ask(&mut session, "show stat nginx 4 2").contains(",no check,10,"));
}

#[test]
fn show_servers_state_has_one_line_for_each_server() {
    // row: 198
    let mut session = admin();
    ask(&mut session, "disable server nginx/192.168.1.111");
    let text = ask(&mut session, "show servers state nginx");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "1");
    assert!(lines[1].starts_with("# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state "));
    assert_eq!(lines[2], "3 nginx 1 192.168.1.111 127.0.0.1 0 1 1 1 0 1 0 0 8 0 0 0 - 18082 - 0 0 - - 0");
    assert_eq!(lines[3], "3 nginx 2 192.168.1.112 127.0.0.1 2 0 10 10 0 1 0 0 2 0 0 0 - 18083 - 0 0 - - 0");
}

#[test]
fn show_info_tells_threads_and_limits() {
    // row: 200
    let mut session = admin();
    let text = ask(&mut session, "show info");
    for line in ["Name: HAProxy", "Nbthread: 2", "Nbproc: 1", "Maxconn: 500", "Hard_maxconn: 500"] {
        assert!(text.lines().any(|known| known == line), "{line} in {text}");
    }
    assert!(ask(&mut session, "show info typed").contains("\n15.Maxconn.1:CLP:u32:500\n"));
    assert!(
        ask(&mut session, "show info json")
            .starts_with("[{\"field\":{\"pos\":0,\"name\":\"Name\"},\"processNum\":1,")
    );
}

#[test]
fn weights_and_limits_change() {
    let mut session = admin();
    assert_eq!(ask(&mut session, "set weight nginx/192.168.1.112 50%"), "\n");
    assert_eq!(ask(&mut session, "get weight nginx/192.168.1.112"), "5 (initial 10)\n\n");
    ask(&mut session, "set maxconn server nginx/192.168.1.111 7");
    let id = session.find_server("nginx/192.168.1.111").ok().expect("configured");
    assert_eq!(session.state().server(id).maxconn.load(Relaxed), 7);
    assert_eq!(ask(&mut session, "set maxconn global 501"), "Value out of range.\n\n");
    assert_eq!(ask(&mut session, "set maxconn global 400"), "\n");
    assert_eq!(session.state().process.maxconn.load(Relaxed), 400);
    ask(&mut session, "set maxconn frontend web 9");
    let web = session.find_frontend("web").ok().expect("configured");
    assert_eq!(session.state().proxy(web).frontend.maxconn.load(Relaxed), 9);
}

#[test]
fn a_frontend_pauses_resumes_and_stops_for_good() {
    let mut session = admin();
    let web = session.find_frontend("web").ok().expect("configured");
    assert_eq!(ask(&mut session, "disable frontend web"), "\n");
    assert_eq!(session.state().proxy(web).frontend.status(), FrontendStatus::Paused);
    assert_eq!(ask(&mut session, "disable frontend web"), "All sockets are already disabled.\n\n");
    assert_eq!(ask(&mut session, "enable frontend web"), "\n");
    assert_eq!(ask(&mut session, "shutdown frontend web"), "\n");
    assert_eq!(
        ask(&mut session, "enable frontend web"),
        "Frontend was previously shut down, cannot enable.\n\n"
    );
}

#[test]
fn a_server_moves_to_another_address() {
    let mut session = admin();
    assert_eq!(
        ask(&mut session, "set server nginx/192.168.1.111 addr 127.0.0.9 port 99"),
        "IP changed from '127.0.0.1' to '127.0.0.9', port changed from '18082' to '99' by 'stats socket command'\n\n"
    );
    assert_eq!(
        ask(&mut session, "set server nginx/192.168.1.111 addr 127.0.0.9"),
        "no need to change the addr by 'stats socket command'\n\n"
    );
    assert!(ask(&mut session, "show stat nginx 4 1").contains(",127.0.0.9:99,"));
}

#[test]
fn servers_come_and_go() {
    let mut session = admin();
    assert_eq!(
        ask(&mut session, "add server nginx/new 127.0.0.1:1 weight 3 maxconn 2"),
        "New server registered.\n\n"
    );
    assert!(ask(&mut session, "show stat nginx 4 4").contains("nginx,new,0,0,0,0,2,"));
    assert!(ask(&mut session, "show stat nginx 4 4").contains(",MAINT,3,"));
    ask(&mut session, "enable server nginx/new");
    assert_eq!(
        ask(&mut session, "del server nginx/new"),
        "Only servers in maintenance mode can be deleted.\n"
    );
    ask(&mut session, "disable server nginx/new");
    assert_eq!(ask(&mut session, "del server nginx/new"), "Server deleted.\n");
    assert_eq!(ask(&mut session, "del server nginx/new"), "No such server.\n");
    assert_eq!(
        ask(&mut session, "del server nginx/192.168.1.112"),
        "This server cannot be removed at runtime due to other configuration elements pointing to it.\n"
    );
    assert_eq!(
        ask(&mut session, "add server static/new 127.0.0.1:1"),
        "Backend must use a dynamic load balancing to support dynamic servers.\n"
    );
}

#[test]
fn table_entries_are_set_shown_and_cleared() {
    let mut session = admin();
    assert_eq!(ask(&mut session, "set table table key red data.gpc0 5"), "\n");
    let shown = ask(&mut session, "show table table");
    assert!(shown.starts_with("# table: table, type: string, size:100, used:1\n0x"), "{shown}");
    assert!(shown.contains(": key=red use=0 exp=0 gpc0=5\n"), "{shown}");
    assert_eq!(ask(&mut session, "clear table table key red"), "\n");
    assert_eq!(ask(&mut session, "show table"), "# table: table, type: string, size:100, used:0\n\n");
    session.level = Level::User;
    assert!(
        ask(&mut session, "show table table")
            .contains("# contents not dumped due to insufficient privileges\n")
    );
}

#[test]
fn process_variables_need_the_experimental_mode_to_be_set() {
    let mut session = admin();
    let denied = "This command is restricted to experimental mode only.\n\n";
    assert_eq!(ask(&mut session, "set var proc.x int(5)"), denied);
    ask(&mut session, "experimental-mode on");
    assert_eq!(ask(&mut session, "set var proc.x int(5)"), "\n");
    assert_eq!(ask(&mut session, "get var proc.x"), "proc.x: type=sint value=<5>\n");
}

#[test]
fn severities_stand_before_messages_not_before_dumps() {
    let mut session = admin();
    ask(&mut session, "set severity-output number");
    assert_eq!(ask(&mut session, "disable server x/y"), "[3]: No such backend.\n\n");
    assert_eq!(ask(&mut session, "show cli level"), "[6]: admin\n\n");
    ask(&mut session, "set severity-output string");
    assert_eq!(ask(&mut session, "disable server x/y"), "[err]: No such backend.\n\n");
    assert_eq!(ask(&mut session, "get weight nginx/192.168.1.112"), "10 (initial 10)\n\n");
}

#[test]
fn a_prompt_follows_every_answer_once_it_is_on() {
    // row: 206
    let mut session = admin();
    assert_eq!(ask(&mut session, "prompt"), "\n> ");
    assert_eq!(ask(&mut session, "show cli level"), "admin\n\n> ");
    assert_eq!(ask(&mut session, "prompt"), "\n");
}

#[test]
fn what_was_told_at_the_start_can_be_read_again() {
    assert_eq!(ask(&mut admin(), "show startup-logs"), "[WARNING]  (1) : careful\n\n");
    assert_eq!(ask(&mut session(Level::User), "show startup-logs"), "Permission denied\n\n");
}

#[test]
fn the_idle_timeout_can_be_set() {
    // row: 61
    let mut session = admin();
    assert_eq!(ask(&mut session, "set timeout cli 30s"), "\n");
    assert_eq!(session.timeout, Duration::from_secs(30));
    assert_eq!(ask(&mut session, "set timeout cli x"), "Invalid timeout value.\n\n");
    assert_eq!(ask(&mut session, "set timeout server 3"), "'set timeout' only supports 'cli'.\n\n");
}

proptest::proptest! {
    #[test]
    fn no_command_line_makes_it_panic(
        command in 0..table::TABLE.len(),
        arguments in proptest::collection::vec(0..VOCABULARY.len(), 0..6),
        payload in proptest::option::of("[a-z \n]{0,20}"),
    ) {
        let mut session = admin();
        session.experimental = true;
        session.payload = payload;
        let row = &table::TABLE[command];
        let words: Vec<&str> = row.words.iter().copied().chain(arguments.iter().map(|&at| VOCABULARY[at])).collect();
        match table::run(&mut session, &words) {
            // Needs workers.
            Reply::Later(_) => {}
            reply => {
                let end = if session.prompt { "\n> " } else { "\n" };
                proptest::prop_assert!(session.render(reply).ends_with(end));
            }
        }
    }
}

/// Words that commands look for, and some that none does.
const VOCABULARY: &[&str] = &[
    "",
    "-1",
    "0",
    "#0",
    "#0x1",
    "@1",
    "@",
    "300%",
    "99999999999999999999",
    "+",
    "nginx",
    "web",
    "table",
    "static/one",
    "nginx/192.168.1.111",
    "nginx/new",
    "nginx/",
    "/",
    "127.0.0.1",
    "127.0.0.1:80",
    "[::1]:80",
    "unix@/x",
    "::",
    "addr",
    "port",
    "state",
    "maint",
    "ready",
    "drain",
    "weight",
    "health",
    "agent",
    "up",
    "down",
    "check-addr",
    "check-port",
    "agent-send",
    "fqdn",
    "key",
    "data.gpc0",
    "data.x",
    "gt",
    "5",
    "all",
    "global",
    "connections",
    "cli",
    "domain",
    "proxy",
    "typed",
    "json",
    "desc",
    "float",
    "older",
    "10s",
    "expr",
    "fmt",
    "proc.x",
    "int(5)",
    "str()",
    "check",
    "backup",
    "maxconn",
    "id",
    "on",
    "off",
    "number",
    "'",
    "\\",
    "\u{e9}",
];

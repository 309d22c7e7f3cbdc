//! The dashboard over all three strands at work: a proxy, a virtual router, and a director whose plane is XDP programs.

use crate::director_plane::{Daemon, hosts};
use crate::switch::VIP;
use netns::{lab, run, run_quietly, wait_until};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PAGE: &str = "127.0.0.1:8405";
const TOKEN: &str = "0123456789abcdef-token";
const PATIENCE: Duration = Duration::from_secs(20);

const PROXY: &str = "global
    maxconn 2000
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend web
    bind 10.1.0.200:80
    default_backend shop
backend shop
    balance roundrobin
    option httpchk GET /
    server shop-1 10.1.0.11:80 check inter 500ms fall 2 rise 2 weight 10
    server shop-2 10.1.0.12:80 check inter 500ms fall 2 rise 2 weight 5
";

const FAILOVER: &str = "vrrp_instance VI_WEB {
    interface own
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.1
    track_proxy {
        frontend web
    }
    virtual_ipaddress {
        10.1.0.200/24
    }
}
virtual_server 10.1.0.100 80 {
    lvs_sched wrr
    lvs_method DR
    delay_loop 1
    protocol TCP
    real_server 10.1.0.11 80 {
        weight 3
        TCP_CHECK {
            connect_timeout 1
            retry 0
        }
    }
    real_server 10.1.0.12 80 {
        weight 1
        TCP_CHECK {
            connect_timeout 1
            retry 0
        }
    }
}
";

/// `hawser run` with its dashboard; ends with its strands when dropped.
struct Run(Child);

impl Run {
    fn start() -> Self {
        std::fs::write("/tmp/haproxy.cfg", PROXY).expect("written");
        std::fs::write("/tmp/keepalived.conf", FAILOVER).expect("written");
        std::fs::write("/tmp/token", TOKEN).expect("written");
        let mut command = Command::new(netns::hosts::hawser());
        command.args(["run", "-f", "/tmp/haproxy.cfg", "-k", "/tmp/keepalived.conf", "--dashboard", PAGE]);
        command.args(["--dashboard-option", "--token-file=/tmp/token", "--dashboard-option", "--admin"]);
        let log = std::fs::File::create("/tmp/log").expect("a file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a handle")).stderr(log);
        Run(command.spawn().expect("the binary is built"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string("/tmp/log").unwrap_or_default());
            get("/metrics")
                .lines()
                .filter(|line| line.starts_with("hawser"))
                .for_each(|line| eprintln!("{line}"));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(path: &str) -> String {
    let output = Command::new("curl")
        .args(["-s", "-m", "5", "-H", &format!("Authorization: Bearer {TOKEN}")])
        .arg(format!("http://{PAGE}{path}"))
        .output()
        .expect("curl is there");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The value of one sample.
fn metric(name: &str) -> Option<u64> {
    get("/metrics").lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn of_server(metric: &str, last: u8) -> String {
    format!("hawser_director_{metric}{{service=\"[{VIP}]:tcp:80\",server=\"[10.1.0.{last}]:tcp:80\"}}")
}

fn ask(address: &str, count: usize) {
    let line = format!("for i in $(seq {count}); do curl -sS -m 5 -o /dev/null http://{address}/; done");
    run(&format!("ip netns exec client sh -c '{line}'"));
}

/// The page as a browser has put it together; a picture of it where `HAWSER_PICTURE` says.
fn page() -> String {
    let url = format!("http://me:{TOKEN}@{PAGE}/");
    let browser = |more: &[&str]| {
        let output = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--user-data-dir=/tmp/profile", "--virtual-time-budget=5000", "--enable-logging=stderr"])
            .args(more)
            .arg(&url)
            .stdin(Stdio::null())
            .output()
            .expect("chromium is installed");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let complaints: Vec<&str> = told.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(complaints.is_empty(), "{complaints:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    if let Some(picture) = std::env::var_os("HAWSER_PICTURE") {
        let picture = format!("--screenshot={}", picture.to_string_lossy());
        browser(&["--window-size=1500,1000", "--hide-scrollbars", &picture]);
    }
    browser(&["--dump-dom"])
}

#[test]
fn the_dashboard_shows_a_director_of_programs_beside_proxy_and_router() {
    lab("system::board::the_dashboard_shows_a_director_of_programs_beside_proxy_and_router", || {
        let mut servers = hosts();
        let _plane = Daemon::start(&["--no-pin"]);
        let _run = Run::start();
        wait_until(PATIENCE, "the virtual address", || {
            run_quietly("ip addr show dev own | grep -q 10.1.0.200/")
        });
        wait_until(PATIENCE, "both real servers", || {
            [11, 12].iter().all(|last| metric(&of_server("server_up", *last)) == Some(1))
        });
        let connections = |last| metric(&of_server("server_connections_total", last)).expect("it is there");
        let before = connections(11) + connections(12);
        ask(VIP, 40);
        // The plane counts by weights 3 and 1, and the page tells what the plane counted.
        wait_until(PATIENCE, "what the programs counted", || {
            connections(11) + connections(12) - before == 40
        });
        assert_eq!(connections(11), 3 * connections(12), "{}", get("/metrics"));
        assert!(metric(&of_server("server_received_bytes_total", 11)).is_some_and(|bytes| bytes > 1000));
        ask("10.1.0.200", 10);
        for strand in ["proxy", "vrrp", "director"] {
            assert_eq!(metric(&format!("hawser_strand_up{{strand=\"{strand}\"}}")), Some(1));
        }
        // Every name that the board for Grafana asks for is there, of all three.
        let document = get("/metrics");
        let board = include_str!("../../../../packaging/grafana/hawser.json");
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let words = board.split(|character| !is_name(character));
        let names: std::collections::BTreeSet<&str> =
            words.filter(|word| word.starts_with("haproxy_") || word.starts_with("hawser_")).collect();
        assert!(names.len() >= 15, "{names:?}");
        for name in names {
            assert!(document.contains(&format!("# TYPE {name} ")), "{name}");
        }
        // One dies: the checker sees it, and so does the page.
        servers.pop().expect("two").kill();
        wait_until(PATIENCE, "its failure", || metric(&of_server("server_up", 12)) == Some(0));
        let before = connections(11);
        ask(VIP, 4);
        wait_until(PATIENCE, "the one that is left", || connections(11) == before + 4);
        wait_until(PATIENCE, "the event", || get("/api/status").contains("10.1.0.12"));
        for _ in 0..std::env::var_os("HAWSER_PICTURE").map_or(0, |_| 12) {
            ask(VIP, 60);
            ask("10.1.0.200", 90);
        }
        let page = page();
        for shown in
            ["VI_WEB", ">MASTER<", ">shop-1<", "[10.1.0.100]:tcp:80", "[10.1.0.11]:tcp:80", "wrr", "live · "]
        {
            assert!(page.contains(shown), "{shown} in {page}");
        }
    });
}

/// Every question that the board for Grafana asks, its variables filled in.
fn questions() -> Vec<String> {
    let board: serde_json::Value =
        serde_json::from_str(include_str!("../../../../packaging/grafana/hawser.json")).expect("JSON");
    let panels = board["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let asked = targets.map(|target| target["expr"].as_str().expect("an expression").to_owned());
    let variables = board["templating"]["list"].as_array().expect("variables").iter();
    // `label_values(METRIC, LABEL)` is Grafana's: it looks at the series of the metric.
    let listed = variables.filter_map(|variable| {
        let query = variable["query"]["query"].as_str()?;
        let inner = query.strip_prefix("label_values(")?.strip_suffix(')')?;
        let (metric, label) = inner.split_once(", ")?;
        Some(format!("count by ({label}) ({metric})"))
    });
    let annotations = board["annotations"]["list"].as_array().expect("annotations").iter();
    // What is marked is rare; that it can be asked for is what counts.
    let marked = annotations.map(|one| one["expr"].as_str().expect("an expression").replace(" > 0", ""));
    let filled = |text: String| {
        let text = text.replace("$instance", ".*").replace("$proxy", ".*").replace("$__rate_interval", "8s");
        assert!(!text.contains('$'), "a variable that nobody fills in: {text}");
        text
    };
    asked.chain(listed).chain(marked).map(filled).collect()
}

#[test]
fn every_panel_of_the_board_has_series_in_prometheus() {
    lab("system::board::every_panel_of_the_board_has_series_in_prometheus", || {
        let _servers = hosts();
        let _plane = Daemon::start(&["--no-pin"]);
        let _run = Run::start();
        wait_until(PATIENCE, "the virtual address", || {
            run_quietly("ip addr show dev own | grep -q 10.1.0.200/")
        });
        wait_until(PATIENCE, "both real servers", || {
            [11, 12].iter().all(|last| metric(&of_server("server_up", *last)) == Some(1))
        });
        let configuration = format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: hawser\n    authorization:\n      \
             credentials: {TOKEN}\n    static_configs:\n      - targets: [\"{PAGE}\"]\n"
        );
        std::fs::write("/tmp/prometheus.yml", configuration).expect("written");
        let log = std::fs::File::create("/tmp/prometheus.log").expect("a file");
        let mut prometheus = Command::new("prometheus")
            .args(["--config.file=/tmp/prometheus.yml", "--storage.tsdb.path=/tmp/series"])
            .args(["--web.listen-address=127.0.0.1:9090"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus is installed");
        // `None`: it does not answer yet. Otherwise how many series the answer has.
        let series = |question: &str| {
            let output = Command::new("curl")
                .args(["-s", "-m", "5", "-G", "--data-urlencode", &format!("query={question}")])
                .arg("http://127.0.0.1:9090/api/v1/query")
                .output()
                .expect("curl is there");
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
            assert_eq!(answer["status"], "success", "{question}: {answer}");
            answer["data"]["result"].as_array().map(Vec::len)
        };
        wait_until(PATIENCE, "a scrape", || {
            ask(VIP, 2);
            ask("10.1.0.200", 2);
            series("up == 1") == Some(1)
        });
        let questions = questions();
        assert!(questions.len() > 20, "{questions:?}");
        for question in &questions {
            // A rate needs two scrapes.
            wait_until(PATIENCE, question, || {
                ask("10.1.0.200", 1);
                series(question).is_some_and(|count| count > 0)
            });
        }
        println!("{} questions of the board, each with series", questions.len());
        prometheus.kill().expect("it is ours");
        prometheus.wait().expect("it is ours");
    });
}

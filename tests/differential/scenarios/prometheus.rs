//! The service `prometheus-exporter`: names, kinds, labels and order of what it tells.

use differential::{Backend, Reply, normalise, same};

use crate::support::get;

const TEXT: &str = "cache c\n total-max-size 4\n\
    frontend web\n bind 127.0.0.1:$(web) name main\n log 127.0.0.1:$(log) local0\n option httplog\n option socket-stats\n \
    http-request use-service prometheus-exporter if { path /metrics }\n default_backend app\n\
    backend app\n stick-table type ip size 1k store conn_cur\n option httpchk\n server s1 127.0.0.1:$(s1) check\n \
    server s2 127.0.0.1:$(s1) backup disabled\n\
    listen plain\n mode tcp\n bind 127.0.0.1:$(plain)\n server t 127.0.0.1:$(s1)\n";

/// The samples without their values, and the lines that give names their kinds.
fn shape(body: &str) -> Vec<String> {
    body.lines()
        .filter(|line| !line.starts_with("# HELP"))
        .map(|line| match line.strip_prefix('#') {
            Some(_) => line.to_owned(),
            // Each program has its own version.
            None if line.contains("build_info") => "haproxy_process_build_info".to_owned(),
            None => line.rsplit_once(' ').map_or(line, |(name, _)| name).to_owned(),
        })
        .collect()
}

#[test]
fn every_metric_has_haproxys_name_kind_labels_and_place() {
    let shape = same(|program| {
        let backend = Backend::http(|_| Reply::ok("app"));
        let proxy = program.http(TEXT).with("s1", backend.port()).start();
        proxy.wait_for_stat("app", "s1", "check_status", "L7OK");
        let response = proxy.get("web", "/metrics");
        let head = (response.status, response.header("content-type").map(str::to_owned));
        assert_eq!(head, (200, Some("text/plain; version=0.0.4".to_owned())));
        shape(&response.body)
    });
    assert!(shape.len() > 500, "{}", shape.len());
}

#[test]
fn values_are_those_of_the_statistics() {
    // What both programs do the same way, unlike their memory and their descriptors.
    let told = [
        "haproxy_process_nbthread",
        "haproxy_frontend_status",
        "haproxy_frontend_http_requests_total",
        "haproxy_frontend_http_responses_total",
        "haproxy_frontend_bytes_in_total",
        "haproxy_frontend_intercepted_requests_total",
        "haproxy_listener_status",
        "haproxy_backend_status",
        "haproxy_backend_active_servers",
        "haproxy_backend_http_responses_total",
        "haproxy_backend_agg_",
        "haproxy_server_status",
        "haproxy_server_check_status",
        "haproxy_server_check_code",
        "haproxy_server_limit_sessions",
        "haproxy_server_sessions_total",
        "haproxy_server_weight",
        "haproxy_server_last_session_seconds{proxy=\"plain\"",
        "haproxy_sticktable_",
    ];
    same(|program| {
        let backend = Backend::http(|_| Reply::ok("app"));
        let proxy = program.http(TEXT).with("s1", backend.port()).start();
        proxy.wait_for_stat("app", "s1", "check_status", "L7OK");
        proxy.get("web", "/");
        let body = proxy.get("web", "/metrics").body;
        let is_told = |line: &&str| told.iter().any(|name| line.starts_with(name));
        body.lines().filter(is_told).map(str::to_owned).collect::<Vec<_>>()
    });
}

#[test]
fn scopes_choose_and_the_log_names_the_service() {
    let queries = [
        "?scope=global",
        "?scope=frontend&scope=server",
        "?scope=",
        "?scope=*",
        "?scope=bad",
        "?scope=server&no-maint",
        "?scope=sticktable",
        "?other=1",
    ];
    let (_, lines) = same(|program| {
        let backend = Backend::http(|_| Reply::ok("app"));
        let proxy = program.http(TEXT).with("s1", backend.port()).start();
        let shapes = queries.map(|query| {
            let response = proxy.client("web").ask(get(&format!("/metrics{query}"), &[]));
            // Lines have counts of connections: the next one must not meet the end of this one.
            proxy.wait_for_stat("web", "FRONTEND", "scur", "0");
            (query, response.status, if response.status == 200 { shape(&response.body) } else { Vec::new() })
        });
        let lines: Vec<String> = proxy
            .log()
            .wait_for(queries.len(), |line| line.contains("/metrics"))
            .iter()
            .map(|line| {
                let line = normalise::traffic(&normalise::rfc3164(line).expect("RFC 3164").message);
                // How long the answer is depends on the texts that explain.
                line.split(' ')
                    .enumerate()
                    .filter(|(place, _)| *place != 6)
                    .map(|(_, word)| word)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        (shapes, lines)
    });
    assert!(lines[0].contains("web/<PROMEX>"), "{lines:?}");
}

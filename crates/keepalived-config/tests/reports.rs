//! What is told about mistakes, and where.

use diag::Severity;
use keepalived_config::model::{CheckKind, Scheduler};
use keepalived_config::{Loaded, MemoryHost, Verdict, compare_nodes, load_text};

fn load(text: &str) -> Loaded {
    load_text(&MemoryHost::default(), "k.conf", text)
}

fn told(text: &str) -> String {
    let loaded = load(text);
    loaded.report.render(&loaded.sources, Severity::Diag)
}

/// An instance with more lines in it.
fn instance(lines: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n  interface eth0\n  virtual_router_id 51\n  virtual_ipaddress {{ 192.0.2.9/24 }}\n{lines}\n}}\n"
    )
}

#[test]
fn every_mistake_of_a_file_is_told_in_one_run() {
    let report =
        load(&instance("  priorty 100\n  advert_int 0\n  state MASTR\n  track_script { chk }\n")).report;
    assert_eq!(report.alerts(), 4);
}

#[test]
fn a_mistyped_keyword_shows_its_place_and_the_right_one() {
    assert_eq!(
        told(&instance("  priorty 100")),
        "k.conf:5:3: error: unknown keyword `priorty` in vrrp_instance\n\
         \x20   priorty 100\n\
         \x20   ^^^^^^^\n\
         \x20 help: did you mean `priority`?\n"
    );
}

#[test]
fn carets_point_at_the_variable_that_holds_the_mistake() {
    let text = told(&format!("$PRIORITY=300\n{}", instance("  priority $PRIORITY")));
    assert!(text.starts_with("k.conf:6:12: error: 300 is out of range: 1..=255 is valid\n"), "{text}");
    assert!(text.contains("    priority $PRIORITY\n             ^^^^^^^^^\n"), "{text}");
}

#[test]
fn a_lost_line_break_is_told() {
    // row: 268
    let glued = "virtual_server 10.0.0.1 80 {\n protocol TCPreal_server 10.0.0.2 80 {\n }\n}\n";
    let text = told(glued);
    assert!(text.contains("a line break is missing before `real_server`"), "{text}");
    assert!(text.starts_with("k.conf:2:"), "{text}");
    assert!(load(glued).model.is_none(), "a service over UDP would be another one");
}

#[test]
fn without_translation_a_real_server_has_the_port_of_its_service() {
    // row: 269
    for (method, ports, verdict) in [
        ("DR", [80, 80], Verdict::Problems),
        ("TUN", [80, 80], Verdict::Problems),
        ("NAT", [8080, 80], Verdict::Clean),
    ] {
        let loaded = load(&format!(
            "virtual_server 10.0.0.1 80 {{\n protocol TCP\n lvs_sched rr\n lvs_method {method}\n \
             real_server 10.0.0.2 8080 {{\n }}\n real_server 10.0.0.3 80 {{\n }}\n}}\n"
        ));
        assert_eq!(loaded.verdict, verdict, "{method}");
        let text = loaded.report.render(&loaded.sources, Severity::Warning);
        assert_eq!(
            text.contains("k.conf:5:2: warning: without NAT ports cannot differ: 80 is taken for 8080"),
            method != "NAT",
            "{text}"
        );
        let model = loaded.model.expect("it loads");
        let servers = model.virtual_servers[0].real_servers.iter();
        assert_eq!(servers.map(|server| server.address.port()).collect::<Vec<_>>(), ports, "{method}");
    }
}

#[test]
fn a_gap_of_nothing_between_neighbour_advertisements_is_accepted_and_said_to_be_the_default() {
    // row: 221
    let config = format!("global_defs {{\n vrrp_gna_interval 0\n}}\n{}", instance(""));
    let loaded = load(&config);
    assert!(loaded.model.is_some());
    assert!(told(&config).contains("k.conf:2:20: notice: 0 means no gap"), "{}", told(&config));
}

#[test]
fn two_instances_of_one_name_are_told() {
    // row: 224
    let second = instance("").replace("router_id 51", "router_id 52");
    let text = told(&format!("{}{second}", instance("")));
    assert!(text.contains("k.conf:7:15: error:") && text.contains("VI_1"), "{text}");
}

#[test]
fn strict_mode_with_a_secret_is_told_with_its_reason() {
    // row: 219
    let config = format!(
        "global_defs {{\n vrrp_strict\n}}\n{}",
        instance("authentication {\n auth_type PASS\n auth_pass 1111\n}")
    );
    let loaded = load(&config);
    assert_eq!(loaded.verdict, Verdict::Problems);
    let text = loaded.report.render(&loaded.sources, Severity::Warning);
    assert!(text.contains("strict mode has no authentication: it is ignored"), "{text}");
    let text = told(&config);
    assert!(text.contains("strict mode drops every packet to the addresses of `VI_1`"), "{text}");
}

#[test]
fn the_retries_of_old_tutorials_count() {
    // row: 265, 269, 271
    let loaded = load(
        "virtual_server 10.0.0.1 80 {\n protocol TCP\n lb_algo rr\n lb_kind NAT\n real_server 10.0.0.2 80 {\n  \
         TCP_CHECK {\n   nb_get_retry 3\n  }\n }\n}\n",
    );
    assert_eq!(loaded.verdict, Verdict::Problems);
    let model = loaded.model.expect("it loads");
    let server = &model.virtual_servers[0];
    assert_eq!(server.scheduler, Scheduler::RoundRobin);
    let check = &server.real_servers[0].checks[0];
    assert_eq!((&check.kind, check.timing.retry), (&CheckKind::Tcp, 3));
}

#[test]
fn nodes_of_a_pair_are_compared() {
    // row: 217, 241
    let node = |priority: u8, addresses: &str| {
        let text = format!(
            "global_defs {{\n router_id one\n}}\nvrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n nopreempt\n \
             priority {priority}\n virtual_ipaddress {{\n {addresses}\n }}\n}}\n"
        );
        load(&text).model.expect("it loads")
    };
    let found = compare_nodes(&node(100, "10.0.0.1"), &node(99, "10.0.0.1\n10.0.0.2")).join("\n");
    assert!(found.contains("both nodes have router_id `one`"), "{found}");
    assert!(found.contains("list different addresses"), "{found}");
    assert!(found.contains("priorities 100 and 99 are too close under nopreempt"), "{found}");
    assert!(compare_nodes(&node(150, "10.0.0.1"), &node(100, "10.0.0.1")).len() == 1);
}

#[test]
fn proxies_of_the_same_program_can_be_watched() {
    let model = load(&instance("  track_proxy {\n frontend web\n backend app weight -20\n }"))
        .model
        .expect("it loads");
    let proxies = &model.instances[0].tracking.proxies;
    assert_eq!(proxies.len(), 2);
    assert_eq!((proxies[0].weight, proxies[1].weight), (0, -20));
}

#[test]
fn nodes_read_their_own_lines() {
    // row: 212
    let host = MemoryHost { host_name: "main.example".to_owned(), ..MemoryHost::default() };
    let text = format!("@main $P=240 # ours\n@^main $P=200 ! theirs\n{}", instance("  priority ${P}"));
    let model = load_text(&host, "k.conf", &text).model.expect("it loads");
    assert_eq!(model.instances[0].priority, 240);
}

#[test]
fn the_sequences_of_the_manual_make_one_line_each() {
    let text = "$VI= \\\nvrrp_instance VI_${N} { \\\n interface eth0 \\\n virtual_router_id ${N} \\\n \
                virtual_ipaddress { \\\n ~SEQ(A,1,3) 10.${N}.0.${A}/24 \\\n } \\\n}\n~SEQ(N,1,200) $VI\n";
    let model = load(text).model.expect("it loads");
    assert_eq!(model.instances.len(), 200);
    assert_eq!(model.instances[199].addresses.len(), 3);
    assert_eq!(model.instances[199].addresses[2].prefix.address.to_string(), "10.200.0.3");
}

//! Content inspection: what is known, what is not yet, and TLS hellos; tracked counters.

use crate::acl::Verdict;
use crate::fetch::Fetched;
use crate::stick_table::StickTableConfig;
use crate::testing::World;
use crate::{PlaceSet, StickTable, Value};
use std::sync::Arc;
use std::time::Instant;

/// A TCP stream that has sent `payload` and may send more.
fn inspecting(payload: &[u8]) -> World {
    let mut world = World::new();
    world.section.is_http = false;
    world.places = PlaceSet::tcp_request_content(world.section);
    world.payload = payload.to_vec();
    world.payload_final = false;
    world
}

fn verdict(world: &mut World, condition: &str) -> Verdict {
    let condition = world.condition(&format!("if {condition}")).expect(condition);
    condition.test(&world.scope())
}

#[test]
fn a_rule_waits_for_bytes_that_may_still_decide() {
    let mut world = inspecting(b"abc");
    for (condition, expected) in [
        ("{ req.len gt 2 }", Verdict::Pass),
        ("{ req.len gt 3 }", Verdict::Wait),
        ("! { req.len gt 3 }", Verdict::Wait),
        ("{ req.len gt 3 } TRUE", Verdict::Wait),
        ("{ req.len gt 3 } FALSE", Verdict::Fail),
        ("{ req.len gt 3 } or TRUE", Verdict::Pass),
        ("{ req.len gt 3 } or FALSE", Verdict::Wait),
        ("{ req.payload(0,3) -m str abc }", Verdict::Pass),
        ("{ req.payload(0,3) -m str abd }", Verdict::Fail),
        ("{ req.payload(0,4) -m found }", Verdict::Wait),
        ("{ req.payload(0,0) -m str abc }", Verdict::Pass),
        ("{ req.payload(0,0) -m str abcd }", Verdict::Wait),
        ("WAIT_END", Verdict::Wait),
        ("{ path /x }", Verdict::Wait),
        ("{ req.ssl_hello_type 1 }", Verdict::Fail),
    ] {
        assert_eq!(verdict(&mut world, condition), expected, "{condition}");
    }
}

#[test]
fn nothing_waits_once_no_more_bytes_come() {
    let mut world = inspecting(b"abc");
    world.payload_final = true;
    for (condition, expected) in [
        ("{ req.len gt 3 }", Verdict::Fail),
        ("! { req.len gt 3 }", Verdict::Pass),
        ("{ req.payload(0,4) -m found }", Verdict::Fail),
        ("WAIT_END", Verdict::Pass),
        ("{ path /x }", Verdict::Fail),
    ] {
        assert_eq!(verdict(&mut world, condition), expected, "{condition}");
    }
}

#[test]
fn bytes_are_cut_by_lengths_in_the_data() {
    let mut world = inspecting(b"\x00\x03abcdef");
    world.payload_final = true;
    for (expression, expected) in [
        ("req.payload_lv(0,2)", Some("abc")),
        ("req.payload_lv(0,2,+1)", Some("bcd")),
        ("req.payload_lv(0,2,5)", Some("def")),
        ("req.payload_lv(0,2,6)", None),
        ("req.payload(2,3)", Some("abc")),
        ("req.payload(2,0)", Some("abcdef")),
        ("req.payload(9,1)", None),
    ] {
        assert_eq!(world.text(expression).as_deref(), expected, "{expression}");
    }
}

#[test]
fn rdp_cookies_are_found_in_connection_requests() {
    let mut packet = b"\x03\x00\x00\x2b\x26\xe0\x00\x00\x00\x00\x00".to_vec();
    packet.extend_from_slice(b"Cookie: mstshash=alice\r\n");
    let mut world = inspecting(&packet);
    assert_eq!(world.text("rdp_cookie(MSTSHASH)").as_deref(), Some("alice"));
    assert_eq!(world.text("rdp_cookie").as_deref(), Some("alice"));
    assert_eq!(world.text("rdp_cookie(other)"), None);
    assert_eq!(verdict(&mut world, "RDP_COOKIE"), Verdict::Pass);
    let mut world = inspecting(&packet[..20]);
    assert_eq!(verdict(&mut world, "RDP_COOKIE"), Verdict::Wait);
}

/// A client's hello with a server name, two protocols and an empty ticket.
fn hello() -> Vec<u8> {
    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &(content.len() as u16).to_be_bytes(), content].concat()
    }
    let extensions = [
        extension(35, b""),
        extension(0, b"\x00\x0e\x00\x00\x0bexample.org"),
        extension(16, b"\x00\x0c\x02h2\x08http/1.1"),
    ]
    .concat();
    let mut content = vec![3, 3];
    content.extend([7; 32]);
    content.extend(b"\x00\x00\x02\x13\x01\x01\x00");
    content.extend((extensions.len() as u16).to_be_bytes());
    content.extend(extensions);
    let message = [&[1, 0][..], &(content.len() as u16).to_be_bytes(), &content].concat();
    [&b"\x16\x03\x01"[..], &(message.len() as u16).to_be_bytes(), &message].concat()
}

#[test]
fn a_tls_hello_says_where_it_wants_to_go() {
    let mut world = inspecting(&hello());
    for (expression, expected) in [
        ("req.ssl_sni", "example.org"),
        ("req.ssl_alpn", "h2"),
        ("req.ssl_st_ext", "1"),
        ("req.ssl_hello_type", "1"),
        ("req.ssl_ver", "196611"),
    ] {
        assert_eq!(world.text(expression).as_deref(), Some(expected), "{expression}");
    }
    assert_eq!(world.text("req.ssl_ec_ext"), None, "there is no such extension, so there is no answer");
    assert!(world.holds("{ req.ssl_ver 3.3 }"));
    assert!(world.holds("{ req.ssl_sni -i EXAMPLE.org }"));
}

#[test]
fn no_prefix_of_a_tls_hello_is_taken_for_something_else() {
    let whole = hello();
    for length in 0..whole.len() {
        let mut world = inspecting(&whole[..length]);
        let expr = world.expr("req.ssl_sni").unwrap();
        assert_eq!(expr.fetch(&world.scope()), Fetched::Wait, "after {length} bytes");
    }
    for at in 5..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0xff;
        let mut world = inspecting(&broken);
        let expr = world.expr("req.ssl_sni").unwrap();
        // Whatever it says, it says it without a panic.
        let _answer = expr.fetch(&world.scope());
    }
}

#[test]
fn tracked_keys_are_counted_and_read() {
    let line = ["type", "ip", "size", "10", "store", "gpc0,gpc0_rate(10s),conn_cnt,bytes_in_cnt,gpt0"];
    let now = Instant::now();
    let config = StickTableConfig::parse(&line, &mut Vec::new()).unwrap();
    let table = Arc::new(StickTable::new(config, now));
    let mut world = World::new();
    let key = Value::Ip4([10, 0, 0, 1].into());
    world.tracked = vec![None, table.track(&table.key(&key).unwrap(), now)];
    world.set_table(table);
    for (expression, expected) in [
        ("sc0_tracked", Some("0")),
        ("sc1_tracked", Some("1")),
        ("sc_tracked(1)", Some("1")),
        ("sc1_get_gpc0", Some("0")),
        ("sc1_inc_gpc0", Some("1")),
        ("sc_inc_gpc0(1)", Some("2")),
        ("sc1_gpc0_rate", Some("2")),
        ("sc1_clr_gpc0", Some("2")),
        ("sc1_get_gpc0", Some("0")),
        ("sc0_get_gpc0", None),
        ("sc1_http_req_cnt", None),
        ("sc1_kbytes_in", Some("0")),
        ("sc1_trackers", Some("1")),
        ("sc_get_gpc0(1,app)", Some("0")),
        ("src_inc_gpc0(app)", Some("1")),
        ("src_get_gpc0(app)", Some("1")),
        ("src_conn_cnt(app)", Some("0")),
        ("src_updt_conn_cnt(app)", Some("1")),
        ("src,table_conn_cnt(app)", Some("1")),
        ("src,in_table(app)", Some("1")),
        ("ipv4(10.0.0.2),in_table(app)", Some("0")),
        ("ipv4(10.0.0.2),table_conn_cnt(app)", Some("0")),
        ("src,table_gpc0(app)", Some("1")),
        ("src,table_http_req_cnt(app)", None),
        ("src,table_trackers(app)", Some("2")),
        ("table_cnt(app)", Some("1")),
        ("table_avl(app)", Some("9")),
    ] {
        assert_eq!(world.text(expression).as_deref(), expected, "{expression}");
    }
}

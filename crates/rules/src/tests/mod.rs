//! Tests that read as the lines of a configuration.

mod cost;
mod hostile;
mod inspection;
mod lists;
mod vectors;

use crate::testing::World;

const REQUEST: &str = "GET /static/a.png?x=1&y=two HTTP/1.1
    Host: www.Example.com:8080
    X-List: one, two,three
    X-List: four
    Cookie: a=1; b=two
    X-Forwarded-For: 10.1.2.3, 192.168.0.9:555
    Content-Length: 0";

#[test]
fn fetches_read_the_request() {
    let mut world = World::with_request(REQUEST);
    for (expression, expected) in [
        ("path", Some("/static/a.png")),
        ("pathq", Some("/static/a.png?x=1&y=two")),
        ("query", Some("x=1&y=two")),
        ("method", Some("GET")),
        ("req.ver", Some("1.1")),
        ("req.hdr(host)", Some("www.Example.com:8080")),
        ("hdr(x-list)", Some("four")),
        ("hdr(x-list,1)", Some("one")),
        ("hdr(x-list,-2)", Some("three")),
        ("req.fhdr(x-list,1)", Some("one, two,three")),
        ("hdr_cnt(x-list)", Some("4")),
        ("req.cook(b)", Some("two")),
        ("url_param(y)", Some("two")),
        ("hdr_ip(x-forwarded-for)", Some("192.168.0.9")),
        ("hdr_ip(x-forwarded-for,1)", Some("10.1.2.3")),
        ("src", Some("10.0.0.1")),
        ("hdr(nothing)", None),
        ("req.hdr(host),lower,field(1,:)", Some("www.example.com")),
        ("src_port,add(1)", Some("4322")),
        ("str(a b),upper", Some("A B")),
        ("str('a,b)c')", Some("a,b)c")),
        ("nbsrv(app)", Some("1")),
        ("avg_queue(app)", Some("0")),
        ("env(HOME)", Some("/root")),
        ("env(NOTHING)", None),
        ("base", Some("www.Example.com:8080/static/a.png")),
    ] {
        assert_eq!(world.text(expression).as_deref(), expected, "{expression}");
    }
}

#[test]
fn conditions_combine_named_anonymous_and_predefined_acls() {
    let mut world = World::with_request(REQUEST);
    world.acl("is_image path_end .gif .png").unwrap();
    world.acl("is_image path_beg /images").unwrap();
    world.acl("local src 10.0.0.0/8").unwrap();
    for (condition, expected) in [
        ("is_image", true),
        ("!is_image", false),
        ("is_image local", true),
        ("is_image !local", false),
        ("METH_POST or is_image", true),
        ("METH_GET { hdr(x-list) four }", true),
        ("METH_GET { hdr(x-list) two }", true),
        ("{ hdr(x-list) -m sub wo }", true),
        ("{ hdr_cnt(x-list) gt 3 }", true),
        ("{ hdr_cnt(x-list) gt 4 }", false),
        ("! { hdr(host) -i www.example.com:8080 }", false),
        ("{ hdr(host) www.example.com:8080 }", false),
        ("{ req.cook(zz) -m found }", false),
        ("{ path_reg ^/static/[a-z]+ }", true),
        ("HTTP_1.1 LOCALHOST", false),
        ("HTTP_CONTENT || TRUE", true),
        ("{ hdr_dom(host) -i example }", true),
        ("{ path_dir static }", true),
    ] {
        assert_eq!(world.holds(condition), expected, "{condition}");
    }
}

#[test]
fn what_cannot_be_loaded_says_why() {
    let mut world = World::new();
    for (expression, message) in [
        ("pth", "unknown sample fetch 'pth'; did you mean 'path'?"),
        ("path,lowr", "unknown converter 'lowr'; did you mean 'lower'?"),
        ("src,upper,table", "unknown converter 'table'"),
        ("nbsrv(nowhere)", "argument 1 of 'nbsrv': there is no backend 'nowhere'"),
        ("str(a", "missing closing ')' after the arguments"),
        ("always_true,ipmask(8)", "converter 'ipmask' takes address, it cannot follow what gives boolean"),
        ("path(1)", "'path' takes no argument"),
        ("var(path)", "invalid argument of 'var': invalid variable name 'path'"),
        ("status", "'status' has nothing to read here (frontend http-request rule)"),
    ] {
        let error = world.expr(expression).expect_err(expression);
        assert!(error.message.starts_with(message), "{expression}: {}", error.message);
    }
}

#[test]
#[ignore = "prints the names for a comparison with haproxy -dK"]
fn names_for_parity() {
    for name in crate::fetch::names() {
        println!("F {name}");
    }
    for converter in crate::convert::all() {
        println!("C {}", converter.name);
    }
}

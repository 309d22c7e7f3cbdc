//! Lines that HAProxy 2.1 dropped: hawser reads them, haproxy gets what they mean, and both do the same.

use differential::{Backend, Program, Reply, same};

use crate::support::{get, web};

/// Old lines, and the lines of today that haproxy understands.
const TRANSLATIONS: [(&str, &str); 15] = [
    ("reqadd X-Forwarded-Proto:\\ https", "http-request add-header X-Forwarded-Proto https"),
    ("reqadd X-Load:\\ 100%", "http-request add-header X-Load 100%%"),
    ("reqadd X-A:\\ 1 if { path_beg /a }", "http-request add-header X-A 1 if { path_beg /a }"),
    ("reqadd X-Seen:\\ again", "http-request add-header X-Seen again"),
    (
        "reqadd X-Late:\\ yes if { req.hdr(x-set) -m found }\n http-request set-header X-Set 1",
        "http-request set-header X-Set 1\n http-request add-header X-Late yes if { req.hdr(x-set) -m found }",
    ),
    ("reqdel ^X-Seen:.*", "http-request del-header X-Seen"),
    ("reqidel ^x-seen:", "http-request del-header X-Seen"),
    ("reqrep ^X-Seen:\\ (.*) X-Seen:\\ <\\1>", "http-request replace-header X-Seen (.*) <\\1>"),
    ("reqrep ^X-Seen:\\ EARLIER X-Seen:\\ no", "http-request replace-header X-Seen ^EARLIER no"),
    ("reqirep ^X-Seen:\\ EARLIER X-Seen:\\ yes", "http-request replace-header X-Seen (?i)^EARLIER yes"),
    ("reqdeny ^X-Seen:\\ earl", "http-request deny if { req.fhdr(x-seen) -m reg ^earl }"),
    ("reqideny ^X-Seen:\\ EARL", "http-request deny if { req.fhdr(x-seen) -m reg -i ^EARL }"),
    ("block if { path /blocked }", "http-request deny if { path /blocked }"),
    ("rspadd X-From:\\ here", "http-response add-header X-From here"),
    ("rspirep ^Server:\\ (.*) Server:\\ hidden", "http-response replace-header Server (.*) hidden"),
];

// row: 166
#[test]
fn old_rules_take_effect_as_their_translations() {
    for (old, modern) in TRANSLATIONS {
        same(|program| {
            let lines = match program {
                Program::Haproxy => modern,
                Program::Hawser => old,
            };
            let backend = Backend::http(|_| Reply::status("200 OK", &["Server: secret"], "ok"));
            let proxy = web(program, &format!(" {lines}"), &backend);
            ["/a", "/blocked", "/"].map(|target| {
                let response = proxy.client("web").ask(get(target, &["X-Seen: earlier"]));
                let head = backend.requests().pop().map(|request| request.head());
                (response, head)
            })
        });
    }
}

// row: 166
#[test]
fn an_old_rule_is_a_warning_that_names_the_new_one() {
    let text = "listen web\n bind 127.0.0.1:$(web)\n mode http\n timeout client 1s\n timeout connect 1s\n \
                timeout server 1s\n reqadd X-Forwarded-Proto:\\ https\n server s1 127.0.0.1:1\n";
    let exit = Program::Hawser.bare(text).check();
    assert_eq!(exit.code, 0, "{}", exit.stderr);
    assert!(exit.stderr.contains("http-request add-header X-Forwarded-Proto https"), "{}", exit.stderr);
    let exit = Program::Haproxy.bare(text).check();
    assert_eq!(exit.code, 1, "haproxy 2.6 refuses it");
}

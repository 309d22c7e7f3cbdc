//! Persistence by cookie.

use differential::{Backend, Reply, Response, same};

use crate::support::get;

/// Two servers with cookies, one answering a cookie of its own.
fn responses(
    program: differential::Program,
    lines: &str,
    requests: &[String],
) -> Vec<(Response, Vec<String>)> {
    let servers = ["s1", "s2"].map(|name| {
        Backend::http(move |request| match request.target.as_str() {
            "/own" => Reply::status("200 OK", &["Set-Cookie: SRV=own; path=/"], name),
            "/cacheable" => Reply::status("200 OK", &["Cache-Control: max-age=60"], name),
            "/private" => Reply::status("200 OK", &["Cache-Control: private"], name),
            "/preserve" => Reply::status("200 OK", &["Set-Cookie: SRV=preserved"], name),
            _ => Reply::ok(name),
        })
    });
    let text = format!(
        "listen web\n bind 127.0.0.1:$(web)\n {lines}\n server s1 127.0.0.1:$(s1) cookie one\n \
         server s2 127.0.0.1:$(s2) cookie two\n"
    );
    let proxy = program.http(&text).with("s1", servers[0].port()).with("s2", servers[1].port()).start();
    let asked = requests.iter().map(|request| {
        let response = proxy.client("web").ask(request);
        let server = &servers[usize::from(response.body == "s2")];
        (response, server.last().header_all("cookie").into_iter().map(str::to_owned).collect())
    });
    asked.collect()
}

fn requests() -> Vec<String> {
    let cookie = |value: &str| format!("Cookie: {value}");
    let mut requests: Vec<_> =
        ["/", "/own", "/cacheable", "/private", "/preserve"].iter().map(|target| get(target, &[])).collect();
    for value in [
        "SRV=two",
        "SRV=one",
        "SRV=gone",
        "a=b; SRV=two; c=d",
        "SRV=two; SRV=one",
        "SRV=\"two\"",
        "SRV=one~rest; x=y",
        "SRV=",
        "SRV",
        "srv=two",
    ] {
        requests.push(get("/", &[&cookie(value)]));
    }
    requests.push(get("/own", &["Cookie: SRV=two"]));
    requests.push("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx".to_owned());
    requests
}

// row: 168
#[test]
fn cookie_modes_and_options_read_and_write_as_haproxy_does() {
    let requests = requests();
    let lines = [
        "cookie SRV insert indirect nocache",
        "cookie SRV insert",
        "cookie SRV insert indirect",
        "cookie SRV insert nocache postonly",
        "cookie SRV insert preserve",
        "cookie SRV insert indirect preserve nocache",
        "cookie SRV insert httponly secure",
        "cookie SRV insert domain example.com domain .example.org",
        "cookie SRV insert attr SameSite=Strict",
        "cookie SRV rewrite",
        "cookie SRV rewrite nocache",
        "cookie SRV prefix",
        "cookie SRV prefix nocache",
        "cookie SRV insert\n no option redispatch",
        "cookie SRV insert\n ignore-persist if { path / }",
        "cookie SRV insert\n force-persist if TRUE",
    ];
    let seen = same(|program| lines.map(|line| (line, responses(program, line, &requests))));
    let insert = &seen[0].1;
    assert_eq!(insert[0].0.header("set-cookie"), Some("SRV=one; path=/"));
    assert_eq!(insert[2].0.header_all("cache-control"), ["max-age=60", "private"]);
    assert_eq!(insert[5].0.header("set-cookie"), None, "the client holds a valid one");
    assert!(insert[5].1.is_empty(), "the server never sees it");
}

// row: 168
#[test]
fn cookies_with_lifetimes_carry_dates() {
    let cookies = same(|program| {
        let backend = Backend::named("s1");
        let text = "listen web\n bind 127.0.0.1:$(web)\n cookie SRV insert maxidle 10m maxlife 1h\n \
                    server s1 127.0.0.1:$(s1) cookie one\n";
        let dated = program.http(text).with("s1", backend.port()).start();
        let cookie = dated.get("web", "/").header("set-cookie").map(str::to_owned).unwrap_or_default();
        // SRV=one|DATE|DATE; path=/ with dates of five letters.
        let shape: Vec<usize> = cookie.split(['|', ';']).map(str::len).collect();
        let again = dated
            .client("web")
            .ask(get("/", &[&format!("Cookie: {}", cookie.split(';').next().unwrap_or(""))]));
        let expired = dated.client("web").ask(get("/", &["Cookie: SRV=one|AAAAA|AAAAA"]));
        (shape, again.header("set-cookie").is_some(), expired.header("set-cookie").is_some())
    });
    assert_eq!(cookies.0[0], "SRV=one".len());
}

// row: 168
#[test]
fn dynamic_cookies_have_the_values_of_haproxy_and_follow_addresses_and_keys() {
    // The port is part of the value, so both programs share the backends.
    let [first, second] = ["s1", "s2"].map(Backend::named);
    let seen = same(|program| {
        let text = "listen web\n bind 127.0.0.1:$(web)\n cookie SRV insert dynamic\n dynamic-cookie-key secret\n \
                    stats enable\n stats show-legends\n server s1 127.0.0.1:$(s1)\n server s2 127.0.0.1:$(s2)\n \
                    server own 127.0.0.1:$(s1) cookie own disabled\n\
                    listen later\n bind 127.0.0.1:$(later)\n cookie SRV insert\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.http(text).with("s1", first.port()).with("s2", second.port()).start();
        let set_by = |name: &str, cookie: &str| {
            let response = proxy.client(name).ask(get("/", &[&format!("Cookie: {cookie}")]));
            (response.body.clone(), response.header("set-cookie").map(str::to_owned))
        };
        let mut seen = vec![set_by("web", "a=b"), set_by("web", "a=b")];
        for cookie in [seen[0].1.clone(), seen[1].1.clone()].into_iter().flatten() {
            let pair = cookie.split(';').next().unwrap_or_default().to_owned();
            seen.extend([set_by("web", &pair), set_by("web", &pair)]);
        }
        proxy.cli("set server web/s1 addr 127.0.0.2");
        seen.extend([set_by("web", "a=b"), set_by("web", "a=b")]);
        let mut told = Vec::new();
        for command in [
            "enable dynamic-cookie backend",
            "enable dynamic-cookie backend nobody",
            "set dynamic-cookie-key backend later",
            "set dynamic-cookie-key backend nobody k",
            "set dynamic-cookie-key backend later k",
            "enable dynamic-cookie backend later",
            "set dynamic-cookie-key backend web other",
        ] {
            told.push(proxy.cli(command));
            seen.extend([set_by("web", "a=b"), set_by("web", "a=b"), set_by("later", "a=b")]);
        }
        told.push(proxy.cli("disable dynamic-cookie backend web"));
        seen.extend([set_by("web", "a=b"), set_by("web", "a=b")]);
        let rows = proxy.cli("show stat web -1 4");
        told.push(rows.lines().filter(|line| line.starts_with("web,")).count().to_string());
        (seen, told)
    });
    let value = |at: usize| seen.0[at].1.as_deref().map_or(0, str::len);
    assert_eq!(value(0), "SRV=0123456789abcdef; path=/".len());
    assert_eq!(seen.0[2], (seen.0[0].0.clone(), None), "the cookie is known again");
}

// row: 169
#[test]
fn a_client_whose_server_is_down_gets_another_and_its_cookie() {
    let (in_maintenance, drained, refused) = same(|program| {
        let [first, second] = ["s1", "s2"].map(Backend::named);
        let text = "listen web\n bind 127.0.0.1:$(web)\n option redispatch\n retries 1\n cookie SRV insert indirect\n \
                    server s1 127.0.0.1:$(s1) cookie one\n server s2 127.0.0.1:$(s2) cookie two\n";
        let proxy = program.http(text).with("s1", first.port()).with("s2", second.port()).start();
        let ask = || proxy.client("web").ask(get("/", &["Cookie: SRV=one"]));
        proxy.cli("set server web/s1 state maint");
        let in_maintenance = ask();
        proxy.cli("set server web/s1 state drain");
        let drained = ask();
        proxy.cli("set server web/s1 state ready");
        first.kill();
        (in_maintenance, drained, ask())
    });
    assert_eq!(
        (in_maintenance.body.as_str(), in_maintenance.header("set-cookie")),
        ("s2", Some("SRV=two; path=/"))
    );
    assert_eq!((drained.body.as_str(), drained.header("set-cookie")), ("s1", None));
    assert_eq!(refused.body, "s2");
}

// row: 168
#[test]
fn termination_flags_tell_what_became_of_the_cookie() {
    let flags = same(|program| {
        let backend = Backend::named("s1");
        let text = "listen web\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) local0\n option httplog\n option redispatch\n \
                    cookie SRV insert indirect nocache\n server s1 127.0.0.1:$(s1) cookie one\n server s2 127.0.0.1:1 cookie two disabled\n";
        let proxy = program.http(text).with("s1", backend.port()).start();
        for cookie in ["", "Cookie: SRV=one", "Cookie: SRV=gone", "Cookie: SRV=two"] {
            let headers: &[&str] = if cookie.is_empty() { &[] } else { &[cookie] };
            proxy.client("web").ask(get("/", headers));
        }
        let lines = proxy.log().wait_for(4, |line| line.contains("GET /"));
        let flags = lines
            .iter()
            .filter_map(|line| line.split(' ').find(|word| word.len() == 4 && word.starts_with("--")));
        flags.map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(flags, ["--NI", "--VN", "--II", "--DI"]);
}

//! Error responses: built-in, from files, by redirection.

use differential::{Backend, Program, Response, same};

use crate::support::{get, web};

// row: 175
#[test]
fn built_in_error_bodies_are_identical() {
    let codes = [200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 501, 502, 503, 504];
    let bodies = same(|program| {
        let backend = Backend::named("s1");
        let rules: String = codes
            .map(|code| format!(" http-request deny deny_status {code} if {{ path /{code} }}\n"))
            .concat();
        let proxy = web(program, &rules, &backend);
        codes.map(|code| proxy.get("web", &format!("/{code}")))
    });
    let bad_request = &bodies[1];
    assert_eq!(bad_request.body.len(), 90);
    assert_eq!(bad_request.body.lines().count(), 3);
}

// row: 175
#[test]
fn errors_raised_by_the_proxy_itself_are_identical() {
    let responses = same(|program| {
        let backend = Backend::named("s1");
        let text = "listen web\n bind 127.0.0.1:$(web)\n timeout http-request 300\nbackend empty\n";
        let proxy = program.http(text).start();
        let no_server = proxy.get("web", "/");
        let bad = proxy.client("web").ask("BAD\r\n\r\n");
        let slow = proxy.client("web").ask("GET / HTTP/1.1\r\n");
        let denying = web(program, " http-request deny", &backend);
        let mut client = denying.client("web");
        client.send("HEAD / HTTP/1.0\r\n\r\n");
        [no_server, bad, slow, client.response_to_head()]
    });
    assert_eq!(responses.each_ref().map(|response| response.status), [503, 400, 408, 403]);
}

fn with_file(program: Program, line: &str, file: &str) -> Result<Response, i32> {
    let text = format!("listen web\n bind 127.0.0.1:$(web)\n {line}\n");
    let launch = program.http(&text).file("error.http", file);
    launch.try_start().map(|proxy| proxy.get("web", "/")).map_err(|exit| exit.code)
}

// row: 172, 91
#[test]
fn errorfile_sends_the_file_as_a_response() {
    let files = [
        "HTTP/1.0 503 Gone Fishing\r\nContent-Type: text/plain\r\nX-Why: fish\r\n\r\nback soon\n",
        "HTTP/1.1 503 Service\r\nContent-Length: 4\r\n\r\nbody",
        "HTTP/1.0 503 Unix Lines\nContent-Type: text/plain\n\nunix\n",
        "HTTP/1.0 503 No Body\r\n\r\n",
        "HTTP/1.0 418 Other Status\r\n\r\nteapot",
        "HTTP/1.1 503 S\r\nConnection: keep-alive\r\nCache-Control: no-cache\r\n\r\nx",
    ];
    let answers =
        same(|program| files.map(|file| with_file(program, "errorfile 503 $(dir)/error.http", file)));
    assert_eq!(answers[0].as_ref().map(|response| response.body.as_str()), Ok("back soon\n"));
}

// row: 172
#[test]
fn errorfile_accepts_the_documented_codes_only() {
    let codes = [
        200, 201, 400, 401, 402, 403, 404, 405, 406, 407, 408, 410, 413, 414, 425, 429, 431, 500, 501, 502,
        503, 504,
    ];
    let verdicts = same(|program| {
        codes.map(|code| {
            let text = format!("listen web\n bind 127.0.0.1:$(web)\n errorfile {code} $(dir)/error.http\n");
            let launch = program.http(&text).file("error.http", "HTTP/1.0 503 S\r\n\r\nx");
            (code, launch.check().code)
        })
    });
    assert_eq!(verdicts.iter().find(|(code, _)| *code == 503), Some(&(503, 0)));
}

// row: 91, 172
#[test]
fn errorfile_in_defaults_is_inherited_and_can_be_unset() {
    let statuses = same(|program| {
        let text = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n \
                    errorfile 503 $(dir)/error.http\n\
                    listen a\n bind 127.0.0.1:$(a)\n\
                    listen b\n bind 127.0.0.1:$(b)\n errorfile 503 /dev/null\n";
        let proxy = program.config(text).file("error.http", "HTTP/1.0 503 Mine\r\n\r\nmine").start();
        let inherited = proxy.get("a", "/");
        let mut client = proxy.client("b");
        let unset = client.send(get("/", &[])).read_to_close();
        (inherited.body, unset)
    });
    assert_eq!(statuses.0, "mine");
}

// row: 173
#[test]
fn errorfile_of_plain_html_is_wrapped_by_hawser_and_refused_by_haproxy() {
    let differential::Both { haproxy, hawser } = differential::both(|program| {
        with_file(program, "errorfile 503 $(dir)/error.http", "<html><body>sorry</body></html>\n")
    });
    if let Some(result) = haproxy {
        assert_eq!(result.err(), Some(1));
    }
    if let Some(result) = hawser {
        let response = result.expect("accepted with a warning");
        assert_eq!((response.status, response.header("content-type")), (503, Some("text/html")));
        assert_eq!(response.body, "<html><body>sorry</body></html>\n");
    }
}

// row: 174
#[test]
fn errorloc_redirects_instead_of_the_error() {
    let responses = same(|program| {
        ["errorloc", "errorloc302", "errorloc303"].map(|keyword| {
            let text =
                format!("listen web\n bind 127.0.0.1:$(web)\n {keyword} 503 http://192.168.7.103/error_page/503.html\n");
            let proxy = program.http(&text).start();
            let mut post = proxy.client("web");
            (proxy.get("web", "/"), post.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"))
        })
    });
    assert_eq!(responses[0].0.header("location"), Some("http://192.168.7.103/error_page/503.html"));
    assert_eq!((responses[0].0.status, responses[2].0.status), (302, 303));
}

// row: 172
#[test]
fn http_errors_sections_and_http_error_lines_answer_too() {
    let responses = same(|program| {
        let text = "http-errors site\n errorfile 503 $(dir)/error.http\n errorfile 404 $(dir)/error.http\n\
                    listen a\n bind 127.0.0.1:$(a)\n errorfiles site\n\
                    listen b\n bind 127.0.0.1:$(b)\n errorfiles site 404\n\
                    listen c\n bind 127.0.0.1:$(c)\n http-error status 503 content-type text/plain string \"down for %[src]\"\n\
                    listen d\n bind 127.0.0.1:$(d)\n http-error status 503 content-type text/plain lf-string \"down for %[src]\"\n\
                    listen e\n bind 127.0.0.1:$(e)\n http-error status 503 content-type text/plain string hi hdr X-Up no\n\
                    listen f\n bind 127.0.0.1:$(f)\n http-request return status 404 errorfiles site\n\
                    listen g\n bind 127.0.0.1:$(g)\n http-request return status 200 content-type text/css file $(dir)/error.http\n\
                    listen h\n bind 127.0.0.1:$(h)\n http-request return status 202 hdr X-A %[path] content-type text/plain lf-string %[method]\n\
                    listen i\n bind 127.0.0.1:$(i)\n http-request deny status 410 content-type text/plain string gone\n";
        let proxy = program.http(text).file("error.http", "HTTP/1.0 503 Mine\r\n\r\nmine").start();
        ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|port| (port, proxy.get(port, "/p")))
    });
    assert_eq!(responses[0].1.body, "mine");
    assert_eq!(responses[3].1.body, "down for 127.0.0.1");
}

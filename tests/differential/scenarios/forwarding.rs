//! What a request and a response look like on the far side of the proxy.

use differential::{Backend, Reply, same};

// row: 77, 78
#[test]
fn forwardfor_adds_the_client_as_a_header_of_its_own_at_the_end() {
    let head = same(|program| {
        let backend = Backend::named("s1");
        let proxy = program
            .http("listen web\n bind 127.0.0.1:$(web)\n option forwardfor\n server s1 127.0.0.1:$(s1)\n")
            .with("s1", backend.port())
            .start();
        let response = proxy.client("web").ask(
            "GET /a?b HTTP/1.1\r\nHost: test.example\r\nX-Forwarded-For: 10.0.0.1\r\nAccept: */*\r\n\r\n",
        );
        assert_eq!(response.status, 200);
        backend.last().head()
    });
    assert_eq!(head.last().map(String::as_str), Some("x-forwarded-for: 127.0.0.1"));
}

#[test]
fn a_chunked_response_keeps_its_trailers() {
    let response = same(|program| {
        let backend = Backend::http(|_| Reply::chunked(&["hello ", "world"], &["X-Sum: 1"]));
        let proxy = program
            .http("listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:$(s1)\n")
            .with("s1", backend.port())
            .start();
        proxy.client("web").ask("GET / HTTP/1.1\r\nHost: test.example\r\n\r\n")
    });
    assert_eq!(response.body, "hello world");
}

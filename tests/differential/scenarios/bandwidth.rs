//! Bandwidth limits. They are younger than the haproxy at hand, so these scenarios ask hawser alone.

use std::time::{Duration, Instant};

use differential::{Backend, Program, Reply};

use crate::support::{get, web};

const BODY: usize = 300 << 10;

fn large() -> Backend {
    let body = "x".repeat(BODY);
    Backend::http(move |_| Reply::ok(&body))
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = run();
    (result, start.elapsed())
}

/// Whether a time is about this many milliseconds; a busy machine may be late, never early.
#[track_caller]
fn assert_about(time: Duration, milliseconds: u64) {
    let wanted = Duration::from_millis(milliseconds);
    assert!(
        time >= wanted.mul_f64(0.85) && time <= wanted * 2 + Duration::from_secs(1),
        "{time:?}, not {wanted:?}"
    );
}

#[test]
fn a_download_takes_the_time_that_its_limit_asks_for() {
    let backend = large();
    // 100 KB at once, and as much in each half second after the first.
    let lines = " filter bwlim-out slow default-limit 100k default-period 500ms\n \
                 http-response set-bandwidth-limit slow if { capture.req.uri /slow }\n \
                 http-request set-bandwidth-limit slow limit 1m period 500ms if { path /faster }\n \
                 http-request set-bandwidth-limit slow limit req.hdr_val(x-limit) if { path /asked }";
    let proxy = web(Program::Hawser, lines, &backend);
    let ask = |target: &str| {
        let (response, time) = timed(|| proxy.client("web").ask(get(target, &["X-Limit: 153600"])));
        assert_eq!(response.body.len(), BODY);
        time
    };
    assert!(ask("/free") < Duration::from_millis(450));
    assert_about(ask("/slow"), 1_400);
    assert!(ask("/faster") < Duration::from_millis(450));
    assert_about(ask("/asked"), 900);
}

#[test]
fn an_upload_takes_the_time_that_its_limit_asks_for() {
    let backend = Backend::named("s1");
    let lines = " filter bwlim-in up default-limit 100k default-period 500ms min-size 4k\n \
                 http-request set-bandwidth-limit up";
    let proxy = web(Program::Hawser, lines, &backend);
    let post = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n{}", "y".repeat(BODY));
    let (response, time) = timed(|| proxy.client("web").ask(post));
    assert_eq!((response.status, backend.last().body.len()), (200, BODY));
    assert_about(time, 1_400);
}

#[test]
fn streams_with_the_same_key_share_a_limit() {
    let backend = large();
    let text = "backend table\n stick-table type ip size 10 expire 10s store bytes_out_rate(500ms)\n\
        listen web\n bind 127.0.0.1:$(web)\n filter bwlim-out shared limit 200k key src table table\n \
        http-response set-bandwidth-limit shared\n server s1 127.0.0.1:$(s1)\n";
    let proxy = Program::Hawser.http(text).with("s1", backend.port()).start();
    let (_, time) = timed(|| {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert_eq!(proxy.get("web", "/").body.len(), BODY));
            }
        });
    });
    // 600 KB together, 200 of them at once.
    assert_about(time, 1_200);
}

#[test]
fn what_makes_no_limit_is_an_error_that_says_why() {
    let cases = [
        (" http-request set-bandwidth-limit none", "no bandwidth limit `none`"),
        (" filter bwlim-out a limit 1m", "neither"),
        (" filter bwlim-out a default-limit 1m key src default-period 1s", "neither"),
        (" filter bwlim-out a limit 1m key src table none", "no stick table `none`"),
        (" stick-table type ip size 10\n filter bwlim-in a limit 1m key src", "does not store bytes_in_rate"),
        (" filter spoe engine x config y", "is not implemented"),
        (" filter fcgi-app x", "is not implemented"),
        (" filter opentracing", "is not implemented"),
        (" filter bandwidth", "unknown filter"),
    ];
    for (lines, wanted) in cases {
        let text = format!("listen web\n bind 127.0.0.1:$(web)\n{lines}\n server s1 127.0.0.1:1\n");
        let exit = Program::Hawser.http(&text).check();
        assert_eq!(exit.code, 1, "{lines}");
        assert!(exit.stderr.contains(wanted), "{lines}: {}", exit.stderr);
    }
}

//! Bodies of responses in rules: what of them is here, and `http-response wait-for-body`.

use crate::support::get;
use differential::{Backend, Connection, Program, pause, same};
use std::io;
use std::thread::sleep;
use std::time::Duration;

/// Long enough for the first piece to be seen alone.
const BETWEEN: Duration = Duration::from_millis(150);

/// Longer than `time` of the rule that is to give up.
const TOO_LONG: Duration = Duration::from_millis(900);

const LARGE: usize = 200_000;

/// What rules say that they saw goes out in headers. The end of the chunks is a byte of its own in HAProxy.
const SEEN: &str =
    " http-response set-header X-Seen \"%[res.body_len]/%[res.body_size] <%[res.body,bytes(0,30)]>\"
 http-response set-header X-Length %[res.len] if !{ res.hdr(transfer-encoding) -m found }
";

/// Sends the pieces with a pause before each but the first.
fn pieces(connection: &mut Connection, pieces: &[&str], pause: Duration) -> io::Result<()> {
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            sleep(pause);
        }
        connection.send(piece.as_bytes())?;
    }
    Ok(())
}

/// A server whose answers come in pieces, by the path.
fn origin() -> Backend {
    Backend::raw(|connection, record| {
        while let Some(request) = connection.request()? {
            let target = request.target.clone();
            record(request);
            let ok = "HTTP/1.1 200 OK\r\n";
            let sized = format!("{ok}Content-Length: 6\r\n\r\n");
            let chunked = format!("{ok}Transfer-Encoding: chunked\r\n\r\n");
            match target.as_str() {
                "/whole" => pieces(connection, &[&format!("{sized}abcdef")], BETWEEN)?,
                "/two" => pieces(connection, &[&format!("{sized}abc"), "def"], BETWEEN)?,
                "/bare" => pieces(connection, &[&sized, "abc", "def"], BETWEEN)?,
                "/slow" => pieces(connection, &[&format!("{sized}abc"), "def"], TOO_LONG)?,
                "/silent" => pieces(connection, &[&sized, "abcdef"], TOO_LONG)?,
                "/short" => {
                    pieces(connection, &[&format!("{sized}abc"), ""], BETWEEN)?;
                    return Ok(());
                }
                "/chunked" => {
                    let first = format!("{chunked}3\r\nabc\r\n");
                    pieces(connection, &[&first, "2\r\nde\r\n", "1\r\nf\r\n0\r\n\r\n"], BETWEEN)?;
                }
                "/chunked-whole" => {
                    pieces(connection, &[&format!("{chunked}3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")], BETWEEN)?;
                }
                "/broken" => {
                    pieces(connection, &[&format!("{chunked}3\r\nabc\r\n"), "zz\r\n"], BETWEEN)?;
                    sleep(TOO_LONG);
                    return Ok(());
                }
                "/until-close" => {
                    pieces(connection, &[&format!("{ok}\r\nabc"), "def"], BETWEEN)?;
                    return Ok(());
                }
                "/empty" => pieces(connection, &[&format!("{ok}Content-Length: 0\r\n\r\n")], BETWEEN)?,
                "/none" => pieces(connection, &["HTTP/1.1 204 No Content\r\n\r\n"], BETWEEN)?,
                "/same" => {
                    pieces(connection, &["HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n"], BETWEEN)?
                }
                "/large" => {
                    let head = format!("{ok}Content-Length: {LARGE}\r\n\r\n");
                    pieces(connection, &[&head, &"x".repeat(LARGE)], BETWEEN)?;
                }
                other => panic!("no answer to {other}"),
            }
        }
        Ok(())
    })
}

/// What the client got, and what the log says of it.
fn play(program: Program, rules: &str, targets: &[&str]) -> Vec<String> {
    let origin = origin();
    let text = format!(
        "listen web\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) len 4096 local0\n \
         log-format 'line@ %ts %ST B=%B Tr=%[capture.req.uri]'\n{rules} server s 127.0.0.1:$(origin)\n"
    );
    let proxy = program.http(&text).with("origin", origin.port()).start();
    let mut seen = Vec::new();
    for (number, target) in targets.iter().enumerate() {
        let mut client = proxy.client("web");
        client.send(get(target, &["Connection: close"]));
        let answer = client.read_to_close();
        let lines = proxy.log().wait_for(number + 1, |line| line.contains("line@"));
        let line = lines[number].split_once("line@ ").expect("the mark").1.trim_end().to_owned();
        let answer: String = without_chunks(&answer.to_ascii_lowercase()).chars().take(400).collect();
        seen.push(format!("{target}: {answer:?} {line}"));
    }
    seen
}

/// Chunks are cut by who sends them on.
fn without_chunks(answer: &str) -> String {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return answer.to_owned() };
    if !head.contains("chunked") {
        return answer.to_owned();
    }
    let data: String = body.split("\r\n").skip(1).step_by(2).collect();
    let ended = body.ends_with("\r\n0\r\n\r\n");
    format!("{head} {data:?} {}", if ended { "whole" } else { "cut" })
}

const ALL: [&str; 14] = [
    "/whole",
    "/two",
    "/bare",
    "/slow",
    "/silent",
    "/short",
    "/chunked",
    "/chunked-whole",
    "/broken",
    "/until-close",
    "/empty",
    "/none",
    "/same",
    "/large",
];

#[test]
fn a_response_waits_for_its_body() {
    let rules = format!(" http-response wait-for-body time 600ms\n{SEEN}");
    let seen = same(|program| play(program, &rules, &ALL));
    assert!(seen[1].contains("x-seen: 6/6 <abcdef>"), "{}", seen[1]);
    assert!(seen[3].contains("sR 504"), "{}", seen[3]);
}

#[test]
fn a_response_waits_for_so_much_of_its_body() {
    let rules = format!(" http-response wait-for-body time 600ms at-least 4\n{SEEN}");
    let seen = same(|program| play(program, &rules, &ALL));
    assert!(seen[6].contains("x-seen: 5/5 <abcde>"), "{}", seen[6]);
}

#[test]
fn rules_see_what_came_with_the_head() {
    let seen = same(|program| play(program, SEEN, &ALL));
    assert!(seen[1].contains("x-seen: 3/6 <abc>"), "{}", seen[1]);
}

#[test]
fn what_a_wait_in_vain_counts() {
    let counted = same(|program| {
        let origin = origin();
        let rules = "http-response wait-for-body time 200ms";
        let proxy = crate::support::web(program, rules, &origin);
        let columns = ["eresp", "hrsp_2xx", "hrsp_5xx", "srv_abrt", "cli_abrt", "wretr", "dresp"];
        let rows = ["FRONTEND", "s1", "BACKEND"];
        ["/slow", "/two", "/broken"].map(|target| {
            let status = proxy.client("web").ask(get(target, &[])).status;
            (status, rows.map(|row| columns.map(|column| proxy.stat("web", row, column))))
        })
    });
    assert_eq!(counted.each_ref().map(|(status, _)| *status), [504, 200, 502]);
}

#[test]
fn rules_see_the_bodies_of_answers_of_our_own() {
    let seen = same(|program| {
        let origin = origin();
        let rules = "http-after-response set-header X-Seen \"%[res.body_len]/%[res.body_size] <%[res.body,bytes(0,20)]>\"\n \
                     http-request return status 200 content-type a/b string \"what rules say\" if { path /own }\n \
                     http-request deny if { path /denied }";
        let proxy = crate::support::web(program, rules, &origin);
        ["/own", "/denied", "/whole"]
            .map(|target| proxy.client("web").ask(get(target, &[])).header("x-seen").map(str::to_owned))
    });
    assert_eq!(seen[0].as_deref(), Some("14/14 <what rules say>"));
}

#[test]
fn the_answer_to_head_has_no_body_to_wait_for() {
    let seen = same(|program| {
        let origin = Backend::raw(|connection, _| {
            while connection.request()?.is_some() {
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")?;
            }
            Ok(())
        });
        let rules = format!("http-response wait-for-body time 2s\n{SEEN}");
        let proxy = crate::support::web(program, &rules, &origin);
        let mut client = proxy.client("web");
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.response_to_head().header("x-seen").map(str::to_owned)
    });
    assert_eq!(seen.as_deref(), Some("0/0 <>"));
}

/// The client has not sent all of its request when the head of the response is here: both go on.
#[test]
fn a_request_goes_on_while_its_response_waits() {
    let seen = same(|program| {
        let origin = Backend::raw(|connection, _| {
            let head = "POST / HTTP/1.1";
            assert!(connection.exact(head.len())?.starts_with(head.as_bytes()));
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")?;
            // The body of the response is the end of the request's.
            let mut last = Vec::new();
            while !last.ends_with(b"last") {
                last.extend(connection.exact(1)?);
            }
            connection.send(b"last")
        });
        let rules = format!("http-response wait-for-body time 5s\n{SEEN}");
        let proxy = crate::support::web(program, &rules, &origin);
        let mut client = proxy.client("web");
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfirst");
        pause(200);
        client.send("last");
        let response = client.response();
        (response.status, response.header("x-seen").map(str::to_owned), response.body)
    });
    assert_eq!(seen, (200, Some("4/4 <last>".to_owned()), "last".to_owned()));
}

#[test]
fn bodies_of_streams_are_waited_for_too() {
    let seen = same(|program| {
        let text = format!(
            "listen web\n bind 127.0.0.1:$(web)\n http-response wait-for-body time 2s\n{SEEN} \
             server s 127.0.0.1:$(middle) proto h2\n\
             listen middle\n bind 127.0.0.1:$(middle) proto h2\n server s 127.0.0.1:$(origin)\n"
        );
        let origin = origin();
        let proxy = program.http(&text).with("origin", origin.port()).start();
        ["/two", "/bare", "/empty", "/until-close"].map(|target| {
            let answer = proxy.client("web").ask(get(target, &[]));
            (answer.header("x-seen").map(str::to_owned), answer.body)
        })
    });
    assert_eq!(seen[0], (Some("6/6 <abcdef>".to_owned()), "abcdef".to_owned()));
}

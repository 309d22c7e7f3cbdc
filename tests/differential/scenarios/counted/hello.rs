//! Bytes before any handshake: what inspection of TCP content sees, of clients and of servers.

use super::{Lab, Question, exactly};
use differential::Instance;

const CONFIG: &str = "frontend hello
 mode tcp
 bind 127.0.0.1:$(hello)
{log} tcp-request inspect-delay 5s
{rules} tcp-request content reject if WAIT_END
";

/// The server sends back what the client sent.
const ANSWER: &str = "frontend answer
 mode tcp
 bind 127.0.0.1:$(answer)
{log} default_backend says_hello
backend says_hello
 mode tcp
 tcp-response inspect-delay 5s
{rules} server s 127.0.0.1:$(echo)
";

fn questions() -> Vec<Question> {
    exactly([
        "req.ssl_alpn",
        "req.ssl_ec_ext",
        "req.ssl_hello_type",
        "req.ssl_sni",
        "req.ssl_st_ext",
        "req.ssl_ver",
        "req_ssl_hello_type",
        "req_ssl_sni",
        "req_ssl_ver",
        "req.len",
        "req_len",
        "req.proto_http",
        "req_proto_http",
        "req.rdp_cookie",
        "req.rdp_cookie_cnt",
        "rdp_cookie",
        "rdp_cookie_cnt",
        "distcc_body(ARGC)",
        "distcc_param(ARGC)",
        "req.payload(0,8)",
        "req.payload_lv(3,2)",
        "payload(0,4)",
        "payload_lv(0,1)",
        "wait_end",
    ])
}

/// A ClientHello of TLS 1.2 with the extensions.
fn client_hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("a short hello").to_be_bytes();
    let mut tail = Vec::new();
    for (kind, value) in extensions {
        tail.extend(kind.to_be_bytes());
        tail.extend(length(value));
        tail.extend_from_slice(value);
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 4, 0xc0, 0x2f, 0x13, 0x01, 1, 0]);
    body.extend(length(&tail));
    body.extend(tail);
    let mut handshake = vec![1, 0];
    handshake.extend(length(&body));
    handshake.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend(length(&handshake));
    record.extend(handshake);
    record
}

fn bytes_of(input: &str) -> Vec<u8> {
    let name = b"\0\x10\0\0\x0dwww.a.example";
    let alpn = b"\0\x0c\x02h2\x08http/1.1";
    let groups = b"\0\x02\0\x17";
    match input {
        "hello" => client_hello(&[(0, name), (16, alpn), (10, groups), (35, b""), (11, b"\x01\0")]),
        "bare hello" => client_hello(&[]),
        "nothing" => Vec::new(),
        "one byte" => b"\x16".to_vec(),
        "http" => b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        "cut" => client_hello(&[(0, name)])[..60].to_vec(),
        "lying" => client_hello(&[(0, b"\xff\xff\0\xff\xff"), (16, b"\0\xffx"), (35, b"ticket")]),
        "old" => b"\x80\x2e\x01\0\x02\0\x15\0\0\0\x10\x01\0\x80\x02\0\x80\x03\0\x80\x04\0\x80\x05\0\x80\x06\0\x40\x07\0\xc00123456789abcdef".to_vec(),
        "desktop" => b"\x03\0\0\x2a\x25\xe0\0\0\0\0\0Cookie: mstshash=user\r\n\x01\0\x08\0\x03\0\0\0".to_vec(),
        "compiler" => b"DIST00000001ARGC00000002ARGV00000003gccARGV00000002-c".to_vec(),
        _ => unreachable!("{input}"),
    }
}

fn play(proxy: &Instance, input: &str) {
    let mut client = proxy.client("hello");
    // The program may refuse before all is sent.
    let _ = client.try_send(bytes_of(input));
    client.finish_sending().read_to_close();
}

const INPUTS: &[&str] =
    &["hello", "bare hello", "nothing", "http", "cut", "lying", "old", "desktop", "compiler"];

fn answer_questions() -> Vec<Question> {
    exactly([
        "res.len",
        "rep_ssl_hello_type",
        "res.ssl_hello_type",
        "res.payload(0,3)",
        "res.payload_lv(3,2)",
    ])
}

fn play_answer(proxy: &Instance, input: &str) {
    let mut client = proxy.client("answer");
    let _ = client.try_send(bytes_of(input));
    client.finish_sending().read_to_close();
}

pub fn labs() -> Vec<Lab> {
    vec![
        Lab {
            name: "hello",
            config: CONFIG,
            rule: ("tcp-request content", "sess", "if WAIT_END"),
            questions: questions(),
            inputs: INPUTS,
            play,
        },
        Lab {
            name: "answer",
            config: ANSWER,
            rule: ("tcp-response content", "sess", "if WAIT_END"),
            questions: answer_questions(),
            // Of a server that says nothing it is chance whether its rules run at all.
            inputs: &[
                "hello",
                "bare hello",
                "one byte",
                "http",
                "cut",
                "lying",
                "old",
                "desktop",
                "compiler",
            ],
            play: play_answer,
        },
    ]
}

//! `option smtpchk`, `mysql-check`, `pgsql-check`, `ldap-check`, `ssl-hello-chk`, `redis-check`: what is sent, byte for
//! byte, and what is made of the answers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use differential::{Program, same, wait_until};

/// What a server does, in turn; at the end it reads until the other side leaves.
#[derive(Clone, Copy)]
enum Turn {
    Say(&'static [u8]),
    Hear,
    Leave,
}

use Turn::{Hear, Leave, Say};

/// Longest a server waits for what should come.
const EAR_TIMEOUT: Duration = Duration::from_millis(1_500);

/// A server that plays its turns for every client, and keeps what the first one sent.
fn server(turns: &'static [Turn]) -> (u16, Arc<Mutex<Option<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let first = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&first);
    // Both end with the test's process.
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || {
                let heard = play(client, turns);
                kept.lock().expect("no panic holds it").get_or_insert(heard);
            });
        }
    });
    (port, first)
}

fn play(mut client: TcpStream, turns: &[Turn]) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    client.set_read_timeout(Some(EAR_TIMEOUT)).expect("a timeout can be set");
    for turn in turns {
        match turn {
            // Who does not listen any more is seen at the next turn.
            Say(bytes) => drop(client.write_all(bytes)),
            Hear => {
                let count = client.read(&mut buffer).unwrap_or(0);
                heard.extend_from_slice(&buffer[..count]);
            }
            Leave => return heard,
        }
    }
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        heard.extend_from_slice(&buffer[..count]);
    }
    heard
}

type Case = (&'static str, &'static [Turn]);

/// A greeting of MySQL 8 with protocol 10.
const MYSQL_GREETING: &[u8] =
    b"\x44\0\0\0\x0a8.0.30\0\x01\0\0\0abcdefgh\0\xff\xf7\x21\x02\0\xff\xc1\x15\0\0\0\0\0\0\0\0\0\0\
    ijklmnopqrst\0mysql_native_pas";
const MYSQL_OK: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";
const MYSQL_DENIED: &[u8] = b"\x20\0\0\x02\xff\x15\x04#28000Access denied for user.";
const MYSQL_FULL: &[u8] = b"\x17\0\0\0\xff\x10\x04Too many connections";

const SMTP: &[Case] = &[
    ("smtpchk", &[Say(b"220 mx ESMTP\r\n"), Hear, Say(b"250 mx\r\n"), Hear, Say(b"221 bye\r\n")]),
    (
        "smtpchk EHLO my.org",
        &[Say(b"220 mx\r\n"), Hear, Say(b"250-mx\r\n250-SIZE\r\n250 HELP\r\n"), Hear, Say(b"221 bye\r\n")],
    ),
    ("smtpchk FOO bar", &[Say(b"220 mx\r\n"), Hear, Say(b"500 no\r\n")]),
    ("smtpchk", &[Say(b"554 go away\r\n"), Hear]),
    ("smtpchk", &[Say(b"hello world\r\n"), Hear]),
    ("smtpchk", &[Say(b"220-mx ESMTP\r\n220 go\r\n"), Hear, Say(b"250 ok there\r\n"), Hear]),
    ("smtpchk", &[Leave]),
    ("smtpchk", &[Hear]),
    ("smtpchk", &[Say(b"22"), Leave]),
    ("smtpchk", &[Say(b"220\r\n"), Hear, Say(b"250\r\n"), Hear, Say(b"221\r\n")]),
    ("smtpchk HELO x", &[Say(b"220 mx\r\n"), Hear, Say(b"25"), Leave]),
];

const MYSQL: &[Case] = &[
    ("mysql-check", &[Say(MYSQL_GREETING), Hear]),
    ("mysql-check", &[Say(MYSQL_FULL), Leave]),
    ("mysql-check", &[Say(b"\x44\0\0\0\x0a8.0"), Leave]),
    ("mysql-check", &[Say(b"SSH-2.0-OpenSSH\r\n"), Hear]),
    ("mysql-check", &[Say(b"\x05\0\0\0\x09old\0"), Hear]),
    ("mysql-check user hap", &[Say(MYSQL_GREETING), Hear, Say(MYSQL_OK), Hear]),
    ("mysql-check user hap post-41", &[Say(MYSQL_GREETING), Hear, Say(MYSQL_OK), Hear]),
    ("mysql-check user hap pre-41", &[Say(MYSQL_GREETING), Hear, Say(MYSQL_OK), Hear]),
    ("mysql-check user hap", &[Say(MYSQL_GREETING), Hear, Say(MYSQL_DENIED), Hear]),
    ("mysql-check user hap", &[Say(MYSQL_GREETING), Hear, Say(b"\x07\0\0"), Leave]),
    ("mysql-check user hap", &[Say(MYSQL_GREETING), Hear, Say(b"\x09\0\0\x02\xfemysql_na"), Hear]),
    ("mysql-check user hap", &[Say(MYSQL_FULL), Leave]),
];

const PGSQL: &[Case] = &[
    ("pgsql-check user pg", &[Hear, Say(b"R\0\0\0\x08\0\0\0\0"), Hear]),
    ("pgsql-check user pg", &[Hear, Say(b"R\0\0\0\x0c\0\0\0\x05abcd"), Hear]),
    ("pgsql-check user pg", &[Hear, Say(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"), Hear]),
    ("pgsql-check user pg", &[Hear, Say(b"E\0\0\0\x30SFATAL\0C28000\0Mno entry\0\0"), Hear]),
    ("pgsql-check user pg", &[Hear, Say(b"HTTP/1.1 400 Bad\r\n"), Hear]),
    ("pgsql-check user pg", &[Hear, Leave]),
    ("pgsql-check user pg", &[Hear, Say(b"R\0\0\0\x08\0\0\0\x01"), Hear]),
    ("pgsql-check user pg", &[Hear, Say(b"R\0\0\0\x08\0\0\0\x08"), Hear]),
    ("pgsql-check user pg", &[Hear, Say(b"R\0\0\0\xff\0\0\0\x09"), Hear]),
    ("pgsql-check user pg", &[Hear, Say(b"R\0\0\x01\x08\0\0\0\0"), Hear]),
    ("pgsql-check user pg", &[Hear, Say(b"R\0\0"), Leave]),
];

const OTHERS: &[Case] = &[
    ("ldap-check", &[Hear, Say(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"), Hear]),
    (
        "ldap-check",
        &[Hear, Say(b"\x30\x84\0\0\0\x10\x02\x01\x01\x61\x84\0\0\0\x07\x0a\x01\0\x04\0\x04\0"), Hear],
    ),
    ("ldap-check", &[Hear, Say(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\0\x04\0"), Hear]),
    ("ldap-check", &[Hear, Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Hear]),
    ("ldap-check", &[Hear, Say(b"\x30\x0c\x02\x01"), Leave]),
    ("ldap-check", &[Hear, Say(b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\0\x04\0\x04\0"), Hear]),
    ("ssl-hello-chk", &[Hear, Say(b"\x16\x03\0\0\x4a\x02"), Hear]),
    ("ssl-hello-chk", &[Hear, Say(b"\x15\x03\0\0\x02\x02\x28"), Hear]),
    ("ssl-hello-chk", &[Hear, Say(b"HTTP/1.1 400 Bad\r\n"), Hear]),
    ("ssl-hello-chk", &[Hear, Leave]),
    ("ssl-hello-chk", &[Hear, Say(b"\x16"), Leave]),
    ("redis-check", &[Hear, Say(b"+PONG\r\n"), Leave]),
    ("redis-check", &[Hear, Say(b"-LOADING dataset\r\n"), Leave]),
    ("redis-check", &[Hear, Leave]),
];

/// Runs the cases on one program: what was sent, the check's status, code and text.
fn results(program: Program, cases: &'static [Case]) -> Vec<(&'static str, String, Vec<String>)> {
    let mut text = String::from("frontend web\n bind 127.0.0.1:$(web)\n");
    let servers: Vec<_> = cases.iter().map(|(_, turns)| server(turns)).collect();
    for (number, ((option, _), (port, _))) in cases.iter().zip(&servers).enumerate() {
        text.push_str(&format!(
            "backend b{number}\n mode tcp\n timeout check 800ms\n option {option}\n \
             server s 127.0.0.1:{port} check inter 900ms fall 100 rise 100\n"
        ));
    }
    let proxy = program.http(&text).start();
    let results = cases.iter().zip(&servers).enumerate().map(|(number, ((option, _), (_, first)))| {
        let field = |name: &str| proxy.stat(&format!("b{number}"), "s", name);
        wait_until("the check has a result", || {
            !matches!(field("check_status").trim_start_matches("* "), "INI" | "")
        });
        wait_until("its connection is over", || first.lock().expect("no panic holds it").is_some());
        let mut sent = first.lock().expect("no panic holds it").clone().unwrap_or_default();
        if *option == "ssl-hello-chk" && sent.len() > 15 {
            // The time.
            sent[11..15].fill(0);
        }
        let fields = ["check_status", "check_code", "last_chk", "check_desc"];
        let shown = fields.map(|name| field(name).trim_start_matches("* ").to_owned());
        (*option, sent.escape_ascii().to_string(), shown.to_vec())
    });
    results.collect()
}

#[test]
fn mail_servers_are_greeted_and_left_in_order() {
    let results = same(|program| results(program, SMTP));
    assert_eq!(results[0].1, r"HELO localhost\r\nQUIT\r\n");
    assert_eq!(results[0].2[..3], ["L7OK", "221", "bye"]);
}

#[test]
fn mysql_is_greeted_with_and_without_a_user() {
    let results = same(|program| results(program, MYSQL));
    assert_eq!(results[8].2[1..3], ["1045", "#28000Access denied for user."]);
}

#[test]
fn postgresql_is_asked_for_a_login() {
    let results = same(|program| results(program, PGSQL));
    assert_eq!(results[0].2[2], "PostgreSQL server is ok");
}

#[test]
fn ldap_ssl_and_redis_are_asked_in_their_own_words() {
    let results = same(|program| results(program, OTHERS));
    assert_eq!(results[2].2[1], "49");
    assert_eq!(results[6].2[0], "L6OK");
}

#[test]
fn a_check_of_stream_processing_agents_is_refused_by_name() {
    let text = "listen web\n bind 127.0.0.1:$(web)\n option spop-check\n server s1 127.0.0.1:1\n";
    let exit = Program::Hawser.http(text).check();
    assert_eq!(exit.code, 1);
    assert!(exit.stderr.contains("spop-check") && exit.stderr.contains("tcp-check"), "{}", exit.stderr);
}

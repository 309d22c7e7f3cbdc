//! `email-alert`: the mails of both programs, word for word.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use differential::{Program, same, wait_until};

type Mails = Arc<Mutex<Vec<String>>>;

/// A mail server that takes everything; a mail is all that was said to it, without the date.
fn sink() -> (u16, Mails) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mails = Mails::default();
    let kept = Arc::clone(&mails);
    // It ends with the test's process.
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let said = take(client);
            kept.lock().expect("no panic holds it").push(said);
        }
    });
    (port, mails)
}

fn take(client: TcpStream) -> String {
    let mut reader = BufReader::new(client.try_clone().expect("a second handle"));
    let mut writer = client;
    let mut said = String::new();
    let mut in_data = false;
    let mut answer = "220-sink\r\n220 ESMTP\r\n";
    loop {
        let mut line = String::new();
        if writer.write_all(answer.as_bytes()).is_err() || !matches!(reader.read_line(&mut line), Ok(1..)) {
            return said;
        }
        said.push_str(if line.starts_with("Date: ") { "Date: …\r\n" } else { &line });
        answer = match line.as_str() {
            ".\r\n" => {
                in_data = false;
                "250 queued\r\n"
            }
            _ if in_data => "",
            "DATA\r\n" => {
                in_data = true;
                "354 go\r\n"
            }
            "QUIT\r\n" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
    }
}

fn mails_at(program: Program, level: &str, count: usize) -> Vec<String> {
    let (port, mails) = sink();
    let backend = differential::Backend::named("s1");
    let text = format!(
        "mailers m\n timeout mail 5s\n mailer one 127.0.0.1:{port}\nfrontend web\n bind 127.0.0.1:$(web)\n\
         backend b\n email-alert mailers m\n email-alert from lb@example.org\n \
         email-alert to admin@example.org\n email-alert level {level}\n email-alert myhostname lb1\n \
         server s1 127.0.0.1:$(s1)\n server s2 127.0.0.1:1 check inter 100ms fall 1\n"
    );
    let proxy = program.http(&text).with("s1", backend.port()).start();
    proxy.wait_for_stat("b", "s2", "status", "DOWN");
    wait_until("the first mail", || !mails.lock().expect("no panic holds it").is_empty());
    // Maintenance is mailed by neither, draining as a notice.
    for command in ["disable server b/s1", "enable server b/s1", "set server b/s1 state drain"] {
        proxy.cli(command);
    }
    wait_until("all mails", || mails.lock().expect("no panic holds it").len() >= count);
    differential::pause(300);
    let mails = mails.lock().expect("no panic holds it");
    mails.iter().map(|mail| without_durations(mail)).collect()
}

/// A check may take a millisecond on a busy machine.
fn without_durations(mail: &str) -> String {
    let mut parts = mail.split("check duration: ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "check duration: N" + part.trim_start_matches(|letter: char| letter.is_ascii_digit())
    })
}

#[test]
fn what_happens_to_servers_is_mailed_by_level() {
    let mails =
        same(|program| [("alert", 1), ("notice", 2)].map(|(level, count)| mails_at(program, level, count)));
    assert_eq!((mails[0].len(), mails[1].len()), (1, 2));
    assert!(
        mails[1][1]
            .starts_with("HELO lb1\r\nMAIL FROM:<lb@example.org>\r\nRCPT TO:<admin@example.org>\r\nDATA\r\n")
    );
    assert!(mails[1][1].contains("Subject: [HAProxy Alert] Server b/s1 enters drain state."));
}

#[test]
fn an_alert_that_is_not_complete_is_dropped_with_a_warning() {
    let checks = same(|program| {
        let lines = [
            "email-alert from a@b",
            "email-alert from a@b\n email-alert to c@d\n email-alert mailers nobody",
        ];
        lines.map(|line| {
            let text = format!("listen web\n bind 127.0.0.1:$(web)\n {line}\n server s 127.0.0.1:1\n");
            let exit = program.http(&text).check();
            (
                exit.code,
                exit.stderr.contains("'email-alert' will be ignored"),
                exit.stderr.contains("unable to find mailers"),
            )
        })
    });
    assert_eq!(checks, [(0, true, false), (1, false, true)]);
}

/// A mail server that takes its time, a reload inside the process meanwhile: every mail arrives, once.
#[test]
fn mails_that_wait_survive_a_reload_inside_the_process() {
    const MAILS: usize = 6;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mails = Mails::default();
    let kept = Arc::clone(&mails);
    let (open, opened) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        // Nobody is greeted before the reload is over.
        let _ = opened.recv();
        for client in listener.incoming().flatten() {
            let said = take(client);
            kept.lock().expect("no panic holds it").push(said);
        }
    });
    let text = format!(
        "mailers m\n timeout mail 15s\n mailer one 127.0.0.1:{port}\nfrontend web\n bind 127.0.0.1:$(web)\n\
         backend b\n email-alert mailers m\n email-alert from lb@example.org\n email-alert to ops@example.org\n \
         email-alert level info\n server s1 127.0.0.1:1\n"
    );
    let proxy = Program::Hawser.http(&text).start();
    for number in 0..MAILS {
        // Only draining is mailed.
        proxy.cli("set server b/s1 state drain");
        proxy.cli("set server b/s1 state ready");
        if number == MAILS / 2 {
            assert!(proxy.cli("reload").starts_with("Success=1"));
        }
    }
    open.send(()).expect("the server waits");
    wait_until("all mails", || mails.lock().expect("no panic holds it").len() >= MAILS);
    differential::pause(300);
    let mails = mails.lock().expect("no panic holds it");
    assert_eq!(mails.len(), MAILS, "{mails:#?}");
    assert!(mails.iter().all(|said| said.contains("Server b/s1 enters drain state")));
}

//! Answers of the real HAProxy 2.6.12, kept in `tests/vectors/rules/*.txt`, and ours beside them.
//!
//! A file has blocks: lines with `> ` are a request as sent (`\x..` escapes), lines with `< ` a response that a server
//! gives to it, the lines after them are cases: an expression or `if` with a condition, a tab, the answer:
//!
//! ```text
//! =text     the text form of the value (escaped)
//! -         there is no value
//! !         refused at load
//! true      what the condition says
//! ```
//!
//! A second tab and another answer behind that: ours differs, by `docs/decisions/0016-answers-of-our-own.md`.
//!
//! In conditions `\s` is a blank inside a word. To record anew: `cargo test -p rules record -- --ignored`.

use crate::testing::World;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A message and what is asked about it.
#[derive(Debug, Default)]
struct Block {
    request: Vec<u8>,
    response: Vec<u8>,
    cases: Vec<Case>,
    /// The lines as written, cases left out.
    head: Vec<String>,
}

#[derive(Debug)]
struct Case {
    text: String,
    answer: String,
    /// Ours, where it is another one by decision.
    ours: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/rules")
}

fn vector_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the folder of vectors")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
}

fn parse(content: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut in_head = false;
    for line in content.lines() {
        let is_head =
            line.starts_with('>') || line.starts_with('<') || line.starts_with('#') || line.is_empty();
        if is_head && !in_head {
            blocks.push(Block::default());
        }
        if blocks.is_empty() {
            blocks.push(Block::default());
        }
        in_head = is_head;
        let block = blocks.last_mut().expect("one was pushed");
        if is_head {
            block.head.push(line.to_string());
            let text = line.get(1..).unwrap_or_default();
            let text = text.strip_prefix(' ').unwrap_or(text);
            let target = match line.as_bytes().first() {
                Some(b'>') => &mut block.request,
                Some(b'<') => &mut block.response,
                _ => continue,
            };
            target.extend(unescape(text));
            if !text.ends_with("\\c") {
                target.extend(b"\r\n");
            }
        } else {
            let mut fields = line.splitn(3, '\t').map(str::to_owned);
            let mut field = || fields.next();
            let (text, answer) = (field().unwrap_or_default(), field().unwrap_or_default());
            block.cases.push(Case { text, answer, ours: field() });
        }
    }
    blocks
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).expect("a hexadecimal digit") as u8;
                out.push(digit(high) << 4 | digit(low));
                rest = after;
            }
            (b'\\', [b'c']) => break,
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &byte in bytes {
        match byte {
            b' '..=b'~' if byte != b'\\' => out.push(char::from(byte)),
            _ => write!(out, "\\x{byte:02x}").expect("writing to a string"),
        }
    }
    out
}

fn condition_words(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace("\\s", " ")).collect()
}

/// What our engine says.
fn ours(world: &mut World, case: &Case) -> String {
    if let Some(condition) = case.text.strip_prefix("if ") {
        let words = condition_words(condition);
        return match world.condition_of_words(&words) {
            Err(_) => "!".into(),
            Ok(condition) => condition.matches(&world.scope()).to_string(),
        };
    }
    match world.expr(&case.text) {
        Err(_) => "!".into(),
        Ok(expr) => match expr.eval_text(&world.scope()) {
            None => "-".into(),
            Some(text) => format!("={}", escape(&text)),
        },
    }
}

/// The world in which a block was recorded: a client on 127.0.0.1, the files of the folder.
fn world_of(block: &Block) -> World {
    let mut world = World::recorded(&block.request, &block.response);
    for entry in std::fs::read_dir(folder().join("files")).expect("the folder of files") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        world.files.insert(name.into_bytes(), std::fs::read(&path).expect("a file"));
    }
    world
}

/// Answers that may differ by decision.
const DECIDED_MAX: usize = 16;

#[test]
fn every_recorded_answer_of_haproxy_is_ours() {
    let mut wrong = Vec::new();
    let (mut count, mut decided) = (0, 0);
    for file in vector_files() {
        let content = std::fs::read_to_string(&file).expect("a vector file");
        for block in parse(&content) {
            let mut world = world_of(&block);
            for case in &block.cases {
                count += 1;
                let ours = ours(&mut world, case);
                decided += usize::from(case.ours.is_some());
                if ours != *case.ours.as_ref().unwrap_or(&case.answer) {
                    let name = file.file_name().expect("a name").to_string_lossy();
                    wrong.push(format!(
                        "{name}: {}\n    haproxy {}\n    ours    {ours}",
                        case.text, case.answer
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    println!("{count} answers, {decided} of them ours by decision (docs/decisions/0016)");
    assert!(count > 0, "there are no vectors");
    assert!(decided < DECIDED_MAX, "decisions are exceptions");
}

/// A running HAProxy that ends with the test.
struct Oracle(Child);

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// One rule line for a case.
fn rule(case: &Case, number: usize, is_response: bool) -> String {
    let set = if is_response { "http-response" } else { "http-request" };
    match case.text.strip_prefix("if ") {
        Some(condition) => {
            let words: Vec<String> = condition_words(condition).iter().map(|word| quote(word)).collect();
            format!("    {set} set-var(txn.v{number}) str(1) if {}", words.join(" "))
        }
        // HAProxy loses the name of unusual methods in variables.
        None if matches!(&*case.text, "method" | "capture.req.method") || case.text.starts_with("meth(") => {
            format!("    {set} set-var(txn.v{number}) {},concat()", quote(&case.text))
        }
        None => format!("    {set} set-var(txn.v{number}) {}", quote(&case.text)),
    }
}

/// The line numbers that HAProxy refuses.
fn refused_lines(config: &Path) -> Vec<usize> {
    let output = Command::new("haproxy")
        .arg("-c")
        .arg("-f")
        .arg(config)
        .current_dir(folder().join("files"))
        .output()
        .expect("haproxy runs");
    if output.status.success() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let marker = format!("[{}:", config.display());
    let mut lines = Vec::new();
    let mut is_alert = false;
    for line in text.lines() {
        // What an alert says may go on over lines of its own.
        is_alert = if line.starts_with('[') { line.starts_with("[ALERT]") } else { is_alert };
        let number =
            line.split(&marker).nth(1).and_then(|rest| rest.split(']').next()?.parse::<usize>().ok());
        lines.extend(number.filter(|_| is_alert));
    }
    lines.sort_unstable();
    lines.dedup();
    assert!(!lines.is_empty(), "haproxy refuses the configuration for another reason:\n{text}");
    lines
}

fn serve(listener: &TcpListener, response: &[u8]) {
    let (mut stream, _) = listener.accept().expect("a connection from haproxy");
    let mut buffer = [0; 65_536];
    let _request = stream.read(&mut buffer);
    stream.write_all(response).expect("haproxy reads the response");
}

fn ask(port: u16, request: &[u8]) -> Vec<u8> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut stream = loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "haproxy does not listen: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    stream.write_all(request).expect("haproxy reads the request");
    stream.shutdown(std::net::Shutdown::Write).expect("half a close");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    answer
}

/// Asks HAProxy about one block; fills its answers.
fn record_block(block: &mut Block, scratch: &Path) {
    let port = free_port();
    let is_response = !block.response.is_empty();
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the server");
    let server_port = server.local_addr().expect("its address").port();
    let config = scratch.join("case.cfg");
    let format = scratch.join("format.txt");
    let mut refused = vec![false; block.cases.len()];
    loop {
        let mut text = format!(
            "defaults\n    mode http\n    timeout client 5s\n    timeout server 5s\n    timeout connect 5s\n    \
             option http-buffer-request\nuserlist people\n    group admins users alice\n    group staff\n    \
             user alice insecure-password secret\nfrontend front\n    bind 127.0.0.1:{port}\n    \
             option accept-invalid-http-request\n"
        );
        let mut line_of = Vec::new();
        let mut rules = Vec::new();
        let mut line = text.lines().count();
        for (number, case) in block.cases.iter().enumerate() {
            if !refused[number] {
                line += 1;
                line_of.push((line, number));
                rules.push(rule(case, number, is_response));
            }
        }
        text.push_str(&rules.join("\n"));
        let set = if is_response { "http-response" } else { "http-request" };
        write!(
            text,
            "\n    {set} return status 200 content-type text/plain lf-file {}\n    default_backend app\n\
             backend app\n    server a 127.0.0.1:{server_port}\n    server b 127.0.0.1:{server_port} disabled\n",
            format.display()
        )
        .expect("writing to a string");
        std::fs::write(&config, &text).expect("the configuration");
        let cases = block.cases.iter().enumerate().filter(|(number, _)| !refused[*number]);
        let formats: Vec<String> = cases
            .map(|(number, _)| {
                format!("%[var(txn.v{number}),concat(),length]:%[var(txn.v{number}),concat(),hex]")
            })
            .collect();
        std::fs::write(&format, formats.join("\n")).expect("the format");
        let lines = refused_lines(&config);
        if lines.is_empty() {
            break;
        }
        for line in lines {
            let found = line_of.iter().find(|(known, _)| *known == line);
            refused[found.unwrap_or_else(|| panic!("line {line} is refused:\n{text}")).1] = true;
        }
    }
    let child = Command::new("haproxy")
        .args(["-db", "-f"])
        .arg(&config)
        .current_dir(folder().join("files"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("haproxy runs");
    let _oracle = Oracle(child);
    let response = block.response.clone();
    let serving = is_response.then(|| std::thread::spawn(move || serve(&server, &response)));
    let answer = ask(port, &block.request);
    if let Some(thread) = serving {
        thread.join().expect("the server answered");
    }
    let answer = String::from_utf8(answer).expect("an answer in ASCII");
    assert!(answer.starts_with("HTTP/1.1 200"), "no answer to {:?}: {answer}", block.head);
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    let mut found = body.split('\n');
    for (number, case) in block.cases.iter_mut().enumerate() {
        if refused[number] {
            case.answer = "!".into();
            continue;
        }
        let (length, hex) =
            found.next().and_then(|line| line.split_once(':')).expect("an answer to each case");
        case.answer = if case.text.starts_with("if ") {
            (!length.is_empty()).to_string()
        } else if length.is_empty() {
            "-".into()
        } else {
            // An empty text is printed as a dash.
            let bytes: Vec<u8> = hex
                .trim_matches('-')
                .as_bytes()
                .chunks(2)
                .map(|pair| {
                    u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16)
                        .unwrap_or_else(|_| panic!("{}: {hex}", case.text))
                })
                .collect();
            format!("={}", escape(&bytes))
        };
    }
}

/// Asks the real HAProxy about all cases and writes its answers. `RECORD=name` records one file only.
#[test]
#[ignore = "needs haproxy 2.6 and rewrites the vectors"]
fn record() {
    let scratch = std::env::temp_dir().join(format!("rules-vectors-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).expect("a scratch folder");
    let only = std::env::var("RECORD").ok();
    for file in vector_files() {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let content = std::fs::read_to_string(&file).expect("a vector file");
        let mut out = String::new();
        for mut block in parse(&content) {
            if !block.cases.is_empty() {
                record_block(&mut block, &scratch);
            }
            for line in &block.head {
                writeln!(out, "{line}").expect("writing to a string");
            }
            for case in &block.cases {
                let ours = case.ours.as_ref().map(|ours| format!("\t{ours}")).unwrap_or_default();
                writeln!(out, "{}\t{}{ours}", case.text, case.answer).expect("writing to a string");
            }
        }
        std::fs::write(&file, out).expect("the vectors");
    }
    std::fs::remove_dir_all(&scratch).expect("removing the scratch folder");
}

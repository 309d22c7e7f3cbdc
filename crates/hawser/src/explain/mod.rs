//! `hawser explain`: what each line of a configuration does and every mistake in it; how one request or one packet is
//! treated, and why. Starts nothing that others could reach.

mod instrument;
mod lines;
mod lore;
mod packet;
mod request;

use crate::inspect::{self, Inputs};
use request::Asked;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

pub const HELP: &str = "Usage: hawser explain FILE…                       what each line does, and every mistake
       hawser explain -f FILE --request 'GET /a HTTP/1.1' [--header 'Host: x']… [--src 10.0.0.9[:PORT]]
                      [--frontend NAME | --to ADDRESS:PORT] [--down BACKEND/SERVER]…
       hawser explain -f FILE --connection [--src …] [--to …]
       hawser explain -k FILE --packet tcp|udp [--src ADDRESS:PORT] --to ADDRESS:PORT

A request is served in this process by the proxy itself, with every server replaced by one that answers 200: no server is asked,
no check runs, nothing listens that others could reach.

  -f FILE   a haproxy.cfg          -k FILE   a keepalived.conf          --json   for programs

Exit code: 0, 1 when a file has errors or the request cannot be followed, 2 when the command line cannot be read.";

const USAGE: u8 = 2;
/// Headers of a request on the command line.
const HEADERS_MAX: usize = 100;

enum Task {
    Lines,
    Request,
    Packet { is_udp: bool },
}

struct Arguments {
    inputs: Inputs,
    task: Task,
    asked: Asked,
    is_json: bool,
}

/// Runs one command line, without the program's name.
pub fn run(words: &[OsString]) -> ExitCode {
    if words.iter().any(|word| word == "-h" || word == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let arguments = match parse(words) {
        Ok(arguments) => arguments,
        Err(reason) => {
            eprintln!("hawser explain: {reason}\n\n{HELP}");
            return ExitCode::from(USAGE);
        }
    };
    match &arguments.task {
        Task::Lines => explain_lines(&arguments),
        Task::Request => explain_request(&arguments),
        Task::Packet { is_udp } => match packet::explain(&arguments.inputs, &arguments.asked, *is_udp) {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(reason) => fail(&reason),
        },
    }
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("hawser explain: {}", reason.trim_end());
    ExitCode::FAILURE
}

fn explain_lines(arguments: &Arguments) -> ExitCode {
    let examined = inspect::examine(&arguments.inputs);
    if arguments.is_json {
        println!("{}", examined.to_json());
    } else {
        print!("{}", lines::explain(&arguments.inputs, &examined));
    }
    if examined.counts().0 > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn explain_request(arguments: &Arguments) -> ExitCode {
    let options = haproxy_config::LoadOptions::new(arguments.inputs.proxy.clone());
    match request::follow(haproxy_config::load(&options), &arguments.asked) {
        Ok(course) if arguments.is_json => {
            println!("{}", course.to_json());
            ExitCode::SUCCESS
        }
        Ok(course) => {
            print!("{}", course.to_text(&arguments.asked));
            ExitCode::SUCCESS
        }
        Err(reason) => fail(&reason),
    }
}

fn parse(words: &[OsString]) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        inputs: Inputs::default(),
        task: Task::Lines,
        asked: Asked {
            line: String::new(),
            headers: Vec::new(),
            source: SocketAddr::from(([127, 0, 0, 1], 40_000)),
            frontend: None,
            destination: None,
            down: Vec::new(),
        },
        is_json: false,
    };
    let asked = &mut arguments.asked;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let mut value = || {
            let value = words.next().ok_or_else(|| format!("{text} needs a value"))?;
            Ok::<String, String>(value.to_string_lossy().into_owned())
        };
        match &*text {
            "--json" => arguments.is_json = true,
            "-f" => arguments.inputs.proxy.push(PathBuf::from(value()?)),
            "-k" | "--keepalived" => arguments.inputs.keepalived.push(PathBuf::from(value()?)),
            "--request" => {
                arguments.task = Task::Request;
                asked.line = request_line(&value()?)?;
            }
            "--connection" => arguments.task = Task::Request,
            "--packet" => {
                let protocol = value()?;
                let is_udp = match protocol.as_str() {
                    "tcp" => false,
                    "udp" => true,
                    other => return Err(format!("--packet is tcp or udp, found `{other}`")),
                };
                arguments.task = Task::Packet { is_udp };
            }
            "--header" => asked.headers.push(header(&value()?)?),
            "--src" => asked.source = source(&value()?)?,
            "--to" => {
                let text = value()?;
                let address = text.parse().map_err(|_| format!("`{text}` is not ADDRESS:PORT"))?;
                asked.destination = Some(address);
            }
            "--frontend" => asked.frontend = Some(value()?),
            "--down" => asked.down.push(value()?),
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            _ => arguments.inputs.add(PathBuf::from(word))?,
        }
    }
    if asked.headers.len() > HEADERS_MAX {
        return Err(format!("more than {HEADERS_MAX} headers"));
    }
    let has_host = asked.headers.iter().any(|header| header.to_ascii_lowercase().starts_with("host:"));
    if asked.line.ends_with("HTTP/1.1") && !has_host {
        asked.headers.insert(0, "Host: localhost".to_owned());
    }
    match arguments.task {
        _ if arguments.inputs.is_empty() => Err("no file is named".to_owned()),
        Task::Request if arguments.inputs.proxy.is_empty() => Err("a request needs a haproxy.cfg".to_owned()),
        Task::Packet { .. } if arguments.inputs.keepalived.is_empty() => {
            Err("a packet needs a keepalived.conf".to_owned())
        }
        Task::Lines | Task::Request | Task::Packet { .. } => Ok(arguments),
    }
}

/// A line that would end the head would be another request.
fn one_line(text: &str) -> Result<(), String> {
    if text.contains(['\r', '\n']) { Err("a line break inside a line".to_owned()) } else { Ok(()) }
}

/// Words that are left out are the usual ones: `/a` is `GET /a HTTP/1.1`.
fn request_line(text: &str) -> Result<String, String> {
    one_line(text)?;
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        [target] => Ok(format!("GET {target} HTTP/1.1")),
        [method, target] => Ok(format!("{method} {target} HTTP/1.1")),
        [method, target, version] => Ok(format!("{method} {target} {version}")),
        _ => Err(format!("`{text}` is no request line: METHOD TARGET HTTP/1.1")),
    }
}

fn header(text: &str) -> Result<String, String> {
    one_line(text)?;
    if text.split_once(':').is_some_and(|(name, _)| !name.trim().is_empty()) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no header: NAME: VALUE"))
    }
}

fn source(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 40_000));
    alone.or_else(|_| text.parse()).map_err(|_| format!("`{text}` is not ADDRESS or ADDRESS:PORT"))
}

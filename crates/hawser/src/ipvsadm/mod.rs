//! ipvsadm's command line on the director's tables. Owns its grammar, texts, columns and exit codes.

mod address;
mod arguments;
mod check;
mod command;
mod connections;
pub mod help;
mod kernel_text;
mod list;
mod names;
mod option;
mod order;
mod save;

use ::director::kernel::{Kernel, Refusal};
use command::{Command, Operation};
use netlink::ipvs::{Reply, Request};
use std::ffi::OsString;
use std::io::{BufRead, Read, Write};
use std::process::ExitCode;

/// A line of `-R`, in bytes.
const RESTORE_LINE_MAX: u64 = 64 * 1024;

/// Of mistakes that ipvsadm finds itself.
const STATUS_MISUSE: u8 = 2;
/// Of what the kernel refuses, and of options that nobody knows.
const STATUS_REFUSED: u8 = 255;
/// Of a service to list that is not there.
const STATUS_NOT_LISTED: u8 = 1;

/// Why nothing, or not everything, was done.
#[derive(Debug, PartialEq, Eq)]
struct Failure {
    /// A line for standard error, without its end.
    text: String,
    status: u8,
    /// Whether `-R` ends here; else it goes on with the next line.
    ends_restore: bool,
}

impl Failure {
    /// A mistake in the command line.
    fn misuse(text: impl Into<String>) -> Self {
        Self { text: text.into(), status: STATUS_MISUSE, ends_restore: true }
    }

    /// Words that are no command.
    fn unusable() -> Self {
        let text = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.".to_owned();
        Self { text, status: STATUS_REFUSED, ends_restore: true }
    }

    /// An option that nobody knows, or without its value.
    fn bad_option(option: &str, reason: &str) -> Self {
        let text = format!("{option}: {reason}");
        Self { text, status: STATUS_REFUSED, ends_restore: false }
    }

    fn refused(text: String) -> Self {
        Self { text, status: STATUS_REFUSED, ends_restore: false }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { text: error.to_string(), status: STATUS_REFUSED, ends_restore: true }
    }
}

/// Does what the arguments say.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let result = perform(&words, &mut output);
    let flushed = output.flush();
    match result {
        Ok(()) if flushed.is_ok() => ExitCode::SUCCESS,
        // The reader has gone: nobody is left to tell.
        Ok(()) => ExitCode::from(STATUS_REFUSED),
        Err(failure) => {
            eprintln!("{}", failure.text);
            ExitCode::from(failure.status)
        }
    }
}

fn perform(words: &[String], output: &mut dyn Write) -> Result<(), Failure> {
    let command = match words.split_first() {
        None => Command::list(),
        Some(_) => command::parse(words)?,
    };
    match command.operation {
        Operation::Help => Ok(output.write_all(help::text().as_bytes())?),
        Operation::Version => Ok(writeln!(output, "{}", help::version())?),
        Operation::Restore => restore(&mut std::io::stdin().lock(), &mut open()?, output),
        _ => execute(&command, &mut open()?, output),
    }
}

fn open() -> Result<Kernel, Failure> {
    Kernel::any().map_err(|refusal| {
        let hint = "Are you sure that IP Virtual Server is built in the kernel or as module?";
        let text = format!("Can't initialize ipvs: {}\n{hint}", kernel_text::opening(&refusal));
        Failure { text, status: STATUS_REFUSED, ends_restore: true }
    })
}

/// Each line is a command of its own. One that the kernel refuses does not keep the others out.
fn restore(input: &mut impl BufRead, kernel: &mut Kernel, output: &mut dyn Write) -> Result<(), Failure> {
    loop {
        let mut line = Vec::new();
        input.by_ref().take(RESTORE_LINE_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        if line.len() as u64 == RESTORE_LINE_MAX && !line.ends_with(b"\n") {
            return Err(Failure::misuse(format!("line longer than {RESTORE_LINE_MAX} bytes")));
        }
        let line = String::from_utf8_lossy(&line);
        let mut words: Vec<String> = line.split_ascii_whitespace().map(str::to_owned).collect();
        if words.first().is_some_and(|word| word == "ipvsadm") {
            words.remove(0);
        }
        if words.is_empty() {
            continue;
        }
        let result = command::parse(&words).and_then(|command| match command.operation {
            Operation::Help => {
                output.write_all(help::text().as_bytes())?;
                Ok(false)
            }
            Operation::Version => {
                writeln!(output, "{}", help::version())?;
                Ok(false)
            }
            Operation::Restore => Err(Failure::unusable()),
            _ => execute(&command, kernel, output).map(|()| true),
        });
        match result {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(failure) if failure.ends_restore => return Err(failure),
            Err(failure) => eprintln!("{}", failure.text),
        }
    }
}

fn execute(command: &Command, kernel: &mut Kernel, output: &mut dyn Write) -> Result<(), Failure> {
    match command.operation {
        Operation::AddService => tell(kernel, command, &Request::AddService(&command.service()?)),
        Operation::EditService => tell(kernel, command, &Request::EditService(&command.service()?)),
        Operation::DeleteService => tell(kernel, command, &Request::DeleteService(&command.key())),
        Operation::Flush => tell(kernel, command, &Request::Flush),
        Operation::AddServer => {
            tell(kernel, command, &Request::AddDestination(&command.key(), &command.destination()?))
        }
        Operation::EditServer => {
            tell(kernel, command, &Request::EditDestination(&command.key(), &command.destination()?))
        }
        Operation::DeleteServer => {
            tell(kernel, command, &Request::DeleteDestination(&command.key(), &command.destination()?))
        }
        Operation::Zero => {
            let key = command.has_service().then(|| command.key());
            tell(kernel, command, &Request::Zero(key.as_ref()))
        }
        Operation::SetTimeouts(timeouts) => tell(kernel, command, &Request::SetTimeouts(timeouts)),
        Operation::StartDaemon(role) => tell(kernel, command, &Request::StartDaemon(&command.daemon(role))),
        Operation::StopDaemon(role) => tell(kernel, command, &Request::StopDaemon(role)),
        Operation::List => list::list(command, kernel, output),
        Operation::Save => save::save(command, kernel, output),
        Operation::Restore | Operation::Help | Operation::Version => {
            unreachable!("handled where the lines are read")
        }
    }
}

/// Asks for something that has no answer but yes or no.
fn tell(kernel: &mut Kernel, command: &Command, request: &Request<'_>) -> Result<(), Failure> {
    kernel.ask(request).map(drop).map_err(|refusal| failed(command.operation, &refusal))
}

/// Asks for something to print.
fn ask(kernel: &mut Kernel, command: &Command, request: &Request<'_>) -> Result<Vec<Reply>, Failure> {
    kernel.ask(request).map_err(|refusal| failed(command.operation, &refusal))
}

fn failed(operation: Operation, refusal: &Refusal) -> Failure {
    Failure::refused(kernel_text::refusal(operation, refusal))
}

//! keepalived's place: its command line over `keepalived-config` and `failover`.

pub mod arguments;
mod process;

use arguments::{Arguments, Asked};
use keepalived_config::model::Snmp;
use keepalived_config::{LoadOptions, Model, SystemHost};
use process::{Parts, Settings};
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// Runs as keepalived with these words after the program's name.
pub fn run(program: &OsStr, words: &[OsString]) -> ExitCode {
    let name = std::path::Path::new(program).file_name().unwrap_or(program).to_string_lossy();
    match arguments::parse(&name, words) {
        Ok(Asked::Run(arguments)) => start(program, words, arguments),
        Ok(Asked::Test(arguments)) => test(&arguments),
        Ok(Asked::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Asked::Tell(text)) => {
            eprint!("{text}");
            ExitCode::SUCCESS
        }
        Err(refusal) => {
            eprintln!("{refusal}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &Arguments) -> LoadOptions {
    let mut options = LoadOptions::new(arguments.file.clone());
    options.config_id.clone_from(&arguments.config_id);
    options.check_includes = arguments.check_includes;
    options
}

/// Loads; the error, or what is to be said beside a model, as text.
fn load(arguments: &Arguments) -> (Option<Model>, String, ExitCode) {
    let loaded = keepalived_config::load(&options(arguments), &SystemHost);
    let text = diag::render(&loaded.report, &loaded.sources, diag::Severity::Notice);
    let mut model = loaded.model;
    if let Some(model) = &mut model {
        ask_for_snmp(arguments, &mut model.global.snmp);
    }
    (model, text, ExitCode::from(loaded.verdict.exit_code()))
}

/// What the command line says about SNMP.
fn ask_for_snmp(arguments: &Arguments, snmp: &mut Snmp) {
    if arguments.snmp {
        (snmp.vrrp, snmp.checker, snmp.rfc_v2, snmp.rfc_v3) = (true, true, true, true);
    }
    if let Some(socket) = &arguments.snmp_socket {
        snmp.socket = Some(socket.clone());
    }
}

/// `-t`: every remark to standard error or the file that was named; the exit code is keepalived's.
fn test(arguments: &Arguments) -> ExitCode {
    let (_, text, code) = load(arguments);
    let Some(file) = &arguments.test_log else {
        eprint!("{text}");
        return code;
    };
    match std::fs::write(file, text) {
        Ok(()) => code,
        Err(error) => {
            eprintln!("cannot write {}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

fn start(program: &OsStr, words: &[OsString], arguments: Arguments) -> ExitCode {
    for reason in &arguments.without_effect {
        eprintln!("keepalived: {reason}");
    }
    let settings = Settings {
        foreground: arguments.foreground || arguments.log.console,
        log: arguments.log.clone(),
        pid_file: arguments.pid_file.clone(),
        vrrp_pid_file: arguments.vrrp_pid_file.clone(),
        checkers_pid_file: arguments.checkers_pid_file.clone(),
        parts: Parts {
            vrrp: arguments.vrrp || !arguments.checkers,
            checkers: arguments.checkers || !arguments.vrrp,
            idle_ones: arguments.all,
        },
        keep_services: arguments.keep_services,
        dump: arguments.dump,
        keep_addresses: arguments.keep_addresses,
        dont_respawn: arguments.dont_respawn,
        namespace: arguments.namespace.clone(),
        program: program.to_owned(),
        words: words.to_vec(),
    };
    process::run(
        settings,
        Box::new(move || {
            let (model, text, _) = load(&arguments);
            match model {
                Some(model) => Ok((model, text)),
                None => Err(text),
            }
        }),
    )
}

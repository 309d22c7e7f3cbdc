//! The program: which of the replaced programs it is being, and nothing else.
#![forbid(unsafe_code)]

mod cert;
mod check;
mod dashboard;
mod demo;
mod diff;
mod director;
mod doctor;
mod explain;
mod haproxy;
mod inspect;
mod ipvsadm;
mod keepalived;
mod lab;
mod manual;
mod numbers;
mod personality;
mod run;
mod runtime_socket;
mod version;
mod vrrp_client;

use personality::Personality;
use std::ffi::OsString;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: sys::allocator::Allocator = sys::allocator::Allocator;

fn main() -> ExitCode {
    run::follow_supervisor();
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let program = if arguments.is_empty() { OsString::from("hawser") } else { arguments.remove(0) };
    match personality::choose(&program, &mut arguments) {
        Ok(Personality::Haproxy) => haproxy::run(&program, &arguments),
        Ok(Personality::Keepalived) => keepalived::run(&program, &arguments),
        Ok(Personality::Ipvsadm) => ipvsadm::run(&arguments),
        Ok(Personality::Vrrp) => vrrp_client::run(&arguments),
        Ok(Personality::Dashboard) => dashboard::run(&arguments),
        Ok(Personality::Cert) => cert::run(&arguments),
        Ok(Personality::Check) => check::run(&arguments),
        Ok(Personality::Explain) => explain::run(&arguments),
        Ok(Personality::Demo) => demo::run(),
        Ok(Personality::Diff) => diff::run(&arguments),
        Ok(Personality::Director) => director::run(&arguments),
        Ok(Personality::Doctor) => doctor::run(&arguments),
        Ok(Personality::Lab) => lab::run(&arguments),
        Ok(Personality::Manual) => manual::run(&arguments),
        Ok(Personality::Completions) => manual::completions::run(&arguments),
        Ok(Personality::Run) => run::run(&arguments),
        Ok(Personality::Help) => {
            print!("{}", personality::help());
            ExitCode::SUCCESS
        }
        Ok(Personality::Version) => {
            println!("hawser {}", version::HAWSER);
            ExitCode::SUCCESS
        }
        Err(refusal) => {
            eprintln!("{refusal}");
            ExitCode::FAILURE
        }
    }
}

//! The program: which of the replaced programs it is being, and nothing else.
#![forbid(unsafe_code)]

mod dashboard;
mod demo;
mod director;
mod doctor;
mod haproxy;
mod ipvsadm;
mod keepalived;
mod personality;
mod version;
mod vrrp_client;

use personality::Personality;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let program = if arguments.is_empty() { OsString::from("hawser") } else { arguments.remove(0) };
    match personality::choose(&program, &mut arguments) {
        Ok(Personality::Haproxy) => haproxy::run(&program, &arguments),
        Ok(Personality::Keepalived) => keepalived::run(&program, &arguments),
        Ok(Personality::Ipvsadm) => ipvsadm::run(&arguments),
        Ok(Personality::Vrrp) => vrrp_client::run(&arguments),
        Ok(Personality::Dashboard) => dashboard::run(&arguments),
        Ok(Personality::Demo) => demo::run(),
        Ok(Personality::Director) => director::run(&arguments),
        Ok(Personality::Doctor) => doctor::run(&arguments),
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

//! `hawser director -f FILE`: the virtual servers of a keepalived.conf alone, in the foreground. Owns its arguments and
//! the choice of the data plane; the work is the director's.

use ::director::dataplane::{Dataplane, Ipvs};
use ::director::runner::{Control, Director, News, Stop};
use keepalived_config::{LoadOptions, SystemHost};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

const USAGE: &str = "Usage: hawser director -f FILE\n\n\
    Runs the virtual_server blocks of a keepalived.conf in the kernel's IPVS until SIGTERM or SIGINT, and logs to\n\
    standard output.";
/// Requests that wait for the loop.
const CONTROLS_MAX: usize = 8;

/// Runs until told to stop.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let [option, file] = arguments else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    if option != "-f" {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    }
    match serve(PathBuf::from(file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("hawser director: {text}");
            ExitCode::FAILURE
        }
    }
}

fn serve(file: PathBuf) -> Result<(), String> {
    let loaded = keepalived_config::load(&LoadOptions::new(file), &SystemHost);
    eprint!("{}", diag::render(&loaded.report, &loaded.sources, diag::Severity::Warning));
    let model = Rc::new(loaded.model.ok_or("the configuration cannot be run")?);
    if model.virtual_servers.is_empty() {
        return Err("the configuration has no virtual_server".to_owned());
    }
    let plane: Box<dyn Dataplane> = Box::new(Ipvs::open().map_err(|refusal| format!("IPVS: {refusal}"))?);
    let listener = Rc::new(|news: News<'_>| match news {
        News::Line(line) => println!("{line}"),
        // Pipes and mails are the daemon's.
        News::Told(_) => {}
    });
    let director = Director::new(model, plane, listener);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let (sender, receiver) = mpsc::channel(CONTROLS_MAX);
        tokio::task::spawn_local(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // A director that has ended needs no telling.
            let _ = sender.send(Control::Stop(Stop::Release)).await;
        });
        director.run(receiver).await.map_err(|refusal| refusal.to_string())
    })
}

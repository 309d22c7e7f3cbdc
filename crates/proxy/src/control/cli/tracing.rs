//! Profiling, traces and event sinks: HAProxy's view into its own machinery. Tasks can be timed, for the samples that tell
//! it; of the rest nothing is compiled in here, and the commands answer so, in the words that scripts know.

use super::session::{Outcome, Reply, Session, word};
use haproxy_config::model::Profiling;

/// `set profiling {tasks|memory} {on|auto|off}`.
pub fn set_profiling(session: &mut Session, words: &[&str]) -> Outcome {
    let state = match (word(words, 2), word(words, 3)) {
        ("memory", _) => return Err(Reply::error("Memory profiling not compiled in.\n")),
        ("tasks", "off") => Profiling::Off,
        ("tasks", "auto") => Profiling::Auto,
        ("tasks", "on") => Profiling::On,
        ("tasks", _) => return Err(Reply::error("Expects 'on', 'auto', or 'off'.\n")),
        _ => return Err(Reply::error("Expects either 'tasks' or 'memory'.\n")),
    };
    session.state().process.set_profiling(state);
    Ok(Reply::Done)
}

/// `show profiling [all|status|tasks|memory|byaddr|LINES]`.
pub fn show_profiling(session: &mut Session, words: &[&str]) -> Outcome {
    let (mut status, mut tasks) = (true, true);
    for word in words.iter().skip(2) {
        match *word {
            "all" => (status, tasks) = (true, true),
            "status" => (status, tasks) = (true, false),
            "tasks" => (status, tasks) = (false, true),
            "memory" => (status, tasks) = (false, false),
            "byaddr" => {}
            number if number.parse::<u32>().is_ok() => {}
            _ => {
                return Err(Reply::error(
                    "Expects either 'all', 'status', 'tasks', 'memory', 'byaddr' or a max number of output lines.\n",
                ));
            }
        }
    }
    let mut out = String::new();
    if status {
        let state = match session.state().process.profiling() {
            Profiling::Off => "off",
            Profiling::Auto => "auto-off",
            Profiling::On => "on",
        };
        let tasks = "# set profiling tasks {on|auto|off}";
        out.push_str(&format!("Per-task CPU profiling              : {state:<14}{tasks}\n"));
        out.push_str("Memory usage profiling              : off           # set profiling memory {on|off}\n");
    }
    if tasks {
        out.push_str("Tasks activity:\n  function                      calls   cpu_tot   cpu_avg   lat_tot   lat_avg\n");
    }
    Ok(Reply::Dump(out))
}

/// `show events [SINK]`: the sinks, or what a ring keeps.
pub fn show_events(session: &mut Session, words: &[&str]) -> Outcome {
    let rings = session.shared().logs.outlets.rings();
    match word(words, 2) {
        "" => {
            let mut out =
                "Supported events sinks are listed below. Add -w(wait), -n(new). Any key to stop\n    \
                           stdout     : type=fd, 0 dropped, standard output (fd#1)\n    \
                           stderr     : type=fd, 0 dropped, standard output (fd#2)\n"
                    .to_owned();
            for ring in rings {
                let description = ring.description.as_deref().unwrap_or(&ring.name);
                out.push_str(&format!("    {:<10} : type=buffer, 0 dropped, {description}\n", ring.name));
            }
            Ok(Reply::Dump(out))
        }
        // What goes there is not kept.
        "stdout" | "stderr" => Err(Reply::error("Nothing to report for this sink")),
        name => {
            let ring = rings.iter().find(|ring| ring.name == name);
            let ring = ring.ok_or_else(|| Reply::error("No such event sink"))?;
            let mut out = String::new();
            ring.read(0, |message| {
                out.push_str(&String::from_utf8_lossy(message));
                out.push('\n');
                true
            });
            Ok(Reply::Dump(out))
        }
    }
}

/// `show trace [SOURCE]`.
pub fn show_trace(_: &mut Session, words: &[&str]) -> Outcome {
    match word(words, 2) {
        "" => Ok(Reply::Dump(
            "Supported trace sources and states (.=stopped, w=waiting, R=running) :\n".to_owned(),
        )),
        _ => Err(Reply::error("No such trace source")),
    }
}

/// `trace [SOURCE|0]`.
pub fn trace(_: &mut Session, words: &[&str]) -> Outcome {
    match word(words, 1) {
        "" => Ok(Reply::Dump(
            "Supported trace sources and states (.=stopped, w=waiting, R=running) :\n \
             [.] 0          : not a source, will immediately stop all traces\n"
                .to_owned(),
        )),
        "0" => Ok(Reply::info("All traces now stopped")),
        _ => Err(Reply::error("No such trace source")),
    }
}

//! What others see of the state: keepalived's dumps in its own layouts, metrics, and the table of `hawser vrrp status`.
//! Texts alone; one function for each format.

mod data;
mod json;
mod statistics;

pub(crate) use data::command_line;
pub use data::data;
pub use json::json;
pub(crate) use json::wanted_state;
pub use statistics::{metrics, statistics, status};

use super::files::Files;
use super::processes::Tracked;
use super::scripts::Course;
use crate::engine::holdings::Holdings;
use crate::snapshot::Snapshot;
use keepalived_config::model::Model;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Which dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dump {
    /// USR1
    Data,
    /// USR2
    Statistics,
    Json,
    /// `-d`: the data, into the log.
    Log,
}

/// What a dump is made of.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub model: &'a Model,
    pub snapshot: &'a Snapshot,
    pub courses: &'a [Course],
    pub files: &'a Files,
    pub processes: &'a [Tracked],
    pub statics: &'a Holdings,
    pub host_name: &'a str,
}

/// Writes a dump to its file (mode 0600). The word for the log, and what failed.
pub fn write(
    dump: Dump,
    view: &View<'_>,
    directory: &Path,
) -> (&'static str, Result<(), (PathBuf, io::Error)>) {
    let global = &view.model.global;
    let (word, name, wanted, text) = match dump {
        Dump::Data | Dump::Log => ("data", "keepalived.data", &global.state_dump_file, data(view)),
        Dump::Statistics => {
            ("stats", "keepalived.stats", &global.stats_dump_file, statistics(view.model, view.snapshot))
        }
        Dump::Json => ("as json", "keepalived.json", &global.json_dump_file, json(view.model, view.snapshot)),
    };
    let named = match (&global.instance, global.data_use_instance) {
        (Some(instance), true) => name.replacen("keepalived", &format!("keepalived.{instance}"), 1),
        _ => name.to_owned(),
    };
    let path = wanted.clone().unwrap_or_else(|| directory.join(named));
    let result = replace(&path, &text).map_err(|error| (path.clone(), error));
    if let (Dump::Data, Ok(())) = (dump, &result) {
        let parent = directory.join("keepalived_parent.data");
        if let Err(error) = replace(&parent, &global_definitions(view.model, view.host_name, false)) {
            return (word, Err((parent, error)));
        }
    }
    (word, result)
}

/// Writes what keepalived's BFD process writes: `sessions` as its thread tells of them.
///
/// # Errors
/// The file, and what the file system says of it.
pub fn write_bfd(view: &View<'_>, sessions: &str, directory: &Path) -> Result<(), (PathBuf, io::Error)> {
    let path = directory.join("keepalived_bfd.data");
    let text = format!(
        "{}------< BFD Data >------\n------< BFD Topology >------\n{sessions}",
        global_definitions(view.model, view.host_name, false)
    );
    replace(&path, &text).map_err(|error| (path, error))
}

/// What the whole daemon is set to: the first part of each dump. `of_vrrp`: as keepalived's VRRP process writes it; the
/// others do not say all.
pub fn global_definitions(model: &Model, host_name: &str, of_vrrp: bool) -> String {
    data::global_definitions(model, host_name, of_vrrp)
}

/// A new file in the place of what is there: a link that somebody put into /tmp is not followed.
///
/// # Errors
/// What the file system says.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

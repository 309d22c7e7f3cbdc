//! Reading the configuration again while the process serves: see docs/decisions/0012-reload-in-place.md.

use super::arguments::Arguments;
use super::{configuration, messages, notify, start};
use proxy::{Loader, Replacement};

/// What reads the files of this command line again. `has_left_files`: a chroot is in force, and they are out of reach.
pub fn loader(arguments: &Arguments, has_left_files: bool, tells_supervisor: bool) -> Loader {
    let arguments = arguments.clone();
    Box::new(move || {
        if tells_supervisor {
            notify::reloading();
        }
        let outcome = load(&arguments, has_left_files);
        if tells_supervisor {
            // Either way we serve.
            notify::ready();
        }
        outcome
    })
}

fn load(arguments: &Arguments, has_left_files: bool) -> Result<Replacement, String> {
    messages::begin();
    if has_left_files {
        messages::alert("`chroot` keeps the files out of reach of this process: start a new one.");
        return Err(messages::so_far());
    }
    let Some(loaded) = configuration::load(arguments) else { return Err(messages::so_far()) };
    if !loaded.has_listeners {
        messages::alert("[haproxy.main()] No enabled listener found (check for 'bind' directives) !");
        return Err(messages::so_far());
    }
    let Some(maxconn) = start::apply_limits(arguments, &loaded) else { return Err(messages::so_far()) };
    Ok(Replacement { model: loaded.model, tls: loaded.tls, maxconn: Some(maxconn), log: messages::so_far() })
}

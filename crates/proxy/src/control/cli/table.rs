//! The commands: one row each. `help`, suggestions and the list of `-dKcli` read the same rows.

use super::session::{Outcome, Reply, Session};
use super::{
    dynamic_cookies, errors, frontends, help, info, list_servers, modes, patterns, process, resolvers,
    runtime_servers, server, sessions, stat, tables, variables,
};
use haproxy_config::model::Level;

/// When a command may run, beside the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Always,
    /// Needs `experimental-mode on`.
    Experimental,
}

/// One command.
pub struct Command {
    /// The words that name it.
    pub words: &'static [&'static str],
    pub level: Level,
    pub mode: Mode,
    /// The line of `help`, arguments and meaning; `None` is not listed.
    pub usage: Option<(&'static str, &'static str)>,
    pub run: fn(&mut Session, &[&str]) -> Outcome,
}

macro_rules! commands {
    ($($level:ident [$($word:literal)+] $(($usage:literal, $meaning:literal))? $($mode:ident)? => $run:path;)*) => {
        /// Every command, in the order of `help`.
        pub const TABLE: &[Command] = &[$(Command {
            words: &[$($word),+],
            level: Level::$level,
            mode: commands!(@mode $($mode)?),
            usage: commands!(@usage $($usage, $meaning)?),
            run: $run,
        }),*];
    };
    (@mode) => { Mode::Always };
    (@mode $mode:ident) => { Mode::$mode };
    (@usage) => { None };
    (@usage $usage:literal, $meaning:literal) => { Some(($usage, $meaning)) };
}

commands! {
    User ["_getsocks"] => process::hand_over;
    User ["add" "acl"] ("add acl [@<ver>] <acl> <pattern>", "add an acl entry") => patterns::add;
    User ["add" "map"] ("add map [@<ver>] <map> <key> <val>", "add a map entry (payload supported instead of key/val)") => patterns::add;
    Admin ["add" "server"] ("add server <bk>/<srv>", "create a new server") => runtime_servers::add;
    User ["clear" "acl"] ("clear acl [@<ver>] <acl>", "clear the contents of this acl") => patterns::clear;
    Operator ["clear" "counters"] ("clear counters [all]", "clear max statistics counters (or all counters)") => stat::clear_counters;
    User ["clear" "map"] ("clear map [@<ver>] <map>", "clear the contents of this map") => patterns::clear;
    User ["clear" "table"] ("clear table <table> [<filter>]*", "remove an entry from a table (filter: data/key)") => tables::clear;
    User ["commit" "acl"] ("commit acl @<ver> <acl>", "commit the ACL at this version") => patterns::commit;
    User ["commit" "map"] ("commit map @<ver> <map>", "commit the map at this version") => patterns::commit;
    User ["del" "acl"] ("del acl <acl> [<key>|#<ref>]", "delete acl entries matching <key>") => patterns::delete;
    User ["del" "map"] ("del map <map> [<key>|#<ref>]", "delete map entries matching <key>") => patterns::delete;
    Admin ["del" "server"] ("del server <bk>/<srv>", "remove a dynamically added server") => runtime_servers::delete;
    Admin ["disable" "agent"] ("disable agent", "disable agent checks") => server::disable_agent;
    Admin ["disable" "dynamic-cookie" "backend"] ("disable dynamic-cookie backend <bk>", "disable dynamic cookies on a specific backend") => dynamic_cookies::disable;
    Admin ["disable" "frontend"] ("disable frontend <frontend>", "temporarily disable specific frontend") => frontends::disable;
    Admin ["disable" "health"] ("disable health", "disable health checks") => server::disable_health;
    Admin ["disable" "server"] ("disable server (DEPRECATED)", "disable a server for maintenance (use 'set server' instead)") => server::disable;
    Admin ["enable" "agent"] ("enable agent", "enable agent checks") => server::enable_agent;
    Admin ["enable" "dynamic-cookie" "backend"] ("enable dynamic-cookie backend <bk>", "enable dynamic cookies on a specific backend") => dynamic_cookies::enable;
    Admin ["enable" "frontend"] ("enable frontend <frontend>", "re-enable specific frontend") => frontends::enable;
    Admin ["enable" "health"] ("enable health", "enable health checks") => server::enable_health;
    Admin ["enable" "server"] ("enable server  (DEPRECATED)", "enable a disabled server (use 'set server' instead)") => server::enable;
    Admin ["experimental-mode"] => modes::experimental_mode;
    Admin ["expert-mode"] => modes::expert_mode;
    User ["get" "acl"] ("get acl <acl> <value>", "report the patterns matching a sample for an ACL") => patterns::get;
    User ["get" "map"] ("get map <acl> <value>", "report the keys and values matching a sample for a map") => patterns::get;
    Operator ["get" "var"] ("get var <name>", "retrieve contents of a process-wide variable") => variables::get;
    User ["get" "weight"] ("get weight <bk>/<srv>", "report a server's current weight") => server::get_weight;
    User ["help"] => help::help;
    Operator ["operator"] ("operator", "lower the level of the current CLI session to operator") => modes::operator;
    User ["prepare" "acl"] ("prepare acl <acl>", "prepare a new version for atomic ACL replacement") => patterns::prepare;
    User ["prepare" "map"] ("prepare map <acl>", "prepare a new version for atomic map replacement") => patterns::prepare;
    User ["prompt"] => modes::prompt;
    User ["quit"] => modes::quit;
    Admin ["set" "dynamic-cookie-key" "backend"] ("set dynamic-cookie-key backend <bk> <k>", "change a backend secret key for dynamic cookies") => dynamic_cookies::set_key;
    User ["set" "map"] ("set map <map> [<key>|#<ref>] <value>", "modify a map entry") => patterns::set;
    Admin ["set" "maxconn" "frontend"] ("set maxconn frontend <frontend> <value>", "change a frontend's maxconn setting") => frontends::set_maxconn;
    Admin ["set" "maxconn" "global"] ("set maxconn global <value>", "change the per-process maxconn setting") => frontends::set_maxconn_global;
    Admin ["set" "maxconn" "server"] ("set maxconn server <bk>/<srv>", "change a server's maxconn setting") => server::set_maxconn;
    Admin ["set" "rate-limit"] ("set rate-limit <setting> <value>", "change a rate limiting value") => frontends::set_rate_limit;
    Admin ["set" "server"] ("set server <bk>/<srv> [opts]", "change a server's state, weight, address or ssl") => server::set;
    User ["set" "severity-output"] ("set severity-output [none|number|string]", "set presence of severity level in feedback information") => modes::set_severity_output;
    User ["set" "table"] ("set table <table> key <k> [data.* <v>]*", "update or create a table entry's data") => tables::set;
    User ["set" "timeout"] ("set timeout [cli] <delay>", "change a timeout setting") => modes::set_timeout;
    Operator ["set" "var"] Experimental => variables::set;
    Admin ["set" "weight"] ("set weight <bk>/<srv>  (DEPRECATED)", "change a server's weight (use 'set server' instead)") => server::set_weight;
    User ["show" "acl"] ("show acl [@<ver>] <acl>]", "report available acls or dump an acl's contents") => patterns::show;
    User ["show" "activity"] ("show activity", "show per-thread activity stats (for support/developers)") => info::show_activity;
    User ["show" "backend"] ("show backend", "list backends in the current running config") => list_servers::backends;
    User ["show" "cli" "level"] ("show cli level", "display the level of the current CLI session") => modes::show_level;
    Operator ["show" "cli" "sockets"] ("show cli sockets", "dump list of cli sockets") => process::show_sockets;
    Operator ["show" "env"] ("show env [var]", "dump environment variables known to the process") => process::show_env;
    Operator ["show" "errors"] ("show errors [<px>] [request|response]", "report last request and/or response errors for each proxy") => errors::show;
    User ["show" "info"] ("show info [desc|json|typed|float]*", "report information about the running process") => info::show_info;
    User ["show" "map"] ("show map [@ver] [map]", "report available maps or dump a map's contents") => patterns::show;
    User ["show" "resolvers"] ("show resolvers [id]", "dumps counters from all resolvers section and associated name servers") => resolvers::show;
    User ["show" "schema" "json"] ("show schema json", "report schema used for stats") => stat::show_schema;
    User ["show" "servers" "conn"] ("show servers conn [<backend>]", "dump server connections status (all or for a single backend)") => list_servers::connections;
    User ["show" "servers" "state"] ("show servers state [<backend>]", "dump volatile server information (all or for a single backend)") => list_servers::states;
    Operator ["show" "sess"] ("show sess [id]", "report the list of current sessions or dump this exact session") => sessions::show;
    Operator ["show" "startup-logs"] ("show startup-logs", "report logs emitted during HAProxy startup") => process::show_startup_logs;
    User ["show" "stat"] ("show stat [desc|json|no-maint|typed|up]*", "report counters for each proxy and server") => stat::show;
    User ["show" "table"] ("show table <table> [<filter>]*", "report table usage stats or dump this table's contents (filter: data/key)") => tables::show;
    User ["show" "version"] ("show version", "show version of the current process") => process::show_version;
    Admin ["shutdown" "frontend"] ("shutdown frontend <frontend>", "stop a specific frontend") => frontends::shutdown;
    Admin ["shutdown" "session"] ("shutdown session [id]", "kill a specific session") => sessions::shutdown_one;
    Admin ["shutdown" "sessions" "server"] ("shutdown sessions server <bk>/<srv>", "kill sessions on a server") => sessions::shutdown_server;
    User ["user"] ("user", "lower the level of the current CLI session to user") => modes::user;
}

/// The name of each command and the mark of its mode, as `haproxy -dKcli` lists them.
pub fn commands() -> impl Iterator<Item = (String, &'static str)> {
    TABLE.iter().map(|command| {
        let mark = match command.mode {
            Mode::Always => "",
            Mode::Experimental => "[EXPERIM] ",
        };
        (command.words.join(" "), mark)
    })
}

/// Runs the command that `words` begin with.
pub fn run(session: &mut Session, words: &[&str]) -> Reply {
    let named = |command: &&Command| {
        command.words.len() <= words.len() && command.words.iter().zip(words).all(|(name, word)| name == word)
    };
    let Some(command) = TABLE.iter().find(named) else { return help::unknown(session, words) };
    if command.mode == Mode::Experimental && !session.experimental {
        return Reply::error("This command is restricted to experimental mode only.\n");
    }
    if session.level < command.level {
        return Reply::error("Permission denied\n");
    }
    match (command.run)(session, words) {
        Ok(reply) | Err(reply) => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_no_name_hides_another() {
        let names: Vec<String> = commands().map(|(name, _)| name).collect();
        assert!(names.is_sorted(), "help lists them in this order");
        for (index, command) in TABLE.iter().enumerate() {
            let hidden = |other: &Command| command.words.starts_with(other.words);
            assert!(!TABLE[..index].iter().any(hidden), "{:?} is never reached", command.words);
        }
    }
}

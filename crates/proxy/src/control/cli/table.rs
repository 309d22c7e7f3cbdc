//! The commands: one row each. `help`, suggestions and the list of `-dKcli` read the same rows.

use super::session::{Outcome, Reply, Session};
use super::{
    caches, debugging, dynamic_cookies, errors, frontends, help, http_client, info, list_servers, modes,
    patterns, peers, process, reload, resolvers, runtime_servers, server, sessions, stat, system, tables,
    tls, tracing, variables,
};
use haproxy_config::model::Level;

/// When a command may run, beside the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Always,
    /// Needs `experimental-mode on`.
    Experimental,
    /// Needs `expert-mode on`.
    Expert,
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
    Admin ["abort" "ssl" "ca-file"] ("abort ssl ca-file <cafile>", "abort a transaction for a CA file") => tls::abort_trust;
    Admin ["abort" "ssl" "cert"] ("abort ssl cert <certfile>", "abort a transaction for a certificate file") => tls::abort_certificate;
    Admin ["abort" "ssl" "crl-file"] ("abort ssl crl-file <crlfile>", "abort a transaction for a CRL file") => tls::abort_trust;
    User ["add" "acl"] ("add acl [@<ver>] <acl> <pattern>", "add an acl entry") => patterns::add;
    User ["add" "map"] ("add map [@<ver>] <map> <key> <val>", "add a map entry (payload supported instead of key/val)") => patterns::add;
    Admin ["add" "server"] ("add server <bk>/<srv>", "create a new server") => runtime_servers::add;
    Admin ["add" "ssl" "ca-file"] ("add ssl ca-file <cafile> <payload>", "add a certificate into the CA file") => tls::set_trust;
    Admin ["add" "ssl" "crt-list"] ("add ssl crt-list <list> <cert> [opts]*", "add to crt-list file <list> a line <cert> or a payload") => tls::add_line;
    User ["clear" "acl"] ("clear acl [@<ver>] <acl>", "clear the contents of this acl") => patterns::clear;
    Operator ["clear" "counters"] ("clear counters [all]", "clear max statistics counters (or all counters)") => stat::clear_counters;
    User ["clear" "map"] ("clear map [@<ver>] <map>", "clear the contents of this map") => patterns::clear;
    User ["clear" "table"] ("clear table <table> [<filter>]*", "remove an entry from a table (filter: data/key)") => tables::clear;
    User ["commit" "acl"] ("commit acl @<ver> <acl>", "commit the ACL at this version") => patterns::commit;
    User ["commit" "map"] ("commit map @<ver> <map>", "commit the map at this version") => patterns::commit;
    Admin ["commit" "ssl" "ca-file"] ("commit ssl ca-file <cafile>", "commit a CA file") => tls::commit_trust;
    Admin ["commit" "ssl" "cert"] ("commit ssl cert <certfile>", "commit a certificate file") => tls::commit_certificate;
    Admin ["commit" "ssl" "crl-file"] ("commit ssl crl-file <crlfile>", "commit a CRL file") => tls::commit_trust;
    Admin ["debug" "dev" "bug"] ("debug dev bug", "call BUG_ON() and crash") Expert => debugging::abort;
    Admin ["debug" "dev" "check"] ("debug dev check", "call CHECK_IF() and possibly crash") Expert => debugging::check;
    Admin ["debug" "dev" "delay"] ("debug dev delay  [ms]", "sleep this long") Expert => debugging::delay;
    Admin ["debug" "dev" "exit"] ("debug dev exit   [code]", "immediately exit the process") Expert => debugging::exit;
    Admin ["debug" "dev" "log"] ("debug dev log    [msg] ...", "send this msg to global logs") Expert => debugging::log;
    Admin ["debug" "dev" "loop"] ("debug dev loop   [ms]", "loop this long") Expert => debugging::busy;
    Admin ["debug" "dev" "panic"] ("debug dev panic", "immediately trigger a panic") Expert => debugging::abort;
    Admin ["debug" "dev" "warn"] ("debug dev warn", "call WARN_ON() and possibly crash") Expert => debugging::warn;
    Admin ["debug" "dev" "write"] ("debug dev write  [size]", "write that many bytes in return") Expert => debugging::write;
    User ["del" "acl"] ("del acl <acl> [<key>|#<ref>]", "delete acl entries matching <key>") => patterns::delete;
    User ["del" "map"] ("del map <map> [<key>|#<ref>]", "delete map entries matching <key>") => patterns::delete;
    Admin ["del" "server"] ("del server <bk>/<srv>", "remove a dynamically added server") => runtime_servers::delete;
    Admin ["del" "ssl" "ca-file"] ("del ssl ca-file <cafile>", "delete an unused CA file") => tls::delete_trust;
    Admin ["del" "ssl" "cert"] ("del ssl cert <certfile>", "delete an unused certificate file") => tls::delete_certificate;
    Admin ["del" "ssl" "crl-file"] ("del ssl crl-file <crlfile>", "delete an unused CRL file") => tls::delete_trust;
    Admin ["del" "ssl" "crt-list"] ("del ssl crt-list <list> <cert[:line]>", "delete a line <cert> from crt-list file <list>") => tls::delete_line;
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
    Admin ["httpclient"] ("httpclient <method> <URI>", "launch an HTTP request") Expert => http_client::run;
    Admin ["new" "ssl" "ca-file"] ("new ssl ca-file <cafile>", "create a new CA file to be used in a crt-list") => tls::new_trust;
    Admin ["new" "ssl" "cert"] ("new ssl cert <certfile>", "create a new certificate file to be used in a crt-list or a directory") => tls::new_certificate;
    Admin ["new" "ssl" "crl-file"] ("new ssl crl-file <crlfile>", "create a new CRL file to be used in a crt-list") => tls::new_trust;
    Operator ["operator"] ("operator", "lower the level of the current CLI session to operator") => modes::operator;
    User ["prepare" "acl"] ("prepare acl <acl>", "prepare a new version for atomic ACL replacement") => patterns::prepare;
    User ["prepare" "map"] ("prepare map <acl>", "prepare a new version for atomic map replacement") => patterns::prepare;
    User ["prompt"] => modes::prompt;
    User ["quit"] => modes::quit;
    Admin ["reload"] => reload::reload;
    Admin ["set" "dynamic-cookie-key" "backend"] ("set dynamic-cookie-key backend <bk> <k>", "change a backend secret key for dynamic cookies") => dynamic_cookies::set_key;
    User ["set" "map"] ("set map <map> [<key>|#<ref>] <value>", "modify a map entry") => patterns::set;
    Admin ["set" "maxconn" "frontend"] ("set maxconn frontend <frontend> <value>", "change a frontend's maxconn setting") => frontends::set_maxconn;
    Admin ["set" "maxconn" "global"] ("set maxconn global <value>", "change the per-process maxconn setting") => frontends::set_maxconn_global;
    Admin ["set" "maxconn" "server"] ("set maxconn server <bk>/<srv>", "change a server's maxconn setting") => server::set_maxconn;
    Admin ["set" "profiling"] ("set profiling <what> {auto|on|off}", "enable/disable resource profiling (tasks,memory)") => tracing::set_profiling;
    Admin ["set" "rate-limit"] ("set rate-limit <setting> <value>", "change a rate limiting value") => frontends::set_rate_limit;
    Admin ["set" "server"] ("set server <bk>/<srv> [opts]", "change a server's state, weight, address or ssl") => server::set;
    User ["set" "severity-output"] ("set severity-output [none|number|string]", "set presence of severity level in feedback information") => modes::set_severity_output;
    Admin ["set" "ssl" "ca-file"] ("set ssl ca-file <cafile> <payload>", "replace a CA file") => tls::set_trust;
    Admin ["set" "ssl" "cert"] ("set ssl cert <certfile> <payload>", "replace a certificate file") => tls::set_certificate;
    Admin ["set" "ssl" "crl-file"] ("set ssl crl-file <crlfile> <payload>", "replace a CRL file") => tls::set_trust;
    Admin ["set" "ssl" "ocsp-response"] ("set ssl ocsp-response <resp|payload>", "update a certificate's OCSP Response from a base64-encode DER") => tls::set_ocsp;
    Admin ["set" "ssl" "tls-key"] ("set ssl tls-key [id|file] <key>", "set the next TLS key for the <id> or <file> listener to <key>") => tls::set_ticket_key;
    User ["set" "table"] ("set table <table> key <k> [data.* <v>]*", "update or create a table entry's data") => tables::set;
    User ["set" "timeout"] ("set timeout [cli] <delay>", "change a timeout setting") => modes::set_timeout;
    Operator ["set" "var"] Experimental => variables::set;
    Admin ["set" "weight"] ("set weight <bk>/<srv>  (DEPRECATED)", "change a server's weight (use 'set server' instead)") => server::set_weight;
    User ["show" "acl"] ("show acl [@<ver>] <acl>]", "report available acls or dump an acl's contents") => patterns::show;
    User ["show" "activity"] ("show activity", "show per-thread activity stats (for support/developers)") => info::show_activity;
    User ["show" "backend"] ("show backend", "list backends in the current running config") => list_servers::backends;
    User ["show" "cache"] ("show cache", "show cache status") => caches::show;
    User ["show" "cli" "level"] ("show cli level", "display the level of the current CLI session") => modes::show_level;
    Operator ["show" "cli" "sockets"] ("show cli sockets", "dump list of cli sockets") => process::show_sockets;
    Operator ["show" "env"] ("show env [var]", "dump environment variables known to the process") => process::show_env;
    Operator ["show" "errors"] ("show errors [<px>] [request|response]", "report last request and/or response errors for each proxy") => errors::show;
    Operator ["show" "events"] ("show events [<sink>] [-w] [-n]", "show event sink state") => tracing::show_events;
    Operator ["show" "fd"] ("show fd [num]", "dump list of file descriptors in use or a specific one") => system::show_fd;
    Operator ["show" "generations"] => reload::show_generations;
    User ["show" "info"] ("show info [desc|json|typed|float]*", "report information about the running process") => info::show_info;
    Operator ["show" "libs"] ("show libs", "show loaded object files and libraries") => system::show_libs;
    User ["show" "map"] ("show map [@ver] [map]", "report available maps or dump a map's contents") => patterns::show;
    User ["show" "metrics"] => stat::show_metrics;
    User ["show" "peers"] ("show peers [dict|-] [section]", "dump some information about all the peers or this peers section") => peers::show;
    User ["show" "pools"] ("show pools", "report information about the memory pools usage") => system::show_pools;
    User ["show" "profiling"] ("show profiling [<what>|<#lines>|byaddr]*", "show profiling state (all,status,tasks,memory)") => tracing::show_profiling;
    User ["show" "resolvers"] ("show resolvers [id]", "dumps counters from all resolvers section and associated name servers") => resolvers::show;
    User ["show" "schema" "json"] ("show schema json", "report schema used for stats") => stat::show_schema;
    User ["show" "servers" "conn"] ("show servers conn [<backend>]", "dump server connections status (all or for a single backend)") => list_servers::connections;
    User ["show" "servers" "state"] ("show servers state [<backend>]", "dump volatile server information (all or for a single backend)") => list_servers::states;
    Operator ["show" "sess"] ("show sess [id]", "report the list of current sessions or dump this exact session") => sessions::show;
    Admin ["show" "ssl" "ca-file"] ("show ssl ca-file [<cafile>[:<index>]]", "display the SSL CA files used in memory, or the details of a <cafile>, or a single certificate of index <index> of a CA file <cafile>") => tls::show_trust;
    Admin ["show" "ssl" "cert"] ("show ssl cert [<certfile>]", "display the SSL certificates used in memory, or the details of a file") => tls::show_certificate;
    Admin ["show" "ssl" "crl-file"] ("show ssl crl-file [<crlfile[:<index>>]]", "display the SSL CRL files used in memory, or the details of a <crlfile>, or a single CRL of index <index> of CRL file <crlfile>") => tls::show_trust;
    Admin ["show" "ssl" "crt-list"] ("show ssl crt-list [-n] [<list>]", "show the list of crt-lists or the content of a crt-list file <list>") => tls::show_list;
    Admin ["show" "ssl" "ocsp-response"] ("show ssl ocsp-response [id]", "display the IDs of the OCSP responses used in memory, or the details of a single OCSP response") => tls::show_ocsp;
    Admin ["show" "ssl" "providers"] ("show ssl providers", "show loaded SSL providers") => tls::show_providers;
    Operator ["show" "startup-logs"] ("show startup-logs", "report logs emitted during HAProxy startup") => process::show_startup_logs;
    User ["show" "stat"] ("show stat [desc|json|no-maint|typed|up]*", "report counters for each proxy and server") => stat::show;
    User ["show" "table"] ("show table <table> [<filter>]*", "report table usage stats or dump this table's contents (filter: data/key)") => tables::show;
    Operator ["show" "tasks"] ("show tasks", "show running tasks") => system::show_tasks;
    User ["show" "threads"] ("show threads", "show some threads debugging information") => system::show_threads;
    Admin ["show" "tls-keys"] ("show tls-keys [id|*]", "show tls keys references or dump tls ticket keys when id specified") => tls::show_ticket_keys;
    Operator ["show" "trace"] ("show trace [<module>]", "show live tracing state") => tracing::show_trace;
    User ["show" "version"] ("show version", "show version of the current process") => process::show_version;
    Admin ["shutdown" "frontend"] ("shutdown frontend <frontend>", "stop a specific frontend") => frontends::shutdown;
    Admin ["shutdown" "session"] ("shutdown session [id]", "kill a specific session") => sessions::shutdown_one;
    Admin ["shutdown" "sessions" "server"] ("shutdown sessions server <bk>/<srv>", "kill sessions on a server") => sessions::shutdown_server;
    Admin ["trace"] ("trace [<module>|0] [cmd [args...]]", "manage live tracing (empty to list, 0 to stop all)") => tracing::trace;
    User ["user"] ("user", "lower the level of the current CLI session to user") => modes::user;
}

/// The name of each command and the mark of its mode, as `haproxy -dKcli` lists them.
pub fn commands() -> impl Iterator<Item = (String, &'static str)> {
    TABLE.iter().map(|command| {
        let mark = match command.mode {
            Mode::Always => "",
            Mode::Experimental => "[EXPERIM] ",
            Mode::Expert => "[EXPERT] ",
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
    if command.mode == Mode::Expert && !session.expert {
        return Reply::error("This command is restricted to expert mode only.\n");
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

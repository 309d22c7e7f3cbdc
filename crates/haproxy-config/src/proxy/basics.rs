//! Keywords that set one thing: names, limits, listeners, servers.

use super::Draft;
use super::table::InDefaults::{No, Yes};
use super::table::Side::{Backend, Both, Frontend};
use super::table::{ProxyKeyword, entry};
use crate::address::{self, Wanted};
use crate::bind;
use crate::keywords::Status::{NoEffect, Old, Works};
use crate::keywords::{assign, read};
use crate::model::{HttpReuse, LoadServerState, Mode};
use crate::parse::{Arguments, Context, Outcome, fail, fail_with_help};
use crate::server;

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry("backlog", Frontend, Yes, Works, read!(proxy.backlog = limit), "length of the kernel's queue"),
    entry("bind", Frontend, No, Works, bind, "addresses to listen on"),
    entry("bind-process", Both, Yes, Old("nothing: there is one process"), rest, "old: processes of a proxy"),
    entry(
        "clitcpka-cnt",
        Frontend,
        Yes,
        Works,
        read!(proxy.client_keepalive.count = Some(count)),
        "lost keep-alive probes until a client is gone",
    ),
    entry(
        "clitcpka-idle",
        Frontend,
        Yes,
        Works,
        read!(proxy.client_keepalive.idle = Some(seconds)),
        "idle time until keep-alive probes start",
    ),
    entry(
        "clitcpka-intvl",
        Frontend,
        Yes,
        Works,
        read!(proxy.client_keepalive.interval = Some(seconds)),
        "time between keep-alive probes",
    ),
    entry("default-server", Backend, Yes, Works, default_server, "settings that later servers start from"),
    entry("default_backend", Frontend, Yes, Works, default_backend, "backend for what no `use_backend` took"),
    entry("description", Both, No, Works, description, "text on the statistics page"),
    entry("disabled", Both, Yes, Works, assign!(proxy.disabled = true), "neither listen nor connect"),
    entry("dispatch", Backend, No, Works, dispatch, "one address instead of servers"),
    entry("enabled", Both, Yes, Works, assign!(proxy.disabled = false), "undo `disabled` of a default"),
    entry(
        "fullconn",
        Backend,
        Yes,
        Works,
        read!(proxy.fullconn = limit),
        "load at which servers get their full maxconn",
    ),
    entry(
        "grace",
        Both,
        Yes,
        Old("`hard-stop-after` in the global section"),
        rest,
        "old: time between a stop signal and the end",
    ),
    entry("guid", Both, No, NoEffect, rest, "a unique name"),
    entry("http-reuse", Backend, Yes, Works, http_reuse, "sharing of idle server connections"),
    entry(
        "http-send-name-header",
        Backend,
        Yes,
        Works,
        send_name_header,
        "header that tells the server its name",
    ),
    entry("id", Both, No, Works, id, "number of the proxy in statistics"),
    entry(
        "load-server-state-from-file",
        Backend,
        Yes,
        Works,
        load_server_state,
        "where the state of servers is read from at the start",
    ),
    entry(
        "max-keep-alive-queue",
        Backend,
        Yes,
        Works,
        max_keep_alive_queue,
        "queue length up to which a kept connection is waited for",
    ),
    entry("maxconn", Frontend, Yes, Works, read!(proxy.maxconn = limit), "most concurrent connections"),
    entry("mode", Both, Yes, Works, mode, "tcp or http"),
    entry("monitor-uri", Frontend, Yes, Works, monitor_uri, "address that answers 200 by itself"),
    entry("persist", Backend, Yes, Works, persist, "persistence by RDP cookie"),
    entry("rate-limit", Frontend, Yes, Works, rate_limit, "most new sessions a second"),
    entry("retries", Backend, Yes, Works, read!(proxy.retries = count), "attempts to connect again"),
    entry("retry-on", Backend, Yes, Works, retry_on, "failures after which a request is sent again"),
    entry("server", Backend, No, Works, server, "a server of the backend").strict(),
    entry(
        "server-state-file-name",
        Backend,
        Yes,
        Works,
        server_state_file_name,
        "file of this backend's server states",
    ),
    entry("server-template", Backend, No, Works, server_template, "many servers of one name").strict(),
    entry("source", Backend, Yes, Works, source, "address to connect from"),
    entry(
        "srvtcpka-cnt",
        Backend,
        Yes,
        Works,
        read!(proxy.server_keepalive.count = Some(count)),
        "lost keep-alive probes until a server is gone",
    ),
    entry(
        "srvtcpka-idle",
        Backend,
        Yes,
        Works,
        read!(proxy.server_keepalive.idle = Some(seconds)),
        "idle time until keep-alive probes start",
    ),
    entry(
        "srvtcpka-intvl",
        Backend,
        Yes,
        Works,
        read!(proxy.server_keepalive.interval = Some(seconds)),
        "time between keep-alive probes",
    ),
    entry(
        "unique-id-header",
        Frontend,
        Yes,
        Works,
        read!(proxy.unique_id_header = Some(string)),
        "header that carries the unique id",
    ),
];

type Words<'a, 'l> = &'a mut Arguments<'l>;

fn rest(_: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
    Ok(())
}

fn bind(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.has_bind_line = true;
    for mut bind in bind::parse(arguments, context)? {
        bind.proxy = Some(draft.proxy.id);
        draft.proxy.binds.push(bind);
    }
    Ok(())
}

fn server(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let parsed = server::parse_server(&draft.default_server, arguments, context)?;
    draft.add_server(parsed);
    Ok(())
}

fn server_template(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    for parsed in server::parse_template(&draft.default_server, arguments, context)? {
        draft.add_server(parsed);
    }
    Ok(())
}

fn default_server(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    server::parse_default(&mut draft.default_server, arguments, context)
}

fn default_backend(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.default_backend = Some(arguments.expect("the name of a backend")?.clone());
    Ok(())
}

fn description(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.clone().expect("a text")?;
    let words: Vec<&str> = arguments.rest().iter().map(|word| word.value.as_str()).collect();
    draft.proxy.description = Some(words.join(" "));
    Ok(())
}

fn dispatch(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let wanted =
        Wanted { port_required: true, port_range: false, port_offset: false, datagram: false, stream: true };
    let word = arguments.expect("an address and port")?;
    draft.proxy.dispatch = Some(address::endpoint(word, context.environment, wanted)?.address);
    Ok(())
}

fn http_reuse(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.proxy.http_reuse = arguments.choice(&[
        ("never", HttpReuse::Never),
        ("safe", HttpReuse::Safe),
        ("aggressive", HttpReuse::Aggressive),
        ("always", HttpReuse::Always),
    ])?;
    Ok(())
}

fn send_name_header(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a header name")?;
    draft.proxy.http_send_name_header = Some(word.value.clone());
    Ok(())
}

fn id(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.proxy.uuid = arguments.positive()?;
    Ok(())
}

fn load_server_state(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.proxy.load_server_state = arguments.choice(&[
        ("none", LoadServerState::None),
        ("local", LoadServerState::Local),
        ("global", LoadServerState::Global),
    ])?;
    Ok(())
}

fn max_keep_alive_queue(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let value = arguments.integer(-1..=i64::from(i32::MAX))?;
    draft.proxy.max_keep_alive_queue = u32::try_from(value).ok();
    Ok(())
}

fn mode(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("tcp or http")?;
    draft.proxy.mode = match word.value.as_str() {
        "tcp" => Mode::Tcp,
        "http" => Mode::Http,
        "health" => {
            let help = "write `mode http` and `http-request return status 200`";
            context.warn_old(word.span, "`mode health` is an old form", help);
            Mode::Health
        }
        "log" | "syslog" | "spop" | "haterm" => {
            return fail(word.span, format!("`mode {}` is not implemented", word.value));
        }
        other => {
            let near = diag::nearest(other, ["tcp", "http"]);
            let help =
                near.map_or_else(|| "use tcp or http".to_owned(), |near| format!("did you mean `{near}`?"));
            return fail_with_help(word.span, format!("unknown mode `{other}`"), help);
        }
    };
    Ok(())
}

fn monitor_uri(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.proxy.monitor_uri = Some(arguments.expect("a URI")?.value.clone().into_bytes());
    Ok(())
}

fn persist(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("rdp-cookie[(name)]")?;
    let rest = word.value.strip_prefix("rdp-cookie");
    draft.proxy.rdp_persist = match rest {
        Some("") => Some("msts".to_owned()),
        Some(name) => match name.strip_prefix('(').and_then(|name| name.strip_suffix(')')) {
            Some(name) if !name.is_empty() => Some(name.to_owned()),
            _ => return fail(word.span, "expected `rdp-cookie(name)`"),
        },
        None => return fail(word.span, "`persist` knows `rdp-cookie` only"),
    };
    Ok(())
}

fn rate_limit(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.choice(&[("sessions", ())])?;
    draft.proxy.session_rate_limit = arguments.limit()?;
    Ok(())
}

/// Statuses that `retry-on` knows.
const RETRY_STATUSES: [u16; 11] = [401, 403, 404, 408, 421, 425, 500, 501, 502, 503, 504];

fn retry_on(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.clone().expect("failures such as conn-failure")?;
    let on = &mut draft.proxy.retry_on;
    *on = crate::model::RetryOn { conn_failure: false, ..Default::default() };
    for word in arguments.rest() {
        match word.value.as_str() {
            "none" => {}
            "conn-failure" => on.conn_failure = true,
            "empty-response" => on.empty_response = true,
            "junk-response" => on.junk_response = true,
            "response-timeout" => on.response_timeout = true,
            "0rtt-rejected" => on.zero_rtt_rejected = true,
            "all-retryable-errors" => {
                on.conn_failure = true;
                on.empty_response = true;
                on.junk_response = true;
                on.response_timeout = true;
                on.zero_rtt_rejected = true;
                on.statuses.extend([500, 502, 503, 504]);
            }
            other => match other.parse::<u16>() {
                Ok(status) if RETRY_STATUSES.contains(&status) => on.statuses.push(status),
                _ => {
                    let known = [
                        "none",
                        "conn-failure",
                        "empty-response",
                        "junk-response",
                        "response-timeout",
                        "0rtt-rejected",
                        "all-retryable-errors",
                    ];
                    return Err(crate::keywords::unknown("failure", word, "after `retry-on`", known));
                }
            },
        }
    }
    Ok(())
}

fn server_state_file_name(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let name = match arguments.next() {
        // The name of the proxy, which a defaults section does not know: settled at the end.
        None => String::new(),
        Some(word) if word.value == "use-backend-name" => String::new(),
        Some(word) => word.value.clone(),
    };
    draft.proxy.server_state_file_name = Some(name);
    Ok(())
}

fn source(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.proxy.source = Some(server::parse_source(arguments, context)?);
    Ok(())
}

//! Loading the configuration as the command line asks, and telling what is wrong with it.

use super::arguments::{Arguments, ReportFormat};
use super::limits::Demand;
use super::messages;
use diag::Severity;
use haproxy_config::model::{Model, Verify};
use haproxy_config::{LoadOptions, evaluate_condition as evaluate};
use std::sync::Arc;

/// maxconn where no limit of descriptors says anything.
pub const MAXCONN_WITHOUT_LIMIT: u64 = 100;
/// `stats maxconn`, by default.
const STATISTICS_CONNECTIONS: u64 = 10;

/// A valid configuration, with the command line folded in.
pub struct Loaded {
    pub model: Arc<Model>,
    pub tls: Arc<proxy::Tls>,
    pub daemon: bool,
    pub master_worker: bool,
    /// Something listens: a frontend, or the runtime API.
    pub has_listeners: bool,
    pub has_warnings: bool,
}

/// Loads and reports. `None`: errors were told, exit with 1.
pub fn load(arguments: &Arguments) -> Option<Loaded> {
    let mut options = LoadOptions::new(arguments.files.clone());
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    options.local_peer = Some(arguments.local_peer.clone().unwrap_or_else(host));
    options.master_worker = arguments.master_worker;
    let mut loaded = haproxy_config::load(&options);
    if let Some(model) = loaded.model.as_mut().filter(|_| arguments.no_server_verify) {
        model.global.tls.server_verify = Verify::None;
    }
    let tls = loaded.model.as_ref().map(|model| {
        let (tls, found) = proxy::Tls::load(model);
        found.into_iter().for_each(|diagnostic| loaded.report.push(diagnostic));
        loaded.report.sort();
        Arc::new(tls)
    });
    if loaded.report.has_alerts() {
        loaded.model = None;
    }
    let fatal_warnings = loaded.report.warnings() > 0
        && (arguments.zero_warning || loaded.model.as_ref().is_some_and(|model| model.global.zero_warning));
    match arguments.format {
        ReportFormat::Json => println!("{}", diag::to_json(&loaded.report, &loaded.sources)),
        ReportFormat::Text => {
            let least = if arguments.diagnostics { Severity::Diag } else { Severity::Notice };
            for diagnostic in loaded.report.diagnostics().iter().filter(|found| found.severity >= least) {
                tell(diagnostic.severity, &diag::render_unlabelled(diagnostic, &loaded.sources));
            }
            if loaded.report.dropped() > 0 {
                messages::notice(&format!("config : … and {} more", loaded.report.dropped()));
            }
        }
    }
    if loaded.model.is_none() {
        messages::alert("config : Fatal errors found in configuration.");
    } else if fatal_warnings {
        messages::alert("config : Some warnings were found and 'zero-warning' is set. Aborting.");
    }
    let model = loaded.model.filter(|_| !fatal_warnings)?;
    let has_warnings = loaded.report.warnings() > 0;
    Some(Loaded { has_warnings, ..Loaded::new(arguments, model, tls?) })
}

/// One diagnostic in HAProxy's line form; the excerpt with its caret follows on lines of its own.
fn tell(severity: Severity, text: &str) {
    let text = format!("config : {text}");
    match severity {
        Severity::Alert => messages::alert(&text),
        Severity::Warning => messages::warning(&text),
        Severity::Notice | Severity::Diag => messages::notice(&text),
    }
}

impl Loaded {
    fn new(arguments: &Arguments, mut model: Model, tls: Arc<proxy::Tls>) -> Loaded {
        let global = &mut model.global;
        global.noreuseport |= arguments.no_reuseport;
        global.nosplice |= arguments.no_splice;
        if let Some(maxconn) = arguments.maxconn {
            global.maxconn = Some(maxconn);
        }
        if let Some(name) = &arguments.local_peer {
            global.localpeer = Some(name.clone());
        }
        if let Some(maxconn) = arguments.default_maxconn {
            for proxy in model.proxies.iter_mut().filter(|proxy| proxy.is_frontend) {
                proxy.maxconn.get_or_insert(maxconn);
            }
        }
        let global = &model.global;
        // On the command line `-D` wins over `-d` and `-db`; these win over `daemon` in the file.
        let stays = arguments.debug || arguments.foreground || arguments.systemd;
        let enabled = |proxy: &&haproxy_config::model::Proxy| !proxy.disabled;
        let has_listeners = !global.stats_sockets.is_empty()
            || model.proxies.iter().filter(enabled).any(|proxy| !proxy.binds.is_empty())
            || model.log_forwards.iter().any(|forward| forward.lines().next().is_some());
        Loaded {
            daemon: arguments.daemon || (global.daemon && !stays),
            master_worker: arguments.master_worker || global.master_worker,
            has_listeners,
            has_warnings: false,
            model: Arc::new(model),
            tls,
        }
    }

    /// What the configuration needs besides connections.
    pub fn demand(&self) -> Demand {
        let global = &self.model.global;
        let proxies = self.model.proxies.iter().filter(|proxy| !proxy.disabled);
        let mut demand = Demand {
            threads: proxy::worker_count(&self.model) as u64,
            listeners: global.stats_sockets.len() as u64,
            checks: 0,
            statistics_connections: if global.stats_sockets.is_empty() {
                0
            } else {
                global.stats_maxconn.map_or(STATISTICS_CONNECTIONS, u64::from)
            },
            splices: false,
            maxpipes: global.maxpipes.map(u64::from),
        };
        let forwards = self.model.log_forwards.iter();
        demand.listeners += forwards.map(|forward| forward.lines().count() as u64).sum::<u64>();
        for proxy in proxies {
            demand.listeners += proxy.binds.len() as u64;
            for server in &proxy.servers {
                demand.checks += u64::from(server.check.is_some()) + u64::from(server.agent.is_some());
            }
            let options = &proxy.options;
            let splices = options.splice_auto || options.splice_request || options.splice_response;
            // Bulk data in TCP mode is spliced without being asked, but never waits for a pipe.
            demand.splices |= !global.nosplice && splices;
        }
        demand
    }
}

/// `-cc`.
///
/// # Errors
/// What is wrong with the condition.
pub fn evaluate_condition(text: &str) -> Result<bool, String> {
    evaluate(text, &LoadOptions::new(Vec::new())).map_err(|error| format!("{} '{text}'", error.message))
}

/// The reason alone, as the C library words it: std appends the number.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

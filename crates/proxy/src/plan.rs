//! The immutable side of a running configuration: the model, and what is computed from it once so that no request
//! computes it again.

use haproxy_config::Model;
use haproxy_config::model::{self, ErrorContent};
use http::Limits;
use rules::ProxyId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub struct Plan {
    pub model: Arc<Model>,
    /// By `ProxyId`.
    pub proxies: Box<[ProxyPlan]>,
    pub by_name: HashMap<String, ProxyId>,
    pub frontends_by_name: HashMap<String, ProxyId>,
}

/// One proxy section, ready to use.
pub struct ProxyPlan {
    pub id: ProxyId,
    pub timeouts: Timeouts,
    pub request_limits: Limits,
    pub response_limits: Limits,
    /// Messages of `errorfile` and its family, by status.
    pub errors: HashMap<u16, ErrorContent>,
    /// Server indices by the value of their `cookie`.
    pub server_by_cookie: HashMap<Vec<u8>, u32>,
    /// Something may read the request line as it was received: logs, or formats in rules.
    pub captures: bool,
}

/// The timeouts in force, fallbacks resolved. `None` never fires.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub client: Option<Duration>,
    pub server: Option<Duration>,
    pub queue: Option<Duration>,
    pub tunnel: Option<Duration>,
    pub http_request: Option<Duration>,
    pub http_keep_alive: Option<Duration>,
    pub client_fin: Option<Duration>,
    pub server_fin: Option<Duration>,
    pub tarpit: Option<Duration>,
    /// `client-hs`.
    pub handshake: Option<Duration>,
}

impl Timeouts {
    fn new(timeouts: &model::Timeouts) -> Timeouts {
        let http_request = timeouts.http_request.or(timeouts.client);
        Timeouts {
            connect: timeouts.connect,
            client: timeouts.client,
            server: timeouts.server,
            queue: timeouts.queue.or(timeouts.connect),
            tunnel: timeouts.tunnel,
            http_request,
            http_keep_alive: timeouts.http_keep_alive.or(http_request),
            client_fin: timeouts.client_fin,
            server_fin: timeouts.server_fin,
            tarpit: timeouts.tarpit.or(timeouts.connect),
            handshake: timeouts.client_hs.or(timeouts.client),
        }
    }
}

impl Plan {
    pub fn new(model: Arc<Model>) -> Plan {
        let proxies = model.proxies.iter().map(|proxy| ProxyPlan::new(proxy, &model)).collect();
        let by_name = model
            .proxies
            .iter()
            .filter(|proxy| proxy.is_backend)
            .map(|proxy| (proxy.name.clone(), proxy.id))
            .collect();
        let frontends_by_name = model
            .proxies
            .iter()
            .filter(|proxy| proxy.is_frontend)
            .map(|proxy| (proxy.name.clone(), proxy.id))
            .collect();
        Plan { proxies, by_name, frontends_by_name, model }
    }

    pub fn proxy(&self, id: ProxyId) -> &ProxyPlan {
        &self.proxies[id.index()]
    }

    pub fn settings(&self, id: ProxyId) -> &model::Proxy {
        &self.model.proxies[id.index()]
    }
}

impl ProxyPlan {
    fn new(proxy: &model::Proxy, model: &Model) -> ProxyPlan {
        let tune = &model.global.tune;
        let limits = |accept_invalid| Limits {
            max_head: tune.bufsize.saturating_sub(tune.maxrewrite),
            max_fields: tune.http_maxhdr,
            accept_invalid,
        };
        ProxyPlan {
            id: proxy.id,
            timeouts: Timeouts::new(&proxy.timeouts),
            request_limits: limits(proxy.options.accept_invalid_http_request),
            response_limits: limits(proxy.options.accept_invalid_http_response),
            errors: proxy.errors.iter().map(|reply| (reply.status, reply.content.clone())).collect(),
            server_by_cookie: proxy
                .servers
                .iter()
                .enumerate()
                .rev() // the first server with a value wins
                .filter_map(|(index, server)| {
                    Some((server.cookie.as_ref()?.as_bytes().to_vec(), index as u32))
                })
                .collect(),
            captures: reads_request_line(proxy, model),
        }
    }
}

/// Whether anything may read the request line as it was received. Rules of any backend may, so any rule counts.
fn reads_request_line(proxy: &model::Proxy, model: &Model) -> bool {
    let ruled = |proxy: &model::Proxy| {
        !(proxy.http_request.is_empty()
            && proxy.http_response.is_empty()
            && proxy.http_after_response.is_empty()
            && proxy.redirects.is_empty()
            && proxy.use_backend.is_empty())
    };
    proxy.log_format.is_some()
        || proxy.unique_id_format.is_some()
        || ruled(proxy)
        || model.proxies.iter().any(|other| other.is_backend && ruled(other))
}

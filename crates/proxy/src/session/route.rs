//! From a request to a backend, or to an answer: the rules of the frontend, then those of the backend.

use super::client::Client;
use super::http1::After;
use super::reply;
use super::transaction::Transaction;
use http::FieldKind;
use rules::ProxyId;

/// Where a request goes.
pub enum Route {
    Backend(ProxyId),
    /// It was answered here.
    Answered(After),
}

/// Decides where the request goes.
pub async fn route(client: &mut Client, transaction: &mut Transaction) -> Route {
    let worker = std::rc::Rc::clone(&client.worker);
    let settings = worker.plan().settings(client.frontend);
    let Some(backend) = choose(settings, client.frontend) else {
        transaction.facts.termination.cause = b'S';
        transaction.facts.termination.phase = b'C';
        super::log::count_response(client, transaction, 503);
        reply::send_error(client, transaction, 503).await;
        return Route::Answered(After::Linger);
    };
    prepare(client, transaction, backend);
    Route::Backend(backend)
}

/// The backend of a TCP connection.
pub async fn route_tcp(client: &mut Client, transaction: &mut Transaction) -> Option<ProxyId> {
    let worker = std::rc::Rc::clone(&client.worker);
    let settings = worker.plan().settings(client.frontend);
    let backend = choose(settings, client.frontend);
    if backend.is_none() {
        transaction.facts.termination.cause = b'S';
        transaction.facts.termination.phase = b'C';
    }
    backend
}

fn choose(settings: &haproxy_config::model::Proxy, frontend: ProxyId) -> Option<ProxyId> {
    settings.default_backend.or(settings.is_backend.then_some(frontend))
}

/// Fields that the options of both proxies add or take away.
fn prepare(client: &Client, transaction: &mut Transaction, backend: ProxyId) {
    let plan = client.worker.plan();
    let (front, back) = (plan.settings(client.frontend), plan.settings(backend));
    let request = &mut transaction.request;
    if request.has(FieldKind::Connection) {
        request.strip_connection_tokens();
    }
    if super::exchange::connection_mode(front, back) != haproxy_config::model::HttpConnection::KeepAlive {
        request.add(b"connection", b"close");
    }
}

//! The typed configuration. A `Model` that exists is valid: names are resolved to ids, numbers are in range,
//! expressions type-check. It describes; it holds no live state and no descriptor.

mod address;
mod bind;
mod global;
mod proxy;
mod sections;
mod server;
mod tls;

pub use address::{Address, Network};
pub use bind::*;
pub use global::{
    CpuMap, Global, Http2Override, Http2Side, Level, LogFormatKind, LogTarget, LogTargetAddress,
    ProcessValue, Profiling, StatsSocket, Tune,
};
pub use proxy::*;
pub use sections::*;
pub use server::*;
pub use tls::*;

/// A whole configuration, after validation.
#[derive(Debug, Default)]
pub struct Model {
    pub global: Global,
    /// In configuration order; `ProxyId` indexes it. `defaults` sections are already folded in.
    pub proxies: Vec<Proxy>,
    /// `TableId` indexes it.
    pub tables: Vec<Table>,
    /// `UserlistId` indexes it.
    pub userlists: Vec<Userlist>,
    /// Every list of patterns and every map that rules use.
    pub patterns: rules::PatternStore,
    /// What its expressions need.
    pub uses: rules::Uses,
    pub resolvers: Vec<Resolvers>,
    pub peers: Vec<Peers>,
    pub mailers: Vec<Mailers>,
    pub rings: Vec<Ring>,
    pub log_forwards: Vec<LogForward>,
    pub caches: Vec<Cache>,
    pub http_errors: Vec<HttpErrors>,
    pub programs: Vec<Program>,
}

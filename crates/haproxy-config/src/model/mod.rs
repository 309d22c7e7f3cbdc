//! The typed configuration. A `Model` that exists is valid: names are resolved to ids, numbers are in range,
//! expressions type-check. It describes; it holds no live state and no descriptor.

mod address;
mod bind;
mod global;
mod proxy;
mod server;

pub use address::{Address, Network};
pub use bind::*;
pub use global::{CpuMap, Global, Level, LogFormatKind, LogTarget, LogTargetAddress, StatsSocket};
pub use proxy::*;
pub use server::*;

/// A whole configuration, after validation.
#[derive(Debug, Default)]
pub struct Model {
    pub global: Global,
    /// In configuration order; `ProxyId` indexes it. `defaults` sections are already folded in.
    pub proxies: Vec<Proxy>,
}

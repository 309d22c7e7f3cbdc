//! PING_CHECK: one echo request.

use super::checker::{Failure, Found};
use super::random_u32;
use std::net::IpAddr;
use std::time::Duration;

/// Sends an echo request and waits for its reply. Needs CAP_NET_RAW.
pub(super) async fn check(address: IpAddr, timeout: Duration) -> Found {
    let tag = random_u32().to_be_bytes();
    let ended = tokio::task::spawn_blocking(move || sys::echo::echo(address, tag, timeout)).await;
    match ended {
        Ok(Ok(true)) => Found { passed: true, ..Found::default() },
        Ok(Ok(false)) => Found::failed(Failure::NotConnected),
        Ok(Err(error)) => Found::failed(Failure::Connection(error.raw_os_error())),
        Err(_) => Found::default(),
    }
}

//! PING_CHECK: one echo request.

use super::{Found, random_u32};
use std::net::IpAddr;
use std::time::Duration;

/// Sends an echo request and waits for its reply. Needs CAP_NET_RAW.
pub(super) async fn check(address: IpAddr, timeout: Duration) -> Found {
    let tag = random_u32().to_be_bytes();
    let ended = tokio::task::spawn_blocking(move || sys::echo::echo(address, tag, timeout)).await;
    match ended {
        Ok(Ok(passed)) => Found { passed, ..Found::default() },
        Ok(Err(error)) => Found { line: Some(format!("ping of {address}: {error}")), ..Found::default() },
        Err(_) => Found::default(),
    }
}

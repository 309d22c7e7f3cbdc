//! Options that virtual servers, real servers and checkers share: each level is the default of the next.

use crate::arguments::{Arguments, TIMER_MAX, address};
use crate::context::{Context, Outcome, fail};
use crate::keywords::Status::Works;
use crate::keywords::{Keyword, line};
use crate::model::{CheckDefaults, CheckTiming, ConnectOptions};
use std::time::Duration;

type Args<'a, 'n> = &'a mut Arguments<'n>;

/// What one level says.
#[derive(Debug, Clone, Default)]
pub(crate) struct TimingDraft {
    pub delay_loop: Option<Duration>,
    pub connect_timeout: Option<Duration>,
    pub retry: Option<u32>,
    pub delay_before_retry: Option<Duration>,
    pub warmup: Option<Duration>,
    pub alpha: Option<bool>,
    pub log_all_failures: Option<bool>,
}

/// Defaults of one kind of checker.
pub(crate) struct TimingDefaults {
    pub retry: u32,
    /// `None`: the delay_loop.
    pub delay_before_retry: Option<Duration>,
}

/// Between checks, without delay_loop.
pub(crate) const DELAY_LOOP: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time between checks: a hundred years, so that arithmetic cannot overflow.
const DELAY_LOOP_MAX: Duration = Duration::from_secs(3_155_760_000);

impl TimingDraft {
    /// What is not said here is taken from the level above.
    pub fn or(&self, above: &TimingDraft) -> TimingDraft {
        TimingDraft {
            delay_loop: self.delay_loop.or(above.delay_loop),
            connect_timeout: self.connect_timeout.or(above.connect_timeout),
            retry: self.retry.or(above.retry),
            delay_before_retry: self.delay_before_retry.or(above.delay_before_retry),
            warmup: self.warmup.or(above.warmup),
            alpha: self.alpha.or(above.alpha),
            log_all_failures: self.log_all_failures.or(above.log_all_failures),
        }
    }

    pub fn finish(&self, defaults: &TimingDefaults) -> CheckTiming {
        let delay_loop = self.delay_loop.unwrap_or(DELAY_LOOP);
        CheckTiming {
            delay_loop,
            connect_timeout: self.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            retry: self.retry.unwrap_or(defaults.retry),
            delay_before_retry: self
                .delay_before_retry
                .unwrap_or(defaults.delay_before_retry.unwrap_or(delay_loop)),
            warmup: self.warmup.unwrap_or(delay_loop),
            alpha: self.alpha.unwrap_or(false),
            log_all_failures: self.log_all_failures.unwrap_or(false),
        }
    }

    /// What a server says for the checks below it.
    pub fn for_checks(&self, virtual_host: Option<String>, inhibit_on_failure: bool) -> CheckDefaults {
        CheckDefaults {
            delay_loop: self.delay_loop.unwrap_or(DELAY_LOOP),
            connect_timeout: self.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            retry: self.retry,
            delay_before_retry: self.delay_before_retry,
            warmup: self.warmup,
            virtual_host,
            inhibit_on_failure,
        }
    }
}

pub(crate) static TIMING: &[Keyword<TimingDraft>] = &[
    line("connect_timeout", Works, connect_timeout, "longest wait for a connection (5 s)"),
    line("alpha", Works, alpha, "failed until checked"),
    line("retry", Works, retry, "extra tries before down"),
    line("delay_before_retry", Works, delay_before_retry, "pause between tries"),
    line("warmup", Works, warmup, "bound of the random first delay (delay_loop)"),
    line("delay_loop", Works, delay_loop, "seconds between checks (60)"),
    line("log_all_failures", Works, log_all_failures, "log each failure"),
];

pub(crate) fn connect_timeout(
    draft: &mut TimingDraft,
    arguments: Args<'_, '_>,
    _: &mut Context<'_>,
) -> Outcome {
    draft.connect_timeout = Some(arguments.seconds(Duration::from_micros(1), TIMER_MAX)?);
    Ok(())
}

pub(crate) fn alpha(draft: &mut TimingDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.alpha = Some(arguments.switch()?);
    Ok(())
}

pub(crate) fn retry(draft: &mut TimingDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.retry = Some(arguments.integer(0..=i64::from(u32::MAX))? as u32);
    Ok(())
}

pub(crate) fn delay_before_retry(
    draft: &mut TimingDraft,
    arguments: Args<'_, '_>,
    _: &mut Context<'_>,
) -> Outcome {
    draft.delay_before_retry = Some(arguments.timer()?);
    Ok(())
}

pub(crate) fn warmup(draft: &mut TimingDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.warmup = Some(arguments.timer()?);
    Ok(())
}

pub(crate) fn delay_loop(draft: &mut TimingDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    // row: 264
    draft.delay_loop = Some(arguments.seconds(Duration::from_micros(1), DELAY_LOOP_MAX)?);
    Ok(())
}

pub(crate) fn log_all_failures(
    draft: &mut TimingDraft,
    arguments: Args<'_, '_>,
    _: &mut Context<'_>,
) -> Outcome {
    draft.log_all_failures = Some(arguments.switch()?);
    Ok(())
}

pub(crate) static CONNECT: &[Keyword<ConnectOptions>] = &[
    line(
        "connect_ip",
        Works,
        |draft, arguments, _| {
            draft.address = Some(arguments.address()?);
            Ok(())
        },
        "address to check (the server's)",
    ),
    line(
        "connect_port",
        Works,
        |draft, arguments, _| {
            draft.port = Some(arguments.port()?);
            Ok(())
        },
        "port to check (the server's)",
    ),
    line(
        "bindto",
        Works,
        |draft, arguments, _| {
            let word = arguments.word("an address")?;
            let bind = address(&word)?;
            if draft.address.is_some_and(|address| address.is_ipv4() != bind.is_ipv4()) {
                return fail(word.span, "bindto and connect_ip are of different families");
            }
            draft.bind_address = Some(bind);
            Ok(())
        },
        "source address",
    ),
    line(
        "bind_if",
        Works,
        |draft, arguments, _| {
            draft.bind_interface = Some(arguments.interface()?);
            Ok(())
        },
        "source interface",
    ),
    line(
        "bind_port",
        Works,
        |draft, arguments, _| {
            draft.bind_port = Some(arguments.port()?);
            Ok(())
        },
        "source port",
    ),
    line(
        "fwmark",
        Works,
        |draft, arguments, _| {
            draft.mark = Some(arguments.integer(0..=i64::from(u32::MAX))? as u32);
            Ok(())
        },
        "mark on check packets",
    ),
];

//! `tune.*`: sizes and limits. Many of them tune machinery that is not here; those are accepted and do nothing.

use super::GlobalDraft;
use crate::keywords::Status::{Idle, NoEffect, Works};
use crate::keywords::{Keyword, read, row};
use crate::parse::{Arguments, Context, Outcome, fail};

/// Smallest buffer that still holds a request line and some headers.
const BUFSIZE_MIN: i64 = 1024;

pub(super) static KEYWORDS: &[Keyword<GlobalDraft>] = &[
    row("tune.buffers.limit", NoEffect, words, "most buffers of a thread"),
    row("tune.buffers.reserve", NoEffect, words, "buffers kept in reserve"),
    row("tune.bufsize", Works, bufsize, "bytes a message head may have, with `tune.maxrewrite`"),
    row(
        "tune.chksize",
        crate::keywords::Status::Old("nothing: checks need no buffer size"),
        words,
        "old: buffer of checks",
    ),
    row("tune.comp.maxlevel", Works, comp_maxlevel, "highest compression level"),
    row("tune.disable-fast-forward", NoEffect, words, "debugging"),
    row("tune.disable-zero-copy-forwarding", NoEffect, words, "debugging"),
    row("tune.fail-alloc", NoEffect, words, "debugging"),
    row("tune.fd.edge-triggered", NoEffect, words, "poller mode"),
    row("tune.h1.zero-copy-fwd-recv", NoEffect, words, "zero-copy forwarding"),
    row("tune.h1.zero-copy-fwd-send", NoEffect, words, "zero-copy forwarding"),
    row("tune.h2.be.initial-window-size", Works, h2_be_window, "bytes a server may send ahead on a stream"),
    row("tune.h2.be.max-concurrent-streams", Works, h2_be_streams, "streams on a connection to a server"),
    row("tune.h2.fe.initial-window-size", Works, h2_fe_window, "bytes a client may send ahead on a stream"),
    row("tune.h2.fe.max-concurrent-streams", Works, h2_fe_streams, "streams a client may have open"),
    row("tune.h2.fe.max-total-streams", Works, h2_fe_total, "streams until a client has to reconnect"),
    row("tune.h2.header-table-size", Works, h2_table, "bytes of the table that compresses headers"),
    row("tune.h2.initial-window-size", Works, h2_window, "bytes a peer may send ahead on a stream"),
    row("tune.h2.max-concurrent-streams", Works, h2_streams, "streams a connection may have open"),
    row("tune.h2.max-frame-size", Works, h2_frame, "bytes of a frame that peers may send"),
    row("tune.http.cookielen", Works, cookielen, "bytes of a captured cookie"),
    row("tune.http.logurilen", Works, logurilen, "bytes of a request line in logs"),
    row("tune.http.maxhdr", Works, maxhdr, "header fields a message may have"),
    // Idle connections stay with their thread: none is moved to another.
    row("tune.idle-pool.shared", NoEffect, idle_pool_shared, "threads share idle connections"),
    row("tune.idletimer", NoEffect, words, "stream detection"),
    row("tune.listener.default-shards", NoEffect, words, "sockets per address"),
    row("tune.listener.multi-queue", NoEffect, words, "distribution of connections over threads"),
    row("tune.lua.forced-yield", Idle, words, "Lua"),
    row("tune.lua.maxmem", Idle, words, "Lua"),
    row("tune.lua.service-timeout", Idle, words, "Lua"),
    row("tune.lua.session-timeout", Idle, words, "Lua"),
    row("tune.lua.task-timeout", Idle, words, "Lua"),
    row("tune.maxaccept", NoEffect, maxaccept, "connections accepted in a row; -1 is no limit"),
    row("tune.maxpollevents", NoEffect, words, "events handled in a row"),
    row("tune.maxrewrite", Works, maxrewrite, "bytes kept free for added headers"),
    row("tune.memory.hot-size", NoEffect, words, "memory pools"),
    row(
        "tune.pattern.cache-size",
        // Lists that need one are compiled to a matcher instead.
        NoEffect,
        count,
        "entries of the pattern cache",
    ),
    row(
        "tune.peers.max-updates-at-once",
        Works,
        read!(global.tune.peers_updates_max = positive),
        "updates told to a peer in a row",
    ),
    row("tune.pipesize", NoEffect, words, "size of pipes for splicing"),
    row(
        "tune.pool-high-fd-ratio",
        Works,
        read!(global.tune.pool_high_fd_ratio = percent),
        "percent of descriptors that stops idle connections",
    ),
    row(
        "tune.pool-low-fd-ratio",
        // It decides when idle connections are taken from other threads, which is never done.
        NoEffect,
        percent,
        "percent of descriptors that stops keeping more of them",
    ),
    row("tune.quic.frontend.conn-tx-buffers.limit", Idle, words, "QUIC"),
    row("tune.quic.frontend.max-idle-timeout", Idle, words, "QUIC"),
    row("tune.quic.frontend.max-streams-bidi", Idle, words, "QUIC"),
    row("tune.quic.retry-threshold", Idle, words, "QUIC"),
    row("tune.rcvbuf.backend", NoEffect, words, "receive buffers of datagrams"),
    row(
        "tune.rcvbuf.client",
        Works,
        read!(global.tune.rcvbuf_client = Some(count)),
        "kernel receive buffer, clients",
    ),
    row("tune.rcvbuf.frontend", NoEffect, words, "receive buffers of datagrams"),
    row(
        "tune.rcvbuf.server",
        Works,
        read!(global.tune.rcvbuf_server = Some(count)),
        "kernel receive buffer, servers",
    ),
    row("tune.recv_enough", NoEffect, words, "bytes that end a read"),
    row("tune.runqueue-depth", NoEffect, words, "scheduler"),
    row("tune.sched.low-latency", NoEffect, words, "scheduler"),
    row("tune.sndbuf.backend", NoEffect, words, "send buffers of datagrams"),
    row(
        "tune.sndbuf.client",
        Works,
        read!(global.tune.sndbuf_client = Some(count)),
        "kernel send buffer, clients",
    ),
    row("tune.sndbuf.frontend", NoEffect, words, "send buffers of datagrams"),
    row(
        "tune.sndbuf.server",
        Works,
        read!(global.tune.sndbuf_server = Some(count)),
        "kernel send buffer, servers",
    ),
    row("tune.stick-counters", NoEffect, words, "tracked counters of a session"),
    row("tune.vars.check-max-size", NoEffect, words, "memory of variables"),
    row("tune.vars.global-max-size", NoEffect, words, "memory of variables"),
    row("tune.vars.proc-max-size", NoEffect, words, "memory of variables"),
    row("tune.vars.reqres-max-size", NoEffect, words, "memory of variables"),
    row("tune.vars.sess-max-size", NoEffect, words, "memory of variables"),
    row("tune.vars.txn-max-size", NoEffect, words, "memory of variables"),
    row("tune.zlib.memlevel", NoEffect, words, "zlib"),
    row("tune.zlib.windowsize", NoEffect, words, "zlib"),
];

type Words<'a, 'l> = &'a mut Arguments<'l>;

/// Takes whatever follows, at least a value.
fn words(_: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.expect("a value")?;
    arguments.rest();
    Ok(())
}

fn count(_: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.count().map(drop)
}

fn percent(_: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.percent().map(drop)
}

fn bufsize(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a size in bytes")?;
    let size = crate::units::size(&word.value).or_else(|message| fail(word.span, message))?;
    if i64::try_from(size).is_ok_and(|size| (BUFSIZE_MIN..=i64::from(i32::MAX)).contains(&size)) {
        draft.global.tune.bufsize = size as usize;
        return Ok(());
    }
    fail(word.span, format!("tune.bufsize must be {BUFSIZE_MIN}..={}, found {size}", i32::MAX))
}

/// The largest window (RFC 9113 §6.9.1).
const H2_WINDOW_MAX: i64 = i32::MAX as i64;

fn window(arguments: Words<'_, '_>) -> Outcome<u32> {
    Ok(arguments.integer(0..=H2_WINDOW_MAX)? as u32)
}

fn streams(arguments: Words<'_, '_>) -> Outcome<u32> {
    Ok(arguments.integer(1..=i64::from(i32::MAX))? as u32)
}

fn h2_window(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.http2.initial_window_size = window(arguments)?;
    Ok(())
}

fn h2_fe_window(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.http2_frontend.initial_window_size = Some(window(arguments)?);
    Ok(())
}

fn h2_be_window(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.http2_backend.initial_window_size = Some(window(arguments)?);
    Ok(())
}

fn h2_streams(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.http2.max_concurrent_streams = streams(arguments)?;
    Ok(())
}

fn h2_fe_streams(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.http2_frontend.max_concurrent_streams = Some(streams(arguments)?);
    Ok(())
}

fn h2_be_streams(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.http2_backend.max_concurrent_streams = Some(streams(arguments)?);
    Ok(())
}

fn h2_fe_total(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let count = arguments.integer(0..=i64::from(i32::MAX))? as u32;
    draft.global.tune.http2_total_streams_max = (count > 0).then_some(count);
    Ok(())
}

fn h2_table(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.http2_header_table_size = arguments.integer(0..=65_536)? as u32;
    Ok(())
}

fn h2_frame(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.http2_max_frame_size = arguments.integer(16_384..=16_777_215)? as u32;
    Ok(())
}

fn maxrewrite(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.maxrewrite = arguments.positive()? as usize;
    Ok(())
}

fn maxhdr(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.http_maxhdr = arguments.integer(1..=32_767)? as usize;
    Ok(())
}

fn cookielen(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.http_cookielen = arguments.count()? as usize;
    Ok(())
}

fn logurilen(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    // 0 is what some write for the default.
    let length = arguments.count()? as usize;
    if length > 0 {
        draft.global.tune.http_logurilen = length;
    }
    Ok(())
}

fn maxaccept(_: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.integer(-1..=i64::from(i32::MAX)).map(drop)
}

fn comp_maxlevel(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.tune.comp_maxlevel = arguments.integer(1..=9)? as u32;
    Ok(())
}

fn idle_pool_shared(_: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.switch().map(drop)
}

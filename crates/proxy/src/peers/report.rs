//! `show peers`. Where HAProxy prints addresses of its memory ours has numbers that are unique.

use super::section::{Peer, Section};
use super::{Question, Surroundings};
use crate::listen;
use peers::{Session, TableView};
use rules::log_format::DateCache;
use std::fmt::Write;
use std::rc::Rc;
use std::time::Instant;

/// Flags of a section, as HAProxy numbers them: learned from the predecessor, from others, nobody taught in time.
const LOCAL_DONE: u32 = 1;
const REMOTE_DONE: u32 = 2;
const TIMED_OUT: u32 = 0x80;

pub fn report(around: &Surroundings, sections: &[Rc<Section>], question: &Question) -> String {
    let mut out = String::new();
    let now = Instant::now();
    for (index, settings) in around.model.peers.iter().enumerate() {
        if question.section.as_ref().is_some_and(|name| *name != settings.name) {
            continue;
        }
        let Some(section) = sections.iter().find(|section| section.name == settings.name) else { continue };
        // Writing to a `String` cannot fail.
        let _ = write_section(&mut out, around, index, section, question.with_dictionaries, now);
    }
    out
}

fn write_section(
    out: &mut String,
    around: &Surroundings,
    index: usize,
    section: &Section,
    with_dictionaries: bool,
    now: Instant,
) -> std::fmt::Result {
    let resync = section.resync.borrow();
    let mut flags = if resync.is_done() { LOCAL_DONE | REMOTE_DONE } else { 0 };
    if resync.has_timed_out() {
        flags |= TIMED_OUT;
    }
    let timeout = match resync.poll_timeout() {
        Some(at) if at > now => format!("{}s", at.duration_since(now).as_secs()),
        Some(_) | None => "<PAST>".to_owned(),
    };
    let mut date = Vec::new();
    DateCache::new(around.zone.clone()).put_local_ms(around.clock.wall(now), &mut date);
    // Without the milliseconds.
    let date = String::from_utf8_lossy(&date[..date.len().saturating_sub(4)]).into_owned();
    writeln!(
        out,
        "{:#x}: [{date}] id={} disabled=0 flags={flags:#x} resync_timeout={timeout} task_calls=0",
        (index + 1) << 16,
        section.name
    )?;
    let settings = &around.model.peers[index];
    // The latest line first, as HAProxy.
    for (place, peer) in section.peers.iter().enumerate().rev() {
        let address = settings.peers[place].address.as_ref();
        write_peer(
            out,
            section,
            peer,
            (index + 1) << 16 | (place + 1) << 8,
            address,
            with_dictionaries,
            now,
        )?;
    }
    Ok(())
}

fn write_peer(
    out: &mut String,
    section: &Section,
    peer: &Peer,
    number: usize,
    address: Option<&haproxy_config::model::Address>,
    with_dictionaries: bool,
    now: Instant,
) -> std::fmt::Result {
    let active = peer.session.borrow();
    let since = |at: Option<Instant>| {
        at.map_or("<NEVER>".to_owned(), |at| format!("{}s", now.saturating_duration_since(at).as_secs()))
    };
    let until = |at: Option<Instant>| match at {
        None => "<NEVER>".to_owned(),
        Some(at) => {
            at.checked_duration_since(now).map_or("<PAST>".to_owned(), |left| format!("{}s", left.as_secs()))
        }
    };
    let heartbeat = active.as_ref().map(|active| active.session.borrow().poll_timeout());
    writeln!(
        out,
        "  {number:#x}: id={}({},{}) addr={} last_status={} last_hdshk={}",
        peer.name,
        if peer.is_local { "local" } else { "remote" },
        if active.is_some() { "active" } else { "inactive" },
        address.map_or_else(|| "-".to_owned(), listen::display),
        peer.last_status.get(),
        since(peer.last_handshake.get()),
    )?;
    let counters = &peer.counters;
    writeln!(
        out,
        "        reconnect={} heartbeat={} confirm=0 tx_hbt={} rx_hbt={} no_hbt={} new_conn={} proto_err={} coll={}",
        until(peer.next_try.get()),
        until(heartbeat),
        counters.heartbeats_sent.get(),
        counters.heartbeats_received.get(),
        counters.silences.get(),
        counters.connections.get(),
        counters.protocol_errors.get(),
        counters.collisions.get(),
    )?;
    write!(out, "        flags=0x0")?;
    if let Some(active) = &*active {
        writeln!(out, " appctx:{:#x} st0=7 st1=0 task_calls=0 state=EST", active.number)?;
        if let Some(from) = &active.accepted_from {
            let own = address.map_or_else(|| "-".to_owned(), |_| own_address(section));
            writeln!(out, "        xprt=RAW src={from} addr={own}")?;
        }
        let session = active.session.borrow();
        write_tables(
            out,
            section,
            number,
            &session.views().collect::<Vec<_>>(),
            Some((&session, with_dictionaries)),
        )?;
    } else {
        writeln!(out)?;
        let views: Vec<TableView> = (0..section.tables.len())
            .map(|place| TableView { local_number: place + 1, ..TableView::default() })
            .collect();
        write_tables(out, section, number, &views, None)?;
    }
    Ok(())
}

fn own_address(section: &Section) -> String {
    let own = section.peers.iter().find(|peer| peer.is_local).and_then(|peer| peer.target.as_ref());
    match own {
        Some(crate::state::Target::Inet(address)) => address.to_string(),
        Some(crate::state::Target::Unix(path)) => path.display().to_string(),
        Some(crate::state::Target::Abstract(_)) | None => "-".to_owned(),
    }
}

fn write_tables(
    out: &mut String,
    section: &Section,
    number: usize,
    views: &[TableView],
    session: Option<(&Session, bool)>,
) -> std::fmt::Result {
    if let Some((session, _)) = session {
        let (remote, ours) = session.current_tables();
        for (label, place) in [("remote_table", remote), ("last_local_table", ours)] {
            if let Some(view) = place.and_then(|place| views.get(place)) {
                writeln!(
                    out,
                    "        {label}:{:#x} id={} local_id={} remote_id={}",
                    number | view.local_number,
                    section.table_names[view.local_number - 1],
                    view.local_number,
                    view.remote_number
                )?;
            }
        }
    }
    if views.is_empty() {
        return Ok(());
    }
    writeln!(out, "        shared tables:")?;
    for view in views.iter().rev() {
        let place = view.local_number - 1;
        let latest = section.tables[place].table.latest_change();
        writeln!(
            out,
            "          {:#x} local_id={} remote_id={} flags=0x0 remote_data={:#x}",
            number | view.local_number,
            view.local_number,
            view.remote_number,
            view.remote_types
        )?;
        writeln!(
            out,
            "              last_acked={} last_pushed={} last_get={} teaching_origin=0 update={}",
            view.last_acknowledged, view.last_pushed, view.last_received, view.last_pushed
        )?;
        writeln!(
            out,
            "              table:{:#x} id={} update={latest} localupdate={latest} commitupdate={latest} refcnt=1",
            view.local_number, section.table_names[place]
        )?;
        match session {
            Some((session, true)) => write_dictionaries(out, session)?,
            Some((_, false)) | None => {
                writeln!(out, "        Dictionary cache not dumped (use \"show peers dict\")")?;
            }
        }
    }
    Ok(())
}

fn write_dictionaries(out: &mut String, session: &Session) -> std::fmt::Result {
    const PER_LINE: usize = 4;
    const PLACES: usize = 128;
    let sent = session.sent_keys();
    let mut write_places = |label: &str, places: usize, text: &dyn Fn(usize) -> String| {
        write!(out, "        {label} dictionary cache:")?;
        for place in 0..places {
            if place % PER_LINE == 0 {
                write!(out, "\n        ")?;
            }
            write!(out, "  {place:>3} -> {}", text(place))?;
        }
        writeln!(out)
    };
    write_places("TX", sent.len(), &|place| sent[place].to_string())?;
    let received = session.received_keys();
    write_places("RX", PLACES, &|place| {
        received.get(place).cloned().flatten().map_or("-".to_owned(), |key| key.to_string())
    })
}

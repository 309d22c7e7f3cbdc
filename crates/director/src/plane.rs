//! Which plane carries the packets: the kernel's IPVS where it is there, else our own XDP programs. Owns the choice, and
//! what must be done all the time for the programs.

use crate::advice::Advice;
use crate::control::{self, Log, listen};
use crate::dataplane::{Dataplane, Ipvs};
use crate::kernel::Refusal;
use crate::table::{Change, Table};
use crate::xdp::{Options, Xdp, XdpMode};
use netlink::ipvs::{Reply, Request};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often the programs' flows are looked after.
const TICK: Duration = Duration::from_millis(200);
/// How often the kernel is made to look whether it still knows the link addresses of real servers.
const NEIGHBOURS: Duration = Duration::from_secs(15);
/// `ENOPROTOOPT`: the kernel has no IPVS.
const PROTOCOL_NOT_AVAILABLE: i32 = 92;
/// RFC 863.
const DISCARD: u16 = 9;

/// The plane that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// IPVS where the kernel has it, else XDP.
    #[default]
    Automatic,
    Ipvs,
    Xdp,
}

/// How the plane is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    pub choice: Choice,
    /// Whose packets the programs take; none: every Ethernet interface that is up.
    pub interfaces: Vec<String>,
    /// The programs run in the driver, before the kernel has a packet: where the driver can.
    pub is_native: bool,
    pub options: Options,
    /// Where the programs' plane is asked.
    pub socket: PathBuf,
    /// Whether what the programs know stays when the director ends.
    pub stays: bool,
}

/// The plane, and our programs where it is made of them.
pub struct Plane {
    pub dataplane: Box<dyn Dataplane>,
    pub xdp: Option<Tended>,
}

/// Programs that must be tended.
pub struct Tended {
    plane: Rc<RefCell<Xdp>>,
    advice: RefCell<Advice>,
    socket: PathBuf,
    stays: bool,
}

/// One of the two who change the table: the director and those that ask at the socket.
struct Shared(Rc<RefCell<Xdp>>);

impl Dataplane for Shared {
    fn read(&mut self) -> Result<Table, Refusal> {
        self.0.borrow_mut().read()
    }

    fn apply(&mut self, change: &Change) -> Result<(), Refusal> {
        self.0.borrow_mut().apply(change)
    }

    fn apply_all(&mut self, changes: &[Change]) -> Vec<(usize, Refusal)> {
        self.0.borrow_mut().apply_all(changes)
    }
}

/// Opens the plane that is wanted and there.
///
/// # Errors
/// The wanted plane is not there, or an interface cannot be taken.
pub fn open(settings: &Settings) -> Result<Plane, Refusal> {
    let ipvs = match settings.choice {
        Choice::Automatic | Choice::Ipvs => Ipvs::open(),
        Choice::Xdp => return xdp(settings),
    };
    match ipvs {
        Ok(ipvs) => Ok(Plane { dataplane: Box::new(ipvs), xdp: None }),
        Err(refusal)
            if settings.choice == Choice::Automatic && refusal.errno() == Some(PROTOCOL_NOT_AVAILABLE) =>
        {
            xdp(settings)
        }
        Err(refusal) => Err(refusal),
    }
}

fn xdp(settings: &Settings) -> Result<Plane, Refusal> {
    let mut plane = Xdp::load(&settings.options)?;
    let mode = if settings.is_native { XdpMode::Driver } else { XdpMode::Skb };
    let found = if settings.interfaces.is_empty() { interfaces() } else { settings.interfaces.clone() };
    if found.is_empty() {
        return Err(Refusal::Unsupported("a host without an Ethernet interface that is up"));
    }
    for interface in &found {
        plane.attach(interface, mode).map_err(|refusal| {
            Refusal::Socket(std::io::Error::other(format!("interface {interface}: {refusal}")))
        })?;
    }
    let plane = Rc::new(RefCell::new(plane));
    let advice = RefCell::new(Advice::new(found, settings.is_native));
    let tended = Tended { plane, advice, socket: settings.socket.clone(), stays: settings.stays };
    Ok(Plane { dataplane: tended.dataplane(), xdp: Some(tended) })
}

/// Ethernet interfaces that are up.
fn interfaces() -> Vec<String> {
    const ETHERNET: &str = "1";
    const UP: u32 = 1;
    let Ok(entries) = std::fs::read_dir("/sys/class/net") else { return Vec::new() };
    let is_one = |folder: &Path| {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let flags = u32::from_str_radix(read("flags").trim().trim_start_matches("0x"), 16).unwrap_or(0);
        // A bridge's packets are seen at its ports.
        read("type").trim() == ETHERNET && flags & UP != 0 && !folder.join("bridge").exists()
    };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| is_one(&entry.path()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

impl Tended {
    /// Asks it as the kernel is asked, from within its own process.
    ///
    /// # Errors
    /// What the plane refuses.
    pub fn ask(&self, request: &Request<'_>) -> Result<Vec<Reply>, Refusal> {
        control::ask(&self.plane, request)
    }

    /// One more who changes the table.
    pub fn dataplane(&self) -> Box<dyn Dataplane> {
        Box::new(Shared(Rc::clone(&self.plane)))
    }

    /// Forgets silent flows, keeps neighbours known and answers at the socket, as long as it is polled. Needs a local
    /// task set.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub async fn tend(&self, log: Log) -> std::io::Result<()> {
        tokio::select! {
            result = listen(Rc::clone(&self.plane), &self.socket, Rc::clone(&log)) => result,
            () = self.look_after(&log) => Ok(()),
        }
    }

    async fn look_after(&self, log: &Log) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut neighbours = Instant::now();
        let mut known = BTreeSet::new();
        let mut told = String::new();
        loop {
            interval.tick().await;
            let now = Instant::now();
            if let Err(refusal) = self.plane.borrow_mut().tick(now) {
                // The same trouble five times a second is told once.
                let text = format!("flows are not looked after: {refusal}");
                if text != told {
                    log(&text);
                    told = text;
                }
            }
            for line in self.advice.borrow_mut().lines(&self.plane.borrow()) {
                log(&line);
            }
            let next_hops = self.plane.borrow().next_hops();
            if now >= neighbours {
                neighbours = now + NEIGHBOURS;
                known.clear();
            }
            next_hops.difference(&known).copied().for_each(remind);
            known = next_hops;
        }
    }

    /// Ends the plane, unless it stays: its programs, maps and socket.
    ///
    /// # Errors
    /// The pins cannot be removed.
    pub fn end(self) -> Result<(), Refusal> {
        self.finish(false)
    }

    /// The same for one that is shared; `stays` in place of the settings' no.
    ///
    /// # Errors
    /// The pins cannot be removed.
    pub fn finish(&self, stays: bool) -> Result<(), Refusal> {
        let _ = std::fs::remove_file(&self.socket);
        if self.stays || stays {
            return Ok(());
        }
        self.plane.borrow_mut().remove()
    }
}

/// Makes the kernel find out a real server's link address, or look whether it is still the same: the programs only read
/// what it knows. An empty datagram to the discard port.
fn remind(address: IpAddr) {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    if let Ok(socket) = UdpSocket::bind(SocketAddr::new(any, 0)) {
        // No way there: the programs count it.
        let _ = socket.send_to(&[], SocketAddr::new(address, DISCARD));
    }
}

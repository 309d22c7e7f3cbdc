//! The eBPF object in the kernel: its programs, its maps as bytes, and the pins under which both outlive us. Owns the
//! folder of pins.
//!
//! ```text
//!  /sys/fs/bpf/hawser/  SERVICES, FLOWS_4, …   the maps, by name
//!                       link-eth0              what ties the program to an interface
//! ```

use crate::kernel::Refusal;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::XdpLink;
use aya::programs::{Xdp as Program, XdpMode};
use aya::{Ebpf, EbpfLoader};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use sys::bpf::Map;
use xdp_abi::{LAYOUT, PROGRAM, Settings, maps};

/// Built by `cargo xtask xdp`, and checked in.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../xdp/director.bpf.o");

/// Of the pin of a link, before the interface's name.
const LINK: &str = "link-";

/// The maps, each by its name in [`maps`].
#[derive(Debug)]
pub struct Maps(BTreeMap<&'static str, Map>);

impl Maps {
    /// One of [`maps::ALL`].
    pub fn get(&self, name: &'static str) -> &Map {
        // All are opened when the object is loaded.
        &self.0[name]
    }
}

/// What was loaded.
pub struct Object {
    ebpf: Ebpf,
    pub maps: Maps,
    pins: Option<PathBuf>,
    /// Links that end with us, unless they are pinned too.
    links: Vec<PinnedLink>,
}

pub fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Socket(std::io::Error::other(error.to_string()))
}

impl Object {
    /// Loads the programs; the maps are those that are pinned in `pins`, where there are any of our layout.
    ///
    /// # Errors
    /// The kernel refuses the programs, or we may not load any (CAP_BPF, CAP_NET_ADMIN).
    pub fn load(flows_max: u32, templates_max: u32, pins: Option<&Path>) -> Result<Self, Refusal> {
        if let Some(folder) = pins {
            std::fs::create_dir_all(folder)?;
            if !is_ours(folder) {
                clear(folder)?;
            }
        }
        let mut loader = EbpfLoader::new();
        loader
            .map_max_entries(maps::FLOWS_4, flows_max)
            .map_max_entries(maps::FLOWS_6, flows_max)
            .map_max_entries(maps::TEMPLATES, templates_max);
        if let Some(folder) = pins {
            for name in maps::ALL {
                loader.map_pin_path(name, folder.join(name));
            }
        }
        let mut ebpf = loader.load(OBJECT).map_err(failed)?;
        program(&mut ebpf)?.load().map_err(failed)?;
        let mut opened = BTreeMap::new();
        for name in maps::ALL {
            let map = ebpf.map(name).ok_or(Refusal::Unsupported("this object"))?;
            opened.insert(name, Map::of(data(map)?.fd().as_fd())?);
        }
        Ok(Self { ebpf, maps: Maps(opened), pins: pins.map(Path::to_owned), links: Vec::new() })
    }

    pub fn program(&mut self) -> Result<&mut Program, Refusal> {
        program(&mut self.ebpf)
    }

    /// Takes the packets of an interface. Where a pinned link is there, its program is replaced without a packet between.
    ///
    /// # Errors
    /// The interface is not there, or has a program already.
    pub fn attach(&mut self, interface: &str, mode: XdpMode) -> Result<(), Refusal> {
        let pin = self.pins.as_ref().map(|folder| folder.join(format!("{LINK}{interface}")));
        if let Some(pin) = &pin
            && pin.exists()
        {
            let link = FdLink::from(PinnedLink::from_pin(pin).map_err(failed)?);
            let link = XdpLink::try_from(link).map_err(failed)?;
            match self.program()?.attach_to_link(link) {
                Ok(_) => {
                    self.links.push(PinnedLink::from_pin(pin).map_err(failed)?);
                    return Ok(());
                }
                // The interface has gone, and perhaps another has its name.
                Err(_) => std::fs::remove_file(pin)?,
            }
        }
        let program = self.program()?;
        let link = program.attach(interface, mode).map_err(failed)?;
        if let Some(pin) = pin {
            let link = program.take_link(link).map_err(failed)?;
            let link = FdLink::try_from(link).map_err(failed)?;
            self.links.push(link.pin(pin).map_err(failed)?);
        }
        Ok(())
    }

    /// Removes the pins: programs and maps end with us.
    ///
    /// # Errors
    /// The folder cannot be cleared.
    pub fn unpin(&mut self) -> Result<(), Refusal> {
        self.links.clear();
        if let Some(folder) = self.pins.take() {
            clear(&folder)?;
            std::fs::remove_dir(&folder)?;
        }
        Ok(())
    }
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Program, Refusal> {
    let program = ebpf.program_mut(PROGRAM).ok_or(Refusal::Unsupported("this object"))?;
    program.try_into().map_err(failed)
}

fn data(map: &aya::maps::Map) -> Result<&aya::maps::MapData, Refusal> {
    use aya::maps::Map::{Array, HashMap, LruHashMap, PerCpuArray};
    match map {
        Array(data) | HashMap(data) | LruHashMap(data) | PerCpuArray(data) => Ok(data),
        _ => Err(Refusal::Unsupported("this object")),
    }
}

/// Whether the pinned maps are of this layout: what another version left is not read.
fn is_ours(folder: &Path) -> bool {
    let Ok(map) = aya::maps::MapData::from_pin(folder.join(maps::SETTINGS)) else { return false };
    let Ok(map) = Map::of(map.fd().as_fd()) else { return false };
    let settings = map.get(&0_u32.to_ne_bytes()).ok().flatten();
    settings.and_then(|bytes| Settings::read(&bytes)).is_some_and(|settings| settings.layout == LAYOUT)
        && maps::ALL.iter().all(|name| folder.join(name).exists())
}

fn clear(folder: &Path) -> Result<(), Refusal> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if maps::ALL.contains(&name.as_ref()) || name.starts_with(LINK) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

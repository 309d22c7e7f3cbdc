//! What lies in the maps. Every structure is without padding, so that the kernel copies nothing undefined; the director
//! reads and writes them as bytes.

/// Lays fields out one after the other, and reads them back.
macro_rules! layout {
    ($(#[$meta:meta])* $name:ident, $length:literal, { $($(#[$note:meta])* $field:ident: $kind:tt),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(C)]
        pub struct $name {
            $($(#[$note])* pub $field: layout!(@type $kind),)+
        }

        impl $name {
            pub const LENGTH: usize = $length;

            /// As it lies in the map.
            pub fn bytes(&self) -> [u8; $length] {
                let mut bytes = [0; $length];
                let mut at = 0;
                $({
                    let part = layout!(@bytes $kind, self.$field);
                    bytes[at..at + part.len()].copy_from_slice(&part);
                    at += part.len();
                })+
                let _ = at;
                bytes
            }

            /// From the map; `None` when there are too few bytes.
            pub fn read(bytes: &[u8]) -> Option<Self> {
                let mut at = 0;
                $(
                    let part = bytes.get(at..at + size_of::<layout!(@type $kind)>())?;
                    let $field = layout!(@read $kind, part.try_into().ok()?);
                    at += part.len();
                )+
                let _ = at;
                Some(Self { $($field),+ })
            }
        }

        const _: () = assert!(core::mem::size_of::<$name>() == $length);
    };
    (@type u8) => { u8 };
    (@type u16) => { u16 };
    (@type words) => { [u32; 4] };
    (@type u32) => { u32 };
    (@type u64) => { u64 };
    (@bytes u8, $value:expr) => { [$value] };
    (@bytes u16, $value:expr) => { $value.to_ne_bytes() };
    (@bytes words, $value:expr) => { bytes_of($value) };
    (@bytes u32, $value:expr) => { $value.to_ne_bytes() };
    (@bytes u64, $value:expr) => { $value.to_ne_bytes() };
    (@read u8, $part:expr) => {{ let part: [u8; 1] = $part; part[0] }};
    (@read u16, $part:expr) => { u16::from_ne_bytes($part) };
    (@read words, $part:expr) => { words_of($part) };
    (@read u32, $part:expr) => { u32::from_ne_bytes($part) };
    (@read u64, $part:expr) => { u64::from_ne_bytes($part) };
}

layout!(
    /// Which packets a service takes. A port of 0 is every port.
    ServiceKey, 20, {
        address: words,
        port: u16,
        protocol: u8,
        /// 4 or 6.
        family: u8,
    }
);

layout!(
    /// A service.
    Service, 60, {
        /// Whose record this is: a number that came from an entry being replaced is noticed.
        address: words,
        port: u16,
        protocol: u8,
        family: u8,
        /// Its place in `TURNS` and `LOCALITIES`.
        number: u32,
        first_slot: u32,
        /// 0: no real server serves.
        slots: u32,
        /// One of [`crate::choice`].
        choice: u8,
        /// Of [`crate::service_flag`].
        flags: u8,
        /// The place of the scheduler's name, for the director alone.
        scheduler: u8,
        nothing: u8,
        /// Seconds that a client stays with its real server; 0: flows are on their own.
        persistence: u32,
        /// How clients are grouped.
        netmask: words,
        /// As IPVS numbers them, for the director alone.
        ipvs_flags: u32,
    }
);

layout!(
    /// A real server.
    Real, 60, {
        address: words,
        /// The outer source of a tunnel, in the family of `address`.
        source: words,
        /// 0: that of the packet.
        port: u16,
        /// One of [`crate::forward`].
        forward: u8,
        /// Of `address`: 4 or 6.
        family: u8,
        /// The number of its service.
        service: u32,
        weight: u32,
        /// Connections at which new ones stop; 0 for no limit.
        upper: u32,
        /// Connections below which they start again; 0: three quarters of `upper`.
        lower: u32,
        /// Of a tunnel over UDP.
        tunnel_port: u16,
        /// Whether the outer UDP header has a checksum.
        tunnel_checksum: u8,
        nothing: u8,
        /// Later ones come first.
        order: u32,
    }
);

layout!(
    /// A client of a persistent service.
    TemplateKey, 20, {
        address: words,
        service: u32,
    }
);

layout!(
    Template, 8, {
        real: u32,
        /// The tick of its last new flow, or at which one of its flows was found alive.
        seen: u32,
    }
);

layout!(
    /// Connections of a real server, as the programs count them up and down. What the director found expired is in a
    /// second map, to be subtracted: each map has one writer.
    Load, 12, {
        active: u32,
        inactive: u32,
        /// Not 0 from reaching the upper threshold until falling below the lower one.
        overloaded: u32,
    }
);

layout!(
    /// What a real server was sent and answered.
    Statistics, 40, {
        connections: u64,
        packets_in: u64,
        packets_out: u64,
        bytes_in: u64,
        bytes_out: u64,
    }
);

layout!(
    /// What all programs go by.
    Settings, 20, {
        /// Not 0 where a service of every port is.
        has_every_port: u32,
        /// The layout of all maps, for the director alone.
        layout: u32,
        /// Seconds, for the director alone.
        timeout_tcp: u32,
        timeout_tcp_fin: u32,
        timeout_udp: u32,
    }
);

/// Words as they lie in memory.
pub fn bytes_of(words: [u32; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (part, word) in bytes.chunks_exact_mut(4).zip(words) {
        part.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// Bytes as words that lie in memory so.
pub fn words_of(bytes: [u8; 16]) -> [u32; 4] {
    let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    [word(0), word(4), word(8), word(12)]
}

/// The ends of a flow, in the direction that the packet goes. `A` is one word or four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct FlowKey<A> {
    pub source: A,
    pub destination: A,
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u32,
}

/// What is known of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Flow<A> {
    /// The tick of its last packet.
    pub seen: u32,
    /// Its place in `REALS`.
    pub real: u32,
    /// One of [`crate::state`].
    pub state: u8,
    /// One of [`crate::direction`].
    pub direction: u8,
    /// Of an answer: the service's port and address, as the client knows them.
    pub port: u16,
    pub address: A,
}

const _: () = assert!(size_of::<FlowKey<u32>>() == 16 && size_of::<FlowKey<[u32; 4]>>() == 40);
const _: () = assert!(size_of::<Flow<u32>>() == 16 && size_of::<Flow<[u32; 4]>>() == 28);

/// One word or four.
pub trait Address: Copy + Eq {
    const LENGTH: usize;
    /// Four words; those that are not there are 0.
    fn wide(self) -> [u32; 4];
    fn narrow(words: [u32; 4]) -> Self;
    /// `bytes` are at least [`Address::LENGTH`].
    fn read(bytes: &[u8]) -> Self {
        let mut whole = [0; 16];
        whole[..Self::LENGTH].copy_from_slice(&bytes[..Self::LENGTH]);
        Self::narrow(words_of(whole))
    }
}

impl Address for u32 {
    const LENGTH: usize = 4;

    fn wide(self) -> [u32; 4] {
        [self, 0, 0, 0]
    }

    fn narrow(words: [u32; 4]) -> Self {
        words[0]
    }
}

impl Address for [u32; 4] {
    const LENGTH: usize = 16;

    fn wide(self) -> [u32; 4] {
        self
    }

    fn narrow(words: [u32; 4]) -> Self {
        words
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl<A: Address> FlowKey<A> {
    pub const LENGTH: usize = 2 * A::LENGTH + 8;

    /// Writes it as it lies in the map into the first [`FlowKey::LENGTH`] of `bytes`.
    pub fn write(&self, bytes: &mut [u8; 40]) {
        let ends = 2 * A::LENGTH;
        bytes[..A::LENGTH].copy_from_slice(&bytes_of(self.source.wide())[..A::LENGTH]);
        bytes[A::LENGTH..ends].copy_from_slice(&bytes_of(self.destination.wide())[..A::LENGTH]);
        bytes[ends..ends + 2].copy_from_slice(&self.source_port.to_ne_bytes());
        bytes[ends + 2..ends + 4].copy_from_slice(&self.destination_port.to_ne_bytes());
        bytes[ends + 4..ends + 8].copy_from_slice(&self.protocol.to_ne_bytes());
    }

    /// From the map; `None` when there are too few bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::LENGTH)?;
        let ends = 2 * A::LENGTH;
        Some(Self {
            source: A::read(bytes),
            destination: A::read(&bytes[A::LENGTH..]),
            source_port: u16_at(bytes, ends),
            destination_port: u16_at(bytes, ends + 2),
            protocol: u32_at(bytes, ends + 4),
        })
    }
}

impl<A: Address> Flow<A> {
    pub const LENGTH: usize = 12 + A::LENGTH;

    /// Writes it as it lies in the map into the first [`Flow::LENGTH`] of `bytes`.
    pub fn write(&self, bytes: &mut [u8; 28]) {
        bytes[..4].copy_from_slice(&self.seen.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.real.to_ne_bytes());
        bytes[8..10].copy_from_slice(&[self.state, self.direction]);
        bytes[10..12].copy_from_slice(&self.port.to_ne_bytes());
        bytes[12..12 + A::LENGTH].copy_from_slice(&bytes_of(self.address.wide())[..A::LENGTH]);
    }

    /// From the map; `None` when there are too few bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::LENGTH)?;
        Some(Self {
            seen: u32_at(bytes, 0),
            real: u32_at(bytes, 4),
            state: bytes[8],
            direction: bytes[9],
            port: u16_at(bytes, 10),
            address: A::read(&bytes[12..]),
        })
    }
}

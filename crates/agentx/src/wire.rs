//! Numbers and strings in a packet: either byte order in, all of it padded to four bytes.

use std::fmt;

/// Byte order of a packet, which each one says in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Big,
    Little,
}

/// Why a packet is none. The peer's fault; the session ends with it, for where the next one begins is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Another version than 1.
    Version(u8),
    /// No type that a sub-agent hears.
    Type(u8),
    /// The length is no multiple of four, or beyond [`crate::PAYLOAD_LENGTH_MAX`].
    Length(u32),
    /// It ends before what it says is in it.
    Short,
    /// Bytes behind its end.
    Trailing,
    /// A name of more than 128 sub-identifiers.
    Name,
    /// No type of a value.
    Value(u16),
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(formatter, "a packet of version {version}"),
            Self::Type(kind) => write!(formatter, "a packet of type {kind}"),
            Self::Length(length) => write!(formatter, "a packet of {length} bytes"),
            Self::Short => formatter.write_str("a packet that is too short for what is in it"),
            Self::Trailing => formatter.write_str("bytes behind the end of a packet"),
            Self::Name => formatter.write_str("a name that is too long"),
            Self::Value(kind) => write!(formatter, "a value of type {kind}"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    order: Order,
}

impl<'a> Reader<'a> {
    pub fn new(rest: &'a [u8], order: Order) -> Self {
        Self { rest, order }
    }

    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(*array)
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        let bytes = self.array()?;
        Ok(match self.order {
            Order::Big => u16::from_be_bytes(bytes),
            Order::Little => u16::from_le_bytes(bytes),
        })
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.array()?;
        Ok(match self.order {
            Order::Big => u32::from_be_bytes(bytes),
            Order::Little => u32::from_le_bytes(bytes),
        })
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        let bytes = self.array()?;
        Ok(match self.order {
            Order::Big => u64::from_be_bytes(bytes),
            Order::Little => u64::from_le_bytes(bytes),
        })
    }

    /// A string with its length before it and padding behind (section 5.3).
    pub fn octets(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed::Short)?;
        let padded = length.checked_next_multiple_of(4).ok_or(Malformed::Short)?;
        let (padded, rest) = self.rest.split_at_checked(padded).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(&padded[..length])
    }
}

#[derive(Debug)]
pub(crate) struct Writer {
    pub out: Vec<u8>,
    order: Order,
}

impl Writer {
    pub fn new(order: Order) -> Self {
        Self { out: Vec::new(), order }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub fn u16(&mut self, number: u16) {
        match self.order {
            Order::Big => self.bytes(&number.to_be_bytes()),
            Order::Little => self.bytes(&number.to_le_bytes()),
        }
    }

    pub fn u32(&mut self, number: u32) {
        match self.order {
            Order::Big => self.bytes(&number.to_be_bytes()),
            Order::Little => self.bytes(&number.to_le_bytes()),
        }
    }

    pub fn u64(&mut self, number: u64) {
        match self.order {
            Order::Big => self.bytes(&number.to_be_bytes()),
            Order::Little => self.bytes(&number.to_le_bytes()),
        }
    }

    /// Beyond 4 GiB there is no string here: values are bounded where they are made.
    pub fn octets(&mut self, octets: &[u8]) {
        self.u32(u32::try_from(octets.len()).unwrap_or(u32::MAX));
        self.bytes(octets);
        let padding = octets.len().next_multiple_of(4) - octets.len();
        self.bytes(&[0; 3][..padding]);
    }
}

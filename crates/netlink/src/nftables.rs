//! nftables transactions: a table with a set of addresses and the chains that drop what goes to or comes from them.
//! Knows the handful of expressions that this needs.

use crate::wire::{ACKNOWLEDGE, APPEND, CREATE, Message, NESTED, REQUEST};
use crate::{FAMILY_IPV6, octets};
use std::net::IpAddr;

const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEW_TABLE: u16 = SUBSYSTEM;
const REMOVE_TABLE: u16 = SUBSYSTEM | 2;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const NEW_SET: u16 = SUBSYSTEM | 9;
const NEW_ELEMENT: u16 = SUBSYSTEM | 12;
const REMOVE_ELEMENT: u16 = SUBSYSTEM | 14;

const LIST_ELEMENT: u16 = 1;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const REGISTER_VERDICT: u32 = 0;
const REGISTER: u32 = 1;
const BASE_NETWORK: u32 = 1;
const BASE_TRANSPORT: u32 = 2;
const META_L4_PROTOCOL: u32 = 16;

/// `NF_DROP` and `NF_ACCEPT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Drop,
    Accept,
}

/// Where a chain hooks in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Input,
    Output,
}

/// Which address of a packet is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Destination,
}

/// A transaction: all of it happens, or nothing.
#[derive(Debug, Clone)]
pub struct Batch {
    bytes: Vec<u8>,
    /// `AF_INET` or `AF_INET6`.
    family: u8,
    sequence: u32,
}

impl Batch {
    /// `sequence` numbers the first message; each further one counts up.
    pub fn new(family: u8, sequence: u32) -> Self {
        let bytes = Message::new(BATCH_BEGIN, REQUEST, sequence, &[0, 0, 0, 10]).finish();
        Self { bytes, family, sequence }
    }

    fn add(&mut self, kind: u16, flags: u16, write: impl FnOnce(&mut Message)) -> &mut Self {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = std::mem::take(&mut self.bytes);
        let flags = REQUEST | ACKNOWLEDGE | flags;
        let mut message = Message::append(bytes, kind, flags, self.sequence, &[self.family, 0, 0, 0]);
        write(&mut message);
        self.bytes = message.finish();
        self
    }

    pub fn add_table(&mut self, table: &str) -> &mut Self {
        self.add(NEW_TABLE, CREATE, |message| {
            message.attribute_text(1, table);
        })
    }

    /// Removes the table and all that it holds.
    pub fn remove_table(&mut self, table: &str) -> &mut Self {
        self.add(REMOVE_TABLE, 0, |message| {
            message.attribute_text(1, table);
        })
    }

    /// A set of addresses of the batch's family.
    pub fn add_set(&mut self, table: &str, set: &str) -> &mut Self {
        let (kind, length) = if self.family == FAMILY_IPV6 { (8, 16) } else { (7, 4) };
        let identifier = self.sequence;
        self.add(NEW_SET, CREATE, |message| {
            message.attribute_text(1, table).attribute_text(2, set).attribute_be32(3, 0);
            message.attribute_be32(4, kind).attribute_be32(5, length).attribute_be32(10, identifier);
        })
    }

    /// A base chain of type filter that accepts by default.
    pub fn add_chain(&mut self, table: &str, chain: &str, hook: Hook, priority: i32) -> &mut Self {
        self.add(NEW_CHAIN, CREATE, |message| {
            message.attribute_text(1, table).attribute_text(3, chain);
            message.nest(NESTED | 4, |nested| {
                let number = match hook {
                    Hook::Input => 1,
                    Hook::Output => 3,
                };
                nested.attribute_be32(1, number).attribute_be32(2, priority.cast_unsigned());
            });
            message.attribute_be32(5, 1).attribute_text(7, "filter");
        })
    }

    /// `ip saddr|daddr @set VERDICT`.
    pub fn add_lookup(
        &mut self,
        table: &str,
        chain: &str,
        side: Side,
        set: &str,
        verdict: Verdict,
    ) -> &mut Self {
        let (offset, length) = match (self.family == FAMILY_IPV6, side) {
            (false, Side::Source) => (12, 4),
            (false, Side::Destination) => (16, 4),
            (true, Side::Source) => (8, 16),
            (true, Side::Destination) => (24, 16),
        };
        self.add(NEW_RULE, CREATE | APPEND, |message| {
            message.attribute_text(1, table).attribute_text(2, chain);
            message.nest(NESTED | 4, |list| {
                payload(list, BASE_NETWORK, offset, length);
                expression(list, "lookup", |data| {
                    data.attribute_text(1, set).attribute_be32(2, REGISTER);
                });
                immediate(list, verdict);
            });
        })
    }

    /// `icmpv6 type KIND VERDICT`.
    pub fn add_icmpv6(&mut self, table: &str, chain: &str, kind: u8, verdict: Verdict) -> &mut Self {
        const ICMPV6: u8 = 58;
        self.add(NEW_RULE, CREATE | APPEND, |message| {
            message.attribute_text(1, table).attribute_text(2, chain);
            message.nest(NESTED | 4, |list| {
                expression(list, "meta", |data| {
                    data.attribute_be32(1, REGISTER).attribute_be32(2, META_L4_PROTOCOL);
                });
                equals(list, ICMPV6);
                payload(list, BASE_TRANSPORT, 0, 1);
                equals(list, kind);
                immediate(list, verdict);
            });
        })
    }

    /// Puts addresses into a set, or takes them out. Those of the other family are left out.
    pub fn change_elements(
        &mut self,
        table: &str,
        set: &str,
        addresses: &[IpAddr],
        present: bool,
    ) -> &mut Self {
        let kind = if present { NEW_ELEMENT } else { REMOVE_ELEMENT };
        let family = self.family;
        self.add(kind, if present { CREATE } else { 0 }, |message| {
            message.attribute_text(1, table).attribute_text(2, set);
            message.nest(NESTED | 3, |elements| {
                for address in addresses.iter().filter(|address| crate::family(**address) == family) {
                    elements.nest(NESTED | LIST_ELEMENT, |element| {
                        element.nest(NESTED | 1, |key| {
                            let mut buffer = [0; 16];
                            let length = octets(*address, &mut buffer).len();
                            key.attribute(DATA_VALUE, &buffer[..length]);
                        });
                    });
                }
            });
        })
    }

    /// The bytes to send, and the sequence number of the last message that is answered.
    pub fn finish(self) -> (Vec<u8>, u32) {
        let last = self.sequence;
        let end = Message::append(self.bytes, BATCH_END, REQUEST, last.wrapping_add(1), &[0, 0, 0, 10]);
        (end.finish(), last)
    }
}

fn expression(list: &mut Message, name: &str, write: impl FnOnce(&mut Message)) {
    list.nest(NESTED | LIST_ELEMENT, |element| {
        element.attribute_text(1, name);
        element.nest(NESTED | 2, write);
    });
}

fn payload(list: &mut Message, base: u32, offset: u32, length: u32) {
    expression(list, "payload", |data| {
        data.attribute_be32(1, REGISTER).attribute_be32(2, base);
        data.attribute_be32(3, offset).attribute_be32(4, length);
    });
}

fn equals(list: &mut Message, byte: u8) {
    expression(list, "cmp", |data| {
        data.attribute_be32(1, REGISTER).attribute_be32(2, 0);
        data.nest(NESTED | 3, |value| {
            value.attribute(DATA_VALUE, &[byte]);
        });
    });
}

fn immediate(list: &mut Message, verdict: Verdict) {
    let code = match verdict {
        Verdict::Drop => 0,
        Verdict::Accept => 1,
    };
    expression(list, "immediate", |data| {
        data.attribute_be32(1, REGISTER_VERDICT);
        data.nest(NESTED | 2, |value| {
            value.nest(NESTED | DATA_VERDICT, |verdict| {
                verdict.attribute_be32(VERDICT_CODE, code);
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Control, Messages};

    #[test]
    fn a_batch_is_framed_and_numbered() {
        let mut batch = Batch::new(crate::FAMILY_IPV4, 10);
        batch.add_table("keepalived").add_set("keepalived", "vips");
        let (bytes, last) = batch.finish();
        let kinds: Vec<_> = Messages::new(&bytes)
            .map(|one| match one.expect("whole") {
                Control::Data(data) => (data.kind, data.sequence),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(kinds, [(16, 10), (0xa00, 11), (0xa09, 12), (17, 13)]);
        assert_eq!(last, 12);
    }
}

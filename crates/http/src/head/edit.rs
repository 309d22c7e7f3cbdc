//! Edits of the fields of a head. Owns where new lines land in the arena; never touches received bytes.

use super::{Field, Head};
use crate::kind::FieldKind;
use crate::list::Elements;
use crate::scan::trim;

impl Head {
    /// Appends `name: value\r\n` to the arena.
    fn store(&mut self, name: &[u8], value: &[u8]) -> Field {
        let start = self.arena.len();
        self.arena.extend_from_slice(name);
        self.arena.extend_from_slice(b": ");
        self.arena.extend_from_slice(value);
        self.arena.extend_from_slice(b"\r\n");
        let kind = FieldKind::of(name);
        self.kinds |= kind.bit();
        Field {
            start: start as u32,
            value: (start + name.len() + 2) as u32,
            value_len: value.len() as u32,
            name_len: name.len() as u8,
            kind,
            odd: false,
        }
    }

    /// Stores a new value for the field at `index`, under its old name.
    pub(crate) fn store_value(&mut self, index: usize, value: &[u8]) {
        let old = self.fields[index];
        let start = self.arena.len();
        let name = old.start as usize..old.start as usize + old.name_len as usize;
        self.arena.extend_from_within(name);
        self.arena.extend_from_slice(b": ");
        self.arena.extend_from_slice(value);
        self.arena.extend_from_slice(b"\r\n");
        self.fields[index] = Field {
            start: start as u32,
            value: start as u32 + old.name_len as u32 + 2,
            value_len: value.len() as u32,
            odd: false,
            ..old
        };
    }

    fn matches(&self, index: usize, kind: FieldKind, name: &[u8]) -> bool {
        let field = &self.fields[index];
        field.kind == kind && (kind != FieldKind::Other || self.name_of(field).eq_ignore_ascii_case(name))
    }

    /// Adds a line at the end. `name` must be a token of at most [`NAME_LEN_MAX`](super::NAME_LEN_MAX) bytes and
    /// `value` free of CR, LF and NUL: callers check what comes from users with [`crate::is_field_value`].
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        debug_assert!(name.len() <= super::NAME_LEN_MAX);
        let field = self.store(name, value);
        self.fields.push(field);
    }

    /// Adds a line before all others (`http-request early-hint` and cookies need an order).
    pub fn prepend(&mut self, name: &[u8], value: &[u8]) {
        let field = self.store(name, value);
        self.fields.insert(0, field);
    }

    /// Removes all lines of that name, then adds one at the end, as HAProxy's `set-header`.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    /// Removes all lines of that name; says how many there were.
    pub fn remove(&mut self, name: &[u8]) -> usize {
        let kind = FieldKind::of(name);
        if self.kinds & kind.bit() == 0 {
            return 0;
        }
        let Head { fields, arena, .. } = self;
        let before = fields.len();
        fields.retain(|field| {
            let start = field.start as usize;
            field.kind != kind
                || (kind == FieldKind::Other
                    && !arena[start..start + field.name_len as usize].eq_ignore_ascii_case(name))
        });
        before - fields.len()
    }

    /// Removes all lines of a kind; says how many there were.
    pub fn remove_kind(&mut self, kind: FieldKind) -> usize {
        if self.kinds & kind.bit() == 0 {
            return 0;
        }
        let before = self.fields.len();
        self.fields.retain(|field| field.kind != kind);
        before - self.fields.len()
    }

    /// Removes all lines whose name satisfies `pred`; says how many there were.
    pub fn remove_matching(&mut self, pred: &mut dyn FnMut(&[u8]) -> bool) -> usize {
        let Head { fields, arena, .. } = self;
        let before = fields.len();
        fields.retain(|field| {
            let start = field.start as usize;
            !pred(&arena[start..start + field.name_len as usize])
        });
        before - fields.len()
    }

    /// Offers the full value of every line of that name; where `edit` returns true, what it wrote to `out` (empty at
    /// each call) becomes the value. Says how many lines changed.
    pub fn replace_lines(&mut self, name: &[u8], edit: &mut dyn FnMut(&[u8], &mut Vec<u8>) -> bool) -> usize {
        let kind = FieldKind::of(name);
        if self.kinds & kind.bit() == 0 {
            return 0;
        }
        let mut out = std::mem::take(&mut self.scratch);
        let mut changed = 0;
        for index in 0..self.fields.len() {
            if !self.matches(index, kind, name) {
                continue;
            }
            out.clear();
            if edit(self.value_of(&self.fields[index]), &mut out) {
                self.store_value(index, &out);
                changed += 1;
            }
        }
        self.scratch = out;
        changed
    }

    /// Offers every comma-separated value of that name, trimmed; where `edit` returns true, what it wrote to `out` (empty
    /// at each call) stands between the commas instead, blanks around the old value included (as in HAProxy). Says how
    /// many changed.
    pub fn replace_values(
        &mut self,
        name: &[u8],
        edit: &mut dyn FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> usize {
        let mut value = std::mem::take(&mut self.scratch_value);
        let mut changed = 0;
        self.replace_lines(name, &mut |line, out| {
            let before = changed;
            for (index, element) in Elements::new(line).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                value.clear();
                if edit(trim(element), &mut value) {
                    out.extend_from_slice(&value);
                    changed += 1;
                } else {
                    out.extend_from_slice(element);
                }
            }
            changed > before
        });
        self.scratch_value = value;
        changed
    }

    /// Keeps the lines for which `keep(kind, name, value)` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(FieldKind, &[u8], &[u8]) -> bool) {
        let Head { fields, arena, .. } = self;
        fields.retain(|field| {
            let (start, value) = (field.start as usize, field.value as usize);
            let name = &arena[start..start + field.name_len as usize];
            keep(field.kind, name, &arena[value..value + field.value_len as usize])
        });
    }

    /// Rewrites the lines that came in another shape than `name: value\r\n`: no space or several after the colon,
    /// spaces at the end, a bare LF, a folded value (whose line breaks become spaces, RFC 9112 §5.2).
    pub(crate) fn straighten(&mut self) {
        for index in 0..self.fields.len() {
            let old = self.fields[index];
            if !old.odd {
                continue;
            }
            let start = self.arena.len();
            let name = old.start as usize..old.start as usize + old.name_len as usize;
            self.arena.extend_from_within(name);
            self.arena.extend_from_slice(b": ");
            let value = self.arena.len();
            self.arena.extend_from_within(old.value as usize..(old.value + old.value_len) as usize);
            for byte in &mut self.arena[value..] {
                if matches!(*byte, b'\r' | b'\n') {
                    *byte = b' ';
                }
            }
            self.arena.extend_from_slice(b"\r\n");
            self.fields[index] = Field { start: start as u32, value: value as u32, odd: false, ..old };
        }
    }
}

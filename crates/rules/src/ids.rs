//! Positions in the model, resolved from names at load so that nothing looks up a name at run time.

/// Index of a proxy (frontend, backend or listen section) in `Model::proxies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProxyId(pub u32);

impl ProxyId {
    /// The index as `usize`, for indexing.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A server: its backend and its position there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId {
    pub proxy: ProxyId,
    pub index: u32,
}

/// A stick table, by position in the model's list of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u32);

/// A `userlist` section, by position in the model's list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserlistId(pub u32);

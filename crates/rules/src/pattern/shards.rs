//! A hash map cut into shared pieces: a changed copy of a large map copies only the piece that the change is in.

use hashbrown::{DefaultHashBuilder, HashMap};
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

/// Entries per piece that a map is built for.
const PIECE: usize = 512;
/// Most pieces of a map.
const PIECES_MAX: usize = 4096;

/// One piece.
type Piece<K, V> = Arc<HashMap<K, V, DefaultHashBuilder>>;

/// A map whose clones share what they do not change.
#[derive(Debug, Clone)]
pub(super) struct Shards<K, V> {
    pieces: Arc<[Piece<K, V>]>,
    hasher: DefaultHashBuilder,
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, V> {
    /// An empty map that will hold about `expected` entries.
    pub(super) fn new(expected: usize) -> Shards<K, V> {
        let count = (expected / PIECE).next_power_of_two().min(PIECES_MAX);
        let hasher = DefaultHashBuilder::default();
        let pieces = (0..count).map(|_| Arc::new(HashMap::with_hasher(hasher.clone()))).collect();
        Shards { pieces, hasher }
    }

    fn place<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        // The table inside a piece uses the low bits and the top seven.
        (self.hasher.hash_one(key) >> 32) as usize & (self.pieces.len() - 1)
    }

    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self.pieces.len() {
            1 => self.pieces[0].get(key),
            _several => self.pieces[self.place(key)].get(key),
        }
    }

    /// The piece that a key belongs in, for changing.
    pub(super) fn piece<Q: Hash + ?Sized>(&mut self, key: &Q) -> &mut HashMap<K, V, DefaultHashBuilder> {
        let place = self.place(key);
        Arc::make_mut(&mut Arc::make_mut(&mut self.pieces)[place])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.iter().all(|piece| piece.is_empty())
    }
}

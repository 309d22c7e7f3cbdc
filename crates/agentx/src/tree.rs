//! What is shown, in the order of its names, as it was at one moment.

use crate::oid::Oid;
use crate::pdu::SearchRange;
use crate::value::{Binding, Value};

/// Objects (columns and scalars, whether they have instances now or not) and their instances.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Sorted.
    objects: Vec<Oid>,
    /// Sorted by name, each name once.
    instances: Vec<Binding>,
}

impl Tree {
    /// Of instances in any order; of several with one name the first one counts.
    pub fn new(mut objects: Vec<Oid>, mut instances: Vec<Binding>) -> Self {
        objects.sort();
        objects.dedup();
        instances.sort_by(|a, b| a.name.cmp(&b.name));
        instances.dedup_by(|a, b| a.name == b.name);
        Self { objects, instances }
    }

    pub fn instances(&self) -> &[Binding] {
        &self.instances
    }

    /// The value of exactly that name (RFC 2741, section 7.2.3.1).
    pub fn get(&self, name: &Oid) -> Value {
        match self.instances.binary_search_by(|one| one.name.cmp(name)) {
            Ok(place) => self.instances[place].value.clone(),
            Err(_) if self.has_object(name) => Value::NoSuchInstance,
            Err(_) => Value::NoSuchObject,
        }
    }

    /// The first one in the range (section 7.2.3.2).
    pub fn next(&self, range: &SearchRange) -> Option<&Binding> {
        let place = self.instances.partition_point(|one| {
            if range.include { one.name < range.start } else { one.name <= range.start }
        });
        let found = self.instances.get(place)?;
        (range.end.is_empty() || found.name < range.end).then_some(found)
    }

    /// Whether the name is, or lies below, one of the objects.
    fn has_object(&self, name: &Oid) -> bool {
        let place = self.objects.partition_point(|object| object <= name);
        // Objects do not lie in each other: the last one that is not greater is the only candidate.
        place.checked_sub(1).is_some_and(|place| name.starts_with(&self.objects[place]))
    }
}

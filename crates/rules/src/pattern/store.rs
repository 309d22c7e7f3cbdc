//! All pattern lists of the process: loading them from files, finding them by file or id, giving out ids.

use super::file;
use super::list::{Entries, ListKind, PatternList};
use crate::context::{ParseContext, ReadFile};
use std::sync::Arc;

/// Where in the configuration a list is used.
#[derive(Debug)]
pub(crate) struct Usage {
    kind: ListKind,
    file: String,
    line: u32,
}

impl Usage {
    /// Used by what is being parsed.
    pub(crate) fn new(kind: ListKind, context: &ParseContext<'_>) -> Usage {
        let (file, line) = (context.locate)(context.at);
        Usage { kind, file, line }
    }

    fn place(&self) -> String {
        format!("file '{}' line {}", self.file, self.line)
    }

    fn by(&self) -> String {
        let kind = match self.kind {
            ListKind::Acl => "acl",
            ListKind::Map => "map",
        };
        format!("by {kind} at {}", self.place())
    }
}

/// All lists of the process.
#[derive(Debug, Default)]
pub struct PatternStore {
    lists: Vec<Arc<PatternList>>,
}

impl PatternStore {
    /// No list yet.
    pub fn new() -> PatternStore {
        PatternStore::default()
    }

    /// All lists, in the order in which the configuration made them.
    pub fn lists(&self) -> &[Arc<PatternList>] {
        &self.lists
    }

    /// The list of that id.
    pub fn by_id(&self, id: u32) -> Option<&Arc<PatternList>> {
        self.lists.iter().find(|list| list.id() == Some(id))
    }

    /// The list loaded from that file.
    pub fn by_file(&self, file: &[u8]) -> Option<&Arc<PatternList>> {
        self.lists.iter().find(|list| list.file.as_deref() == Some(file))
    }

    /// Gives an id to every list that the configuration gave none. Call it when all is loaded.
    pub fn assign_ids(&mut self) {
        let mut next = 0;
        for list in self.lists.iter().filter(|list| list.id().is_none()) {
            while self.by_id(next).is_some() {
                next += 1;
            }
            list.set_id(next);
            next += 1;
        }
    }

    /// A list of the patterns on a line; `criterion` is the keyword that they are compared with.
    pub(crate) fn inline(
        &mut self,
        criterion: &str,
        usage: &Usage,
        id: Option<u32>,
        keys: &[Vec<u8>],
    ) -> Result<Arc<PatternList>, String> {
        let mut entries = Entries::default();
        for key in keys {
            entries.push(key, None, 0, 0)?;
        }
        let description = format!("acl '{criterion}' {}", usage.place());
        let list = self.push(PatternList::new(None, description, id, false, entries))?;
        list.used(usage.kind, None);
        Ok(list)
    }

    /// The list of a file, loaded at its first use.
    pub(crate) fn load(
        &mut self,
        file: &[u8],
        with_values: bool,
        usage: &Usage,
        read: &mut ReadFile<'_>,
    ) -> Result<Arc<PatternList>, String> {
        let shown = String::from_utf8_lossy(file).into_owned();
        let list = match self.by_file(file) {
            Some(list) if list.with_values != with_values => {
                let columns = |map| if map { "a map with values" } else { "a list of patterns" };
                return Err(format!(
                    "file '{shown}' is already used as {}, it cannot be {} too",
                    columns(list.with_values),
                    columns(with_values)
                ));
            }
            Some(list) => list.clone(),
            None => {
                let content = read(file).map_err(|reason| format!("cannot read file '{shown}': {reason}"))?;
                let mut entries = Entries::default();
                for line in file::lines(&content, with_values) {
                    if with_values && line.value.is_empty() && usage.kind == ListKind::Map {
                        let number = line.number;
                        return Err(format!(
                            "file '{shown}', line {number}: a value is missing after the key"
                        ));
                    }
                    entries.push(line.key, with_values.then_some(line.value), line.number, 0)?;
                }
                let description = format!("pattern loaded from file '{shown}' used");
                self.push(PatternList::new(Some(file.into()), description, None, with_values, entries))?
            }
        };
        list.used(usage.kind, Some(usage.by()));
        Ok(list)
    }

    fn push(&mut self, list: PatternList) -> Result<Arc<PatternList>, String> {
        if let Some(id) = list.id()
            && self.by_id(id).is_some()
        {
            return Err(format!("the id {id} is already used by another list"));
        }
        let list = Arc::new(list);
        self.lists.push(list.clone());
        Ok(list)
    }
}

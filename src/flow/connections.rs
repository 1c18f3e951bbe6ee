//! The connections of a table: flows that carried payload.

use super::connection::Connection;
use super::entry::QUIET;
use super::lru::{Link, Links, NONE};

/// Connections by stable index. Boxed: one is taken out while its segment is processed.
pub(super) struct Connections<S> {
    slots: Vec<Option<Box<Connection<S>>>>,
    free: Vec<u32>,
}

impl<S> Connections<S> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn get(&self, index: u32) -> Option<&Connection<S>> {
        self.slots.get(index as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Connection<S>> {
        self.slots.get_mut(index as usize)?.as_deref_mut()
    }

    /// Takes a connection out for a while: its index stays in use.
    pub(super) fn take(&mut self, index: u32) -> Option<Box<Connection<S>>> {
        self.slots.get_mut(index as usize)?.take()
    }

    pub(super) fn put_back(&mut self, index: u32, connection: Box<Connection<S>>) {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Some(connection);
        }
    }

    pub(super) fn insert(&mut self, connection: Box<Connection<S>>) -> u32 {
        if let Some(index) = self.free.pop() {
            self.put_back(index, connection);
            return index;
        }
        let index = u32::try_from(self.slots.len()).ok().filter(|&index| index < QUIET);
        let Some(index) = index else { return NONE };
        self.slots.push(Some(connection));
        index
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<Box<Connection<S>>> {
        let connection = self.take(index)?;
        self.free.push(index);
        Some(connection)
    }
}

impl<S> Links for Connections<S> {
    fn link_mut(&mut self, index: u32) -> Option<&mut Link> {
        self.get_mut(index).map(|connection| &mut connection.link)
    }
}

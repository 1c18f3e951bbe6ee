//! The server records: by key, under several keys, and merged when two turn out to be one.

use std::collections::{HashMap, VecDeque};

use super::Limits;
use super::key::ServerKey;
use super::server::Server;
use crate::flow::At;

/// A record, or where it went when two turned out to be one server.
#[derive(Debug)]
enum Slot {
    Live(Box<Server>),
    Moved(usize),
}

/// All records: at most `max_servers`. At the bound the oldest record of a mere hint makes room;
/// if there is none, what is new is counted and dropped.
#[derive(Debug)]
pub(super) struct Records {
    limits: Limits,
    slots: HashMap<usize, Slot>,
    next: usize,
    live: usize,
    index: HashMap<ServerKey, usize>,
    /// Keys under which a record was found besides its own, oldest first; bounded like records.
    aliases: VecDeque<ServerKey>,
    /// Records that moved, oldest first; bounded like open exchanges, which may still name them.
    moved: VecDeque<usize>,
    /// Records that began as hints, oldest first; some are more by now.
    hints: VecDeque<usize>,
    dropped: u64,
}

impl Records {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: HashMap::new(),
            next: 0,
            live: 0,
            index: HashMap::new(),
            aliases: VecDeque::new(),
            moved: VecDeque::new(),
            hints: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Records given up, and observations without one.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The record of a key, made when there is none; `None` at the bound.
    pub(super) fn find_or_make(&mut self, key: &ServerKey, at: At) -> Option<usize> {
        if let Some(known) = self.find(key) {
            return Some(known);
        }
        if self.live >= self.limits.max_servers && !self.give_up_a_hint() {
            self.dropped += 1;
            return None;
        }
        let id = self.next;
        self.next += 1;
        self.live += 1;
        self.slots.insert(id, Slot::Live(Box::new(Server::new(key.clone(), at))));
        self.index.insert(key.clone(), id);
        self.hints.push_back(id);
        Some(id)
    }

    /// The record of a key.
    pub(super) fn find(&mut self, key: &ServerKey) -> Option<usize> {
        let id = *self.index.get(key)?;
        let root = self.root(id);
        self.slots.contains_key(&root).then_some(root)
    }

    /// Makes room at the expense of the oldest hint. Amortised constant: each record leaves the
    /// queue once.
    fn give_up_a_hint(&mut self) -> bool {
        while let Some(id) = self.hints.pop_front() {
            match self.slots.get(&id) {
                Some(Slot::Live(server)) if !server.is_mcp() => {}
                _ => continue,
            }
            if let Some(Slot::Live(server)) = self.slots.remove(&id) {
                for path in &server.aliases {
                    self.index.remove(&server.key.with_path(path));
                }
                self.index.remove(&server.key);
                self.live -= 1;
                self.dropped += 1;
                return true;
            }
        }
        false
    }

    /// Where a record is now.
    fn root(&mut self, id: usize) -> usize {
        let mut root = id;
        while let Some(Slot::Moved(to)) = self.slots.get(&root) {
            root = *to;
        }
        // What was followed leads there directly from now on, so that chains stay short.
        let mut id = id;
        while let Some(Slot::Moved(to)) = self.slots.get_mut(&id) {
            id = std::mem::replace(to, root);
        }
        root
    }

    /// The id that a record has now; `None` if it was given up.
    pub(super) fn current(&mut self, id: usize) -> Option<usize> {
        let root = self.root(id);
        self.slots.contains_key(&root).then_some(root)
    }

    pub(super) fn get(&self, mut id: usize) -> Option<&Server> {
        loop {
            match self.slots.get(&id)? {
                Slot::Live(server) => return Some(server),
                Slot::Moved(to) => id = *to,
            }
        }
    }

    pub(super) fn get_mut(&mut self, id: usize) -> Option<&mut Server> {
        let root = self.root(id);
        match self.slots.get_mut(&root)? {
            Slot::Live(server) => Some(server),
            Slot::Moved(_) => None,
        }
    }

    /// All live records with their ids, in order of their keys.
    pub(super) fn sorted(&self) -> Vec<(usize, &Server)> {
        let mut all: Vec<_> = self
            .slots
            .iter()
            .filter_map(|(id, slot)| match slot {
                Slot::Live(server) => Some((*id, &**server)),
                Slot::Moved(_) => None,
            })
            .collect();
        all.sort_by(|a, b| a.1.key.cmp(&b.1.key));
        all
    }

    /// Makes `key` lead to the record `to`; merges the record that `key` had. Merging moves the
    /// smaller of the two, so that all merges together take no more than n log n steps.
    pub(super) fn alias(&mut self, key: &ServerKey, to: usize) {
        let Some(to) = self.current(to) else { return };
        let from = self.find(key);
        if from == Some(to) {
            return;
        }
        if let Some(from) = from {
            self.merge(from, to);
        } else {
            self.remember_alias(key.clone());
        }
        self.index.insert(key.clone(), to);
        let max = self.limits.max_aliases_per_server;
        if let Some(server) = self.get_mut(to)
            && server.key.path != key.path
        {
            server.add_alias(key.path.clone(), max);
        }
    }

    fn merge(&mut self, from: usize, to: usize) {
        let limits = self.limits;
        let old = self.slots.insert(from, Slot::Moved(to));
        self.live -= 1;
        self.moved.push_back(from);
        if self.moved.len() > limits.max_open_exchanges
            && let Some(oldest) = self.moved.pop_front()
        {
            self.slots.remove(&oldest);
        }
        if let (Some(Slot::Live(mut old)), Some(server)) = (old, self.get_mut(to)) {
            if old.weight() > server.weight() {
                std::mem::swap(&mut *old, server);
                std::mem::swap(&mut old.key, &mut server.key);
            }
            server.absorb(*old, &limits);
        }
    }

    fn remember_alias(&mut self, key: ServerKey) {
        self.aliases.push_back(key);
        if self.aliases.len() > self.limits.max_servers
            && let Some(oldest) = self.aliases.pop_front()
        {
            let own = self.find(&oldest).and_then(|id| self.get(id));
            if own.is_none_or(|server| server.key != oldest) {
                self.index.remove(&oldest);
                self.dropped += 1;
            }
        }
    }

    /// Gives a record the key under which it answers; the old one becomes an alias. If `key` has
    /// a record already, the two are one.
    pub(super) fn rename(&mut self, id: usize, key: ServerKey) {
        let Some(id) = self.current(id) else { return };
        let Some(old) = self.get(id).map(|server| server.key.clone()) else { return };
        match self.find(&key) {
            Some(known) if known != id => self.alias(&old, known),
            _ => {
                self.index.insert(key.clone(), id);
                self.remember_alias(old.clone());
                let max = self.limits.max_aliases_per_server;
                if let Some(server) = self.get_mut(id) {
                    server.aliases.remove(&key.path);
                    server.key = key;
                    server.add_alias(old.path, max);
                }
            }
        }
    }
}

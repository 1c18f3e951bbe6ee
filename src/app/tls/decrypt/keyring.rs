//! Secrets by client random, shared by all who decrypt.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::keylog::{self, BadLine, Label, Line};
use super::secret::Secret;

/// Bounds of a [`Keyring`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections whose secrets are kept, about 400 bytes each; the oldest one leaves for a new
    /// one.
    pub max_connections: usize,
    /// Ciphertext that may wait for secrets, in bytes, over all connections; one that would hold
    /// more is given up.
    pub max_held_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_connections: 1 << 17, max_held_bytes: 128 << 20 }
    }
}

/// What a text brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Secrets that were not known before.
    pub keys: usize,
    /// Lines that could not be read.
    pub bad_lines: usize,
    /// The first of them.
    pub first_bad: Option<BadLine>,
}

/// The secrets of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets {
    pub(super) master: Option<Secret>,
    pub(super) client_early: Option<Secret>,
    pub(super) client_handshake: Option<Secret>,
    pub(super) server_handshake: Option<Secret>,
    pub(super) client_traffic: Option<Secret>,
    pub(super) server_traffic: Option<Secret>,
}

impl Secrets {
    const fn of_mut(&mut self, label: Label) -> &mut Option<Secret> {
        match label {
            Label::Master => &mut self.master,
            Label::ClientEarly => &mut self.client_early,
            Label::ClientHandshake => &mut self.client_handshake,
            Label::ServerHandshake => &mut self.server_handshake,
            Label::ClientTraffic => &mut self.client_traffic,
            Label::ServerTraffic => &mut self.server_traffic,
        }
    }
}

#[derive(Default)]
struct Store {
    by_random: HashMap<[u8; 32], Secrets>,
    /// Oldest first.
    order: VecDeque<[u8; 32]>,
}

/// Secrets of TLS connections by client random. Many read it while one adds.
pub struct Keyring {
    limits: Limits,
    store: RwLock<Store>,
    generation: AtomicU64,
    expects_more: AtomicBool,
    held: Arc<AtomicUsize>,
    matched: AtomicU64,
}

/// Without a secret.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("connections", &self.len()).finish_non_exhaustive()
    }
}

impl Default for Keyring {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Keyring {
    /// Without secrets, and expecting none.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            store: RwLock::default(),
            generation: AtomicU64::new(0),
            expects_more: AtomicBool::new(false),
            held: Arc::default(),
            matched: AtomicU64::new(0),
        }
    }

    /// Adds the lines of a key log (RFC 9850). Lines that serve nothing here, such as those with
    /// the premaster secret of an RSA key exchange, are passed over.
    pub fn add_text(&self, text: &[u8]) -> Added {
        let mut added = Added::default();
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        for (number, text) in text.split(|byte| *byte == b'\n').enumerate() {
            match keylog::line(text) {
                Ok(Line::Secret(label, random, secret)) => {
                    let new = store.add(label, random, secret, self.limits.max_connections);
                    added.keys += usize::from(new);
                }
                Ok(Line::Nothing) => {}
                Err(expected) => {
                    added.bad_lines += 1;
                    added.first_bad.get_or_insert(BadLine { number: number + 1, expected });
                }
            }
        }
        drop(store);
        if added.keys > 0 {
            self.generation.fetch_add(1, Ordering::Release);
        }
        added
    }

    /// Says whether more secrets may come: whether what cannot be decrypted yet should wait.
    pub fn expect_more(&self, more: bool) {
        self.expects_more.store(more, Ordering::Release);
    }

    /// Whether more secrets may come.
    #[must_use]
    pub fn expects_more(&self) -> bool {
        self.expects_more.load(Ordering::Acquire)
    }

    /// Grows whenever secrets are added.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Connections whose secrets are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.read().unwrap_or_else(PoisonError::into_inner).by_random.len()
    }

    /// Whether there are no secrets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Connections seen in the traffic whose secrets were here.
    #[must_use]
    pub fn matched(&self) -> u64 {
        self.matched.load(Ordering::Relaxed)
    }

    pub(super) fn get(&self, random: &[u8; 32]) -> Option<Secrets> {
        if self.generation() == 0 {
            return None;
        }
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.by_random.get(random).cloned()
    }

    pub(super) fn count_match(&self) {
        self.matched.fetch_add(1, Ordering::Relaxed);
    }

    /// Room for ciphertext that waits; none of it yet.
    pub(super) fn room(&self) -> Room {
        Room { held: Arc::clone(&self.held), max: self.limits.max_held_bytes, bytes: 0 }
    }
}

/// A share of the room for ciphertext that waits. Gives it back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    held: Arc<AtomicUsize>,
    max: usize,
    bytes: usize,
}

impl Room {
    /// Takes more; false at the bound.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let grown = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.max);
        let taken = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok();
        self.bytes += if taken { bytes } else { 0 };
        taken
    }

    /// Gives some back.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

impl Store {
    /// False if the secret was known.
    fn add(&mut self, label: Label, random: [u8; 32], secret: Secret, max: usize) -> bool {
        if !self.by_random.contains_key(&random) {
            while self.order.len() >= max.max(1)
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_random.remove(&oldest);
            }
            self.order.push_back(random);
        }
        let place = self.by_random.entry(random).or_default().of_mut(label);
        let new = place.as_ref() != Some(&secret);
        *place = Some(secret);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(random: u8, label: &str, secret: u8) -> String {
        let hex = |byte: u8, count: usize| format!("{byte:02x}").repeat(count);
        format!("{label} {} {}\n", hex(random, 32), hex(secret, 48))
    }

    #[test]
    fn secrets_are_found_by_client_random() {
        let keys = Keyring::default();
        assert!(keys.is_empty() && keys.get(&[1; 32]).is_none());
        let lines = [
            text(1, "CLIENT_RANDOM", 5),
            text(2, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", 6),
            text(2, "SERVER_TRAFFIC_SECRET_0", 7),
        ];
        let added = keys.add_text(lines.concat().as_bytes());
        assert_eq!(added, Added { keys: 3, ..Added::default() });
        assert_eq!((keys.len(), keys.generation()), (2, 1));
        assert_eq!(keys.get(&[1; 32]).unwrap().master.unwrap().bytes(), [5; 48]);
        let second = keys.get(&[2; 32]).unwrap();
        assert_eq!(second.client_handshake.unwrap().bytes(), [6; 48]);
        assert_eq!(second.server_traffic.unwrap().bytes(), [7; 48]);
        assert!(second.server_handshake.is_none());
        assert_eq!(keys.add_text(lines[1].as_bytes()).keys, 0);
        assert_eq!(keys.generation(), 1);
    }

    #[test]
    fn bad_lines_are_counted_and_the_first_is_told() {
        let keys = Keyring::default();
        let lines = format!("# x\n{}what\n\nno no\r\n", text(1, "CLIENT_RANDOM", 5));
        let added = keys.add_text(lines.as_bytes());
        assert_eq!((added.keys, added.bad_lines), (1, 2));
        assert_eq!(added.first_bad.unwrap().number, 3);
    }

    #[test]
    fn the_oldest_connection_leaves_at_the_bound() {
        let keys = Keyring::new(Limits { max_connections: 2, ..Limits::default() });
        for random in 1..=3 {
            keys.add_text(text(random, "CLIENT_RANDOM", 5).as_bytes());
        }
        keys.add_text(text(3, "CLIENT_RANDOM", 6).as_bytes());
        assert_eq!(keys.len(), 2);
        assert!(keys.get(&[1; 32]).is_none() && keys.get(&[2; 32]).is_some());
        assert_eq!(keys.get(&[3; 32]).unwrap().master.unwrap().bytes(), [6; 48]);
    }

    #[test]
    fn room_for_what_waits_is_bounded() {
        let keys = Keyring::new(Limits { max_held_bytes: 10, ..Limits::default() });
        let (mut one, mut other) = (keys.room(), keys.room());
        assert!(one.grow(6) && !other.grow(5) && other.grow(4));
        one.shrink(3);
        assert!(!other.grow(4) && other.grow(3));
        drop(other);
        assert!(!one.grow(8) && one.grow(7));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let keys = Keyring::default();
        keys.add_text(text(1, "CLIENT_RANDOM", 0xee).as_bytes());
        let shown = format!("{keys:?} {:?}", keys.get(&[1; 32]));
        assert!(!shown.contains("ee,") && !shown.contains("238"), "{shown}");
    }
}

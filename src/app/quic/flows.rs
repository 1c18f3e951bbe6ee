//! Handshakes under way, by five-tuple.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::assembly::{Assembly, Hello};
use super::frame::each_crypto;
use super::keys::Keys;
use super::packet::{Initial, Packets};
use crate::app::tls::handshake::{ClientHello, client_hello};
use crate::net::{Endpoint, Scope};
use crate::time::Timestamp;

/// Bounds. Worst case: 19 KiB for each of `max_handshakes` and a datagram's copy; a handshake
/// that fits one packet is kept with under 200 bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Limits {
    /// Five-tuples that are remembered; at the bound the oldest is forgotten, and its hello with
    /// it if some of it is still missing.
    pub(in crate::app) max_handshakes: usize,
    /// How long a five-tuple is remembered after its first Initial packet, in packet time.
    pub(in crate::app) max_age: Duration,
    /// Packets of one five-tuple that are tried with the keys of their own connection id in vain;
    /// further ones are not looked at. The server's packets are such when they come first, and
    /// the client's when its first is missing.
    pub(in crate::app) max_failures: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_handshakes: 1024, max_age: Duration::from_secs(10), max_failures: 4 }
    }
}

/// Five-tuple and scope; the lower endpoint first.
type Key = (Scope, Endpoint, Endpoint);

/// RFC 9000 section 7.2: a client's first choice has at least so many bytes.
const MIN_CHOSEN_ID_BYTES: usize = 8;

/// Reads ClientHellos out of datagrams.
#[derive(Debug)]
pub(in crate::app) struct Flows {
    limits: Limits,
    flows: HashMap<Key, Flow>,
    /// Every key of `flows`, oldest first.
    order: VecDeque<(Timestamp, Key)>,
    /// Where packets are decrypted.
    scratch: Vec<u8>,
}

/// What is known of one five-tuple.
#[derive(Debug, Default)]
struct Flow {
    connection: Option<Box<Connection>>,
    /// `random` of the last hello: a Retry makes the client repeat it.
    told: Option<[u8; 32]>,
    failures: u8,
}

#[derive(Debug)]
struct Connection {
    client: Endpoint,
    /// The connection id that the keys come from: at most 20 bytes.
    id: Vec<u8>,
    /// `None` once the hello is out, or never will be.
    pending: Option<(Keys, Assembly)>,
}

impl Flows {
    pub(in crate::app) fn new(limits: Limits) -> Self {
        Self { limits, flows: HashMap::new(), order: VecDeque::new(), scratch: Vec::new() }
    }

    /// Takes in a datagram. Answers with a ClientHello that it completes; its sender is the client.
    /// One without an Initial packet costs a look at its header.
    pub(in crate::app) fn datagram(
        &mut self,
        (source, destination): (Endpoint, Endpoint),
        scope: Scope,
        time: Timestamp,
        payload: &[u8],
    ) -> Option<ClientHello> {
        let mut packets = Packets(payload).peekable();
        packets.peek()?;
        let ends =
            if source <= destination { (source, destination) } else { (destination, source) };
        let key = (scope, ends.0, ends.1);
        self.expire(time);
        if !self.flows.contains_key(&key) {
            self.make_room();
            self.order.push_back((time, key));
        }
        let flow = self.flows.entry(key).or_default();
        let mut hello = None;
        for packet in packets {
            let new = flow.packet(source, &packet, self.limits.max_failures, &mut self.scratch);
            hello = hello.or(new);
        }
        hello
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((opened, key)) = self.order.front()
            && now.since(*opened) >= self.limits.max_age
        {
            self.flows.remove(key);
            self.order.pop_front();
        }
    }

    fn make_room(&mut self) {
        while self.order.len() >= self.limits.max_handshakes.max(1) {
            if let Some((_, key)) = self.order.pop_front() {
                self.flows.remove(&key);
            }
        }
    }

    #[cfg(any(fuzzing, test))]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.flows.len(), self.order.len());
        self.flows.len()
    }
}

impl Flow {
    fn packet(
        &mut self,
        source: Endpoint,
        packet: &Initial<'_>,
        max_failures: u8,
        scratch: &mut Vec<u8>,
    ) -> Option<ClientHello> {
        if let Some(connection) = &mut self.connection {
            if connection.client != source {
                return None;
            }
            if let Some((keys, _)) = &mut connection.pending
                && let Some(frames) = keys.open(packet.bytes, packet.number_at, scratch)
            {
                return connection.frames(frames).filter(|hello| self.tell(hello));
            }
            if connection.id == packet.destination {
                return None;
            }
        }
        // The first packet, the first after a Retry, or another connection between the two ports:
        // in each case the keys come from the packet itself.
        if packet.destination.len() < MIN_CHOSEN_ID_BYTES || self.failures >= max_failures {
            return None;
        }
        self.failures += 1;
        let mut keys = Keys::of_client(packet.version, packet.destination)?;
        let frames = keys.open(packet.bytes, packet.number_at, scratch)?;
        self.failures = 0;
        let connection = self.connection.insert(Box::new(Connection {
            client: source,
            id: packet.destination.to_vec(),
            pending: Some((keys, Assembly::default())),
        }));
        connection.frames(frames).filter(|hello| self.tell(hello))
    }

    fn tell(&mut self, hello: &ClientHello) -> bool {
        self.told.replace(hello.random) != Some(hello.random)
    }
}

impl Connection {
    fn frames(&mut self, frames: &[u8]) -> Option<ClientHello> {
        let (_, assembly) = self.pending.as_mut()?;
        each_crypto(frames, |offset, data| assembly.insert(offset, data));
        let hello = match assembly.hello() {
            Hello::Partial => return None,
            Hello::Complete(body) => client_hello(body),
            Hello::Never => None,
        };
        self.pending = None;
        hello
    }
}

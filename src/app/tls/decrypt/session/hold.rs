//! What waits, and for what.

use super::half::Stage;
use super::{Call, Session};
use crate::net::Side;

/// What a side waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The hello of the client.
    Client,
    /// The hello of the server.
    Server,
    /// Whether the server takes early data.
    Early,
    /// A secret.
    Secret(Need),
}

/// A secret that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Master,
    Handshake,
    Traffic,
}

/// Something that waits.
#[derive(Debug)]
pub(super) enum Held {
    Bytes(Vec<u8>),
    Gap(u64),
}

/// A gap counts against the bounds like so many bytes, so that many gaps come to an end too.
const GAP_BYTES: usize = 64;

impl Session {
    /// Holds bytes of a side until what it waits for is there. At a bound the connection is given
    /// up.
    pub(super) fn hold(&mut self, side: Side, parts: &[&[u8]], call: &mut Call<'_>) {
        let len = parts.iter().map(|part| part.len()).sum();
        if !self.make_room(len, call) {
            self.fail(None, call);
            return;
        }
        let held = &mut self.half(side).held;
        if !matches!(held.back(), Some(Held::Bytes(_))) {
            held.push_back(Held::Bytes(Vec::new()));
        }
        if let Some(Held::Bytes(bytes)) = held.back_mut() {
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
        }
    }

    /// Holds a gap.
    pub(super) fn hold_gap(&mut self, side: Side, len: u64, call: &mut Call<'_>) {
        if self.make_room(GAP_BYTES, call) {
            self.half(side).held.push_back(Held::Gap(len));
        } else {
            self.fail(None, call);
        }
    }

    fn make_room(&mut self, bytes: usize, call: &Call<'_>) -> bool {
        self.held_bytes = self.held_bytes.saturating_add(bytes);
        let room = self.room.get_or_insert_with(|| call.keys.room());
        self.held_bytes <= call.limits.max_held_bytes && room.grow(bytes)
    }

    /// Whether it makes sense to wait for this.
    pub(super) fn may_wait(&self, wait: Wait, call: &Call<'_>) -> bool {
        match wait {
            Wait::Client | Wait::Server | Wait::Early => self.has_hope(call),
            Wait::Secret(_) => !self.unreadable && call.keys.expects_more(),
        }
    }

    /// Takes in what is held, as far as that is possible now.
    pub(super) fn resume(&mut self, call: &mut Call<'_>) {
        let mut progress = true;
        while std::mem::take(&mut progress) {
            for side in [Side::Originator, Side::Responder] {
                let Some(wait) = self.half(side).wait else { continue };
                if self.is_there(side, wait, call) {
                    progress = true;
                    self.release(side, call);
                } else if !self.may_wait(wait, call) {
                    progress = true;
                    self.half(side).end(Stage::Off);
                }
            }
        }
    }

    fn is_there(&mut self, side: Side, wait: Wait, call: &Call<'_>) -> bool {
        match wait {
            Wait::Client => self.client_random.is_some(),
            Wait::Server => self.answered,
            Wait::Early => self.early_is_decided(),
            Wait::Secret(need) => {
                self.look(call);
                self.secret(side, need).is_some()
            }
        }
    }

    fn release(&mut self, side: Side, call: &mut Call<'_>) {
        let half = self.half(side);
        half.wait = None;
        let held = std::mem::take(&mut half.held);
        let len = |held: &Held| match held {
            Held::Bytes(bytes) => bytes.len(),
            Held::Gap(_) => GAP_BYTES,
        };
        let sum = held.iter().map(len).sum();
        self.held_bytes = self.held_bytes.saturating_sub(sum);
        if let Some(room) = &mut self.room {
            room.shrink(sum);
        }
        for held in held {
            match held {
                Held::Bytes(bytes) => self.feed(side, &bytes, call),
                Held::Gap(len) => self.lose(side, len, call),
            }
        }
    }
}

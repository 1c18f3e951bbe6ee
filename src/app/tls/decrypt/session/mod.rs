//! Both sides of one TLS connection.
//!
//! Each side is cut into records, and they are taken in order. Where one needs something that is
//! not known yet (the other side's hello, a secret), it and all that follows on its side is held,
//! and taken in when that becomes known. So the order in which the two sides come does not matter,
//! nor when the secrets do.

mod clear;
mod half;
mod hold;
mod sealed;
mod search;
#[cfg(test)]
mod tests;

use std::fmt;

use super::Limits;
use super::keyring::{Keyring, Room, Secrets};
use super::suite::Suite;
use crate::exchange::{TlsAnswer, TlsHello};
use crate::net::Side;
use half::{Half, Stage};

/// Who is told of a connection.
pub(in crate::app) trait Receiver {
    /// The ClientHello, with the side that sent it. Once, and before the answer unless it is
    /// missing.
    fn hello(&mut self, client: Side, hello: &TlsHello);
    /// The server's answer, as far as it can be read. Once; before any plaintext of the server,
    /// and while secrets are waited for not before they come or hope ends.
    fn answer(&mut self, answer: &TlsAnswer);
    /// The next bytes of application data; never empty.
    fn plain(&mut self, side: Side, bytes: &[u8]);
    /// So many bytes of application data are missing: exact where the records lost had no padding
    /// and were all application data, else an estimate. At least 1.
    fn plain_gap(&mut self, side: Side, len: u64);
    /// The side said that it sends nothing more (`close_notify`).
    fn plain_end(&mut self, side: Side);
    /// An oddity, by its stable name.
    fn anomaly(&mut self, kind: &'static str);
}

/// Whether there is anything to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Outlook {
    /// In the handshake, waiting for secrets, or decrypting.
    Open,
    /// Nothing will ever be readable: hello and answer were told if they are known.
    Hopeless,
}

/// What sessions work with, and share.
#[derive(Debug)]
pub(in crate::app) struct Env<'a> {
    pub(in crate::app) keys: &'a Keyring,
    pub(in crate::app) limits: &'a Limits,
    pub(in crate::app) scratch: &'a mut Scratch,
}

/// Buffers for one record each; one for all sessions of a thread. At most 37 KiB.
#[derive(Default)]
pub(in crate::app) struct Scratch {
    record: Vec<u8>,
    spare: Vec<u8>,
}

/// Without plaintext.
impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

/// A call in progress.
struct Call<'c> {
    keys: &'c Keyring,
    limits: &'c Limits,
    scratch: &'c mut Scratch,
    out: &'c mut dyn Receiver,
}

/// What the server chose.
#[derive(Clone, Copy, Debug)]
struct Choice {
    tls13: bool,
    suite: Suite,
    random: [u8; 32],
    encrypt_then_mac: bool,
}

/// One TLS connection, from the first record on.
#[derive(Debug)]
pub(in crate::app) struct Session {
    /// By [`Side::index`].
    halves: [Half; 2],
    client: Option<Side>,
    client_random: Option<[u8; 32]>,
    /// The client offered early data.
    early_offered: bool,
    /// Whether the server took it, once that is known.
    early_taken: Option<bool>,
    /// A HelloRetryRequest was seen, so this is TLS 1.3.
    retried: bool,
    choice: Option<Choice>,
    /// The server's hello was seen, with whatever choice.
    answered: bool,
    /// Not yet told.
    answer: Option<Box<TlsAnswer>>,
    /// It is complete, and only waits for the hello.
    answer_ripe: bool,
    secrets: Option<Box<Secrets>>,
    /// Generation of the keyring at the last look.
    looked: Option<u64>,
    /// Of a version or suite that is not decrypted.
    unreadable: bool,
    failed: bool,
    /// Some record was decrypted.
    decrypted: bool,
    /// Ciphertext decrypted in vain after gaps, in bytes.
    trial_bytes: usize,
    held_bytes: usize,
    room: Option<Room>,
}

impl Session {
    pub(in crate::app) fn new() -> Self {
        Self {
            halves: [Half::default(), Half::default()],
            client: None,
            client_random: None,
            early_offered: false,
            early_taken: None,
            retried: false,
            choice: None,
            answered: false,
            answer: None,
            answer_ripe: false,
            secrets: None,
            looked: None,
            unreadable: false,
            failed: false,
            decrypted: false,
            trial_bytes: 0,
            held_bytes: 0,
            room: None,
        }
    }

    /// Takes in the next bytes of a side.
    pub(in crate::app) fn push(
        &mut self,
        side: Side,
        bytes: &[u8],
        env: &mut Env<'_>,
        out: &mut impl Receiver,
    ) -> Outlook {
        self.call(env, out, |session, call| session.feed(side, bytes, call))
    }

    /// So many bytes of a side are missing.
    pub(in crate::app) fn gap(
        &mut self,
        side: Side,
        len: u64,
        env: &mut Env<'_>,
        out: &mut impl Receiver,
    ) -> Outlook {
        self.call(env, out, |session, call| session.lose(side, len, call))
    }

    /// A side is over. What waits for secrets goes on waiting, until the session is dropped.
    pub(in crate::app) fn finish(
        &mut self,
        side: Side,
        env: &mut Env<'_>,
        out: &mut impl Receiver,
    ) -> Outlook {
        self.call(env, out, |session, call| {
            if session.client != Some(side) {
                session.tell_answer(call);
            }
        })
    }

    /// Whether some record was decrypted.
    pub(in crate::app) const fn decrypted(&self) -> bool {
        self.decrypted
    }

    fn call(
        &mut self,
        env: &mut Env<'_>,
        out: &mut impl Receiver,
        work: impl FnOnce(&mut Self, &mut Call<'_>),
    ) -> Outlook {
        let mut call = Call { keys: env.keys, limits: env.limits, scratch: &mut *env.scratch, out };
        if !self.failed {
            work(self, &mut call);
            self.resume(&mut call);
        }
        self.outlook(&mut call)
    }

    /// Hopeless once no side can give anything more and one of them did not end by itself.
    fn outlook(&mut self, call: &mut Call<'_>) -> Outlook {
        let is = |half: &Half, stage: Stage| half.stage == stage;
        let [one, other] = &self.halves;
        let silent = |half: &Half| is(half, Stage::Off) || is(half, Stage::Over);
        let off = is(one, Stage::Off) || is(other, Stage::Off);
        if self.failed || (off && silent(one) && silent(other)) {
            self.tell_answer(call);
            self.let_go();
            return Outlook::Hopeless;
        }
        Outlook::Open
    }

    const fn half(&mut self, side: Side) -> &mut Half {
        let [originator, responder] = &mut self.halves;
        match side {
            Side::Originator => originator,
            Side::Responder => responder,
        }
    }

    const fn peek(&self, side: Side) -> &Half {
        let [originator, responder] = &self.halves;
        match side {
            Side::Originator => originator,
            Side::Responder => responder,
        }
    }

    /// Gives the connection up.
    fn fail(&mut self, anomaly: Option<&'static str>, call: &mut Call<'_>) {
        if self.failed {
            return;
        }
        self.tell_answer(call);
        self.failed = true;
        if let Some(kind) = anomaly {
            call.out.anomaly(kind);
        }
        self.let_go();
    }

    /// Frees what is held.
    fn let_go(&mut self) {
        for half in &mut self.halves {
            half.let_go();
        }
        self.held_bytes = 0;
        self.room = None;
        self.secrets = None;
    }

    fn tell_answer(&mut self, call: &mut Call<'_>) {
        if let Some(answer) = self.answer.take() {
            call.out.answer(&answer);
        }
    }

    /// Looks for the secrets of this connection, if the keyring has changed since.
    fn look(&mut self, call: &Call<'_>) {
        let Some(random) = &self.client_random else { return };
        let generation = call.keys.generation();
        if self.looked == Some(generation) {
            return;
        }
        self.looked = Some(generation);
        if let Some(found) = call.keys.get(random) {
            if self.secrets.is_none() {
                call.keys.count_match();
            }
            self.secrets = Some(Box::new(found));
        }
    }

    /// Whether the connection may yet be read.
    fn has_hope(&self, call: &Call<'_>) -> bool {
        let known = self.secrets.is_some() || call.keys.expects_more();
        let unasked = self.client_random.is_none() && call.keys.generation() > 0;
        !self.unreadable && (known || unasked)
    }

    fn is_client(&self, side: Side) -> bool {
        self.client == Some(side)
    }
}

//! One side: its bytes into records.

use std::collections::VecDeque;

use super::super::cipher::Opener;
use super::super::record::{HEADER_BYTES, Header};
use super::super::secret::Secret;
use super::hold::{Held, Wait};
use super::search::Search;
use super::{Call, Session};
use crate::app::tls::handshake::Messages;
use crate::net::Side;

/// How far a side has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Records are in the clear.
    #[default]
    Clear,
    /// They are protected.
    Sealed,
    /// After a gap: a record is looked for.
    Searching,
    /// It said that it is over.
    Over,
    /// Nothing more of it can be read.
    Off,
}

/// Which secret of TLS 1.3 protects a side's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Epoch {
    /// Early data of a client.
    Early,
    #[default]
    Handshake,
    Application,
}

/// Keys in force, and how many records they have opened.
#[derive(Debug)]
pub(super) struct Seal {
    pub(super) opener: Opener,
    /// What the keys are made of, for key updates of TLS 1.3.
    pub(super) secret: Option<Secret>,
    /// Of the next record.
    pub(super) sequence: u64,
    /// Sequence number and explicit nonce of a record that was opened.
    pub(super) shown: Option<(u64, u64)>,
}

/// One side of a connection.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) stage: Stage,
    pub(super) epoch: Epoch,
    /// A hello of this side was seen.
    pub(super) greeted: bool,
    /// Handshake messages of this side and epoch.
    pub(super) messages: Messages,
    /// `None` until the first protected record of an epoch.
    pub(super) seal: Option<Box<Seal>>,
    /// Some record of this epoch was opened.
    pub(super) opened: bool,
    /// Keys of some epoch were made.
    pub(super) entered: bool,
    /// Ciphertext passed over for want of its secret, in bytes.
    pub(super) passed: usize,
    /// Records that it was in, until that is told.
    pub(super) passed_records: usize,
    /// The first bytes of a record.
    pub(super) begun: Vec<u8>,
    pub(super) search: Option<Box<Search>>,
    /// Why what is held waits.
    pub(super) wait: Option<Wait>,
    pub(super) held: VecDeque<Held>,
}

impl Half {
    /// Frees what is held.
    pub(super) fn let_go(&mut self) {
        self.wait = None;
        self.held = VecDeque::new();
        self.begun = Vec::new();
        self.search = None;
        self.seal = None;
        self.messages = Messages::default();
    }

    /// Nothing more of it is read.
    pub(super) fn end(&mut self, stage: Stage) {
        self.stage = stage;
        self.let_go();
    }

    /// The next records are of this epoch.
    pub(super) fn enter(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.seal = None;
        self.opened = false;
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It was taken in.
    Taken,
    /// It is untouched, and waits.
    Wait(Wait),
}

impl Session {
    /// Takes in bytes of a side; every turn consumes some, or ends.
    pub(super) fn feed(&mut self, side: Side, bytes: &[u8], call: &mut Call<'_>) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.failed {
            let half = self.half(side);
            if half.wait.is_some() {
                self.hold(side, &[rest], call);
                return;
            }
            rest = match half.stage {
                Stage::Off | Stage::Over => return,
                Stage::Searching => self.search(side, rest, call),
                Stage::Clear | Stage::Sealed if half.begun.is_empty() => self.cut(side, rest, call),
                Stage::Clear | Stage::Sealed => self.complete(side, rest, call),
            };
        }
    }

    /// The first record of `bytes`, in place; a begun one is kept.
    fn cut<'b>(&mut self, side: Side, bytes: &'b [u8], call: &mut Call<'_>) -> &'b [u8] {
        if let Some(header) = Header::read(bytes) {
            if !header.is_sound() {
                self.fail(Some("tls-bad-record"), call);
                return &[];
            }
            let total = HEADER_BYTES + header.body_bytes();
            if let Some((record, rest)) = bytes.split_at_checked(total) {
                self.record(side, header, record.get(HEADER_BYTES..).unwrap_or_default(), call);
                return rest;
            }
            self.half(side).begun.reserve_exact(total);
        }
        self.half(side).begun.extend_from_slice(bytes);
        &[]
    }

    /// Completes first the header, then the record that is begun.
    fn complete<'b>(&mut self, side: Side, bytes: &'b [u8], call: &mut Call<'_>) -> &'b [u8] {
        let half = self.half(side);
        let header = Header::read(&half.begun);
        let total = HEADER_BYTES + header.map_or(0, Header::body_bytes);
        let missing = total.saturating_sub(half.begun.len());
        let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
        half.begun.extend_from_slice(taken);
        let Some(header) = Header::read(&half.begun) else { return rest };
        if !header.is_sound() {
            self.fail(Some("tls-bad-record"), call);
            return &[];
        }
        let total = HEADER_BYTES + header.body_bytes();
        if half.begun.len() < total {
            let missing = total - half.begun.len();
            half.begun.reserve_exact(missing);
            return rest;
        }
        let mut record = std::mem::take(&mut half.begun);
        if let Some(body) = record.get_mut(HEADER_BYTES..) {
            self.own_record(side, header, body, call);
        }
        record.clear();
        let half = self.half(side);
        if matches!(half.stage, Stage::Clear | Stage::Sealed) && !self.failed {
            self.half(side).begun = record;
        }
        rest
    }

    /// A whole record that lies in a chunk.
    fn record(&mut self, side: Side, header: Header, body: &[u8], call: &mut Call<'_>) {
        if self.half(side).stage == Stage::Clear {
            let step = self.clear_record(side, header, body, call);
            if self.passed_on(side, header, body, step, call) {
                return;
            }
        }
        let mut copy = std::mem::take(&mut call.scratch.record);
        copy.clear();
        copy.extend_from_slice(body);
        let step = self.sealed_record(side, header, &mut copy, call);
        call.scratch.record = copy;
        self.passed_on(side, header, body, step, call);
    }

    /// A whole record in a buffer of ours.
    fn own_record(&mut self, side: Side, header: Header, body: &mut [u8], call: &mut Call<'_>) {
        if self.half(side).stage == Stage::Clear {
            let step = self.clear_record(side, header, body, call);
            if self.passed_on(side, header, body, step, call) {
                return;
            }
        }
        let step = self.sealed_record(side, header, body, call);
        self.passed_on(side, header, body, step, call);
    }

    /// Holds a record that waits; false if it is yet to be opened.
    fn passed_on(
        &mut self,
        side: Side,
        header: Header,
        body: &[u8],
        step: Option<Step>,
        call: &mut Call<'_>,
    ) -> bool {
        match step {
            None => return false,
            Some(Step::Taken) => {}
            Some(Step::Wait(wait)) if self.may_wait(wait, call) => {
                self.half(side).wait = Some(wait);
                self.hold(side, &[&header.bytes(), body], call);
            }
            Some(Step::Wait(_)) => self.half(side).end(Stage::Off),
        }
        true
    }
}

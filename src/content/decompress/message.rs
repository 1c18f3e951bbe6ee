//! Messages compressed one by one, as permessage-deflate does (RFC 7692 section 7.2): raw DEFLATE
//! whose window may reach back over earlier messages, each with the empty block at its end left
//! out.

use std::ops::ControlFlow;

use super::budget::Budget;
use super::deflate::Inflate;
use super::{Limits, Oddity};
use crate::anomaly::{Anomaly, Layer};

/// What the sender left out of each message (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How the message that is open is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It is read.
    Reading,
    /// Its rest cannot be read, but the next one can.
    Skipping,
    /// Nothing more can be read.
    Opaque,
}

/// Decoder of the messages of one direction.
///
/// Like a [`Decoder`](super::Decoder) it never fails. A message that is damaged or lost takes all
/// that follow with it, unless each begins with an empty window. The account of
/// [`Limits::max_ratio`] runs over all messages. Memory is nothing before the first message, then
/// 48 KiB and an output buffer; none again once nothing can be read.
#[derive(Debug)]
pub struct MessageDecoder {
    fresh: bool,
    limits: Limits,
    progress: Progress,
    kernel: Option<Kernel>,
    budget: Budget,
    /// The consumer does not want the rest of this message.
    unwanted: bool,
    undecodable: u64,
    reported: u16,
    pending: u16,
}

#[derive(Debug)]
struct Kernel {
    inflate: Inflate,
    buffer: Box<[u8]>,
}

impl MessageDecoder {
    /// A decoder; `fresh`: each message begins with an empty window (`..._no_context_takeover`).
    #[must_use]
    pub fn new(fresh: bool, limits: Limits) -> Self {
        Self {
            fresh,
            limits,
            progress: Progress::Reading,
            kernel: None,
            budget: Budget::new(&limits),
            unwanted: false,
            undecodable: 0,
            reported: 0,
            pending: 0,
        }
    }

    /// Whether the rest of the message that is open cannot be decoded.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.progress != Progress::Reading
    }

    /// Bytes that arrived but could not be decoded.
    #[must_use]
    pub const fn undecodable_bytes(&self) -> u64 {
        self.undecodable
    }

    /// The next anomaly that has not been taken yet. Each kind comes at most once.
    pub fn take_anomaly(&mut self) -> Option<Anomaly> {
        let next = Oddity::ALL.into_iter().find(|oddity| self.pending & oddity.bit() != 0)?;
        self.pending &= !next.bit();
        Some(Anomaly::new(Layer::Content, next.kind()))
    }

    /// The next bytes of a message: hands each plain piece, never empty, to `out`. When `out`
    /// breaks, it gets no more of this message.
    pub fn push<F>(&mut self, input: &[u8], out: &mut F)
    where
        F: FnMut(&[u8]) -> ControlFlow<()>,
    {
        let mut rest = input;
        while !rest.is_empty() && self.progress == Progress::Reading {
            // Without a window to keep there is nothing to decode for.
            if self.unwanted && self.fresh {
                return;
            }
            let at = rest.len().min(self.budget.max_input_bytes());
            let (slice, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.budget.pay(slice.len());
            rest = match self.inflate(slice, out) {
                Ok(()) => after,
                Err((oddity, unread)) => {
                    self.undecodable += (unread + after.len()) as u64;
                    self.damage(oddity);
                    return;
                }
            };
        }
        if self.progress != Progress::Reading {
            self.undecodable = self.undecodable.saturating_add(rest.len() as u64);
        }
    }

    /// The message is over: hands on what is left of it. The next bytes begin another.
    pub fn end<F>(&mut self, out: &mut F)
    where
        F: FnMut(&[u8]) -> ControlFlow<()>,
    {
        if self.progress == Progress::Reading {
            self.push(&TAIL, out);
        }
        if self.progress == Progress::Skipping {
            self.progress = Progress::Reading;
        }
        self.unwanted = false;
        if self.fresh
            && let Some(kernel) = &mut self.kernel
        {
            kernel.inflate.reset();
        }
    }

    /// Bytes of the message that is open, or of some before the next, are missing.
    pub fn gap(&mut self, len: u64) {
        if len > 0 {
            self.damage(Oddity::Gap);
        }
    }

    /// The message that is open breaks off, which others have reported.
    pub fn abandon(&mut self) {
        if self.progress == Progress::Reading {
            self.lose(self.fresh);
        }
    }

    fn damage(&mut self, oddity: Oddity) {
        self.pending |= oddity.bit() & !self.reported;
        self.reported |= oddity.bit();
        self.lose(self.fresh && oddity != Oddity::Bomb);
    }

    fn lose(&mut self, this_one_only: bool) {
        if this_one_only {
            self.progress = Progress::Skipping;
        } else {
            self.progress = Progress::Opaque;
            self.kernel = None;
        }
    }

    /// Inflates all of `input`; else tells why not, and how much was not taken in.
    fn inflate<F>(&mut self, input: &[u8], out: &mut F) -> Result<(), (Oddity, usize)>
    where
        F: FnMut(&[u8]) -> ControlFlow<()>,
    {
        let buffer_bytes = self.limits.output_buffer_bytes.max(1);
        let Kernel { inflate, buffer } = self.kernel.get_or_insert_with(|| Kernel {
            inflate: Inflate::new(),
            buffer: vec![0; buffer_bytes].into_boxed_slice(),
        });
        let mut rest = input;
        loop {
            let (step, ended) = inflate.step(rest, buffer);
            rest = rest.get(step.consumed..).unwrap_or_default();
            if !self.budget.draw(step.produced) {
                return Err((Oddity::Bomb, rest.len()));
            }
            if let Some(piece @ [_, ..]) = buffer.get(..step.produced)
                && !self.unwanted
            {
                self.unwanted = out(piece).is_break();
            }
            if let Some(oddity) = step.fault {
                return Err((oddity, rest.len()));
            }
            if ended {
                // A sender may mark a block as the last one (RFC 7692 section 7.2.3.4). Receivers
                // begin anew then, with an empty window.
                inflate.reset();
            }
            let full = step.produced == buffer.len();
            if rest.is_empty() && !full {
                return Ok(());
            }
            if step.consumed == 0 && step.produced == 0 && !ended {
                return if rest.is_empty() { Ok(()) } else { Err((Oddity::Corrupt, rest.len())) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    use super::*;

    /// Compresses messages as a sender does.
    pub(crate) fn compress(messages: &[&[u8]], fresh: bool) -> Vec<Vec<u8>> {
        let mut compress = Compress::new(Compression::default(), false);
        let one = |message: &&[u8]| {
            if fresh {
                compress.reset();
            }
            let mut out = Vec::with_capacity(message.len() + 1024);
            compress.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
            match out.strip_suffix(&TAIL) {
                Some(message) => message.to_vec(),
                // Nothing to flush: an empty block (RFC 7692 section 7.2.3.6).
                None => vec![0],
            }
        };
        messages.iter().map(one).collect()
    }

    #[derive(Debug, Default, PartialEq)]
    struct Outcome {
        plain: Vec<Vec<u8>>,
        kinds: Vec<&'static str>,
        undecodable: u64,
    }

    fn decode(messages: &[Vec<u8>], fresh: bool, piece: usize, limits: Limits) -> Outcome {
        let mut decoder = MessageDecoder::new(fresh, limits);
        let mut outcome = Outcome::default();
        for message in messages {
            let mut plain = Vec::new();
            let mut out = |bytes: &[u8]| {
                assert!(!bytes.is_empty());
                plain.extend_from_slice(bytes);
                ControlFlow::Continue(())
            };
            for piece in message.chunks(piece) {
                decoder.push(piece, &mut out);
            }
            decoder.end(&mut out);
            outcome.plain.push(plain);
        }
        outcome.kinds = std::iter::from_fn(|| decoder.take_anomaly()).map(|a| a.kind).collect();
        outcome.undecodable = decoder.undecodable_bytes();
        outcome
    }

    fn clean(messages: &[&[u8]]) -> Outcome {
        Outcome {
            plain: messages.iter().map(|plain| plain.to_vec()).collect(),
            ..Outcome::default()
        }
    }

    const MESSAGES: &[&[u8]] = &[
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        b"",
        br#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
        br#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"x"}}"#,
    ];

    #[test]
    fn every_cut_gives_the_messages_with_and_without_their_windows() {
        for fresh in [false, true] {
            let coded = compress(MESSAGES, fresh);
            for piece in 1..=64 {
                let got = decode(&coded, fresh, piece, Limits::default());
                assert_eq!(got, clean(MESSAGES), "{fresh} {piece}");
            }
        }
        let shared = compress(MESSAGES, false);
        assert!(shared[2].len() < 20, "the window must be worth keeping: {shared:02x?}");
    }

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 7692 sections 7.2.3.1 to 7.2.3.5.
        let hello: &[u8] = b"Hello";
        let one = b"\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec();
        let again = b"\xf2\x00\x11\x00\x00".to_vec();
        let stored = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00".to_vec();
        let last = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00".to_vec();
        let two_blocks = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00".to_vec();
        for messages in [
            vec![one.clone(), again],
            vec![stored.clone(), one.clone()],
            vec![last.clone(), one],
            vec![two_blocks, last],
        ] {
            assert_eq!(decode(&messages, false, 3, Limits::default()), clean(&[hello, hello]));
        }
    }

    #[test]
    fn a_message_of_many_buffers_comes_whole_and_pays_for_itself() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let coded = compress(&[&text, &text], false);
        assert_eq!(decode(&coded, false, 1000, Limits::default()), clean(&[&text, &text]));
        let bomb = compress(&[&vec![b' '; 8 << 20], b"x"], false);
        let limits = Limits { max_ratio: 10, ..Limits::default() };
        let got = decode(&bomb, false, 1 << 20, limits);
        assert_eq!(got.kinds, ["decompression-bomb"]);
        assert!(got.plain[0].len() < 2 << 20 && got.plain[1].is_empty());
    }

    #[test]
    fn damage_takes_what_follows_with_it_unless_windows_are_fresh() {
        for fresh in [true, false] {
            let mut coded = compress(MESSAGES, fresh);
            coded[0] = vec![0xff; 5];
            let got = decode(&coded, fresh, 2, Limits::default());
            assert_eq!(got.kinds, ["content-coding-corrupt"], "{fresh}");
            assert!(got.undecodable > 0);
            assert_eq!(got.plain[2] == MESSAGES[2], fresh);
        }
    }

    #[test]
    fn after_a_gap_only_fresh_windows_go_on() {
        for fresh in [true, false] {
            let coded = compress(MESSAGES, fresh);
            let mut decoder = MessageDecoder::new(fresh, Limits::default());
            let mut plain = Vec::new();
            let mut out = |bytes: &[u8]| {
                plain.extend_from_slice(bytes);
                ControlFlow::Continue(())
            };
            decoder.push(&coded[0][..3], &mut out);
            decoder.gap(5);
            assert!(decoder.is_damaged());
            decoder.push(&coded[0][8..], &mut out);
            decoder.end(&mut out);
            assert_eq!(decoder.is_damaged(), !fresh);
            decoder.push(&coded[2], &mut out);
            decoder.end(&mut out);
            assert_eq!(plain.ends_with(MESSAGES[2]), fresh);
            assert_eq!(decoder.take_anomaly().map(|a| a.kind), Some("content-coding-gap"));
            assert_eq!(decoder.take_anomaly(), None);
        }
    }

    #[test]
    fn what_nobody_wants_still_fills_the_window() {
        for fresh in [true, false] {
            let coded = compress(MESSAGES, fresh);
            let mut decoder = MessageDecoder::new(fresh, Limits::default());
            decoder.push(&coded[0], &mut |_: &[u8]| ControlFlow::Break(()));
            decoder.end(&mut |_: &[u8]| panic!("not wanted"));
            let mut plain = Vec::new();
            for message in &coded[1..3] {
                let mut out = |bytes: &[u8]| {
                    plain.extend_from_slice(bytes);
                    ControlFlow::Continue(())
                };
                decoder.push(message, &mut out);
                decoder.end(&mut out);
            }
            assert_eq!(plain, MESSAGES[2]);
        }
    }

    proptest! {
        #[test]
        fn any_messages_come_back(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            fresh in any::<bool>(),
            piece in 1_usize..50,
        ) {
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let coded = compress(&messages, fresh);
            prop_assert_eq!(decode(&coded, fresh, piece, Limits::default()), clean(&messages));
        }

        #[test]
        fn any_bytes_give_the_same_however_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 1..6),
            fresh in any::<bool>(),
            piece in 1_usize..20,
        ) {
            let whole = decode(&messages, fresh, usize::MAX, Limits::default());
            let cut = decode(&messages, fresh, piece, Limits::default());
            prop_assert_eq!(whole.plain, cut.plain);
            prop_assert_eq!(whole.kinds, cut.kinds);
        }
    }
}

//! One direction of a WebSocket connection: bytes into messages (RFC 6455 sections 5 and 6).
//!
//! Payloads are handed on as they come, of any length; what is kept is a header in pieces, and
//! [`Search`] after a gap.

use super::feed::Feed;
use super::frame::{CLOSE, CONTINUATION, Header, MAX_CONTROL_BYTES, MAX_HEADER_BYTES, RSV1};
use super::mask::Mask;
use super::oddity::Oddity;
use super::search::{Look, Search};
use crate::exchange::{
    BodyInterest, End, ExchangeEvent, ExchangeSink, MessageCoding, MessagePiece,
};
use crate::net::Direction;

/// Bytes that are unmasked at a time.
const SCRATCH_BYTES: usize = 4096;

/// Places in a row that may turn out wrong before the direction is given up.
const MAX_MISSES: u8 = 8;

/// Where the next byte belongs.
#[derive(Debug)]
enum Step {
    /// A frame header, of which so many bytes are here.
    Head { held: [u8; MAX_HEADER_BYTES], len: usize },
    /// A payload.
    Payload(Payload),
    /// Unknown: bytes were missing.
    Search(Box<Search>),
    /// Nowhere: the direction is over or cannot be read.
    Off,
}

const HEAD: Step = Step::Head { held: [0; MAX_HEADER_BYTES], len: 0 };

/// The rest of a payload.
#[derive(Clone, Copy, Debug)]
struct Payload {
    left: u64,
    mask: Option<Mask>,
    /// It belongs to a message that is reported.
    wanted: bool,
    /// The message ends with it.
    fin: bool,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Half {
    number: u32,
    direction: Direction,
    /// permessage-deflate is in use, and whether each message begins with an empty window.
    deflate: Option<bool>,
    step: Step,
    /// The coding of the message that is open.
    message: Option<MessageCoding>,
    /// A piece of it was given.
    begun: bool,
    /// Headers that have to be plausible before a place that was found is trusted.
    doubt: u8,
    /// Places in a row that were wrong.
    misses: u8,
    /// Continuation frames may belong to a message whose start is missing.
    lost: bool,
    closed: bool,
    reported: u16,
    unwanted: bool,
}

impl Half {
    pub(super) const fn new(number: u32, direction: Direction, deflate: Option<bool>) -> Self {
        Self {
            number,
            direction,
            deflate,
            step: HEAD,
            message: None,
            begun: false,
            doubt: 0,
            misses: 0,
            lost: false,
            closed: false,
            reported: 0,
            unwanted: false,
        }
    }

    /// Whether a close frame was seen.
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Nothing more is wanted.
    pub(super) const fn stop(&mut self) {
        self.unwanted = true;
    }

    pub(super) fn feed<S: ExchangeSink>(
        &mut self,
        bytes: &[u8],
        out: &mut Feed<'_, S>,
    ) -> BodyInterest {
        let mut rest = bytes;
        while !rest.is_empty() && !self.unwanted {
            rest = match &mut self.step {
                Step::Head { .. } => self.head(rest, out),
                Step::Payload(_) => self.payload(rest, out),
                Step::Search(_) => self.search(rest, out),
                Step::Off => break,
            };
        }
        self.interest()
    }

    pub(super) fn gap<S: ExchangeSink>(&mut self, len: u64, out: &mut Feed<'_, S>) -> BodyInterest {
        if self.unwanted || len == 0 {
            return self.interest();
        }
        let mut missing = len;
        if let Step::Payload(payload) = &mut self.step {
            let inside = payload.left.min(len);
            payload.left -= inside;
            missing -= inside;
            if let Some(mask) = &mut payload.mask {
                mask.skip(inside);
            }
            let Payload { left, wanted, fin, .. } = *payload;
            if wanted && inside > 0 {
                // The bytes are those of this message, which has to be open then.
                if !self.begun {
                    self.piece(&[], None, out);
                }
                self.tell(ExchangeEvent::MessageGap(self.direction, inside), out);
            }
            if left == 0 {
                self.end_frame(wanted && fin, out);
            }
        }
        match &mut self.step {
            Step::Search(search) => search.gap(),
            Step::Head { .. } if missing > 0 => self.step = Step::Search(Box::default()),
            _ => return self.interest(),
        }
        self.lost = true;
        // Between messages: these bytes belong to several, or to none.
        self.cut(out);
        self.tell(ExchangeEvent::MessageGap(self.direction, missing), out);
        self.interest()
    }

    /// No more bytes come.
    pub(super) fn finish<S: ExchangeSink>(&mut self, out: &mut Feed<'_, S>) {
        if !self.unwanted {
            self.cut(out);
        }
        self.step = Step::Off;
    }

    const fn interest(&self) -> BodyInterest {
        if self.unwanted { BodyInterest::Unwanted } else { BodyInterest::Wanted }
    }

    fn odd<S: ExchangeSink>(&mut self, oddity: Oddity, out: &mut Feed<'_, S>) {
        if self.reported & oddity.bit() == 0 {
            self.reported |= oddity.bit();
            out.anomaly(oddity.anomaly());
        }
    }

    fn tell<S: ExchangeSink>(&mut self, event: ExchangeEvent<'_>, out: &mut Feed<'_, S>) {
        self.unwanted |= out.event(self.number, event) == BodyInterest::Unwanted;
    }

    fn piece<S: ExchangeSink>(&mut self, bytes: &[u8], end: Option<End>, out: &mut Feed<'_, S>) {
        if let Some(coding) = self.message {
            let piece = MessagePiece { direction: self.direction, coding, bytes, end };
            self.tell(ExchangeEvent::Message(piece), out);
        }
        self.begun = true;
        if end.is_some() {
            self.message = None;
        }
    }

    /// The open message, if there is one, will not be complete.
    fn cut<S: ExchangeSink>(&mut self, out: &mut Feed<'_, S>) {
        if self.begun {
            self.piece(&[], Some(End::Truncated), out);
        }
        self.message = None;
    }

    fn head<'b, S: ExchangeSink>(&mut self, bytes: &'b [u8], out: &mut Feed<'_, S>) -> &'b [u8] {
        let Step::Head { held, len } = &mut self.step else { return bytes };
        if *len == 0
            && let Some((header, used)) = Header::parse(bytes)
        {
            if !self.trusts(header) {
                self.miss(&[], out);
                return bytes;
            }
            self.begin(header, out);
            return bytes.get(used..).unwrap_or_default();
        }
        let before = *len;
        for (slot, byte) in held.iter_mut().skip(before).zip(bytes) {
            *slot = *byte;
            *len += 1;
        }
        let Some((header, used)) = held.get(..*len).and_then(Header::parse) else { return &[] };
        let held = *held;
        if self.trusts(header) {
            self.begin(header, out);
        } else {
            self.miss(held.get(..used).unwrap_or_default(), out);
        }
        bytes.get(used.saturating_sub(before)..).unwrap_or_default()
    }

    const fn look(&self) -> Look {
        let masked = matches!(self.direction, Direction::ToServer);
        Look { masked, deflate: self.deflate.is_some() }
    }

    /// Whether a header is what stands where one was found by its looks.
    fn trusts(&mut self, header: Header) -> bool {
        if self.doubt == 0 {
            return true;
        }
        self.doubt -= 1;
        if self.doubt == 0 {
            self.misses = 0;
        }
        self.look().is_plausible(header)
    }

    /// The place that was found was none: looks on, from these bytes.
    fn miss<S: ExchangeSink>(&mut self, held: &[u8], out: &mut Feed<'_, S>) {
        self.cut(out);
        self.lost = true;
        self.misses += 1;
        if self.misses > MAX_MISSES {
            self.odd(Oddity::Lost, out);
            self.step = Step::Off;
            return;
        }
        self.step = Step::Search(Box::default());
        self.search(held, out);
    }

    /// A header is complete.
    fn begin<S: ExchangeSink>(&mut self, header: Header, out: &mut Feed<'_, S>) {
        self.check(header, out);
        if header.len > i64::MAX as u64 {
            self.odd(Oddity::LengthInvalid, out);
            self.cut(out);
            self.step = Step::Off;
            return;
        }
        let wanted = header.is_known() && !header.is_control() && self.begin_data(header, out);
        self.closed |= header.opcode == CLOSE;
        let mask = header.key.map(Mask::new);
        if header.len == 0 {
            if wanted && header.fin {
                self.piece(&[], Some(End::Complete), out);
            }
            self.end_frame(false, out);
            return;
        }
        self.step = Step::Payload(Payload { left: header.len, mask, wanted, fin: header.fin });
    }

    /// Whether a data frame belongs to a message that is reported.
    fn begin_data<S: ExchangeSink>(&mut self, header: Header, out: &mut Feed<'_, S>) -> bool {
        if self.closed {
            self.odd(Oddity::DataAfterClose, out);
        }
        if header.opcode == CONTINUATION {
            let known = self.message.is_some();
            if !known && !self.lost {
                self.odd(Oddity::UnexpectedContinuation, out);
            }
            self.lost &= known || !header.fin;
            return known;
        }
        if self.message.is_some() {
            self.odd(Oddity::Interrupted, out);
            self.cut(out);
        }
        (self.lost, self.begun) = (false, false);
        self.message = Some(match self.deflate {
            Some(fresh) if header.reserved & RSV1 != 0 => MessageCoding::Deflate { fresh },
            _ => MessageCoding::Plain,
        });
        true
    }

    fn check<S: ExchangeSink>(&mut self, header: Header, out: &mut Feed<'_, S>) {
        match (self.direction, header.key) {
            (Direction::ToServer, None) => self.odd(Oddity::UnmaskedClient, out),
            (Direction::ToClient, Some(_)) => self.odd(Oddity::MaskedServer, out),
            _ => {}
        }
        if !header.is_known() {
            self.odd(Oddity::BadOpcode, out);
        }
        let may_compress =
            self.deflate.is_some() && !header.is_control() && header.opcode != CONTINUATION;
        let known = if may_compress { RSV1 } else { 0 };
        if header.reserved & !known != 0 {
            self.odd(Oddity::ReservedBits, out);
        }
        if header.overlong {
            self.odd(Oddity::LengthOverlong, out);
        }
        if header.is_control() && (!header.fin || header.len > MAX_CONTROL_BYTES) {
            self.odd(Oddity::ControlMalformed, out);
        }
    }

    /// A payload is over; `complete`: and with it the message, whose last bytes are missing.
    fn end_frame<S: ExchangeSink>(&mut self, complete: bool, out: &mut Feed<'_, S>) {
        if complete {
            self.piece(&[], Some(End::Complete), out);
        }
        self.step = HEAD;
    }

    fn payload<'b, S: ExchangeSink>(&mut self, bytes: &'b [u8], out: &mut Feed<'_, S>) -> &'b [u8] {
        let Step::Payload(payload) = &mut self.step else { return bytes };
        let left = usize::try_from(payload.left).unwrap_or(usize::MAX);
        let (piece, rest) = bytes.split_at(left.min(bytes.len()));
        payload.left -= piece.len() as u64;
        let before = *payload;
        if let Some(mask) = &mut payload.mask {
            mask.skip(piece.len() as u64);
        }
        if before.left == 0 {
            self.step = HEAD;
        }
        if before.wanted {
            let end = (before.left == 0 && before.fin).then_some(End::Complete);
            match before.mask {
                Some(mask) => self.unmask(piece, mask, end, out),
                None => self.piece(piece, end, out),
            }
        }
        rest
    }

    fn unmask<S: ExchangeSink>(
        &mut self,
        masked: &[u8],
        mut mask: Mask,
        end: Option<End>,
        out: &mut Feed<'_, S>,
    ) {
        let mut scratch = [0; SCRATCH_BYTES];
        let mut rest = masked;
        while !rest.is_empty() && !self.unwanted {
            let len = mask.apply(rest, &mut scratch);
            rest = rest.get(len..).unwrap_or_default();
            let end = end.filter(|_| rest.is_empty());
            self.piece(scratch.get(..len).unwrap_or_default(), end, out);
        }
    }

    fn search<'b, S: ExchangeSink>(&mut self, bytes: &'b [u8], out: &mut Feed<'_, S>) -> &'b [u8] {
        let look = self.look();
        let Step::Search(search) = &mut self.step else { return bytes };
        let (used, found) = search.feed(bytes, look);
        let seen = search.seen();
        if found {
            self.odd(Oddity::Resync, out);
            // The header that was found, and two more.
            self.doubt = 3;
            if let Step::Search(search) = std::mem::replace(&mut self.step, HEAD) {
                _ = self.feed(search.found(), out);
            }
        } else if seen >= out.limits.max_search_bytes {
            self.odd(Oddity::Lost, out);
            self.step = Step::Off;
        }
        bytes.get(used..).unwrap_or_default()
    }
}

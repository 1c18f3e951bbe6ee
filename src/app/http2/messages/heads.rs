//! Header blocks as heads of messages, trailers and promises (RFC 9113 section 8).

use super::super::hpack::Pseudo;
use super::*;
use crate::exchange::{ExchangeEvent, RequestHead, ResponseHead, Version};

impl Messages {
    pub(super) fn block<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        block: Block<'_>,
        out: &mut Feed<'_, S>,
    ) {
        let cut = block.cut != Cut::Whole;
        let mut fields = std::mem::take(&mut self.fields);
        let decoder = &mut self.lane(direction).decoder;
        decoder.decode(block.bytes, cut, out.limits, &mut fields);
        self.oddities(block.cut, &fields, out);
        let id = block.stream;
        match block.purpose {
            _ if id == 0 => self.odd(Oddity::FrameMalformed, out),
            Purpose::Message { end } => {
                let end = end.then_some(if cut { End::Truncated } else { End::Complete });
                self.message(direction, id, &fields, end, cut, out);
            }
            Purpose::Promise => self.promise(direction, id, &fields, cut, out),
        }
        self.fields = fields;
    }

    fn oddities<S: ExchangeSink>(&mut self, cut: Cut, fields: &Fields, out: &mut Feed<'_, S>) {
        match cut {
            Cut::TooLong => self.odd(Oddity::BlockTooLong, out),
            Cut::Interrupted => self.odd(Oddity::ContinuationMissing, out),
            Cut::Whole | Cut::Missing => {}
        }
        let findings = fields.findings;
        for (found, oddity) in [
            (findings.unknown, Oddity::HpackPartial),
            (findings.malformed || findings.late_resize, Oddity::HpackMalformed),
            (findings.expanded, Oddity::HpackExpansion),
            (findings.too_large, Oddity::HeadTooLarge),
            (findings.pseudo_misplaced, Oddity::PseudoInvalid),
            (fields.has_forbidden_byte(), Oddity::FieldInvalid),
        ] {
            if found {
                self.odd(oddity, out);
            }
        }
    }

    fn message<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        id: u32,
        fields: &Fields,
        end: Option<End>,
        cut: bool,
        out: &mut Feed<'_, S>,
    ) {
        match self.streams.get(id).map(|stream| stream.phase(direction)) {
            None if self.is_past(id) => {
                // A response may have been under way when its stream was reset.
                if direction == Direction::ToServer && fields.has_pseudo() {
                    self.odd(Oddity::StreamReused, out);
                }
                return;
            }
            // Trailers of a message that was not seen.
            None if end.is_some() && !fields.has_pseudo() => return,
            Some(Phase::Over) => return self.odd(Oddity::StreamReused, out),
            Some(Phase::Body) => {}
            None | Some(Phase::Idle) => match direction {
                Direction::ToServer => self.request(id, fields, cut, out),
                Direction::ToClient => {
                    let interim = !self.response(id, fields, end.is_some(), cut, out);
                    if interim {
                        return;
                    }
                }
            },
        }
        if let Some(end) = end {
            self.end(direction, id, end, out);
        }
    }

    fn request<S: ExchangeSink>(
        &mut self,
        id: u32,
        fields: &Fields,
        cut: bool,
        out: &mut Feed<'_, S>,
    ) {
        if self.streams.get(id).is_none() {
            self.insert(id, out);
        }
        self.highest = self.highest.max(id);
        let method = fields.pseudo(Pseudo::Method).unwrap_or_default();
        let connect = method == b"CONNECT";
        // RFC 9113 section 8.5; the extended form of RFC 8441 has a path.
        let authority = fields.pseudo(Pseudo::Authority).filter(|_| connect);
        let target = fields.pseudo(Pseudo::Path).or(authority).unwrap_or_default();
        if (method.is_empty() || target.is_empty()) && !fields.findings.unknown && !cut {
            self.odd(Oddity::PseudoInvalid, out);
        }
        let number = out.begin();
        let version = Version::Http2;
        let head = RequestHead { method, target, version, headers: fields.headers() };
        let interest = out.event(number, ExchangeEvent::RequestHead(head));
        let Some(stream) = self.streams.get(id) else { return };
        stream.connect = connect;
        stream.begin_request(number, if connect { BodyInterest::Unwanted } else { interest });
        if connect {
            let websocket = fields.pseudo(Pseudo::Protocol) == Some(b"websocket");
            self.odd(if websocket { Oddity::WebSocketNotRead } else { Oddity::TunnelNotRead }, out);
        }
    }

    /// False if it is an interim response (RFC 9110 section 15.2).
    fn response<S: ExchangeSink>(
        &mut self,
        id: u32,
        fields: &Fields,
        over: bool,
        cut: bool,
        out: &mut Feed<'_, S>,
    ) -> bool {
        let partial = fields.findings.unknown || cut;
        let status = match fields.pseudo(Pseudo::Status).map(status) {
            Some(Some(100..=199)) => return false,
            Some(Some(status)) => status,
            unknown => {
                if unknown.is_some() || !partial {
                    self.odd(Oddity::PseudoInvalid, out);
                }
                0
            }
        };
        if self.streams.get(id).is_none() {
            self.insert(id, out);
        }
        self.resets = self.resets.saturating_sub(1);
        let Some(stream) = self.streams.get(id) else { return true };
        let number = stream.response_number(out);
        let tunnel = stream.connect && status < 300;
        let headers = fields.headers();
        if partial && !over && !tunnel && headers.get("content-type").is_none() {
            stream.hold_response(number, status, fields);
            return true;
        }
        let head = ResponseHead { status, version: Version::Http2, headers };
        let interest = out.event(number, ExchangeEvent::ResponseHead(head));
        stream.begin_response(number, if tunnel { BodyInterest::Unwanted } else { interest });
        true
    }

    /// Server push (RFC 9113 section 8.4).
    fn promise<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        id: u32,
        fields: &Fields,
        cut: bool,
        out: &mut Feed<'_, S>,
    ) {
        if direction == Direction::ToServer {
            return self.odd(Oddity::FrameMalformed, out);
        }
        if self.streams.get(id).is_some() || self.streams.is_closed(id) {
            return self.odd(Oddity::StreamReused, out);
        }
        let highest = self.highest;
        self.request(id, fields, cut, out);
        self.highest = highest;
        let end = if cut { End::Truncated } else { End::Complete };
        self.end(Direction::ToServer, id, end, out);
    }

    /// Content without a head, of a connection that is not known from its start: a head that says
    /// as much as is known stands in. False if the content belongs to nothing.
    pub(super) fn stand_in<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        id: u32,
        out: &mut Feed<'_, S>,
    ) -> bool {
        let is_open = self.streams.get(id).is_some();
        if !is_open && self.is_past(id) {
            return false;
        }
        if !self.lane(direction).uncertain {
            self.odd(Oddity::StreamUnexpected, out);
            return false;
        }
        if !is_open {
            self.insert(id, out);
        }
        let Some(stream) = self.streams.get(id) else { return false };
        match direction {
            Direction::ToClient => {
                let mut fields = Fields::default();
                fields.clear();
                let number = stream.response_number(out);
                stream.hold_response(number, 0, &fields);
            }
            Direction::ToServer => {
                let number = out.begin();
                let version = Version::Http2;
                let headers = crate::exchange::Headers::default();
                let head = RequestHead { method: b"", target: b"", version, headers };
                let interest = out.event(number, ExchangeEvent::RequestHead(head));
                stream.begin_request(number, interest);
            }
        }
        true
    }
}

fn status(text: &[u8]) -> Option<u16> {
    let [hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = text else {
        return None;
    };
    let digit = |digit: &u8| u16::from(digit - b'0');
    Some(digit(hundreds) * 100 + digit(tens) * 10 + digit(ones))
}

//! From what a half reads to calls of the [`ExchangeSink`].

use super::connection::{Last, Method, Open, Outcome, Pairing, Pending};
use super::half::{Disposition, Framing, Receiver};
use super::head::{Facts, Head, StartLine, Transfer, Upgrade};
use super::oddity::Oddity;
use crate::app::{Counters, websocket};
use crate::exchange::{
    BodyInterest, Context, End, ExchangeEvent, ExchangeSink, HeaderSpan, Headers, RequestHead,
    ResponseHead, Scheme, Version, Visibility,
};
use crate::flow::At;
use crate::net::{Direction, Endpoint, Scope};

/// Who talks to whom, and when.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Line<'a> {
    pub(in crate::app) flow: u64,
    pub(in crate::app) client: Endpoint,
    pub(in crate::app) server: Endpoint,
    pub(in crate::app) scope: Scope,
    pub(in crate::app) scheme: Scheme,
    pub(in crate::app) at: At,
    pub(in crate::app) tunnels: &'a [Box<str>],
}

impl<'a> Line<'a> {
    /// The context of an exchange at a depth of tunnels.
    pub(in crate::app) fn context(&self, tunnel: u8) -> Context<'a> {
        let tunnel = usize::from(tunnel).checked_sub(1).and_then(|at| self.tunnels.get(at));
        Context {
            flow: self.flow,
            client: self.client,
            server: self.server,
            scope: self.scope,
            scheme: self.scheme,
            tunnel: tunnel.map(|authority| &**authority),
            visibility: Visibility::Body,
            at: self.at,
            provenance: None,
        }
    }
}

/// The way of one direction to the sink.
#[derive(Debug)]
pub(in crate::app) struct Feed<'a, S: ExchangeSink> {
    pub(in crate::app) direction: Direction,
    pub(in crate::app) pairing: &'a mut Pairing,
    /// Number of the flow's next exchange.
    pub(in crate::app) next: &'a mut u32,
    pub(in crate::app) sink: &'a mut S,
    pub(in crate::app) user: &'a mut S::State,
    pub(in crate::app) counters: &'a mut Counters,
    pub(in crate::app) line: Line<'a>,
    pub(in crate::app) max_outstanding: usize,
}

impl<S: ExchangeSink> Feed<'_, S> {
    fn event(&mut self, number: u32, tunnel: u8, event: ExchangeEvent<'_>) -> BodyInterest {
        let context = self.line.context(tunnel);
        self.sink.event(&context, self.user, number, event)
    }

    /// An event that has no body to be interested in.
    fn tell(&mut self, number: u32, tunnel: u8, event: ExchangeEvent<'_>) {
        let (BodyInterest::Wanted | BodyInterest::Unwanted) = self.event(number, tunnel, event);
    }

    const fn begin(&mut self) -> u32 {
        let number = *self.next;
        *self.next = number.wrapping_add(1);
        self.counters.exchanges += 1;
        number
    }

    fn abort(&mut self, pending: Pending) {
        self.tell(pending.number, pending.tunnel, ExchangeEvent::Aborted);
    }

    /// The flow is over: all that still wait are aborted.
    pub(in crate::app) fn abort_all(&mut self) {
        while let Some(pending) = self.pairing.queue.pop_front() {
            self.abort(pending);
        }
    }

    fn request(&mut self, method: &[u8], target: &[u8], head: &Head<'_>) -> Disposition {
        let number = self.begin();
        let [tunnel, _] = self.pairing.tunnels;
        let event = RequestHead { method, target, version: head.version, headers: head.headers };
        let interest = self.event(number, tunnel, ExchangeEvent::RequestHead(event));
        let connect = method == b"CONNECT";
        let method = match method {
            b"HEAD" => Method::Head,
            b"CONNECT" => Method::Connect,
            _ => Method::Other,
        };
        let mut last = None;
        if self.pairing.early > 0 {
            // Its response came first, and was reported without it.
            self.pairing.early -= 1;
            last = Some(Last::Aborted);
        } else {
            let upgrade = head.facts.upgrade.is_some();
            self.enqueue(Pending { number, tunnel, method, upgrade });
        }
        self.pairing.request = Some(Open { number, tunnel, last });
        if connect {
            self.pairing.connect = Some(String::from_utf8_lossy(target).into());
        }
        let framing = if connect { Framing::Empty } else { request_framing(&head.facts) };
        Disposition { framing, interest, doubt: false, stop: connect }
    }

    fn enqueue(&mut self, pending: Pending) {
        if self.pairing.queue.len() >= self.max_outstanding {
            if !std::mem::replace(&mut self.pairing.overflowed, true) {
                self.oddity(Oddity::TooManyOutstanding);
            }
            if let Some(oldest) = self.pairing.queue.pop_front() {
                self.abort(oldest);
            }
        }
        let waiting = !self.pairing.queue.is_empty();
        self.pairing.pipelined |= waiting && !self.pairing.response_lost;
        self.pairing.queue.push_back(pending);
    }

    fn response(&mut self, status: u16, head: &Head<'_>) -> Disposition {
        const INTERIM: Disposition = Disposition {
            framing: Framing::Interim,
            interest: BodyInterest::Wanted,
            doubt: false,
            stop: false,
        };
        const SWITCH: Disposition = Disposition { framing: Framing::Empty, stop: true, ..INTERIM };
        if status < 200 && status != 101 {
            return INTERIM;
        }
        if status == 101 && self.pairing.queue.front().is_some_and(|request| !request.upgrade) {
            self.oddity(Oddity::UnexpectedSwitch);
            return INTERIM;
        }
        let pending = self.next_request();
        let (number, tunnel) = match pending {
            Some(pending) => (pending.number, pending.tunnel),
            None => self.unpaired(),
        };
        let method = pending.map(|pending| pending.method);
        let upgrade = (status == 101).then(|| head.facts.upgrade.unwrap_or(Upgrade::Other));
        if upgrade == Some(Upgrade::Http2) {
            // No response of its own: the one to this request comes in stream 1.
            self.pairing.outcome = Some(Outcome::ToHttp2(number));
            return SWITCH;
        }
        let tunnelled = method == Some(Method::Connect) && (200..300).contains(&status);
        if method == Some(Method::Connect) {
            self.pairing.outcome = Some(if tunnelled { Outcome::Tunnel } else { Outcome::Refused });
        }
        let stop = tunnelled || status == 101;
        let empty = stop || method == Some(Method::Head) || matches!(status, 204 | 304);
        let framing = if empty { Framing::Empty } else { response_framing(&head.facts) };
        let doubt = pending.is_none() && framing != Framing::Chunked;
        let event = ResponseHead { status, version: head.version, headers: head.headers };
        let interest = self.event(number, tunnel, ExchangeEvent::ResponseHead(event));
        match upgrade {
            // The exchange goes on for as long as the connection does.
            Some(Upgrade::WebSocket) => {
                let deflate = websocket::deflate(&head.headers);
                self.pairing.outcome = Some(Outcome::ToWebSocket(number, deflate));
            }
            other => {
                self.pairing.response = Some(Open { number, tunnel, last: None });
                if other.is_some() {
                    self.pairing.outcome = Some(Outcome::ToOther);
                }
            }
        }
        Disposition { framing, interest, doubt, stop }
    }

    /// The request that the response in hand answers.
    fn next_request(&mut self) -> Option<Pending> {
        let lost = std::mem::take(&mut self.pairing.response_lost);
        if lost && !self.pairing.pipelined {
            // A client that waits for each response has got those that the capture has not.
            while self.pairing.queue.len() > 1 {
                if let Some(missed) = self.pairing.queue.pop_front() {
                    self.abort(missed);
                }
            }
        }
        self.pairing.queue.pop_front()
    }

    /// Number and tunnel of a response without a request.
    fn unpaired(&mut self) -> (u32, u8) {
        if !self.pairing.midstream && !self.pairing.uncertain {
            if self.pairing.early == 0 {
                self.oddity(Oddity::UnexpectedResponse);
            }
            self.pairing.early = self.pairing.early.saturating_add(1);
        }
        let [_, tunnel] = self.pairing.tunnels;
        (self.begin(), tunnel)
    }

    fn open(&self) -> Option<Open> {
        match self.direction {
            Direction::ToServer => self.pairing.request,
            Direction::ToClient => self.pairing.response,
        }
    }

    fn end_request(&mut self, end: End) {
        let Some(open) = self.pairing.request.take() else { return };
        self.tell(open.number, open.tunnel, ExchangeEvent::RequestEnd(end));
        let last = match open.last {
            None => return,
            Some(Last::Aborted) => ExchangeEvent::Aborted,
            Some(Last::ResponseEnd(end)) => ExchangeEvent::ResponseEnd(end),
        };
        self.tell(open.number, open.tunnel, last);
    }

    fn end_response(&mut self, end: End) {
        let Some(open) = self.pairing.response.take() else { return };
        match &mut self.pairing.request {
            Some(request) if request.number == open.number => {
                request.last = Some(Last::ResponseEnd(end));
            }
            _ => self.tell(open.number, open.tunnel, ExchangeEvent::ResponseEnd(end)),
        }
    }
}

impl<S: ExchangeSink> Receiver for Feed<'_, S> {
    fn head(&mut self, head: &Head<'_>) -> Disposition {
        match head.start {
            StartLine::Request { method, target } => self.request(method, target, head),
            StartLine::Response { status } => self.response(status, head),
        }
    }

    fn events(&mut self) -> BodyInterest {
        let number = self.begin();
        let [_, tunnel] = self.pairing.tunnels;
        self.pairing.response = Some(Open { number, tunnel, last: None });
        self.event(number, tunnel, ExchangeEvent::ResponseHead(EVENTS_HEAD))
    }

    fn body(&mut self, bytes: &[u8]) -> BodyInterest {
        let Some(open) = self.open() else { return BodyInterest::Unwanted };
        let event = match self.direction {
            Direction::ToServer => ExchangeEvent::RequestBody(bytes),
            Direction::ToClient => ExchangeEvent::ResponseBody(bytes),
        };
        self.event(open.number, open.tunnel, event)
    }

    fn gap(&mut self, len: u64) -> BodyInterest {
        let Some(open) = self.open() else { return BodyInterest::Unwanted };
        let event = match self.direction {
            Direction::ToServer => ExchangeEvent::RequestGap(len),
            Direction::ToClient => ExchangeEvent::ResponseGap(len),
        };
        self.event(open.number, open.tunnel, event)
    }

    fn end(&mut self, end: End) {
        match self.direction {
            Direction::ToServer => self.end_request(end),
            Direction::ToClient => self.end_response(end),
        }
    }

    fn lost(&mut self) {
        match self.direction {
            Direction::ToServer => self.pairing.early = 0,
            Direction::ToClient => self.pairing.response_lost = true,
        }
        if !std::mem::replace(&mut self.pairing.uncertain, true) {
            self.oddity(Oddity::PairingUncertain);
        }
    }

    fn oddity(&mut self, oddity: Oddity) {
        let [request, response] = self.pairing.tunnels;
        let tunnel = match self.direction {
            Direction::ToServer => request,
            Direction::ToClient => response,
        };
        self.counters.anomalies += 1;
        let context = self.line.context(tunnel);
        self.sink.anomaly(&context, self.user, oddity.anomaly());
    }
}

/// RFC 9112 section 6.3. A `Transfer-Encoding` that does not end with `chunked` says nothing
/// that a server could go by, so that `Content-Length` is all there is.
pub(in crate::app) fn request_framing(facts: &Facts) -> Framing {
    match facts.transfer {
        Transfer::Chunked => Framing::Chunked,
        Transfer::None | Transfer::Other => facts.length.map_or(Framing::Empty, Framing::Length),
    }
}

/// RFC 9112 section 6.3, for a response that has a body.
pub(in crate::app) fn response_framing(facts: &Facts) -> Framing {
    match facts.transfer {
        Transfer::Chunked => Framing::Chunked,
        Transfer::Other => Framing::UntilClose,
        Transfer::None => facts.length.map_or(Framing::UntilClose, Framing::Length),
    }
}

/// A head with the one field `content-type`, for a body whose own head was not captured.
const EVENTS: Headers<'static> = Headers {
    bytes: b"content-typetext/event-stream",
    spans: &[HeaderSpan { name_start: 0, name_end: 12, value_start: 12, value_end: 29 }],
};
const JSON: Headers<'static> = Headers {
    bytes: b"content-typeapplication/json",
    spans: &[HeaderSpan { name_start: 0, name_end: 12, value_start: 12, value_end: 28 }],
};
const EVENTS_HEAD: ResponseHead<'static> =
    ResponseHead { status: 200, version: Version::Http11, headers: EVENTS };

/// The way of a losing overlap copy to the sink.
#[derive(Debug)]
pub(in crate::app) struct AmbiguousFeed<'a, S: ExchangeSink> {
    pub(in crate::app) direction: Direction,
    pub(in crate::app) sink: &'a mut S,
    pub(in crate::app) user: &'a mut S::State,
    pub(in crate::app) context: Context<'a>,
    /// A head was given.
    pub(in crate::app) begun: &'a mut bool,
    /// The message is over.
    pub(in crate::app) ended: &'a mut bool,
}

impl<S: ExchangeSink> AmbiguousFeed<'_, S> {
    fn event(&mut self, event: ExchangeEvent<'_>) -> BodyInterest {
        if *self.ended {
            return BodyInterest::Unwanted;
        }
        self.sink.ambiguous(&self.context, self.user, event)
    }

    fn tell(&mut self, event: ExchangeEvent<'_>) {
        let (BodyInterest::Wanted | BodyInterest::Unwanted) = self.event(event);
    }

    /// The bytes that follow continue the body of exchange `number`.
    pub(in crate::app) fn continue_body(
        &mut self,
        number: Option<u32>,
        events: bool,
    ) -> BodyInterest {
        let fork = |number| self.sink.fork(&self.context, self.user, number, self.direction);
        match number.and_then(fork) {
            Some(interest) => {
                *self.begun = true;
                interest
            }
            None => self.stand_in_head(events),
        }
    }

    /// A head for bytes that are inside a body. Its own head was given in the exchange that the
    /// winning copy belongs to.
    pub(in crate::app) fn stand_in_head(&mut self, events: bool) -> BodyInterest {
        *self.begun = true;
        let headers = if events { EVENTS } else { JSON };
        let version = Version::Http11;
        self.event(match self.direction {
            Direction::ToServer => ExchangeEvent::RequestHead(RequestHead {
                method: b"POST",
                target: b"",
                version,
                headers,
            }),
            Direction::ToClient => {
                ExchangeEvent::ResponseHead(ResponseHead { status: 200, version, headers })
            }
        })
    }

    /// The exchange's last events, if it began and is not over.
    pub(in crate::app) fn close(&mut self, end: End) {
        if *self.begun && !*self.ended {
            match self.direction {
                Direction::ToServer => {
                    self.tell(ExchangeEvent::RequestEnd(end));
                    self.tell(ExchangeEvent::Aborted);
                }
                Direction::ToClient => self.tell(ExchangeEvent::ResponseEnd(end)),
            }
        }
        *self.ended = true;
    }
}

impl<S: ExchangeSink> Receiver for AmbiguousFeed<'_, S> {
    fn head(&mut self, head: &Head<'_>) -> Disposition {
        let Head { version, headers, facts, .. } = *head;
        *self.begun = true;
        let (framing, interest) = match head.start {
            StartLine::Request { method, target } => {
                let head = RequestHead { method, target, version, headers };
                let interest = self.event(ExchangeEvent::RequestHead(head));
                (request_framing(&facts), interest)
            }
            StartLine::Response { status } => {
                let head = ResponseHead { status, version, headers };
                let interest = self.event(ExchangeEvent::ResponseHead(head));
                let empty = status < 200 || matches!(status, 204 | 304);
                (if empty { Framing::Empty } else { response_framing(&facts) }, interest)
            }
        };
        Disposition { framing, interest, doubt: false, stop: true }
    }

    fn events(&mut self) -> BodyInterest {
        self.stand_in_head(true)
    }

    fn body(&mut self, bytes: &[u8]) -> BodyInterest {
        self.event(match self.direction {
            Direction::ToServer => ExchangeEvent::RequestBody(bytes),
            Direction::ToClient => ExchangeEvent::ResponseBody(bytes),
        })
    }

    fn gap(&mut self, len: u64) -> BodyInterest {
        self.event(match self.direction {
            Direction::ToServer => ExchangeEvent::RequestGap(len),
            Direction::ToClient => ExchangeEvent::ResponseGap(len),
        })
    }

    fn end(&mut self, end: End) {
        self.close(end);
    }

    fn lost(&mut self) {}

    fn oddity(&mut self, _: Oddity) {}
}

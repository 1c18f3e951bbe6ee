//! Requests and responses that a proxy tells of on different connections, put together as
//! exchanges.
//!
//! The response of an exchange brings what the answer to its request told the proxy to say again,
//! if the proxy can. Else it belongs to the request of the same client with the same method and
//! target that waits longest, one with the same head before others: a RESPMOD repeats the head of
//! its request.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::head::Request;
use crate::exchange::{
    BodyInterest, Context, End, ExchangeEvent, ExchangeSink, Provenance, RequestHead, ResponseHead,
    Scheme, TlsEvent, TlsHello, Visibility,
};
use crate::flow::At;
use crate::fnv;
use crate::net::{Endpoint, Scope};
use crate::time::Timestamp;

/// Bounds of pairing. Worst-case memory: `max_open` exchanges, each with the state of its
/// consumer, a few hundred bytes and what the heads say.
#[derive(Clone, Copy, Debug)]
pub struct PairingLimits {
    /// Exchanges under way, those that wait for a response among them; at the bound the oldest is
    /// aborted for a new one.
    pub max_open: usize,
    /// A request waits so long for its response, in seconds; then the exchange is aborted, and a
    /// response that comes later is one without a request body.
    pub max_wait_seconds: u64,
}

impl Default for PairingLimits {
    fn default() -> Self {
        Self { max_open: 16_384, max_wait_seconds: 900 }
    }
}

/// What pairing counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Exchanges begun.
    pub begun: u64,
    /// Responses that brought the mark of their exchange.
    pub marked: u64,
    /// Responses that were paired by client, method, target and head.
    pub paired: u64,
    /// Responses whose request was not told, or is over.
    pub unpaired: u64,
    /// Requests whose response did not come in time, or for which there was no room.
    pub given_up: u64,
}

/// One of the two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What REQMOD tells.
    Request,
    /// What RESPMOD tells.
    Response,
}

/// Who tells of a message, and when.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The head of the ICAP request.
    pub icap: &'a Request,
    /// Where events of it stand.
    pub at: At,
}

#[derive(Clone, Copy, Debug, Default)]
enum Progress {
    #[default]
    NotBegun,
    /// Its body comes, and is wanted or not.
    Open(bool),
    Over,
}

#[derive(Debug)]
struct Open<T> {
    state: T,
    client: Endpoint,
    scheme: Scheme,
    provenance: Arc<Provenance>,
    request: Progress,
    response: Progress,
    /// The end of a response that was over before its request was.
    last: Option<End>,
    /// Of client, method and target.
    key: u64,
    /// Of the whole head.
    head: u64,
}

/// All exchanges under way. `T` is the state of the consumer.
#[derive(Debug)]
pub struct Exchanges<T> {
    limits: PairingLimits,
    source: Arc<str>,
    /// Tells the marks of this run from those of others.
    run: u64,
    open: HashMap<u64, Open<T>>,
    /// Exchanges that wait for a response, by key. FNV does not resist those who want collisions:
    /// all that they get is their own exchanges taken for one another.
    waiting: HashMap<u64, VecDeque<u64>>,
    /// Every exchange since the oldest that is open, with the time of its beginning.
    order: VecDeque<(Timestamp, u64)>,
    counters: Counters,
    target: Vec<u8>,
}

impl<T: Default> Exchanges<T> {
    /// None yet. `source` is what findings call the source; `run` is a number that other runs do
    /// not have.
    #[must_use]
    pub fn new(limits: PairingLimits, source: Arc<str>, run: u64) -> Self {
        Self {
            limits,
            source,
            run,
            open: HashMap::new(),
            waiting: HashMap::new(),
            order: VecDeque::new(),
            counters: Counters::default(),
            target: Vec::new(),
        }
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Exchanges under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.order.len() + self.waiting.len()
    }

    /// What ties the response of this exchange to it.
    #[must_use]
    pub fn mark(&self, flow: u64) -> String {
        format!("{:016x}-{flow:x}", self.run)
    }

    /// A request begins, as flow `flow` of its own. Of a `CONNECT` nothing but the name of the
    /// server is told.
    pub fn request<S: ExchangeSink<State = T>>(
        &mut self,
        sink: &mut S,
        flow: u64,
        about: About<'_>,
        head: &RequestHead<'_>,
    ) -> BodyInterest {
        let client = client(about.icap.client);
        let open = Open {
            state: T::default(),
            client,
            scheme: scheme(head.target),
            provenance: Arc::new(self.provenance(about.icap, Some(head))),
            request: Progress::NotBegun,
            response: Progress::NotBegun,
            last: None,
            key: key(client.ip, head),
            head: whole(head),
        };
        if head.method == b"CONNECT" {
            tunnel(sink, open, flow, about.at, head);
            return BodyInterest::Unwanted;
        }
        let key = open.key;
        self.begin(sink, flow, about.at, open);
        self.waiting.entry(key).or_default().push_back(flow);
        let mut target = std::mem::take(&mut self.target);
        let head = RequestHead { target: absolute(head, &mut target), ..*head };
        let interest =
            self.step(sink, flow, about.at, Side::Request, ExchangeEvent::RequestHead(head));
        self.target = target;
        interest
    }

    /// A response begins, with the head of its request if the proxy tells it. `flow` is the number
    /// of the exchange if its request was not told. `None` for an answer to `CONNECT`.
    pub fn response<S: ExchangeSink<State = T>>(
        &mut self,
        sink: &mut S,
        flow: impl FnOnce() -> u64,
        about: About<'_>,
        request: Option<&RequestHead<'_>>,
        head: &ResponseHead<'_>,
    ) -> Option<(u64, BodyInterest)> {
        if request.is_some_and(|request| request.method == b"CONNECT") {
            return None;
        }
        let flow = match self.awaited(about.icap, request) {
            Some(known) => known,
            None => {
                self.counters.unpaired += 1;
                let flow = flow();
                self.unpaired(sink, flow, about, request);
                flow
            }
        };
        let event = ExchangeEvent::ResponseHead(*head);
        Some((flow, self.step(sink, flow, about.at, Side::Response, event)))
    }

    /// The next bytes of a body.
    pub fn body<S: ExchangeSink<State = T>>(
        &mut self,
        sink: &mut S,
        flow: u64,
        side: Side,
        at: At,
        bytes: &[u8],
    ) -> BodyInterest {
        let event = match side {
            Side::Request => ExchangeEvent::RequestBody(bytes),
            Side::Response => ExchangeEvent::ResponseBody(bytes),
        };
        match self.open.get(&flow).map(|open| open.progress(side)) {
            Some(Progress::Open(true)) => self.step(sink, flow, at, side, event),
            _ => BodyInterest::Unwanted,
        }
    }

    /// A message is over. With the response the exchange is, once its request is over too.
    pub fn end<S: ExchangeSink<State = T>>(
        &mut self,
        sink: &mut S,
        flow: u64,
        side: Side,
        at: At,
        end: End,
    ) {
        let Some(open) = self.open.get_mut(&flow) else { return };
        match (side, open.progress(side)) {
            (_, Progress::Over | Progress::NotBegun) => return,
            (Side::Response, _) if matches!(open.request, Progress::Open(_)) => {
                open.response = Progress::Over;
                open.last = Some(end);
                return;
            }
            (Side::Request, _) => {
                self.step(sink, flow, at, side, ExchangeEvent::RequestEnd(end));
            }
            (Side::Response, _) => {
                self.step(sink, flow, at, side, ExchangeEvent::ResponseEnd(end));
            }
        }
        let Some(open) = self.open.get_mut(&flow) else { return };
        open.set(side, Progress::Over);
        if let Some(end) = open.last.take() {
            self.step(sink, flow, at, Side::Response, ExchangeEvent::ResponseEnd(end));
            self.open.remove(&flow);
        }
        self.drop_if_over(flow);
    }

    /// There will be no response, or no more of it.
    pub fn abort<S: ExchangeSink<State = T>>(&mut self, sink: &mut S, flow: u64, at: At) {
        let Some(open) = self.open.get(&flow) else { return };
        let key = open.key;
        self.step(sink, flow, at, Side::Response, ExchangeEvent::Aborted);
        self.stop_waiting(key, flow);
        self.open.remove(&flow);
    }

    /// Aborts what has waited too long.
    pub fn expire<S: ExchangeSink<State = T>>(&mut self, sink: &mut S, at: At) {
        let wait = Duration::from_secs(self.limits.max_wait_seconds.max(1));
        while let Some((begun, flow)) = self.order.front().copied() {
            if at.time.since(begun) < wait {
                return;
            }
            self.order.pop_front();
            match self.open.get(&flow).map(|open| open.response) {
                Some(Progress::NotBegun) => {
                    self.counters.given_up += 1;
                    self.abort(sink, flow, at);
                }
                // A stream may be open for hours: it ends with its connection.
                Some(_) => self.order.push_back((at.time, flow)),
                None => {}
            }
        }
    }

    fn begin<S: ExchangeSink<State = T>>(
        &mut self,
        sink: &mut S,
        flow: u64,
        at: At,
        open: Open<T>,
    ) {
        while self.open.len() >= self.limits.max_open {
            let Some((_, oldest)) = self.order.pop_front() else { break };
            if self.open.contains_key(&oldest) {
                self.counters.given_up += 1;
                self.abort(sink, oldest, at);
            }
        }
        // Those that are over stay in line until half of it is: amortised constant.
        if self.order.len() > self.open.len() * 2 + 1024 {
            self.order.retain(|(_, flow)| self.open.contains_key(flow));
        }
        self.counters.begun += 1;
        self.order.push_back((at.time, flow));
        self.open.insert(flow, open);
    }

    /// The exchange whose response this is.
    fn awaited(&mut self, icap: &Request, request: Option<&RequestHead<'_>>) -> Option<u64> {
        let marked = icap.exchange.as_deref().and_then(|mark| self.marked(mark));
        if let Some(flow) = marked {
            self.counters.marked += 1;
            let key = self.open.get(&flow)?.key;
            self.stop_waiting(key, flow);
            return Some(flow);
        }
        let request = request?;
        let key = key(client(icap.client).ip, request);
        let head = whole(request);
        let waiting = self.waiting.get(&key)?;
        let is_same = |flow: &&u64| self.open.get(flow).is_some_and(|open| open.head == head);
        let flow = waiting.iter().find(is_same).or_else(|| waiting.front()).copied()?;
        self.stop_waiting(key, flow);
        self.counters.paired += 1;
        Some(flow)
    }

    fn marked(&self, mark: &str) -> Option<u64> {
        let (run, flow) = mark.split_once('-')?;
        let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
        let flow = hexadecimal(flow).filter(|_| hexadecimal(run) == Some(self.run))?;
        let open = self.open.get(&flow)?;
        matches!(open.response, Progress::NotBegun).then_some(flow)
    }

    fn stop_waiting(&mut self, key: u64, flow: u64) {
        let Some(waiting) = self.waiting.get_mut(&key) else { return };
        if let Some(position) = waiting.iter().position(|other| *other == flow) {
            waiting.remove(position);
        }
        if waiting.is_empty() {
            self.waiting.remove(&key);
        }
    }

    /// An exchange of which only the response is told.
    fn unpaired<S: ExchangeSink<State = T>>(
        &mut self,
        sink: &mut S,
        flow: u64,
        about: About<'_>,
        request: Option<&RequestHead<'_>>,
    ) {
        let Some(head) = request else {
            let open = Open {
                state: T::default(),
                client: client(about.icap.client),
                scheme: Scheme::Http,
                provenance: Arc::new(self.provenance(about.icap, None)),
                request: Progress::Over,
                response: Progress::NotBegun,
                last: None,
                key: 0,
                head: 0,
            };
            return self.begin(sink, flow, about.at, open);
        };
        self.request(sink, flow, about, head);
        let has_none = matches!(head.method, b"GET" | b"HEAD" | b"DELETE" | b"OPTIONS");
        let end = if has_none { End::Complete } else { End::Truncated };
        self.end(sink, flow, Side::Request, about.at, end);
        let key = key(client(about.icap.client).ip, head);
        self.stop_waiting(key, flow);
    }

    fn step<S: ExchangeSink<State = T>>(
        &mut self,
        sink: &mut S,
        flow: u64,
        at: At,
        side: Side,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        let Some(open) = self.open.get_mut(&flow) else { return BodyInterest::Unwanted };
        let context = Context {
            flow,
            client: open.client,
            // What the proxy talks to is not what the client talks to.
            server: Endpoint::UNKNOWN,
            scope: Scope::default(),
            scheme: open.scheme,
            tunnel: None,
            visibility: Visibility::Body,
            at,
            provenance: Some(&open.provenance),
        };
        let interest = sink.event(&context, &mut open.state, 0, event);
        let progress = Progress::Open(interest == BodyInterest::Wanted);
        open.set(side, progress);
        interest
    }

    fn drop_if_over(&mut self, flow: u64) {
        let is_over = |open: &Open<T>| {
            matches!((open.request, open.response), (Progress::Over, Progress::Over))
        };
        if self.open.get(&flow).is_some_and(is_over) {
            self.open.remove(&flow);
        }
    }

    fn provenance(&self, icap: &Request, head: Option<&RequestHead<'_>>) -> Provenance {
        let id = head.and_then(|head| head.headers.get("x-request-id"));
        let id = id.filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES);
        Provenance {
            source: Arc::clone(&self.source),
            user: icap.user.clone(),
            groups: icap.groups.clone(),
            request_id: id.map(|id| String::from_utf8_lossy(id).into()),
            ..Provenance::default()
        }
    }
}

/// Longest request id, in bytes.
const MAX_ID_BYTES: usize = 256;

impl<T> Open<T> {
    const fn progress(&self, side: Side) -> Progress {
        match side {
            Side::Request => self.request,
            Side::Response => self.response,
        }
    }

    const fn set(&mut self, side: Side, progress: Progress) {
        match side {
            Side::Request => self.request = progress,
            Side::Response => self.response = progress,
        }
    }
}

fn client(ip: Option<IpAddr>) -> Endpoint {
    ip.map_or(Endpoint::UNKNOWN, |ip| Endpoint::new(ip, 0))
}

/// The proxy writes the scheme of what it decrypted into the target.
fn scheme(target: &[u8]) -> Scheme {
    let is_https = target.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"https://"));
    if is_https { Scheme::Https } else { Scheme::Http }
}

fn key(client: IpAddr, head: &RequestHead<'_>) -> u64 {
    let mut hash = match client {
        IpAddr::V4(ip) => fnv::add(fnv::BASIS, &ip.octets()),
        IpAddr::V6(ip) => fnv::add(fnv::BASIS, &ip.octets()),
    };
    for part in [head.method, b" ", head.target] {
        hash = fnv::add(hash, part);
    }
    hash
}

fn whole(head: &RequestHead<'_>) -> u64 {
    head.headers.iter().fold(fnv::BASIS, |hash, (name, value)| {
        fnv::add(fnv::add(fnv::add(fnv::add(hash, name), b":"), value), b"\n")
    })
}

/// The target in absolute form (RFC 9112 section 3.2.2), as clients send it to a proxy: `out` is
/// where it is put together if the proxy tells the origin form.
fn absolute<'a>(head: &RequestHead<'a>, out: &'a mut Vec<u8>) -> &'a [u8] {
    match head.headers.get("host") {
        Some(host) if head.target.starts_with(b"/") => {
            out.clear();
            for part in [b"http://", host, head.target] {
                out.extend_from_slice(part);
            }
            out
        }
        _ => head.target,
    }
}

/// What a `CONNECT` shows: whom the client wants to reach.
fn tunnel<S: ExchangeSink>(
    sink: &mut S,
    mut open: Open<S::State>,
    flow: u64,
    at: At,
    head: &RequestHead<'_>,
) {
    let Ok(authority) = std::str::from_utf8(head.target) else { return };
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let hello = TlsHello {
        sni: Some(host.strip_suffix('.').unwrap_or(&host).to_owned()),
        ..TlsHello::default()
    };
    let context = Context {
        flow,
        client: open.client,
        server: Endpoint::UNKNOWN,
        scope: Scope::default(),
        scheme: Scheme::Tls,
        tunnel: Some(authority),
        visibility: Visibility::Tls,
        at,
        provenance: Some(&open.provenance),
    };
    sink.tls(&context, &mut open.state, TlsEvent::Hello(&hello));
}

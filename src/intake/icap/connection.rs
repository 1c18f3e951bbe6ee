//! One connection of a proxy: when each request is answered, and with what.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::core::{Begun, Telling};
use super::{Bodies, Enforce, Shared, page};
use crate::exchange::End;
use crate::icap::answer::{self, Identity};
use crate::icap::{Event, Http, Method, Parser, Request, Side};
use crate::intake::Refusal;
use crate::intake::stream::Stream;

/// Read at once, in bytes.
const READ_BYTES: usize = 16 << 10;
/// Written as soon as there is so much, in bytes.
const WRITE_BYTES: usize = 64 << 10;
/// What is asked for of bodies; see the module above for why it is not one more.
const PREVIEW_BYTES: u64 = 65_535;
/// `ISTag`.
const TAG: &str = concat!("shadowtap-", env!("CARGO_PKG_VERSION"));
/// What `OPTIONS` says holds so long.
const OPTIONS_SECONDS: u32 = 600;

/// What the proxy is told, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Plan {
    /// It was told already.
    #[default]
    Said,
    /// 204, when the message or its preview is over.
    Leave,
    /// The same again, when the preview is over.
    PassLater,
    /// The same again, as it comes.
    Pass,
    /// What is decided, when the message is over: its body is held.
    Decide,
    /// It was refused: what is still sent is not read.
    Refused,
}

/// What reading goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Go,
    /// The body goes on behind the preview.
    Resume,
    /// The next request begins behind the preview.
    Finish,
    /// What the body held so far says is to be decided on. `over`: the message is.
    Ask {
        over: bool,
    },
    /// Nothing more is read.
    Close,
}

/// A request of the proxy.
#[derive(Debug, Default)]
struct Turn {
    icap: Request,
    plan: Plan,
    telling: Option<Telling>,
    wanted: bool,
    /// Something was observed of it.
    observed: bool,
    /// The preview is not over.
    in_preview: bool,
    /// The head that is passed through.
    head: Vec<u8>,
    has_body: bool,
    body: Vec<u8>,
}

struct Session {
    shared: Arc<Shared>,
    turn: Turn,
    out: Vec<u8>,
}

/// Serves a connection to its end.
pub(super) async fn serve(mut stream: Stream, shared: Arc<Shared>) {
    let mut parser = Parser::new(shared.settings.limits);
    let mut session = Session { shared, turn: Turn::default(), out: Vec::new() };
    session.run(&mut stream, &mut parser).await;
    session.leave();
    // Errors here are those of a peer that is gone.
    drop(tokio::time::timeout(session.shared.settings.timeouts.write, stream.shutdown()).await);
}

impl Session {
    async fn run(&mut self, stream: &mut Stream, parser: &mut Parser) {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let timeouts = self.shared.settings.timeouts;
            let is_inside = parser.is_inside();
            let wait = match self.turn.icap.method {
                _ if !is_inside => timeouts.idle,
                Method::Respmod => timeouts.response,
                Method::Options | Method::Reqmod => timeouts.request,
            };
            let read = match tokio::time::timeout(wait, stream.read(&mut buffer)).await {
                Ok(Ok(read)) if read > 0 => read,
                Ok(_) => return,
                Err(_) => {
                    if is_inside {
                        self.shared.core().count().timeouts += 1;
                        self.fail(408);
                        self.write(stream).await;
                    }
                    return;
                }
            };
            let mut input = buffer.get(..read).unwrap_or_default();
            if !self.take(&mut input, parser, stream).await || !self.write(stream).await {
                return;
            }
        }
    }

    /// Takes what was read; false at the connection's end.
    async fn take(&mut self, input: &mut &[u8], parser: &mut Parser, stream: &mut Stream) -> bool {
        loop {
            let next = match parser.next(input) {
                None => return true,
                Some(event) => self.event(event),
            };
            let next = match next {
                Next::Ask { over } => self.decide(over).await,
                next => next,
            };
            match next {
                Next::Go | Next::Ask { .. } => {}
                Next::Resume => parser.resume(),
                Next::Finish => parser.finish(),
                Next::Close => {
                    self.write(stream).await;
                    return false;
                }
            }
            if self.out.len() >= WRITE_BYTES && !self.write(stream).await {
                return false;
            }
        }
    }

    /// Whether it went.
    async fn write(&mut self, stream: &mut Stream) -> bool {
        if self.out.is_empty() {
            return true;
        }
        let wait = self.shared.settings.timeouts.write;
        let writing = async {
            stream.write_all(&self.out).await?;
            stream.flush().await
        };
        let went = matches!(tokio::time::timeout(wait, writing).await, Ok(Ok(())));
        self.out.clear();
        went
    }

    /// The connection is over: so is what it told.
    fn leave(&mut self) {
        if let Some(telling) = self.turn.telling.take() {
            let mut core = self.shared.core();
            core.end(&*self.shared.outlet, telling, End::Truncated);
            core.flush(&*self.shared.outlet);
        }
    }

    fn identity(&self) -> Identity<'static> {
        Identity { tag: TAG, closes: self.turn.icap.is_last }
    }

    fn fail(&mut self, status: u16) {
        if self.turn.plan != Plan::Pass && self.turn.plan != Plan::Refused {
            answer::failure(Identity { tag: TAG, closes: true }, status, &mut self.out);
        }
    }

    fn event(&mut self, event: Event<'_>) -> Next {
        match event {
            Event::Head(icap) => self.head(icap),
            Event::Http(http) => self.http(&http),
            Event::Body(bytes) => self.body(bytes),
            Event::PreviewEnd => self.preview_end(),
            Event::End => self.end(),
            Event::Malformed(malformed) => {
                self.shared.core().malformed();
                self.fail(malformed.status());
                Next::Close
            }
        }
    }

    fn head(&mut self, icap: &Request) -> Next {
        self.turn = Turn { icap: icap.clone(), ..Turn::default() };
        let mut core = self.shared.core();
        core.arrived();
        let count = core.count();
        match icap.method {
            Method::Options => count.options += 1,
            Method::Reqmod => count.reqmods += 1,
            Method::Respmod => count.respmods += 1,
        }
        drop(core);
        let serves = service(&icap.service);
        let status = match serves {
            None => 404,
            Some(method) if icap.method != Method::Options && icap.method != method => 405,
            Some(_) => return Next::Go,
        };
        self.shared.core().malformed();
        self.fail(status);
        Next::Close
    }

    fn http(&mut self, http: &Http<'_>) -> Next {
        let side = match self.turn.icap.method {
            Method::Options => return Next::Go,
            Method::Reqmod => Side::Request,
            Method::Respmod => Side::Response,
        };
        let mut core = self.shared.core();
        let before = core.pending();
        let begun = core.begin(&*self.shared.outlet, &self.turn.icap, http, side);
        self.turn.observed = core.pending() > before;
        drop(core);
        self.turn.telling = begun.map(|begun| begun.telling);
        self.turn.wanted = begun.is_some_and(|begun| begun.wanted);
        self.turn.has_body = http.has_body;
        self.turn.in_preview = self.turn.icap.preview.is_some();
        self.turn.plan = self.plan(begun);
        if matches!(self.turn.plan, Plan::Pass | Plan::PassLater | Plan::Decide) {
            let head = match side {
                Side::Request => http.request,
                Side::Response => http.response,
            };
            self.turn.head = head.unwrap_or_default().to_vec();
        }
        match self.turn.plan {
            Plan::Said => self.unchanged(),
            Plan::Pass => self.pass(),
            _ => {}
        }
        Next::Go
    }

    fn plan(&self, begun: Option<Begun>) -> Plan {
        let settings = &self.shared.settings;
        let Turn { icap, wanted, has_body, .. } = &self.turn;
        let is_request = icap.method == Method::Reqmod;
        if is_request && settings.enforce.is_some() && begun.is_some() && (*wanted || !has_body) {
            return Plan::Decide;
        }
        let may_leave = icap.preview.is_some() || icap.allows_204;
        let bodies = if is_request { settings.requests } else { settings.responses };
        let has_length = begun.is_some_and(|begun| begun.facts.length.is_some());
        match bodies {
            _ if !has_body && may_leave => Plan::Leave,
            // What comes is all that may be answered.
            _ if !may_leave => Plan::Pass,
            Bodies::Whole if *wanted && icap.preview.is_some() => Plan::PassLater,
            Bodies::Whole if *wanted => Plan::Pass,
            Bodies::Preview if *wanted && has_length => Plan::Leave,
            _ => Plan::Said,
        }
    }

    fn body(&mut self, bytes: &[u8]) -> Next {
        let mut core = self.shared.core();
        core.bytes(bytes.len());
        if let Some(telling) = self.turn.telling.filter(|_| self.turn.wanted) {
            let before = core.pending();
            self.turn.wanted = core.body(&*self.shared.outlet, telling, bytes);
            self.turn.observed |= core.pending() > before;
            // What is said in a stream is told as it is said.
            if telling.side == Side::Response && core.pending() > before {
                core.flush(&*self.shared.outlet);
            }
        }
        drop(core);
        match self.turn.plan {
            Plan::Pass => answer::chunk(bytes, &mut self.out),
            Plan::Decide => {
                self.turn.body.extend_from_slice(bytes);
                let max = self.enforce().max_body_bytes;
                if self.turn.body.len() >= max || !self.turn.wanted {
                    return Next::Ask { over: false };
                }
            }
            Plan::Said | Plan::Leave | Plan::PassLater | Plan::Refused => {}
        }
        Next::Go
    }

    fn preview_end(&mut self) -> Next {
        self.turn.in_preview = false;
        match self.turn.plan {
            Plan::PassLater => {
                answer::go_on(&mut self.out);
                self.turn.plan = Plan::Pass;
                self.pass();
                Next::Resume
            }
            Plan::Decide => {
                answer::go_on(&mut self.out);
                Next::Resume
            }
            Plan::Pass => {
                // Passed through without being asked to: there was no preview to end.
                Next::Close
            }
            Plan::Refused => Next::Close,
            plan @ (Plan::Said | Plan::Leave) => {
                if plan == Plan::Leave {
                    self.unchanged();
                }
                self.over(End::Truncated);
                self.next_or_close(Next::Finish)
            }
        }
    }

    fn end(&mut self) -> Next {
        match self.turn.plan {
            _ if self.turn.icap.method == Method::Options => self.options(),
            Plan::Decide => {
                self.tell_end();
                return Next::Ask { over: true };
            }
            Plan::Leave | Plan::PassLater => self.unchanged(),
            Plan::Pass if self.turn.has_body => answer::last_chunk(&mut self.out),
            Plan::Refused => return Next::Close,
            Plan::Said | Plan::Pass => {}
        }
        self.over(End::Complete);
        self.next_or_close(Next::Go)
    }

    const fn next_or_close(&self, next: Next) -> Next {
        if self.turn.icap.is_last { Next::Close } else { next }
    }

    /// The message is over, for recognition; its exchange may still be decided on.
    fn tell_end(&mut self) {
        if let Some(telling) = self.turn.telling {
            let mut core = self.shared.core();
            let before = core.pending();
            core.end(&*self.shared.outlet, telling, End::Complete);
            self.turn.observed |= core.pending() > before;
        }
    }

    /// The message is over, and what it gave is handed over.
    fn over(&mut self, end: End) {
        let telling = self.turn.telling.take();
        let mut core = self.shared.core();
        if let Some(telling) = telling {
            core.end(&*self.shared.outlet, telling, end);
        }
        if core.pending() > 0 {
            core.flush(&*self.shared.outlet);
        }
    }

    fn options(&mut self) {
        let settings = &self.shared.settings;
        let method = service(&self.turn.icap.service).unwrap_or_default();
        let bodies = match method {
            Method::Respmod => settings.responses,
            _ if settings.enforce.is_some() => Bodies::Preview,
            Method::Reqmod | Method::Options => settings.requests,
        };
        let service = answer::Service {
            method,
            name: "shadowtap",
            max_connections: settings.max_connections,
            ttl_seconds: OPTIONS_SECONDS,
            preview_bytes: if bodies == Bodies::Preview { PREVIEW_BYTES } else { 0 },
        };
        answer::options(self.identity(), &service, &mut self.out);
    }

    fn unchanged(&mut self) {
        let mark = self.mark();
        answer::unchanged(self.identity(), mark.as_deref(), &mut self.out);
    }

    fn pass(&mut self) {
        self.shared.core().count().passed_through += 1;
        let (identity, mark) = (self.identity(), self.mark());
        let Turn { icap, head, has_body, .. } = &self.turn;
        answer::same(identity, mark.as_deref(), icap.method, head, *has_body, &mut self.out);
    }

    /// What the proxy is to say of the response.
    fn mark(&self) -> Option<String> {
        let telling = self.turn.telling.filter(|telling| telling.side == Side::Request)?;
        Some(self.shared.core().mark(telling.flow))
    }

    fn enforce(&self) -> Enforce {
        self.shared.settings.enforce.clone().unwrap_or_default()
    }

    /// Decides on the request as far as it was told.
    async fn decide(&mut self, over: bool) -> Next {
        match self.decision().await {
            Some(refusal) => self.refuse(refusal.as_deref(), over),
            None => self.let_through(over),
        }
    }

    /// `None` lets it through; `Some(None)`: nothing was decided in time.
    async fn decision(&self) -> Option<Option<Box<Refusal>>> {
        let telling = self.turn.telling?;
        if !self.turn.observed {
            return None;
        }
        let enforce = self.enforce();
        let asked = self.shared.core().ask(&*self.shared.outlet, telling.flow);
        let answered = match asked {
            Some(answer) => tokio::time::timeout(enforce.deadline, answer).await.ok(),
            None => None,
        };
        match answered {
            Some(Ok(verdict)) => verdict.map(|refusal| Some(Box::new(refusal))),
            _ => {
                self.shared.core().count().undecided += 1;
                enforce.fail_closed.then_some(None)
            }
        }
    }

    fn let_through(&mut self, over: bool) -> Next {
        // Behind the preview only what said so may be left as it is.
        let may_leave =
            self.turn.in_preview || (over && (self.turn.icap.allows_204 || !self.turn.has_body));
        if may_leave {
            self.turn.plan = Plan::Said;
            self.unchanged();
        } else {
            self.turn.plan = Plan::Pass;
            self.pass();
            let body = std::mem::take(&mut self.turn.body);
            answer::chunk(&body, &mut self.out);
        }
        self.turn.body = Vec::new();
        if !over {
            return Next::Go;
        }
        if self.turn.plan == Plan::Pass && self.turn.has_body {
            answer::last_chunk(&mut self.out);
        }
        self.over(End::Complete);
        self.next_or_close(Next::Go)
    }

    fn refuse(&mut self, refusal: Option<&Refusal>, over: bool) -> Next {
        let body = std::mem::take(&mut self.turn.body);
        let page = page::of(refusal, self.enforce().contact.as_deref(), &body);
        let closes = self.turn.icap.is_last || !over;
        answer::instead(Identity { tag: TAG, closes }, &page.head, &page.body, &mut self.out);
        let mut core = self.shared.core();
        core.count().refused += 1;
        if let Some(telling) = self.turn.telling.take() {
            core.abort(&*self.shared.outlet, telling);
            core.flush(&*self.shared.outlet);
        }
        drop(core);
        self.turn.plan = Plan::Refused;
        // The rest is taken in before the end: a close with bytes unread would lose the answer.
        if closes && over { Next::Close } else { Next::Go }
    }
}

/// What a service is for, by its name.
fn service(name: &str) -> Option<Method> {
    let name = name.trim_end_matches('/');
    if name.eq_ignore_ascii_case("reqmod") {
        Some(Method::Reqmod)
    } else if name.eq_ignore_ascii_case("respmod") {
        Some(Method::Respmod)
    } else {
        None
    }
}

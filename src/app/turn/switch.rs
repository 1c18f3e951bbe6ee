//! What an HTTP/1 message does to the connection as a whole: tunnels and upgrades.

use super::super::http1::connection::{Last, Outcome};
use super::super::http1::half::Receiver as _;
use super::super::http1::oddity::Oddity;
use super::super::http1::resync::{LineStart, Search};
use super::super::probe::Protocol;
use super::super::state::{self, Lane};
use super::super::talk::Talk;
use super::super::{http2, websocket};
use super::Turn;
use crate::exchange::ExchangeSink;
use crate::net::Direction;

impl<S: ExchangeSink> Turn<'_, S> {
    /// What a message means for the other direction and for the flow.
    pub(super) fn follow_up(&mut self) {
        let Some(connection) = self.state.http1_mut() else { return };
        let pairing = &mut connection.pairing;
        if let Some(request) = &pairing.request {
            let answered = matches!(request.last, Some(Last::ResponseEnd(_)))
                || pairing.response.is_some_and(|response| response.number == request.number);
            if answered {
                connection.requests.doubt_body();
            }
        }
        let outcome = pairing.outcome.take();
        if let Some(authority) = pairing.connect.take() {
            self.enter_tunnel(authority);
        }
        let Some(client) = self.state.client else { return };
        match outcome {
            None => {}
            Some(Outcome::Tunnel) => self.open_tunnel(),
            Some(Outcome::Refused) => self.refuse_tunnel(),
            Some(Outcome::ToHttp2(number)) => {
                self.begin(client, Talk::Http2(Box::new(http2::Connection::upgraded(number))));
            }
            Some(Outcome::ToWebSocket(number, deflate)) => {
                self.begin(client, Talk::WebSocket(websocket::Connection::new(number, deflate)));
            }
            Some(Outcome::ToOther) => self.shed(Protocol::Other),
        }
    }

    /// A `CONNECT` was read. What the client sends next is taken to be for the tunnel: it seldom
    /// sends before the answer, and the answer may never be captured.
    fn enter_tunnel(&mut self, authority: Box<str>) {
        let Some(client) = self.state.client else { return };
        let max_tunnels = self.limits.max_tunnels;
        let Some(connection) = self.state.http1_mut() else { return };
        let [depth, _] = &mut connection.pairing.tunnels;
        let outer = usize::from(*depth);
        if outer >= max_tunnels {
            self.with_http1(Direction::ToServer, |_, _, feed| feed.oddity(Oddity::TunnelTooDeep));
            self.shed(Protocol::Other);
            return;
        }
        *depth = depth.saturating_add(1);
        self.state.tunnels.truncate(outer);
        self.state.tunnels.push(authority);
        *self.state.lane(client) = Lane::Probe(Vec::new());
    }

    /// The `CONNECT` was granted.
    fn open_tunnel(&mut self) {
        let Some(client) = self.state.client else { return };
        let Some(connection) = self.state.http1_mut() else { return };
        let [_, depth] = &mut connection.pairing.tunnels;
        *depth = depth.saturating_add(1);
        *self.state.lane(client.other()) = Lane::Probe(Vec::new());
    }

    /// The `CONNECT` was refused: HTTP goes on.
    fn refuse_tunnel(&mut self) {
        let Some(client) = self.state.client else { return };
        let lane = std::mem::replace(state::at(&mut self.state.lanes, client), Lane::Talk);
        let Some(connection) = self.state.http1_mut() else { return };
        let [requests, responses] = &mut connection.pairing.tunnels;
        *requests = *responses;
        let half = connection.half(Direction::ToServer);
        match lane {
            Lane::Probe(begun) => {
                half.restart();
                self.deliver(client, &begun);
            }
            Lane::Search(search) => half.search(search),
            Lane::Off => half.search(Box::new(Search::new(None, LineStart::No))),
            Lane::Talk | Lane::Unseen => {}
        }
    }
}

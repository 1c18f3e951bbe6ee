//! A sink that keeps messages, and a sender of frames: for the tests of streams.

use super::Feed;
use crate::anomaly::Anomaly;
use crate::app::http1::feed::Line;
use crate::app::{Counters, Limits};
use crate::exchange::{
    BodyInterest, Context, End, ExchangeEvent, ExchangeSink, MessageCoding, Scheme,
};
use crate::flow::At;
use crate::net::{Direction, Endpoint, Scope};
use crate::time::Timestamp;

/// One message as it came, per direction in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct Said {
    pub(in crate::app) bytes: Vec<u8>,
    pub(in crate::app) compressed: bool,
    /// Bytes before which so many were missing.
    pub(in crate::app) gaps: Vec<(usize, u64)>,
    pub(in crate::app) end: Option<End>,
}

/// Keeps what it is told, and checks the order of it.
#[derive(Debug, Default)]
pub(in crate::app) struct Record {
    /// By direction: client's first.
    pub(in crate::app) said: [Vec<Said>; 2],
    /// Bytes missing outside of messages.
    pub(in crate::app) lost: [u64; 2],
    pub(in crate::app) kinds: Vec<&'static str>,
    pub(in crate::app) end: Option<End>,
    /// So many messages are wanted.
    pub(in crate::app) wanted: Option<usize>,
}

impl ExchangeSink for Record {
    type State = ();

    fn event(
        &mut self,
        _: &Context<'_>,
        (): &mut (),
        number: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        assert_eq!(number, 7);
        assert_eq!(self.end, None, "an event after the end");
        let count: usize = self.said.iter().map(Vec::len).sum();
        match event {
            ExchangeEvent::Message(piece) => {
                assert!(self.wanted.is_none_or(|wanted| count <= wanted), "not wanted any more");
                let all = &mut self.said[usize::from(piece.direction == Direction::ToClient)];
                if all.last().is_none_or(|last| last.end.is_some()) {
                    all.push(Said::default());
                }
                let said = all.last_mut().unwrap();
                said.bytes.extend_from_slice(piece.bytes);
                said.compressed = piece.coding != MessageCoding::Plain;
                said.end = piece.end;
            }
            ExchangeEvent::MessageGap(direction, len) => {
                let index = usize::from(direction == Direction::ToClient);
                match self.said[index].last_mut().filter(|last| last.end.is_none()) {
                    Some(said) => match said.gaps.last_mut() {
                        Some((at, gap)) if *at == said.bytes.len() => *gap += len,
                        _ => said.gaps.push((said.bytes.len(), len)),
                    },
                    None => self.lost[index] += len,
                }
            }
            ExchangeEvent::ResponseEnd(end) => self.end = Some(end),
            other => panic!("{other:?}"),
        }
        let count: usize = self.said.iter().map(Vec::len).sum();
        match self.wanted {
            Some(wanted) if count > wanted => BodyInterest::Unwanted,
            _ => BodyInterest::Wanted,
        }
    }

    fn ambiguous(&mut self, _: &Context<'_>, (): &mut (), _: ExchangeEvent<'_>) -> BodyInterest {
        BodyInterest::Wanted
    }

    fn anomaly(&mut self, _: &Context<'_>, (): &mut (), anomaly: Anomaly) {
        self.kinds.push(anomaly.kind);
    }

    fn is_mcp(&self, (): &()) -> bool {
        false
    }
}

impl Record {
    /// Calls `f` with a feed that ends here.
    pub(in crate::app) fn with<T>(&mut self, f: impl FnOnce(&mut Feed<'_, Self>) -> T) -> T {
        let (limits, mut counters) = (Limits::default(), Counters::default());
        let at = At { packet: 0, time: Timestamp::EPOCH };
        let line = Line {
            flow: 0,
            client: Endpoint::UNKNOWN,
            server: Endpoint::UNKNOWN,
            scope: Scope::default(),
            scheme: Scheme::Http,
            at,
            tunnels: &[],
        };
        f(&mut Feed { limits: &limits, sink: self, user: &mut (), counters: &mut counters, line })
    }

    #[cfg(test)]
    /// Texts of a direction, lossy.
    pub(in crate::app) fn texts(&self, direction: Direction) -> Vec<String> {
        let all = &self.said[usize::from(direction == Direction::ToClient)];
        all.iter().map(|said| String::from_utf8_lossy(&said.bytes).into_owned()).collect()
    }
}

/// A frame as a sender makes it: `first` is its first byte.
pub(in crate::app) fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let bit = if key.is_some() { 0x80 } else { 0 };
    match payload.len() {
        len @ ..126 => out.push(bit | u8::try_from(len).unwrap()),
        len @ ..65536 => {
            out.push(bit | 126);
            out.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            out.push(bit | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    let Some(key) = key else {
        out.extend(payload);
        return out;
    };
    out.extend(key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

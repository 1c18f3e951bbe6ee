//! What scopes stand for: the encapsulations around flows, with both ends of each.

use std::hash::RandomState;
use std::net::IpAddr;

use super::trail::Trail;
use super::tunnel::Tunnel;
use crate::net::Scope;

/// One encapsulation around a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TunnelLayer {
    /// What it is.
    pub kind: Tunnel,
    /// Its number: VLAN, network (VNI, VSID, I-SID), GRE key, session, label, TEID and so on.
    /// Where each direction has its own, that of the direction seen first.
    pub id: Option<u32>,
    /// Source and destination of the IP packet that carries it, as seen first.
    pub outer: Option<(IpAddr, IpAddr)>,
}

/// The encapsulations around the flows of one scope, outermost first; empty when there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TunnelPath(pub Vec<TunnelLayer>);

/// Paths by scope, as first seen. At the bound new ones are not kept, and counted.
#[derive(Debug)]
pub(super) struct Paths {
    max: usize,
    known: hashbrown::HashMap<Scope, TunnelPath, RandomState>,
    /// The scope asked for last, and whether it is in `known`.
    last: (Scope, bool),
    /// Packets whose path was not kept.
    pub(super) unnamed: u64,
}

impl Paths {
    pub(super) fn new(max: usize) -> Self {
        let known = hashbrown::HashMap::with_hasher(RandomState::new());
        Self { max, known, last: (Scope(0), true), unnamed: 0 }
    }

    /// Keeps the path of a packet if it is new; answers with its scope.
    #[inline]
    pub(super) fn note(&mut self, trail: &Trail) -> Scope {
        let scope = trail.scope();
        if scope != Scope(0) {
            self.keep(scope, trail);
        }
        scope
    }

    fn keep(&mut self, scope: Scope, trail: &Trail) {
        if self.last.0 != scope {
            let mut is_known = self.known.contains_key(&scope);
            if !is_known && self.known.len() < self.max {
                self.known.insert(scope, TunnelPath(trail.layers().to_vec()));
                is_known = true;
            }
            self.last = (scope, is_known);
        }
        self.unnamed += u64::from(!self.last.1);
    }

    pub(super) fn get(&self, scope: Scope) -> Option<&TunnelPath> {
        self.known.get(&scope)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Scope, &TunnelPath)> {
        self.known.iter().map(|(scope, path)| (*scope, path))
    }
}

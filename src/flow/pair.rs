//! One value for each side of a flow.

use crate::net::Side;

/// One value for each side.
#[derive(Clone, Debug, Default)]
pub(super) struct Pair<T> {
    pub(super) originator: T,
    pub(super) responder: T,
}

impl<T> Pair<T> {
    pub(super) const fn get(&self, side: Side) -> &T {
        match side {
            Side::Originator => &self.originator,
            Side::Responder => &self.responder,
        }
    }

    pub(super) const fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Originator => &mut self.originator,
            Side::Responder => &mut self.responder,
        }
    }
}

/// Both sides, in the order in which they are always visited.
pub(super) const SIDES: [Side; 2] = [Side::Originator, Side::Responder];

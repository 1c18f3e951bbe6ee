//! Servers, as the hub asks for them.

use std::sync::Arc;

use crate::portal::Task;
use crate::portal::hub::parts::Peers;
use crate::portal::principal::Principal;
use crate::portal::upstream::{ClientSide, Failure, Peer, Ticket, Upstreams};

#[derive(Debug)]
pub(super) struct Servers(pub(super) Arc<Upstreams>);

impl Peers for Servers {
    fn peer<'a>(
        &'a self,
        principal: &'a Arc<Principal>,
        server: &'a Arc<str>,
        client: &'a Arc<ClientSide>,
        conversation: Option<&'a str>,
        ticket: Option<&'a Ticket>,
    ) -> Task<'a, Result<Arc<dyn Peer>, Failure>> {
        Box::pin(self.0.peer(principal, server, client, conversation, ticket))
    }

    fn resource(&self, server: &str) -> Arc<str> {
        self.0.resource(server)
    }
}

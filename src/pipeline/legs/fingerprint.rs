//! What is equal on both legs of a proxy.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::observation::{Message, RequestInfo};

/// All that a proxy hands on as it is, hashed: 128 bits, so that nothing is equal by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u64, u64);

impl Fingerprint {
    pub(super) fn of(request: &RequestInfo, message: &Message) -> Self {
        let mut hasher = DefaultHasher::new();
        (request.scheme, &request.host, request.port).hash(&mut hasher);
        (&request.path, &request.method, request.session).hash(&mut hasher);
        (message.kind, &message.method, &message.id, message.size).hash(&mut hasher);
        (&message.name, &message.uri, &request.mcp_name).hash(&mut hasher);
        let low = hasher.finish();
        hasher.write_u8(1);
        Self(low, hasher.finish())
    }
}

/// The origin that a request is for.
pub(super) fn origin(request: &RequestInfo) -> u64 {
    let mut hasher = DefaultHasher::new();
    (request.scheme, &request.host, request.port).hash(&mut hasher);
    hasher.finish()
}

//! Pages of the parts, as the front asks for them.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::http::request::Parts;

use crate::portal::credentials;
use crate::portal::holds::{Asked, Holds};
use crate::portal::hub::parts::Pages;
use crate::portal::identity::body;
use crate::portal::principal::Principal;
use crate::portal::{Answer, Task};

/// Where the metadata of RFC 9728 is, and where people connect their accounts.
const CONNECT: [&str; 2] = ["/.well-known/oauth-protected-resource", "/connect/"];
/// Where people approve calls.
const HOLDS: &str = "/holds";

#[derive(Debug)]
pub(super) struct Connect(pub(super) credentials::Pages);

impl Pages for Connect {
    fn handle<'a>(
        &'a self,
        head: &'a Parts,
        body: Bytes,
        principal: Option<&'a Arc<Principal>>,
    ) -> Task<'a, Option<Answer>> {
        Box::pin(self.0.handle(head, body, principal.map(|principal| &**principal)))
    }

    fn is_theirs(&self, path: &str) -> bool {
        CONNECT.iter().any(|own| path.starts_with(own))
    }
}

#[derive(Debug)]
pub(super) struct Waiting(pub(super) Arc<Holds>);

impl Pages for Waiting {
    fn handle<'a>(
        &'a self,
        head: &'a Parts,
        form: Bytes,
        principal: Option<&'a Arc<Principal>>,
    ) -> Task<'a, Option<Answer>> {
        Box::pin(async move {
            let Some(principal) = principal else {
                let text = "Who you are is not known here: come by the proxy that signs you in, or \
                            with a certificate.";
                let mut answer = Answer::new(body(text));
                *answer.status_mut() = StatusCode::FORBIDDEN;
                return Some(answer);
            };
            let asked = Asked {
                method: &head.method,
                path: head.uri.path(),
                headers: &head.headers,
                body: &form,
                principal,
            };
            self.0.handle(asked).await
        })
    }

    fn is_theirs(&self, path: &str) -> bool {
        path == HOLDS
    }
}

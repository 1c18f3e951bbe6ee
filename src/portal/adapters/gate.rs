//! Identity, as the front asks it.

use std::fmt;
use std::sync::{Arc, PoisonError};

use hyper::http::request::Parts;
use rustls::pki_types::CertificateDer;

use super::Refusals;
use crate::portal::hub::parts::Gate;
use crate::portal::identity::Identity;
use crate::portal::principal::Principal;
use crate::portal::{Answer, Task};

pub(super) struct Door {
    pub(super) identity: Arc<Identity>,
    pub(super) refusals: Refusals,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Door").field(&self.identity).finish()
    }
}

impl Gate for Door {
    fn authenticate<'a>(
        &'a self,
        head: &'a Parts,
        certificates: Option<&'a [CertificateDer<'static>]>,
    ) -> Task<'a, Result<Arc<Principal>, Box<Answer>>> {
        Box::pin(async move {
            let refused = match self.identity.authenticate(head, certificates).await {
                Ok(principal) => return Ok(principal),
                Err(refused) => refused,
            };
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            *refusals.entry(refused.kind()).or_default() += 1;
            drop(refusals);
            Err(Box::new(refused.answer()))
        })
    }
}

//! Limits, as the hub asks them.

use std::sync::Arc;

use crate::portal::hub::parts::{Permit, Refusal, Throttle};
use crate::portal::limits::Limits;
use crate::portal::principal::Principal;

#[derive(Debug)]
pub(super) struct Counted(pub(super) Limits);

impl Throttle for Counted {
    fn admit(
        &self,
        principal: &Principal,
        server: &Arc<str>,
        name: &str,
    ) -> Result<Permit, Refusal> {
        let permit = self.0.admit(principal, server, Some(name)).map_err(|refused| {
            let message = refused.error().message;
            let refusal = Refusal::new(refused.limit.as_str(), &message);
            Refusal { retry_after: Some(refused.retry_after), ..refusal }
        })?;
        Ok(Box::new(permit))
    }
}

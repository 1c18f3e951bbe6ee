//! Tokens for programs: random, told once, and kept as their SHA-256 alone.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::config::Service;
use crate::portal::radix::{base16, base64_url, is_same};
use crate::time::Timestamp;

/// Begins every service token: none of an issuer begins so, and scanners for secrets know it.
pub(super) const PREFIX: &str = "stp_";

/// A new token.
#[derive(Debug)]
pub struct Minted {
    /// For the program; 256 random bits.
    pub token: crate::portal::principal::Secret,
    /// For the configuration, in base 16.
    pub sha256: String,
}

/// Makes a token.
///
/// # Errors
/// When the system has no random bytes.
pub fn mint() -> Result<Minted, String> {
    let mut bytes = [0; 32];
    let random = SystemRandom::new().fill(&mut bytes);
    random.map_err(|_| "the system gives no random bytes".to_owned())?;
    let token = format!("{PREFIX}{}", base64_url(&bytes));
    let sha256 = base16(digest(&SHA256, token.as_bytes()).as_ref());
    Ok(Minted { token: crate::portal::principal::Secret::new(&token), sha256 })
}

/// The service that a token, known by its SHA-256, is of. All are compared, each in constant time.
pub(super) fn find<'a>(
    services: &'a [Service],
    sha256: &[u8; 32],
    now: Timestamp,
) -> Option<&'a Service> {
    let mut fitting = services.iter().filter(|service| is_same(&service.sha256, sha256));
    fitting.rfind(|service| service.expires.is_none_or(|until| now < until))
}

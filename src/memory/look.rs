//! Looking up what is remembered.

use super::Memory;
use crate::observation::DefinitionKind;

impl Memory {
    /// Canonical JSON of a definition as it was last listed; `None` when it is not known, or its
    /// text was not kept.
    #[must_use]
    pub fn definition(&self, server: &str, kind: DefinitionKind, name: &str) -> Option<&str> {
        let listing = self.servers.get(server)?.listings.get(kind as usize)?;
        listing.definitions.get(name)?.text.as_deref()
    }
}

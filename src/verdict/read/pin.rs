//! The tool list that an approval is held to.

use super::super::approvals::{PIN_PREFIX, Pin};
use super::super::document::Node;
use super::{PIN_KEYS, Reader};

/// Hex digits of a SHA-256.
const DIGEST_CHARS: usize = 64;

impl Reader<'_> {
    /// `pin: {tools: "jcs-sha256:...", accept_until: 2026-12-15}`.
    pub(super) fn pin(&mut self, node: &Node) -> Option<Pin> {
        let fields = self.fields(node, "pin", PIN_KEYS)?;
        let hint = "`jcs-sha256:` and 64 hex digits, as findings about changed tools print it";
        let tools = self.required(&fields, "tools", hint);
        let until = fields.get("accept_until");
        let accept_until = until.and_then(|node| self.date(node, "accept_until"));
        let tools = tools?;
        let text = self.text(tools, "tools")?;
        let digest = text.strip_prefix(PIN_PREFIX).unwrap_or_default();
        if digest.len() != DIGEST_CHARS || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
            self.hint(tools.at, "`tools` is not the digest of a tool list", hint);
            return None;
        }
        Some(Pin { tools: digest.to_ascii_lowercase(), accept_until })
    }
}

//! Packet indices of a live run: one count over all interfaces, with the interface in the lowest
//! bits, so that indices tell the order of packets and where they came from.

use std::sync::Arc;

use super::inlet::Inlet;
use crate::finding::{PacketNames, PacketRef};
use crate::flow::At;

/// Bits for the interface.
const INTERFACE_BITS: u32 = 6;
/// Interfaces of one run at most.
pub const MAX_INTERFACES: usize = 1 << INTERFACE_BITS;

/// The index of the packet with this number (over all interfaces, from 0).
pub(super) const fn index_of(number: u64, interface: usize) -> u64 {
    (number << INTERFACE_BITS) | (interface as u64 & (MAX_INTERFACES as u64 - 1))
}

/// Names of the interfaces.
#[derive(Clone, Debug, Default)]
pub(super) struct InterfaceNames {
    interfaces: Vec<Arc<str>>,
    inlet: Arc<Inlet>,
}

impl InterfaceNames {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>, inlet: Arc<Inlet>) -> Self {
        Self { interfaces: names.map(Arc::from).collect(), inlet }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.interfaces.iter()
    }
}

impl PacketNames for InterfaceNames {
    /// The interface, and the packet's number over all interfaces, from 1; of a line, its log.
    fn name(&self, packet: u64) -> Option<PacketRef> {
        if let Some((log, number)) = At::line_of(packet) {
            return Some(PacketRef { file: self.inlet.source(log)?.name, number });
        }
        let interface = usize::try_from(packet & (MAX_INTERFACES as u64 - 1)).ok()?;
        let file = Arc::clone(self.interfaces.get(interface)?);
        Some(PacketRef { file, number: (packet >> INTERFACE_BITS) + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_tells_order_and_interface() {
        let names = InterfaceNames::new(["eth1", "eth2"].into_iter(), Arc::default());
        let first = index_of(0, 1);
        let second = index_of(1, 0);
        assert!(first < second);
        let name = |index| names.name(index).map(|name| (name.file.to_string(), name.number));
        assert_eq!(name(first), Some(("eth2".to_owned(), 1)));
        assert_eq!(name(second), Some(("eth1".to_owned(), 2)));
        assert_eq!(name(index_of(1, 2)), None);
    }
}

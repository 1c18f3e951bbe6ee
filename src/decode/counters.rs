//! What happened to fragments, and to what is known of tunnels.

use crate::anomaly::{Anomaly, Layer};

/// Counts since the decoder was made, of fragments and fragmented datagrams for the most part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Fragments whose bytes were stored.
    pub fragments_stored: u64,
    /// Fragments that repeated what was there already, byte for byte.
    pub fragments_duplicate: u64,
    /// Fragments that overlapped with different bytes, or contradicted the datagram's end.
    pub fragments_conflicting: u64,
    /// First fragments too short for a TCP header (RFC 1858, RFC 7112), but of UDP. Stored like
    /// others.
    pub fragments_tiny: u64,
    /// IPv6 packets with a fragment header that were whole (RFC 6946). Read like others.
    pub fragments_atomic: u64,
    /// Datagrams put together.
    pub datagrams_completed: u64,
    /// Datagrams given up because fragments were missing for too long, or at the end.
    pub datagrams_expired: u64,
    /// Datagrams dropped for a bound: of their number, of bytes, or of holes in one.
    pub datagrams_evicted: u64,
    /// IPv6 datagrams dropped because fragments overlapped (RFC 5722).
    pub datagrams_overlapping: u64,
    /// Packets whose VLANs and tunnels are not known by name, as there is no room for more; their
    /// flows are told apart as others are.
    pub paths_unnamed: u64,
}

impl Counters {
    /// The counts that are oddities of the traffic, as anomalies.
    #[must_use]
    pub fn anomalies(&self) -> [(Anomaly, u64); 6] {
        let of = |kind| Anomaly::new(Layer::Decode, kind);
        [
            (of("fragment-conflict"), self.fragments_conflicting),
            (of("fragment-tiny"), self.fragments_tiny),
            (of("fragment-expired"), self.datagrams_expired),
            (of("fragment-evicted"), self.datagrams_evicted),
            (of("fragment-overlap"), self.datagrams_overlapping),
            (of("tunnel-path-unnamed"), self.paths_unnamed),
        ]
    }
}

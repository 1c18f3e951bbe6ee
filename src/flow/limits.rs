//! Bounds of a flow table, and what happens at each.

/// Bounds of one [`Table`](super::Table).
///
/// Worst-case memory of a table is about
///
/// ```text
/// max_flows            x 100 bytes   entry (88 bytes) and its slot in the hash table
/// flows with payload   x   2 KiB     streams, and 1 KiB of digests of delivered segments
/// flows with payload   x   size of the handler's state
/// max_buffered_bytes   x   2         buffers may hold twice the room they use
/// ```
///
/// where `flows with payload` is at most `max_flows`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Flows in the table, closed ones that still linger included. At the bound the oldest idle
    /// one of the least interesting class leaves, counted by class in
    /// [`Counters`](super::Counters). 100 bytes each at least; at most 2^31.
    pub max_flows: usize,
    /// Out-of-order bytes of all flows together, with 64 bytes of overhead per extent. At the
    /// bound the least interesting flow that waits for missing bytes gives them up.
    pub max_buffered_bytes: usize,
    /// The same bound for one direction of one flow. At the bound its first hole is given up.
    pub max_stream_buffered_bytes: usize,
    /// A segment further than this many bytes from what is expected next is out of the window,
    /// whatever the window was: window scaling may be unknown. It is ignored, unless several in a
    /// row agree (a long outage of the capture).
    pub max_ahead_bytes: u32,
    /// A hole that the peer has acknowledged is given up after this many further packets of the
    /// flow,
    pub hole_grace_packets: u8,
    /// or after this many milliseconds: mirrors reorder data and acknowledgments.
    pub hole_grace_millis: u32,
    /// A hole that nobody acknowledged (one-sided captures) is given up once the data behind it
    /// has waited this many milliseconds.
    pub hole_wait_millis: u32,
    /// The first data of a direction of which nothing else is known is held back for this many
    /// further packets of the flow, for earlier data that arrives late,
    pub pickup_hold_packets: u8,
    /// or for this many milliseconds.
    pub pickup_hold_millis: u32,
    /// Seconds until a flow is dropped of which only one side has been seen, without payload.
    pub half_open_idle_seconds: u32,
    /// Seconds of idleness for flows without payload, or of no interest to the handler.
    pub quiet_idle_seconds: u32,
    /// Seconds of idleness for [`Interest::Unknown`](super::Interest::Unknown).
    pub unknown_idle_seconds: u32,
    /// Seconds of idleness for [`Interest::Candidate`](super::Interest::Candidate).
    pub candidate_idle_seconds: u32,
    /// Seconds of idleness for [`Interest::Mcp`](super::Interest::Mcp): event streams sleep long.
    pub mcp_idle_seconds: u32,
    /// Milliseconds that a closed flow stays known, so that late retransmissions do not open a
    /// new one, and that a reset flow waits for data that would prove the reset forged.
    pub linger_millis: u32,
    /// A larger step of packet time, in seconds, is not counted as time passed.
    pub max_time_step_seconds: u32,
    /// Key of the hashes: secret where the traffic may be hostile. Results do not depend on it.
    pub hash_seed: u64,
}

impl Limits {
    /// The bounds of one of `tables` tables that share these.
    #[must_use]
    pub fn share(&self, tables: usize) -> Self {
        let tables = tables.max(1);
        Self {
            max_flows: (self.max_flows / tables).max(1),
            max_buffered_bytes: (self.max_buffered_bytes / tables)
                .max(self.max_stream_buffered_bytes),
            ..self.clone()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_flows: 1_000_000,
            max_buffered_bytes: 256 << 20,
            max_stream_buffered_bytes: 4 << 20,
            max_ahead_bytes: 4 << 20,
            hole_grace_packets: 16,
            hole_grace_millis: 500,
            hole_wait_millis: 3_000,
            pickup_hold_packets: 3,
            pickup_hold_millis: 100,
            half_open_idle_seconds: 30,
            quiet_idle_seconds: 60,
            unknown_idle_seconds: 120,
            candidate_idle_seconds: 600,
            mcp_idle_seconds: 3_600,
            linger_millis: 2_000,
            max_time_step_seconds: 3_600,
            hash_seed: 0x5ead_07a9_0f10_3500,
        }
    }
}

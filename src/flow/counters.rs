//! What a flow table did and saw.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of one [`Table`](super::Table) since it was made. Sums of several tables have a
        /// meaning for all but the two gauges, where they are upper bounds.
        #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl std::ops::AddAssign<&Self> for Counters {
            fn add_assign(&mut self, other: &Self) {
                $(self.$name = self.$name.saturating_add(other.$name);)*
            }
        }
    };
}

counters! {
    /// Segments taken in.
    segments,
    /// Payload bytes captured in them, repeated ones included.
    payload_bytes,
    /// Payload bytes handed to the handler.
    delivered_bytes,
    /// Flows begun.
    opened,
    /// Flows begun with payload and no SYN.
    midstream,
    /// Flows in the table now (gauge), closed ones that still linger included.
    active,
    /// Flows ended by FIN from both sides.
    closed_by_fin,
    /// Flows ended by RST.
    closed_by_reset,
    /// Flows of which one side ended and the other was never seen.
    closed_one_sided,
    /// Flows ended by a SYN that began a new one.
    closed_by_reuse,
    /// Flows open when the capture ended.
    closed_by_end,
    /// Flows expired with only one side seen and no payload.
    expired_half_open,
    /// Flows expired without payload, or of no interest.
    expired_quiet,
    /// Flows expired while unknown or candidates.
    expired_unknown,
    /// Flows expired that carried MCP.
    expired_mcp,
    /// Flows pushed out by `max_flows`: only one side seen, no payload.
    evicted_half_open,
    /// Flows pushed out by `max_flows`: no payload, or of no interest.
    evicted_quiet,
    /// Flows pushed out by `max_flows`: unknown.
    evicted_unknown,
    /// Flows pushed out by `max_flows`: candidates.
    evicted_candidate,
    /// Flows pushed out by `max_flows`: MCP.
    evicted_mcp,
    /// Segments of tuples that closed a moment ago, ignored.
    after_close,
    /// RSTs of no known flow, ignored.
    stray_resets,
    /// Segments with neither ACK, SYN nor RST, which every host drops, ignored.
    without_ack,
    /// Segments that brought nothing new: retransmissions, duplicates of the mirror.
    duplicate_segments,
    /// Payload bytes that were there already.
    duplicate_bytes,
    /// Keep-alive and window probes.
    probes,
    /// Segments that came before what precedes them.
    out_of_order_segments,
    /// Segments whose bytes differ from an earlier copy.
    overlap_conflicts,
    /// Losing copies that found no room and were not shown to the handler.
    alternates_dropped,
    /// Holes given up.
    gaps,
    /// Bytes in them.
    gap_bytes,
    /// Holes given up because a buffer of their own direction was full.
    gaps_by_stream_bound,
    /// Flows that gave up their holes because all buffers together were full.
    gaps_by_total_bound,
    /// Bytes on the wire that the snapshot length cut off.
    snaplen_truncated_bytes,
    /// Segments dropped for a wrong checksum.
    bad_checksums,
    /// Segments with a wrong checksum taken anyway: their direction never showed a right one, so
    /// the capturing host leaves them to its network card.
    offloaded_checksums,
    /// Segments too far from what is expected, ignored.
    out_of_window,
    /// Times that a run of such segments was believed after all.
    resyncs,
    /// Segments with urgent data, delivered in line.
    urgent,
    /// RSTs outside the window, ignored.
    resets_out_of_window,
    /// SYNs inside the window of an established flow, ignored.
    syns_in_window,
    /// Most bytes ever buffered at once, with overhead (gauge).
    max_buffered_bytes,
}

impl Counters {
    /// Flows pushed out by bounds.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted_half_open
            + self.evicted_quiet
            + self.evicted_unknown
            + self.evicted_candidate
            + self.evicted_mcp
    }

    /// Payload bytes, each once; those of flows of no interest as often as they were captured.
    #[must_use]
    pub const fn unique_bytes(&self) -> u64 {
        self.payload_bytes.saturating_sub(self.duplicate_bytes)
    }
}

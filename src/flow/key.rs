//! What makes two segments one flow: both endpoints in either order, and the scope.

use std::net::IpAddr;

use crate::decode::SegmentHeader;
use crate::net::{Endpoint, Scope};

/// One of the two ends of a [`Key`], in the key's own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Low,
    High,
}

impl End {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// The canonical form of a five-tuple and its scope. 45 bytes and no alignment: entries of the
/// table are packed around it. IPv4 and IPv6 never compare equal, whatever the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    low: [u8; 16],
    high: [u8; 16],
    scope: [u8; 8],
    low_port: [u8; 2],
    high_port: [u8; 2],
    family: u8,
}

impl Key {
    /// The key of a segment, and which end sent it. A host that talks to itself from a port to
    /// the same port is always the low end.
    pub(super) fn of(header: &SegmentHeader) -> (Self, End) {
        Self::between(header.src, header.dst, header.scope)
    }

    #[inline]
    fn between(from: Endpoint, to: Endpoint, scope: Scope) -> (Self, End) {
        let (src, dst) = (octets(from.ip), octets(to.ip));
        let from_low = (src, from.port) <= (dst, to.port);
        let (low, high) = if from_low { (src, dst) } else { (dst, src) };
        let (low_port, high_port) =
            if from_low { (from.port, to.port) } else { (to.port, from.port) };
        let key = Self {
            low,
            high,
            scope: scope.0.to_le_bytes(),
            low_port: low_port.to_le_bytes(),
            high_port: high_port.to_le_bytes(),
            family: if from.ip.is_ipv4() { 4 } else { 6 },
        };
        (key, if from_low { End::Low } else { End::High })
    }

    /// The endpoint at one end.
    pub(super) fn endpoint(&self, end: End) -> Endpoint {
        let (address, port) = match end {
            End::Low => (self.low, self.low_port),
            End::High => (self.high, self.high_port),
        };
        let ip = if self.family == 4 {
            let [a, b, c, d, ..] = address;
            IpAddr::from([a, b, c, d])
        } else {
            IpAddr::from(address)
        };
        Endpoint::new(ip, u16::from_le_bytes(port))
    }

    pub(super) const fn scope(&self) -> Scope {
        Scope(u64::from_le_bytes(self.scope))
    }

    /// Keyed 64-bit hash: four folded multiplications.
    pub(super) fn hash(&self, seed: u64) -> u64 {
        let (low_0, low_1) = halves(self.low);
        let (high_0, high_1) = halves(self.high);
        let [a, b] = self.low_port;
        let [c, d] = self.high_port;
        let ports = u64::from(u32::from_le_bytes([a, b, c, d])) | (u64::from(self.family) << 32);
        let scope = u64::from_le_bytes(self.scope);
        let addresses = fold(low_0 ^ seed ^ SALT[0], low_1 ^ SALT[1])
            ^ fold(high_0 ^ seed ^ SALT[2], high_1 ^ SALT[3]).rotate_left(23);
        fold(addresses ^ SALT[1], fold(ports ^ seed ^ SALT[3], scope ^ SALT[0]) ^ SALT[2])
    }
}

/// Odd constants without a pattern (digits of e).
const SALT: [u64; 4] =
    [0xb7e1_5162_8aed_2a6b, 0xbf71_5880_9cf4_f3c7, 0x62e7_160f_38b4_da57, 0xa784_d904_5190_cfef];

/// Mixes two words: the halves of their product.
pub(super) const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product >> 64) as u64 ^ (product & 0xffff_ffff_ffff_ffff) as u64
}

const fn halves(bytes: [u8; 16]) -> (u64, u64) {
    let word = u128::from_le_bytes(bytes);
    ((word & 0xffff_ffff_ffff_ffff) as u64, (word >> 64) as u64)
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The shard of a five-tuple, 0 to `shards` - 1: both directions of a flow get the same one. Not
/// correlated with the hash that a [`Table`](super::Table) of the same seed uses.
#[must_use]
pub fn shard_of(src: Endpoint, dst: Endpoint, scope: Scope, seed: u64, shards: usize) -> usize {
    let (key, _) = Key::between(src, dst, scope);
    let hash = key.hash(seed.rotate_left(32) ^ SALT[3]) >> 32;
    let scaled = (u128::from(hash) * shards as u128) >> 32;
    usize::try_from(scaled).unwrap_or(0)
}

/// 64-bit digest of a payload, for telling copies apart: 16 bytes for each multiplication.
pub(super) fn digest(bytes: &[u8], seed: u64) -> u64 {
    let (blocks, tail) = bytes.as_chunks::<32>();
    let mut first = seed ^ bytes.len() as u64;
    let mut second = seed.rotate_left(17) ^ SALT[0];
    for block in blocks {
        let (left, right) = block.split_at(16);
        let (a, b) = halves(left.try_into().unwrap_or_default());
        let (c, d) = halves(right.try_into().unwrap_or_default());
        first = fold(first ^ a ^ SALT[1], b ^ SALT[2] ^ seed);
        second = fold(second ^ c ^ SALT[3], d ^ SALT[1] ^ seed);
    }
    for piece in tail.chunks(16) {
        let mut padded = [0_u8; 16];
        for (to, from) in padded.iter_mut().zip(piece) {
            *to = *from;
        }
        let (a, b) = halves(padded);
        first = fold(first ^ a ^ SALT[1], b ^ SALT[2] ^ seed);
    }
    fold(first ^ SALT[0], second ^ SALT[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{ChecksumSeed, TcpFlags};
    use crate::time::Timestamp;
    use std::collections::HashSet;

    fn header(src: &str, dst: &str, scope: u64) -> SegmentHeader {
        let parse = |text: &str| Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap());
        SegmentHeader {
            packet: 0,
            time: Timestamp::EPOCH,
            src: parse(src),
            dst: parse(dst),
            scope: Scope(scope),
            seq: 0,
            ack: 0,
            flags: TcpFlags(0),
            window: 0,
            payload_len: 0,
            checksum: ChecksumSeed::default(),
        }
    }

    fn shard(header: &SegmentHeader, seed: u64, shards: usize) -> usize {
        shard_of(header.src, header.dst, header.scope, seed, shards)
    }

    #[test]
    fn both_directions_share_a_key_and_a_shard() {
        let pairs = [
            ("192.0.2.1:80", "192.0.2.2:40000"),
            ("192.0.2.1:80", "192.0.2.1:81"),
            ("[2001:db8::1]:443", "[2001:db8::2]:443"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ];
        for (a, b) in pairs {
            let (there, back) = (header(a, b, 7), header(b, a, 7));
            let ((key, from), (same, other)) = (Key::of(&there), Key::of(&back));
            assert_eq!(key, same);
            assert_eq!(key.hash(1), same.hash(1));
            assert_eq!(a == b, from == other);
            assert_eq!(key.endpoint(from), there.src);
            assert_eq!(key.endpoint(from.other()), there.dst);
            for shards in [1, 2, 3, 64] {
                assert_eq!(shard(&there, 9, shards), shard(&back, 9, shards));
                assert!(shard(&there, 9, shards) < shards);
            }
        }
        assert_eq!(shard(&header("192.0.2.1:80", "192.0.2.2:1", 0), 9, 0), 0);
    }

    // R21, R22: scopes and address families never mix.
    #[test]
    fn scope_and_family_are_part_of_the_key() {
        let plain = Key::of(&header("1.2.3.4:80", "1.2.3.5:81", 0)).0;
        let tagged = Key::of(&header("1.2.3.4:80", "1.2.3.5:81", 9)).0;
        let mapped = Key::of(&header("[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.5]:81", 0)).0;
        let padded = Key::of(&header("[102:304::]:80", "[102:305::]:81", 0)).0;
        assert_eq!(plain.low, padded.low, "the case that only the family tells apart");
        let hashes: HashSet<u64> =
            [plain, tagged, mapped, padded].iter().map(|key| key.hash(3)).collect();
        assert_eq!(hashes.len(), 4);
        assert!(plain != tagged && plain != mapped && plain != padded);
    }

    #[test]
    fn shards_are_even_for_neighbouring_tuples() {
        let mut counts = [0; 4];
        for port in 1024..9216 {
            let mut head = header("10.0.0.1:80", "10.0.0.2:1", 0);
            head.dst.port = port;
            counts[shard(&head, 1, 4)] += 1;
        }
        assert!(counts.iter().all(|&count| (1800..2300).contains(&count)), "{counts:?}");
    }

    #[test]
    fn digest_sees_every_byte_and_the_length() {
        for len in [0, 1, 15, 16, 17, 31, 32, 33, 64, 100] {
            let bytes = vec![7_u8; len];
            let whole = digest(&bytes, 5);
            assert_eq!(whole, digest(&bytes, 5));
            assert_ne!(whole, digest(&vec![7; len + 1], 5));
            for at in 0..len {
                let mut other = bytes.clone();
                other[at] ^= 1;
                assert_ne!(whole, digest(&other, 5), "byte {at} of {len}");
            }
        }
    }
}

//! Packets to read, for tests and fuzzing.

use super::keys::Keys;
use super::packet::Version;

/// What differs between Initial packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    pub(super) version: Version,
    pub(super) destination: &'a [u8],
    pub(super) source: &'a [u8],
    pub(super) token: &'a [u8],
    pub(super) number: u32,
    /// Length of the packet number on the wire.
    pub(super) number_len: u8,
}

impl Plan<'_> {
    pub(super) const fn new(version: Version, destination: &[u8]) -> Plan<'_> {
        Plan { version, destination, source: b"", token: b"", number: 0, number_len: 2 }
    }

    /// The packet, protected with `keys`. Too short ones are padded.
    pub(super) fn packet(&self, keys: &Keys, frames: &[u8]) -> Vec<u8> {
        let kind = match self.version {
            Version::V1 => 0,
            Version::V2 => 0x10,
        };
        let mut packet = vec![0xc0 | kind | (self.number_len - 1)];
        packet.extend(number_of(self.version).to_be_bytes());
        for id in [self.destination, self.source] {
            packet.push(len(id));
            packet.extend(id);
        }
        push_varint(&mut packet, self.token.len());
        packet.extend(self.token);
        let frames_len = frames.len().max(4);
        push_varint(&mut packet, usize::from(self.number_len) + frames_len + 16);
        let number_at = packet.len();
        let number = self.number.to_be_bytes();
        packet.extend(number.iter().skip(4 - usize::from(self.number_len)));
        packet.extend(frames);
        packet.resize(packet.len() + frames_len - frames.len(), 0);
        keys.seal(packet, number_at, u64::from(self.number))
    }
}

const fn number_of(version: Version) -> u32 {
    match version {
        Version::V1 => 1,
        Version::V2 => 0x6b33_43cf,
    }
}

fn len(id: &[u8]) -> u8 {
    u8::try_from(id.len()).unwrap_or(u8::MAX)
}

/// Always of two bytes; values under 16384.
pub(super) fn push_varint(bytes: &mut Vec<u8>, value: usize) {
    let value = u16::try_from(value).unwrap_or(0x3fff) & 0x3fff;
    bytes.extend((value | 0x4000).to_be_bytes());
}

/// A CRYPTO frame.
pub(super) fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![6];
    push_varint(&mut frame, offset);
    push_varint(&mut frame, data.len());
    frame.extend(data);
    frame
}

//! Long headers (RFC 9000 section 17.2).

/// Versions whose Initial packets can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// RFC 9000.
    V1,
    /// RFC 9369.
    V2,
}

impl Version {
    const fn of(number: u32) -> Option<Self> {
        match number {
            0x0000_0001 => Some(Self::V1),
            0x6b33_43cf => Some(Self::V2),
            _ => None,
        }
    }
}

/// Longest connection id, in bytes (RFC 9000 section 17.2).
const MAX_ID_BYTES: usize = 20;

/// An Initial packet, still protected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Initial<'a> {
    pub(super) version: Version,
    /// Destination connection id.
    pub(super) destination: &'a [u8],
    /// The packet, without those that follow in the datagram.
    pub(super) bytes: &'a [u8],
    /// Where the packet number starts.
    pub(super) number_at: usize,
}

/// The packets with a long header in one datagram. Ends at the first that cannot be read or that
/// reaches to the datagram's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packets<'a>(pub(super) &'a [u8]);

/// Whether a datagram starts with a long header of a version that is read. Looks at five bytes.
pub(in crate::app) fn has_known_version(datagram: &[u8]) -> bool {
    version(datagram).is_some()
}

fn version(packet: &[u8]) -> Option<(u8, Version)> {
    let [first, number @ ..] = *packet.first_chunk::<5>()?;
    // The fixed bit may be anything (RFC 9287).
    (first & 0x80 != 0).then_some(())?;
    Some((first, Version::of(u32::from_be_bytes(number))?))
}

impl<'a> Iterator for Packets<'a> {
    type Item = Initial<'a>;

    fn next(&mut self) -> Option<Initial<'a>> {
        loop {
            let packet = std::mem::take(&mut self.0);
            let (initial, rest) = split(packet)?;
            self.0 = rest;
            if initial.is_some() {
                return initial;
            }
        }
    }
}

/// The first packet, if it is an Initial one, and what follows it.
fn split(packet: &[u8]) -> Option<(Option<Initial<'_>>, &[u8])> {
    let (first, version) = version(packet)?;
    let mut at = Cursor { bytes: packet, at: 5 };
    let destination = at.id()?;
    at.id()?;
    let is_initial = match ((first >> 4) & 3, version) {
        (0, Version::V1) | (1, Version::V2) => true,
        // Retry, which nothing follows.
        (3, Version::V1) | (0, Version::V2) => return None,
        // 0-RTT and Handshake.
        _ => false,
    };
    if is_initial {
        let token = at.varint()?;
        at.skip(token)?;
    }
    let len = at.varint()?;
    let number_at = at.at;
    at.skip(len)?;
    let (bytes, rest) = packet.split_at_checked(at.at)?;
    let initial = is_initial.then_some(Initial { version, destination, bytes, number_at });
    Some((initial, rest))
}

/// A place in a packet or in its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// RFC 9000 section 16.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let mut value = u64::from(first & 0x3f);
        for _ in 1..1_u8 << (first >> 6) {
            value = value << 8 | u64::from(self.byte()?);
        }
        Some(value)
    }

    pub(super) fn skip(&mut self, len: u64) -> Option<()> {
        self.slice(len).map(|_| ())
    }

    pub(super) fn slice(&mut self, len: u64) -> Option<&'a [u8]> {
        let end = self.at.checked_add(usize::try_from(len).ok()?)?;
        let slice = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(slice)
    }

    fn id(&mut self) -> Option<&'a [u8]> {
        let len = self.byte().filter(|len| usize::from(*len) <= MAX_ID_BYTES)?;
        self.slice(u64::from(len))
    }
}

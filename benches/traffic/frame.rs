//! Frames: Ethernet, IPv4, TCP with right checksums; pcap records.

/// pcap file header: little endian, nanoseconds, snapshot length 262,144, Ethernet.
pub fn file_header() -> [u8; 24] {
    let mut header = [0; 24];
    header[0..4].copy_from_slice(&0xa1b2_3c4d_u32.to_le_bytes());
    header[4..6].copy_from_slice(&2_u16.to_le_bytes());
    header[6..8].copy_from_slice(&4_u16.to_le_bytes());
    header[16..20].copy_from_slice(&262_144_u32.to_le_bytes());
    header[20..24].copy_from_slice(&1_u32.to_le_bytes());
    header
}

/// A record header; `time` in nanoseconds after 2026-11-16T08:00:00Z.
pub fn record_header(time: u64, len: usize) -> [u8; 16] {
    let seconds = 1_794_816_000 + time / 1_000_000_000;
    let nanos = time % 1_000_000_000;
    let mut header = [0; 16];
    header[0..4].copy_from_slice(&(seconds as u32).to_le_bytes());
    header[4..8].copy_from_slice(&(nanos as u32).to_le_bytes());
    header[8..12].copy_from_slice(&(len as u32).to_le_bytes());
    header[12..16].copy_from_slice(&(len as u32).to_le_bytes());
    header
}

/// One TCP segment to be framed.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    pub src: (u32, u16),
    pub dst: (u32, u16),
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub payload: &'a [u8],
}

impl Tcp<'_> {
    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00]);
        let ip = out.len();
        let total = 40 + self.payload.len();
        out.extend_from_slice(&[0x45, 0]);
        out.extend_from_slice(&(total as u16).to_be_bytes());
        out.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
        out.extend_from_slice(&self.src.0.to_be_bytes());
        out.extend_from_slice(&self.dst.0.to_be_bytes());
        let checksum = !fold(sum(&out[ip..ip + 20]));
        out[ip + 10..ip + 12].copy_from_slice(&checksum.to_be_bytes());
        let tcp = out.len();
        out.extend_from_slice(&self.src.1.to_be_bytes());
        out.extend_from_slice(&self.dst.1.to_be_bytes());
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.ack.to_be_bytes());
        out.extend_from_slice(&[0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        out.extend_from_slice(self.payload);
        let pseudo = sum(&out[ip + 12..ip + 20]) + 6 + (total as u64 - 20);
        let checksum = !fold(pseudo + sum(&out[tcp..]));
        out[tcp + 16..tcp + 18].copy_from_slice(&checksum.to_be_bytes());
    }
}

fn sum(bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let sum: u64 = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum();
    sum + rest.first().map_or(0, |byte| u64::from(*byte) << 8)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

//! The TLS secrets that a pcapng file holds, found before its packets are read: a secrets block
//! often stands behind the packets that it serves.

use std::fs::File;
use std::io::{Read, Seek as _};

use super::Limits;
use super::bytes::{ByteStream, read_full};
use super::compression::Compression;
use super::framing::Format;
use super::inputs::Input;
use super::pcapng::{Block, Load, Pcapng};

/// Calls `each` with the key logs (RFC 9850) in the Decryption Secrets Blocks of a pcapng file, up
/// to its end or its damage, which reading its packets will tell. A plain file is walked from block
/// to block; a compressed one is decompressed for it. Of a stream, which can be read only once,
/// nothing: there they come between the packets, as [`Next::Secrets`](super::Next::Secrets).
pub fn secrets(input: &Input, limits: &Limits, mut each: impl FnMut(&[u8])) {
    // `None` tells nothing that reading the packets will not.
    walk_input(input, limits, &mut each).unwrap_or_default();
}

fn walk_input(input: &Input, limits: &Limits, each: &mut impl FnMut(&[u8])) -> Option<()> {
    input.size()?; // A regular file.
    let mut file = File::open(input.path()?).ok()?;
    let magic = first_bytes(&mut file)?;
    file.rewind().ok()?;
    let Some(compression) = Compression::of(magic) else {
        if Format::of(magic) == Some(Format::Pcapng) {
            walk(ByteStream::seeking(file), limits, each);
        }
        return Some(());
    };
    let mut plain = compression.undo(Box::new(file), limits).ok()?;
    let magic = first_bytes(&mut plain)?;
    if Format::of(magic) == Some(Format::Pcapng) {
        walk(ByteStream::new(std::io::Cursor::new(magic).chain(plain)), limits, each);
    }
    Some(())
}

fn first_bytes(input: &mut impl Read) -> Option<[u8; 4]> {
    let mut magic = [0; 4];
    (read_full(input, &mut magic).ok()? == magic.len()).then_some(magic)
}

fn walk<R: Read>(mut stream: ByteStream<R>, limits: &Limits, each: &mut impl FnMut(&[u8])) {
    let (mut framing, mut body) = (Pcapng::new(limits), Vec::new());
    while let Ok(Some(block)) = framing.next_block(&mut stream, Load::None, &mut body) {
        if let Block::Secrets(lines) = block {
            each(body.get(lines).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::capture::framing::Order;
    use crate::capture::samples::{Sample, gzip, zstd};
    use crate::capture::{Next, Source};

    /// The body of a secrets block; `len` is what it says of itself.
    fn block(order: Order, kind: u32, len: usize, text: &[u8]) -> Vec<u8> {
        let len = u32::try_from(len).unwrap();
        let word = |value: u32| match order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        };
        [&word(kind)[..], &word(len), text].concat()
    }

    fn sample(order: Order) -> Sample {
        let key_log = |text: &[u8]| block(order, 0x544C_534B, text.len(), text);
        Sample::pcapng("secrets")
            .section(order)
            .other(10, &key_log(b"one"))
            .interface(1, 0, &[])
            .packet(0, 1_000, &[7; 300_000], 9, (1_000_000, 1))
            .other(10, &block(order, 0x5747_4B4C, 4, b"wire"))
            .other(10, &key_log(b"two\nthree"))
            .other(10, &block(order, 0x544C_534B, 900, b"four"))
            .other(10, b"5")
            .packet(0, 2_000, b"last", 4, (2_000_000, 1))
            .other(10, &key_log(b"after"))
    }

    fn found(bytes: &[u8]) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut found = Vec::new();
        secrets(&Input::file(file.path()), &Limits::default(), |text| {
            found.push(String::from_utf8_lossy(text).into_owned());
        });
        found.join(" ")
    }

    #[test]
    fn key_logs_are_found_wherever_they_stand() {
        for order in [Order::Little, Order::Big] {
            let bytes = sample(order).bytes;
            let expected = "one two\nthree four after";
            assert_eq!(found(&bytes), expected);
            assert_eq!(found(&gzip(&bytes)), expected);
            assert_eq!(found(&zstd(&bytes)), expected);
            // Up to the damage.
            assert_eq!(found(&bytes[..bytes.len() - 3]), "one two\nthree four");
            assert_eq!(found(&bytes[..1_000]), "one");
        }
        let pcap = Sample::pcap("pcap", Order::Little, 0xA1B2_C3D4, 1).record(1, 2, b"x", 1);
        assert_eq!(found(&pcap.bytes), "");
        assert_eq!(found(b"no"), "");
        secrets(&Input::stdin(), &Limits::default(), |_| panic!("a stream"));
    }

    #[test]
    fn in_a_stream_they_come_between_the_packets() {
        let bytes = sample(Order::Little).bytes;
        let long = "CLIENT_RANDOM line\n".repeat(20_000);
        let body = block(Order::Little, 0x544C_534B, long.len(), long.as_bytes());
        let bytes = [bytes, Sample::pcapng("long").section(Order::Little).other(10, &body).bytes];
        let (reader, mut writer) = std::io::pipe().unwrap();
        let writing = std::thread::spawn(move || writer.write_all(&bytes.concat()).unwrap());
        let input = Input::file(crate::capture::piped::openable(&reader));
        let mut source = Source::open(&input, &Limits::default()).unwrap();
        assert!(source.brings_secrets());
        let (mut told, mut rest) = (Vec::new(), String::new());
        loop {
            match source.next() {
                Next::Packet { bytes, .. } => told.push(format!("[{}]", bytes.len())),
                Next::Secrets(text) if told.len() < 6 => {
                    told.push(String::from_utf8_lossy(text).into_owned());
                }
                Next::Secrets(text) => {
                    assert!(text.ends_with(b"\n"));
                    rest += str::from_utf8(text).unwrap();
                }
                Next::End => break,
                Next::Damaged(damage) => panic!("{damage}"),
            }
        }
        writing.join().unwrap();
        // The long packet is cut to what libpcap believes.
        assert_eq!(told, ["one", "[262134]", "two\nthree", "four", "[4]", "after"]);
        assert_eq!(rest, long);
    }

    #[test]
    fn a_file_brings_none_between_its_packets() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&gzip(&sample(Order::Little).bytes)).unwrap();
        let mut source =
            Source::open(&Input::file(file.path()), &Limits::default()).expect("a capture");
        assert!(!source.brings_secrets());
        assert!(matches!(source.next(), Next::Packet { .. }));
        assert!(matches!(source.next(), Next::Packet { .. }));
        assert_eq!(source.next(), Next::End);
    }
}

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

//! Our decoder beside another one: both read the same blocks alike, or both find fault with them.
#![no_main]

use loona_hpack::Decoder;
use loona_hpack::decoder::{DecoderError, IntegerDecodingError};
use shadowtap::app::http2_fuzz::{Block, Hpack};

const PSEUDO: [&[u8]; 6] =
    [b":method", b":path", b":scheme", b":authority", b":status", b":protocol"];

/// In the form that ours has.
fn normal(fields: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let trim = |value: &[u8]| {
        let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
        let start = value.iter().position(is_text).unwrap_or(value.len());
        let end = value.iter().rposition(is_text).map_or(start, |last| last + 1);
        value[start..end].to_vec()
    };
    let mut all = Vec::new();
    for name in PSEUDO {
        // The first of each counts.
        if let Some((_, value)) = fields.iter().find(|(other, _)| other == name) {
            all.push((name.to_vec(), trim(value)));
        }
    }
    let regular = || fields.iter().filter(|(name, _)| name.first() != Some(&b':'));
    let has_host = regular().any(|(name, _)| name.eq_ignore_ascii_case(b"host"));
    if !has_host && let Some((_, value)) = fields.iter().find(|(name, _)| name == b":authority") {
        all.push((b"host".to_vec(), trim(value)));
    }
    all.extend(regular().map(|(name, value)| (name.clone(), trim(value))));
    all
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (mut ours, mut theirs) = (Hpack::default(), Decoder::new());
    theirs.set_max_allowed_table_size(4096);
    let mut rest = data;
    while let Some((len, tail)) = rest.split_first() {
        let (block, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        let ours = ours.decode(block);
        let mut fields = Vec::new();
        let theirs = theirs.decode_with_cb(block, |name, value| {
            fields.push((name.into_owned(), value.into_owned()))
        });
        match (ours, theirs) {
            (Block::Read(ours), Ok(())) => assert_eq!(ours, normal(fields)),
            (Block::Malformed, Err(_)) | (Block::Apart, _) => return,
            // Integers of five octets behind the prefix, and a size at the end, do no harm.
            (_, Err(DecoderError::SizeUpdateAtEnd)) => return,
            (_, Err(DecoderError::IntegerDecodingError(IntegerDecodingError::TooManyOctets))) => {
                return;
            }
            (ours, theirs) => panic!("{ours:?} beside {theirs:?} {fields:?}"),
        }
    }
});

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

const MESSAGE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"q":"shadow"}}}"#;

/// `MESSAGE`, then three flushed server-sent events, then 64 MiB of zeros, from the reference
/// encoder.
const BROTLI_MESSAGE: &str = "1b6300808dd315f3a284758f887644bedcbca825d9a3973a2c7d8e71e03eae5fd7c283e0c831fc1e5330fef4fcbb306b97b319852004a09196414b70061e518678a8593f";
const BROTLI_EVENTS: &str = "0b1d806576656e743a206d6573736167650a646174613a207b226a736f6e727063223a22322e30222c226964223a302c22726573756c74223a7b7d7d0a0ad001005f2aa6ac94702694a46200d001805f42a68c50220050330003";
const BROTLI_EVENT_ENDS: [usize; 3] = [62, 76, 89];
const BROTLI_BOMB: &str = "cbffff3ff82700e2b14020f7fe8fffff7ff04f00c4611180eefd1fffffffe09f0088c30200ddfb3ffeffffc13f0110870500baf77ffcffff837f02200e0b0074effff8ffff07ff04401c1600e8defff1ffff0ffe0980382c00d0bdffe3ffff1ffc1300715800a07bff37";

#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    plain: Vec<u8>,
    anomalies: Vec<&'static str>,
    undecodable: u64,
}

fn decoder(encoding: &str) -> Decoder {
    Decoder::from_content_encoding(std::iter::once(encoding.as_bytes()), Limits::default())
}

fn anomalies(decoder: &mut Decoder) -> Vec<&'static str> {
    std::iter::from_fn(|| decoder.take_anomaly()).map(|anomaly| anomaly.kind).collect()
}

fn run<'a>(mut decoder: Decoder, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut plain = Vec::new();
    for piece in pieces {
        let flow = decoder.push(piece, &mut |bytes| {
            assert!(!bytes.is_empty());
            plain.extend_from_slice(bytes);
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue());
    }
    decoder.finish();
    let anomalies = anomalies(&mut decoder);
    Outcome { plain, anomalies, undecodable: decoder.undecodable_bytes() }
}

fn whole(encoding: &str, coded: &[u8]) -> Outcome {
    run(decoder(encoding), std::iter::once(coded))
}

/// Fed whole, byte by byte and cut in two anywhere; all must agree.
fn every_cut(encoding: &str, coded: &[u8]) -> Outcome {
    let expected = whole(encoding, coded);
    let same = |outcome: Outcome, how: &str| {
        assert_eq!(outcome.plain, expected.plain, "{encoding} {how}");
        assert_eq!(outcome.anomalies, expected.anomalies, "{encoding} {how}");
    };
    same(run(decoder(encoding), coded.chunks(1)), "byte by byte");
    for cut in 0..=coded.len() {
        let (head, tail) = coded.split_at(cut);
        same(run(decoder(encoding), [head, tail].into_iter()), &format!("cut at {cut}"));
    }
    expected
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn brotli() -> Vec<u8> {
    hex(BROTLI_MESSAGE)
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn clean(plain: &[u8]) -> Outcome {
    Outcome { plain: plain.to_vec(), ..Outcome::default() }
}

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("gzip", gzip(MESSAGE)),
        ("x-gzip", gzip(MESSAGE)),
        ("deflate", zlib(MESSAGE)),
        ("deflate", raw_deflate(MESSAGE)),
        ("br", brotli()),
        ("zstd", zstd(MESSAGE)),
        ("gzip, zstd", zstd(&gzip(MESSAGE))),
        ("br, deflate, zstd, gzip", gzip(&zstd(&zlib(&brotli())))),
    ]
}

#[test]
fn every_coding_gives_the_message_however_it_is_cut() {
    for (encoding, coded) in samples() {
        assert_eq!(every_cut(encoding, &coded), clean(MESSAGE), "{encoding}");
    }
}

#[test]
fn identity_hands_on_the_very_same_bytes() {
    for encoding in ["", "identity"] {
        let mut decoder = decoder(encoding);
        assert!(decoder.is_identity());
        let mut seen = None;
        let flow = decoder.push(MESSAGE, &mut |bytes| {
            seen = Some(bytes.as_ptr_range());
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue());
        assert_eq!(seen, Some(MESSAGE.as_ptr_range()));
    }
}

#[test]
fn no_body_and_no_anomaly_for_a_label_alone() {
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        assert_eq!(whole(encoding, b""), clean(b""), "{encoding}");
    }
}

#[test]
fn empty_bodies_of_every_coding_decode_to_nothing() {
    let samples = [
        ("gzip", gzip(b"")),
        ("deflate", zlib(b"")),
        ("deflate", raw_deflate(b"")),
        ("br", hex("3b")),
        ("zstd", zstd(b"")),
    ];
    for (encoding, coded) in samples {
        assert_eq!(every_cut(encoding, &coded), clean(b""), "{encoding}");
    }
}

#[test]
fn all_optional_gzip_header_fields_are_skipped() {
    let plain = gzip(MESSAGE);
    let extra = b"\x05\0abcde";
    for flags in 0..32 {
        let mut coded = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
        for (flag, field) in
            [(0x04, &extra[..]), (0x08, b"name\0"), (0x10, b"comment\0"), (0x02, b"\0\0")]
        {
            if flags & flag != 0 {
                coded.extend_from_slice(field);
            }
        }
        coded.extend_from_slice(&plain[10..]);
        assert_eq!(every_cut("gzip", &coded), clean(MESSAGE), "flags {flags:#04x}");
    }
    let no_extra = [&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 3, 0, 0], &plain[10..]].concat();
    assert_eq!(every_cut("gzip", &no_extra), clean(MESSAGE));
}

#[test]
fn members_and_frames_follow_one_another() {
    let skippable = b"\x5a\x2a\x4d\x18\x05\0\0\0hello";
    let samples = [
        ("gzip", [gzip(b"one "), gzip(b""), gzip(b"two")].concat()),
        ("zstd", [zstd(b"one "), skippable.to_vec(), zstd(b""), zstd(b"two")].concat()),
        ("zstd", [skippable.to_vec(), zstd(b"one two")].concat()),
    ];
    for (encoding, coded) in samples {
        assert_eq!(every_cut(encoding, &coded), clean(b"one two"), "{encoding}");
    }
}

#[test]
fn events_come_out_with_the_flush_that_ends_them() {
    let mut flushed = vec![("br", hex(BROTLI_EVENTS), BROTLI_EVENT_ENDS)];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut zstd = ::zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    let (mut gzip_ends, mut zstd_ends) = ([0; 3], [0; 3]);
    for index in 0..3 {
        encoder.write_all(&event(index)).unwrap();
        encoder.flush().unwrap();
        gzip_ends[index] = encoder.get_ref().len();
        zstd.write_all(&event(index)).unwrap();
        zstd.flush().unwrap();
        zstd_ends[index] = zstd.get_ref().len();
    }
    flushed.push(("gzip", encoder.finish().unwrap(), gzip_ends));
    flushed.push(("zstd", zstd.finish().unwrap(), zstd_ends));

    for (encoding, coded, ends) in flushed {
        let mut decoder = decoder(encoding);
        let (mut plain, mut at) = (Vec::new(), 0);
        for (index, end) in ends.into_iter().enumerate() {
            let flow = decoder.push(&coded[at..end], &mut |bytes| {
                plain.extend_from_slice(bytes);
                ControlFlow::Continue(())
            });
            assert!(flow.is_continue());
            let expected: Vec<u8> = (0..=index).flat_map(event).collect();
            assert_eq!(plain, expected, "{encoding} after flush {index}");
            at = end;
        }
    }
}

fn event(index: usize) -> Vec<u8> {
    format!("event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{index},\"result\":{{}}}}\n\n")
        .into()
}

#[test]
fn a_body_cut_at_every_byte_gives_a_prefix_and_says_truncated() {
    for (encoding, coded) in samples() {
        for len in 1..coded.len() {
            let outcome = whole(encoding, &coded[..len]);
            assert!(MESSAGE.starts_with(&outcome.plain), "{encoding} {len}");
            if outcome.plain.len() < MESSAGE.len() {
                assert_eq!(outcome.anomalies, ["content-coding-truncated"], "{encoding} {len}");
            }
        }
    }
}

#[test]
fn trailing_bytes_are_noticed_after_the_whole_message() {
    for (encoding, mut coded) in samples() {
        coded.extend_from_slice(b"garbage");
        let outcome = every_cut(encoding, &coded);
        assert_eq!(outcome.plain, MESSAGE, "{encoding}");
        assert_eq!(outcome.anomalies, ["content-coding-trailing-bytes"], "{encoding}");
        assert!(outcome.undecodable > 0);
    }
}

#[test]
fn a_second_frame_with_a_bad_header_is_corrupt_and_not_trailing() {
    // Reserved bit of the frame header descriptor set.
    let coded = [zstd(MESSAGE), b"\x28\xb5\x2f\xfd\x08\x00\x00\x00".to_vec()].concat();
    let outcome = every_cut("zstd", &coded);
    assert_eq!(outcome.anomalies, ["content-coding-corrupt"]);
    assert_eq!(outcome.plain, MESSAGE);
}

#[test]
fn a_wrong_gzip_trailer_is_noted_and_reading_goes_on() {
    let mut coded = gzip(b"one ");
    let last = coded.len() - 1;
    for at in [last, last - 4] {
        coded[at] ^= 1;
        let both = [coded.clone(), gzip(b"two")].concat();
        let outcome = every_cut("gzip", &both);
        assert_eq!(outcome.plain, b"one two");
        assert_eq!(outcome.anomalies, ["content-coding-checksum"]);
        assert_eq!(outcome.undecodable, 0);
    }
}

#[test]
fn a_wrong_adler_or_zstd_checksum_loses_no_data() {
    let mut coded = zlib(MESSAGE);
    *coded.last_mut().unwrap() ^= 1;
    assert_eq!(every_cut("deflate", &coded), clean(MESSAGE));
    let mut coded = zstd(MESSAGE);
    *coded.last_mut().unwrap() ^= 1;
    let outcome = every_cut("zstd", &coded);
    assert_eq!(outcome.plain, MESSAGE);
    assert_eq!(outcome.anomalies, ["content-coding-corrupt"]);
}

#[test]
fn every_flipped_bit_ends_in_an_outcome_that_does_not_depend_on_cuts() {
    for (encoding, coded) in samples() {
        // Brotli drops what its window holds when it fails, so that only the anomaly is stable.
        let stable = !encoding.contains("br");
        for at in 0..coded.len() {
            for bit in 0..8 {
                let mut coded = coded.clone();
                coded[at] ^= 1 << bit;
                let one = whole(encoding, &coded);
                let bytes = run(decoder(encoding), coded.chunks(1));
                assert_eq!(one.anomalies, bytes.anomalies, "{encoding} {at} {bit}");
                if stable {
                    assert_eq!(one.plain, bytes.plain, "{encoding} {at} {bit}");
                } else {
                    assert!(bytes.plain.starts_with(&one.plain), "{encoding} {at} {bit}");
                }
            }
        }
    }
}

#[test]
fn blocks_before_a_bad_one_are_kept() {
    let plain: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    for (encoding, coded) in [("zstd", zstd(&plain)), ("gzip", gzip(&plain))] {
        let mut coded = coded;
        let at = coded.len() - 2000;
        coded[at..].fill(0xff);
        let one = whole(encoding, &coded);
        let cut = run(decoder(encoding), coded.chunks(777));
        assert!(one.plain.len() > 100_000, "{encoding} {}", one.plain.len());
        assert!(plain.starts_with(&one.plain[..100_000]), "{encoding}");
        assert_eq!((one.plain, one.anomalies), (cut.plain, cut.anomalies), "{encoding}");
    }
}

#[test]
fn a_gap_makes_a_coded_body_opaque_and_does_not_touch_identity() {
    for (encoding, coded) in samples() {
        let mut decoder = decoder(encoding);
        let mut nothing = |_: &[u8]| ControlFlow::Continue(());
        assert!(decoder.push(&coded[..5], &mut nothing).is_continue());
        decoder.gap(0);
        assert!(!decoder.is_opaque());
        decoder.gap(3);
        assert!(decoder.is_opaque());
        assert!(decoder.push(&coded[8..], &mut nothing).is_continue());
        assert_eq!(decoder.undecodable_bytes(), coded.len() as u64 - 8);
        decoder.finish();
        assert_eq!(anomalies(&mut decoder), ["content-coding-gap"]);
    }
    let mut identity = Decoder::identity();
    identity.gap(3);
    assert!(identity.is_identity());
    assert_eq!(identity.take_anomaly(), None);
}

#[test]
fn a_gap_before_the_first_byte_counts_too() {
    let mut decoder = decoder("gzip");
    decoder.gap(1);
    assert!(decoder.is_opaque());
    assert_eq!(anomalies(&mut decoder), ["content-coding-gap"]);
}

#[test]
fn unknown_codings_are_opaque_unless_the_body_is_plainly_text() {
    let outcome = whole("compress", b"\x1f\x9d\x90data");
    assert_eq!(outcome.anomalies, ["content-coding-unknown"]);
    assert_eq!((outcome.plain.len(), outcome.undecodable), (0, 7));
    for body in [MESSAGE, b"data: {}\n\n", b"\xef\xbb\xbfdata: {}\n\n"] {
        let outcome = every_cut("gzip, utf-8", body);
        assert_eq!((&*outcome.plain, outcome.undecodable), (body, 0));
        assert_eq!(outcome.anomalies, ["content-coding-unknown"]);
    }
}

#[test]
fn plain_json_behind_a_false_label_is_still_read() {
    let table: &[(&str, &[u8])] = &[
        ("gzip", MESSAGE),
        ("deflate", MESSAGE),
        ("br", MESSAGE),
        ("zstd", MESSAGE),
        ("br, gzip", b" \n[{}]"),
        ("gzip", b"[{}]"),
        ("zstd", b"\r\n{}"),
    ];
    for (encoding, body) in table {
        let outcome = every_cut(encoding, body);
        assert_eq!((&*outcome.plain, outcome.undecodable), (*body, 0), "{encoding}");
        assert_eq!(outcome.anomalies, ["content-coding-mislabelled"], "{encoding}");
    }
}

#[test]
fn five_layers_are_opaque_from_the_start() {
    let outcome = whole("gzip, gzip, gzip, gzip, gzip", &gzip(MESSAGE));
    assert_eq!(outcome.anomalies, ["content-coding-too-many"]);
    assert_eq!((outcome.plain.len(), outcome.undecodable), (0, gzip(MESSAGE).len() as u64));
}

#[test]
fn bombs_stop_after_the_burst() {
    // One GiB of zeros each, as 64 members or frames of 16 MiB.
    let zeros = vec![0; 16 << 20];
    let (gz, zst) = (gzip(&zeros).repeat(64), zstd(&zeros).repeat(64));
    let bombs = [
        ("gzip", gz.clone()),
        ("zstd", zst.clone()),
        ("br", hex(BROTLI_BOMB)),
        ("gzip, gzip", gzip(&gz)),
        ("zstd, zstd, zstd", zstd(&zstd(&zst))),
    ];
    for (encoding, coded) in bombs {
        let outcome = whole(encoding, &coded);
        assert_eq!(outcome.anomalies, ["decompression-bomb"], "{encoding}");
        assert!(outcome.plain.len() < 3 << 20, "{encoding}: {}", outcome.plain.len());
        assert!(outcome.plain.iter().all(|&byte| byte == 0));
        let tail = run(decoder(encoding), coded.chunks(1000));
        assert_eq!(tail.anomalies, ["decompression-bomb"], "{encoding}");
        assert!(tail.plain.len() < 3 << 20, "{encoding}");
    }
}

#[test]
fn a_burst_below_the_limit_is_no_bomb() {
    let plain = vec![b' '; 1 << 20];
    for (encoding, coded) in [("gzip", gzip(&plain)), ("zstd", zstd(&plain))] {
        assert_eq!(whole(encoding, &coded), clean(&plain), "{encoding}");
    }
}

#[test]
fn a_long_honest_stream_has_no_cap() {
    let line = |index: u32| format!("data: {{\"id\":{},\"n\":{index}}}\n\n", index * 7919);
    let plain: Vec<u8> = (0..400_000).flat_map(|index| line(index).into_bytes()).collect();
    assert!(plain.len() > 10 << 20);
    for (encoding, coded) in [("gzip", gzip(&plain)), ("zstd", zstd(&plain))] {
        assert_eq!(whole(encoding, &coded), clean(&plain), "{encoding}");
    }
}

#[test]
fn zstd_windows_above_the_limit_are_refused() {
    let plain: Vec<u8> =
        (0u32..1 << 18).flat_map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    encoder.write_all(&plain).unwrap();
    let outcome = whole("zstd", &encoder.finish().unwrap());
    assert_eq!(outcome.anomalies, ["content-coding-corrupt"]);
    assert!(outcome.plain.is_empty());
}

#[test]
fn a_consumer_that_stops_gets_nothing_more() {
    for (encoding, coded) in samples() {
        let mut decoder = decoder(encoding);
        let mut calls = 0;
        let mut stop = |_: &[u8]| {
            calls += 1;
            ControlFlow::Break(())
        };
        assert!(decoder.push(&coded, &mut stop).is_break());
        assert!(decoder.push(&coded, &mut stop).is_break());
        decoder.finish();
        assert_eq!(calls, 1, "{encoding}");
        assert_eq!(anomalies(&mut decoder), [""; 0], "{encoding}");
    }
}

#[test]
fn a_tiny_output_buffer_makes_no_difference() {
    let limits = Limits { output_buffer_bytes: 1, ..Limits::default() };
    for (encoding, coded) in samples() {
        let decoder = Decoder::from_content_encoding(std::iter::once(encoding.as_bytes()), limits);
        assert_eq!(run(decoder, std::iter::once(&*coded)), clean(MESSAGE), "{encoding}");
    }
}

proptest! {
    #[test]
    fn round_trips_survive_any_cut(
        plain in proptest::collection::vec(any::<u8>(), 0..4000),
        order in proptest::collection::vec(0usize..4, 1..4),
        piece in 1usize..300,
    ) {
        let (mut coded, mut names) = (plain.clone(), Vec::new());
        for which in order {
            let (name, next) = match which {
                0 => ("gzip", gzip(&coded)),
                1 => ("deflate", zlib(&coded)),
                2 => ("deflate", raw_deflate(&coded)),
                _ => ("zstd", zstd(&coded)),
            };
            names.push(name);
            coded = next;
        }
        // See `Codings::guess`: the one raw deflate stream that is mistaken for plain JSON.
        prop_assume!(coded[0] != b'{');
        let outcome = run(decoder(&names.join(", ")), coded.chunks(piece));
        prop_assert_eq!(outcome, clean(&plain));
    }

    #[test]
    fn any_bytes_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        which in 0usize..5,
        piece in 1usize..50,
    ) {
        let encoding = ["gzip", "deflate", "br", "zstd", "gzip, br"][which];
        let one = whole(encoding, &bytes);
        let many = run(decoder(encoding), bytes.chunks(piece));
        prop_assert_eq!(one.anomalies, many.anomalies);
    }
}

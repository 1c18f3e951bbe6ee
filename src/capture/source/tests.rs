use std::fs;
use std::io::{PipeWriter, Write};
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::capture::DamageKind;
use crate::capture::framing::Order;
use crate::capture::samples::{self, Frame, Sample, gzip, zstd};

/// All that a source gives.
type Read = (Vec<Frame>, Option<Damage>);

fn drain(source: &mut Source) -> Read {
    let mut frames = Vec::new();
    loop {
        match source.next() {
            Next::Packet { time, link, bytes, wire_len } => {
                frames.push(Frame { time, link, bytes: bytes.to_vec(), wire_len });
            }
            Next::Secrets(_) => panic!("secrets"),
            Next::End => return (frames, None),
            Next::Damaged(damage) => {
                assert_eq!(damage.packets_before, frames.len() as u64);
                assert_eq!(source.next(), Next::End);
                return (frames, Some(damage));
            }
        }
    }
}

fn read_path(path: &Path) -> Result<Read, OpenError> {
    Source::open(&Input::file(path), &Limits::default()).map(|mut source| drain(&mut source))
}

/// Through a file; `name` is what it is called, which must not matter.
fn read_named(name: &str, bytes: &[u8]) -> Result<Read, OpenError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    read_path(&path)
}

thread_local! {
    /// One file for all the short reads of a test: new ones are slow on some disks.
    static SCRATCH: tempfile::NamedTempFile =
        tempfile::Builder::new().suffix("capture").tempfile().unwrap();
}

fn read(bytes: &[u8]) -> Result<Read, OpenError> {
    SCRATCH.with(|scratch| {
        let mut file = scratch.as_file();
        file.rewind().unwrap();
        file.write_all(bytes).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        read_path(scratch.path())
    })
}

/// The reading end of a pipe, by a path, as a shell gives it.
fn piped() -> (Input, io::PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    (Input::file(crate::capture::piped::openable(&reader)), reader, writer)
}

/// Through a pipe, byte by byte.
fn read_stream(bytes: &[u8]) -> Result<Read, OpenError> {
    let (input, reader, mut writer) = piped();
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || {
        for byte in bytes {
            if writer.write_all(&[byte]).is_err() {
                break;
            }
        }
    });
    let result = Source::open(&input, &Limits::default()).map(|mut source| drain(&mut source));
    drop(reader);
    writing.join().unwrap();
    result
}

fn kind_and_offset(damage: Option<&Damage>) -> Option<(DamageKind, u64)> {
    damage.map(|damage| (damage.kind, damage.offset))
}

#[test]
fn every_sample_reads_whole_in_every_wrapping() {
    for sample in samples::all() {
        let expected = (sample.frames(), None);
        let name = sample.name;
        assert_eq!(read(&sample.bytes).unwrap(), expected, "{name}, plain");
        assert_eq!(read(&gzip(&sample.bytes)).unwrap(), expected, "{name}, gzip");
        assert_eq!(read(&zstd(&sample.bytes)).unwrap(), expected, "{name}, zstd");
        assert_eq!(read_stream(&sample.bytes).unwrap(), expected, "{name}, stream");
        assert_eq!(read_stream(&gzip(&sample.bytes)).unwrap(), expected, "{name}, gzip stream");
        assert_eq!(read_stream(&zstd(&sample.bytes)).unwrap(), expected, "{name}, zstd stream");
    }
}

#[test]
fn a_cut_at_any_byte_gives_the_packets_before_and_the_place() {
    for sample in samples::all() {
        for cut in 4..sample.bytes.len() {
            let part = &sample.bytes[..cut];
            let expected = sample.damage_of_cut(cut).map(|offset| (DamageKind::Truncated, offset));
            for (wrapping, bytes) in
                [("plain", part.to_vec()), ("gzip", gzip(part)), ("zstd", zstd(part))]
            {
                let (frames, damage) = read(&bytes).unwrap();
                let place = format!("{} cut at {cut}, {wrapping}", sample.name);
                assert_eq!(frames, sample.frames_until(cut), "{place}");
                assert_eq!(kind_and_offset(damage.as_ref()), expected, "{place}: {damage:?}");
            }
        }
    }
}

#[test]
fn a_compressed_file_cut_at_any_byte_is_truncated_at_a_record() {
    for sample in samples::all() {
        for packed in [gzip(&sample.bytes), zstd(&sample.bytes)] {
            for cut in 0..packed.len() {
                // Too short to tell that it is a capture at all.
                let Ok((frames, damage)) = read(&packed[..cut]) else { continue };
                assert!(sample.frames().starts_with(&frames), "{}", sample.name);
                let damage = damage.unwrap();
                assert_eq!(damage.kind, DamageKind::Truncated, "{}: {damage}", sample.name);
                let end = usize::try_from(damage.offset).unwrap();
                assert!(end == 0 || sample.borders.contains(&end), "{}: {damage}", sample.name);
                assert_eq!(sample.frames_until(end), frames, "{}", sample.name);
            }
        }
    }
}

#[test]
fn a_changed_byte_in_a_compressed_file_never_passes_unseen() {
    let sample = &samples::all()[0];
    for packed in [gzip(&sample.bytes), zstd(&sample.bytes)] {
        for place in 0..packed.len() {
            let mut bytes = packed.clone();
            bytes[place] ^= 0x10;
            if let Ok((frames, None)) = read(&bytes) {
                // A field that says nothing of the data, such as the file time.
                assert_eq!(frames, sample.frames(), "byte {place}");
            }
        }
    }
}

#[test]
fn members_and_frames_of_a_compressed_file_are_one_stream() {
    let sample = &samples::all()[0];
    let (first, second) = sample.bytes.split_at(57);
    let skippable = [&b"\x50\x2A\x4D\x18\x03\0\0\0"[..], b"abc"].concat();
    let expected = (sample.frames(), None);
    for (name, bytes) in [
        ("members", [gzip(first), gzip(b""), gzip(second)].concat()),
        ("zero padding", [gzip(&sample.bytes), vec![0; 100_000]].concat()),
        ("frames", [zstd(first), zstd(b""), zstd(second)].concat()),
        ("skippable", [skippable.clone(), zstd(&sample.bytes), skippable].concat()),
    ] {
        assert_eq!(read(&bytes).unwrap(), expected, "{name}");
    }
}

#[test]
fn bytes_after_a_compressed_stream_are_corrupt_behind_all_packets() {
    let sample = &samples::all()[0];
    for packed in [gzip(&sample.bytes), zstd(&sample.bytes)] {
        let (frames, damage) = read(&[packed, b"tail!".to_vec()].concat()).unwrap();
        assert_eq!(frames, sample.frames());
        let expected = (DamageKind::Corrupt, sample.bytes.len() as u64);
        assert_eq!(kind_and_offset(damage.as_ref()), Some(expected));
    }
}

#[test]
fn corruption_late_in_a_compressed_file_keeps_what_was_before() {
    let sample = many_packets(5_000);
    for mut packed in [gzip(&sample.bytes), zstd(&sample.bytes)] {
        let late = packed.len() - 3;
        packed[late] ^= 0xFF;
        let (frames, damage) = read(&packed).unwrap();
        assert_eq!(frames.len(), 5_000);
        assert_eq!(damage.unwrap().kind, DamageKind::Corrupt);
    }
}

/// Packets with bytes that do not compress to nothing: several pipes full.
fn many_packets(count: u32) -> Sample {
    (0..count).fold(Sample::pcap("many", Order::Little, 0xA1B2_C3D4, 1), |sample, number| {
        let mix = number.wrapping_mul(2_654_435_761);
        let bytes: Vec<u8> = (0..200).map(|at| mix.rotate_left(at % 25).to_le_bytes()[0]).collect();
        sample.record(number, 0, &bytes, 200)
    })
}

#[test]
fn a_source_dropped_early_ends_its_feed() {
    let bytes = gzip(&many_packets(5_000).bytes);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capture");
    fs::write(&path, bytes).unwrap();
    for packets in [0, 1, 3_000] {
        let mut source = Source::open(&Input::file(&path), &Limits::default()).unwrap();
        for _ in 0..packets {
            assert!(matches!(source.next(), Next::Packet { .. }));
        }
        drop(source);
    }
}

#[test]
fn packets_of_a_slow_stream_come_before_its_end() {
    let sample = &samples::all()[0];
    let (input, reader, mut writer) = piped();
    let first = sample.frames[0].0;
    writer.write_all(&sample.bytes[..first + 20]).unwrap();
    let mut source = Source::open(&input, &Limits::default()).unwrap();
    assert!(matches!(source.next(), Next::Packet { bytes: b"first packet", .. }));
    // A stream that is silent, and not at its end, does not hold up the drop.
    drop(source);
    drop((reader, writer));
}

#[test]
fn packets_of_a_slow_pcapng_stream_come_before_its_end() {
    let sample = samples::all().into_iter().find(|sample| sample.name == "pcapng, little").unwrap();
    let (input, reader, mut writer) = piped();
    writer.write_all(&sample.bytes[..sample.frames[0].0]).unwrap();
    let mut source = Source::open(&input, &Limits::default()).unwrap();
    assert!(matches!(source.next(), Next::Packet { bytes: b"one", .. }));
    drop((source, reader, writer));
}

#[test]
fn garbage_between_records_is_corrupt_where_it_begins() {
    for sample in samples::all().iter().filter(|sample| !sample.frames.is_empty()) {
        let cut = sample.frames[0].0;
        let bytes = [&sample.bytes[..cut], &[0xEE; 400], &sample.bytes[cut..]].concat();
        for packed in [bytes.clone(), gzip(&bytes)] {
            let (frames, damage) = read(&packed).unwrap();
            assert_eq!(frames, sample.frames_until(cut), "{}", sample.name);
            let expected = Some((DamageKind::Corrupt, cut as u64));
            assert_eq!(kind_and_offset(damage.as_ref()), expected, "{}", sample.name);
        }
    }
}

#[test]
fn zero_bytes_at_the_end_are_corrupt_and_no_packets() {
    for sample in samples::all().iter().filter(|sample| !sample.frames.is_empty()) {
        let bytes = [&sample.bytes[..], &[0; 4_096]].concat();
        for packed in [bytes.clone(), gzip(&bytes)] {
            let (frames, damage) = read(&packed).unwrap();
            assert_eq!(frames, sample.frames(), "{}", sample.name);
            let expected = Some((DamageKind::Corrupt, sample.bytes.len() as u64));
            assert_eq!(kind_and_offset(damage.as_ref()), expected, "{}", sample.name);
        }
    }
}

#[test]
fn a_frame_above_the_snapshot_length_is_cut_to_it() {
    let mut sample = Sample::pcap("snaplen", Order::Little, 0xA1B2_C3D4, 1);
    sample.bytes[16..20].copy_from_slice(&8_u32.to_le_bytes());
    let sample = sample.record(1, 0, b"0123456789", 10).record(2, 0, b"next", 4);
    for bytes in [sample.bytes.clone(), gzip(&sample.bytes)] {
        let (frames, damage) = read(&bytes).unwrap();
        assert_eq!((frames[0].bytes.as_slice(), frames[0].wire_len), (&b"01234567"[..], 10));
        assert_eq!((frames[1].bytes.as_slice(), damage), (&b"next"[..], None));
    }
}

#[test]
fn a_pcapng_frame_above_the_carrier_limit_keeps_its_wire_length() {
    let big = vec![5; 300_000];
    let sample = Sample::pcapng("big")
        .section(Order::Little)
        .interface(1, 0, &[])
        .packet(0, 1, &big, 300_000, (1_000, 1))
        .packet(0, 2, b"next", 4, (2_000, 1));
    let (frames, damage) = read(&sample.bytes).unwrap();
    assert_eq!((frames[0].bytes.len(), frames[0].wire_len), (262_134, 300_000));
    assert_eq!((frames[1].bytes.as_slice(), damage), (&b"next"[..], None));
}

#[test]
fn what_is_no_capture_says_what_it_looks_like() {
    for (bytes, expected) in [
        (b"PK\x03\x04....".to_vec(), "begins like a ZIP archive"),
        (b"\xFD7zXZ\0\0".to_vec(), "begins like an xz file"),
        (b"# a README\n".to_vec(), "begins like text (\"# a README\\n\")"),
        (b"ab".to_vec(), "begins like text"),
        (b"\xA1\xB2".to_vec(), "data of another sort (bytes a1 b2)"),
        (Vec::new(), "empty"),
        (gzip(b""), "empty"),
        (gzip(b"{\"jsonrpc\": 2}"), "begins like text"),
        (gzip(&gzip(b"x")), "begins like a gzip file inside another compression"),
        (zstd(&[0; 100]), "data of another sort"),
        (b"\x1F\x8B\x08\0".to_vec(), "cannot be decompressed: the gzip stream ends early"),
        (b"\x1F\x8B\x07\0....".to_vec(), "cannot be decompressed: the gzip stream is corrupt"),
    ] {
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("capture: "), "{error}");
    }
}

#[test]
fn files_that_are_not_there_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let missing = read_path(&directory.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("none: no such file"), "{missing}");
    let folder = read_path(directory.path()).unwrap_err();
    assert!(matches!(folder.problem, OpenProblem::Directory));
}

#[test]
fn a_pcap_of_an_unknown_version_is_refused_in_words() {
    let mut bytes = Sample::pcap("version", Order::Little, 0xA1B2_C3D4, 1).bytes;
    bytes[4] = 9;
    for bytes in [bytes.clone(), gzip(&bytes)] {
        let error = read(&bytes).unwrap_err();
        assert!(matches!(&error.problem, OpenProblem::Refused(reason) if reason.contains('9')));
    }
}

#[test]
fn zstd_windows_above_the_limit_are_refused() {
    let sample = many_packets(2_000);
    let mut out = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
    out.window_log(20).unwrap();
    out.include_contentsize(false).unwrap();
    out.write_all(&sample.bytes).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capture");
    fs::write(&path, out.finish().unwrap()).unwrap();
    for (limit, opens) in [(1 << 19, false), (1 << 20, true)] {
        let limits = Limits { max_zstd_window_bytes: limit, ..Limits::default() };
        assert_eq!(Source::open(&Input::file(&path), &limits).is_ok(), opens);
    }
}

#[test]
fn interfaces_above_the_limit_are_corrupt() {
    let sample = samples::all().into_iter().find(|sample| sample.name.contains("late")).unwrap();
    let limits = Limits { max_interfaces: 1, ..Limits::default() };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capture");
    fs::write(&path, gzip(&sample.bytes)).unwrap();
    let (frames, damage) = drain(&mut Source::open(&Input::file(&path), &limits).unwrap());
    assert_eq!(frames.len(), 2);
    assert!(damage.unwrap().reason.contains("more than 1 interfaces"));
}

#[test]
fn names_do_not_matter() {
    let sample = &samples::all()[0];
    for name in ["a.gz", "b.zst", "c.pcapng", "-"] {
        assert_eq!(read_named(name, &sample.bytes).unwrap(), (sample.frames(), None), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_name_that_is_no_utf_8_is_read() {
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(std::ffi::OsStr::from_bytes(b"\xFF.pcap"));
    let sample = &samples::all()[0];
    fs::write(&path, &sample.bytes).unwrap();
    assert_eq!(read_path(&path).unwrap(), (sample.frames(), None));
}

#[test]
fn progress_reaches_the_size_of_the_file() {
    let sample = many_packets(1_000);
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in [("plain", sample.bytes.clone()), ("packed", gzip(&sample.bytes))] {
        let path = directory.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let input = Input::file(&path);
        let mut source = Source::open(&input, &Limits::default()).unwrap();
        assert!(source.bytes_read() < bytes.len() as u64 || name == "packed");
        drain(&mut source);
        assert_eq!(Some(source.bytes_read()), input.size(), "{name}");
    }
}

#[test]
fn a_source_can_move_to_another_thread() {
    fn sendable<T: Send>() {}
    sendable::<Source>();
}

/// Whether times overflow in libpcap, which is not seen before the packets.
fn has_fine_late_interface(bytes: &[u8]) -> bool {
    let mut stream = ByteStream::new(bytes);
    let (mut framing, mut body) = (Pcapng::new(&Limits::default()), Vec::new());
    let (mut packets, mut fine) = (false, false);
    while let Ok(Some(block)) = framing.next_block(&mut stream, Load::Head, &mut body) {
        packets |= matches!(block, Block::Packet(_));
        let last = framing.interfaces().last().map(|interface| interface.resolution);
        fine |= packets && matches!(last, Some(Resolution::Binary(35..)));
    }
    fine
}

/// libpcap alone, and the feed's framing, must see the same in any bytes.
fn same_by_both_ways(bytes: &[u8]) {
    if has_fine_late_interface(bytes) {
        return;
    }
    match (read(bytes), read(&gzip(bytes))) {
        (Ok((plain, plain_damage)), Ok((piped, piped_damage))) => {
            assert_eq!(plain, piped);
            let (plain, piped) = (plain_damage.as_ref(), piped_damage.as_ref());
            assert_eq!(
                kind_and_offset(plain),
                kind_and_offset(piped),
                "{plain_damage:?} {piped_damage:?}"
            );
        }
        (Err(_), Err(_)) => {}
        (plain, piped) => panic!("{plain:?} but {piped:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_captures_read_the_same_directly_and_through_a_feed(
        which in 0..samples::all().len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = samples::all()[which].bytes.clone();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        same_by_both_ways(&bytes);
    }

    #[test]
    fn any_bytes_after_a_header_read_the_same_directly_and_through_a_feed(
        which in 0..samples::all().len(),
        tail in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let sample = &samples::all()[which];
        let bytes = [&sample.bytes[..sample.borders[0]], &tail].concat();
        same_by_both_ways(&bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let outcome = read(&bytes);
        if let Ok((_, None)) = outcome {
            prop_assert!(bytes.len() >= 24);
        }
    }
}

#![no_main]

use shadowtap::logs::{Reader, format};

/// Formats whose lines are text.
const NAMES: [&str; 10] = [
    "squid",
    "squid-keyed",
    "nginx",
    "haproxy",
    "zscaler-nss",
    "netskope",
    "paloalto-url",
    "bluecoat",
    "zeek",
    "aws-alb",
];

/// The first byte chooses the format, the second where the stream is cut: both parts together say
/// what the whole says.
fn run(data: &[u8]) {
    let [first, second, bytes @ ..] = data else { return };
    let name = NAMES[usize::from(*first) % NAMES.len()];
    let spec = format::by_name(name).expect("it is one of the formats");
    let _judged = (spec.sniff)(bytes);
    let (before, after) = bytes.split_at(usize::from(*second).min(bytes.len()));
    let said = |pieces: &[&[u8]]| {
        let (mut reader, mut records) = (Reader::new(spec), Vec::new());
        let mut each = |number: u64, record: &shadowtap::logs::Record<'_>| {
            records.push((number, format!("{record:?}")));
        };
        for piece in pieces {
            reader.push(piece, &mut each);
        }
        reader.finish(&mut each);
        (records, *reader.counters())
    };
    assert_eq!(said(&[bytes]), said(&[before, after]), "{name}");
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

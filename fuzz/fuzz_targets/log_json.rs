#![no_main]

use shadowtap::logs::{Reader, Record, detect, format};

/// Formats whose lines or documents are JSON.
const NAMES: [&str; 15] = [
    "har",
    "envoy-tap",
    "suricata-eve",
    "zeek-json",
    "cloudflare-gateway-http",
    "cloudflare-gateway-network",
    "cloudflare-gateway-dns",
    "cloudflare-mcp-portal",
    "netskope-json",
    "zscaler-json",
    "mitmproxy-json",
    "envoy-json",
    "haproxy-json",
    "squid-json",
    "nginx-json",
];

/// The first byte chooses the format, the second where the stream is cut: both parts together say
/// what the whole says.
fn run(data: &[u8]) {
    let [first, second, bytes @ ..] = data else { return };
    assert!(detect(bytes).len() <= format::ALL.len());
    let name = NAMES[usize::from(*first) % NAMES.len()];
    let spec = format::by_name(name).expect("it is one of the formats");
    let (before, after) = bytes.split_at(usize::from(*second).min(bytes.len()));
    let said = |pieces: &[&[u8]]| {
        let (mut reader, mut records) = (Reader::new(spec), Vec::new());
        let mut each = |number: u64, record: &Record<'_>| {
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

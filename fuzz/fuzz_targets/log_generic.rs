#![no_main]

use shadowtap::logs::format::generic::Mapping;
use shadowtap::logs::{Reader, Record, Splitter};

const KINDS: [&str; 3] = [
    "kind: json\nfields: {a: client, b.c: url, d: status}\nrequest_headers: {h: '*'}\n",
    "kind: csv\nfields: {a: client, b: url, c: status}\n",
    "kind: logfmt\nfields: {a: client, b: url, c: status}\nonly_when: {d: [x, '1']}\n",
];

/// The first byte chooses a mapping; or what stands before the first zero byte is one.
fn run(data: &[u8]) {
    let [first, bytes @ ..] = data else { return };
    let end = bytes.iter().position(|byte| *byte == 0);
    let (text, lines) = match end.and_then(|end| bytes.split_at_checked(end)) {
        Some((text, lines)) => (String::from_utf8_lossy(text).into_owned(), &lines[1..]),
        None => {
            let kind = KINDS[usize::from(*first) % KINDS.len()];
            let head = "schema: shadowtap/log-format@1\nname: fuzzed\nstance: forward\n";
            (format!("{head}{kind}"), bytes)
        }
    };
    let mapping = match Mapping::parse(&text) {
        Ok(mapping) => mapping,
        Err(problem) => return assert!(!problem.to_string().is_empty()),
    };
    let mut records = 0;
    let mut each = |_: u64, _: &Record<'_>| records += 1;
    let mut reader = Reader::with(Splitter::new(mapping.framing()), mapping.open());
    reader.push(lines, &mut each);
    reader.finish(&mut each);
    assert_eq!(records, reader.counters().records);
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

//! What the tests of the formats share, and what holds for all of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::ALL;
use super::generic::Mapping;
use crate::anomaly::Anomaly;
use crate::exchange::{
    BodyInterest, Context, DnsMessage, ExchangeEvent, ExchangeSink, Headers, TlsEvent,
};
use crate::flow::At;
use crate::logs::{
    Counters, Framing, Likelihood, Place, Reader, Record, Scratch, Spec, Splitter, Stance, detect,
    feed,
};
use crate::time::Timestamp;

/// The record of one line, which must be one.
pub(super) fn record<'a>(spec: &Spec, line: &'a str) -> Record<'a> {
    let mut record = Record::default();
    let read = (spec.open)().line(line.as_bytes(), &mut record);
    assert_eq!(read, Ok(crate::logs::Line::Record), "{line}");
    record
}

/// What `feed` gives of all records, one step to a line, and what was counted.
pub(super) fn lines(spec: &Spec, bytes: &[u8]) -> (String, Counters) {
    told(spec, [bytes])
}

fn told<'b>(spec: &Spec, pieces: impl IntoIterator<Item = &'b [u8]>) -> (String, Counters) {
    tell(Reader::new(spec), spec.stance, spec.name, pieces)
}

fn tell<'b>(
    mut reader: Reader,
    stance: Stance,
    name: &str,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> (String, Counters) {
    let mut sink = Told::default();
    let mut scratch = Scratch::default();
    let mut each = |number: u64, record: &Record<'_>| {
        let time = record.time.unwrap_or(Timestamp::EPOCH);
        let place = Place {
            flow: number,
            at: At::of_line(0, number, time),
            stance,
            source: Arc::from(name),
        };
        if !feed(record, &place, &mut scratch, &mut sink) {
            sink.say(format_args!("{number}: says nothing"));
        }
    };
    for piece in pieces {
        reader.push(piece, &mut each);
    }
    reader.finish(&mut each);
    let counters = *reader.counters();
    for bad in reader.take_samples() {
        sink.say(format_args!("bad {}: {}", bad.number, bad.reason));
    }
    (sink.text, counters)
}

fn fixture(name: &str) -> (PathBuf, Vec<u8>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/logs");
    let bytes = std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    (folder.join("expected").join(format!("{name}.txt")), bytes)
}

/// A fixture is taken for its own format, all of it is read, and says what is expected of it
/// (`BLESS=1` rewrites that).
pub(super) fn check(spec: &'static Spec, name: &str) {
    let (path, bytes) = fixture(name);
    let found = detect(&bytes);
    assert_eq!(found.first().map(|(found, _)| found.name), Some(spec.name), "{name}: {found:?}");
    expect(&path, name, &lines(spec, &bytes));
}

/// What a mapping reads of a fixture is what is expected, and nothing takes it for another format.
pub(super) fn told_by(mapping: &Mapping, name: &str) {
    let (path, bytes) = fixture(name);
    let found = detect(&bytes);
    assert!(found.iter().all(|(_, how)| *how < Likelihood::Certain), "{name}: {found:?}");
    let reader = Reader::with(Splitter::new(mapping.framing()), mapping.open());
    expect(&path, name, &tell(reader, mapping.stance(), mapping.name(), [&bytes[..]]));
}

fn expect(path: &Path, name: &str, (text, counters): &(String, Counters)) {
    assert_eq!(counters.bad, 0, "{name}:\n{text}");
    assert!(counters.records > 0, "{name}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(expected == *text, "{name} says something else (BLESS=1 rewrites it):\n{text}");
}

#[derive(Default)]
struct Told {
    text: String,
}

impl Told {
    fn say(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").unwrap();
    }

    fn head(&mut self, headers: Headers<'_>) {
        for (name, value) in headers.iter() {
            let [name, value] = [name, value].map(String::from_utf8_lossy);
            self.say(format_args!("    {name}: {value}"));
        }
    }

    fn context(&mut self, context: &Context<'_>) {
        let Context { client, server, scheme, tunnel, visibility, at, .. } = context;
        let provenance = context.provenance.unwrap();
        let mut line = format!("{} {client} -> {server} {scheme:?}", context.flow);
        write!(line, " {visibility:?} at {}", at.time.as_nanos()).unwrap();
        for (name, value) in [
            ("tunnel", *tunnel),
            ("user", provenance.user.as_deref()),
            ("device", provenance.device.as_deref()),
            ("community", provenance.community_id.as_deref()),
            ("request", provenance.request_id.as_deref()),
            ("blocked", provenance.blocked.then_some("yes")),
        ] {
            if let Some(value) = value {
                write!(line, " {name}={value}").unwrap();
            }
        }
        if !provenance.groups.is_empty() {
            write!(line, " groups={:?}", provenance.groups).unwrap();
        }
        self.say(format_args!("{line}"));
    }
}

impl ExchangeSink for Told {
    type State = ();

    fn event(
        &mut self,
        context: &Context<'_>,
        (): &mut (),
        _: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        match event {
            ExchangeEvent::RequestHead(head) => {
                self.context(context);
                let [method, target] = [head.method, head.target].map(String::from_utf8_lossy);
                self.say(format_args!("  {method} {target} {:?}", head.version));
                self.head(head.headers);
            }
            ExchangeEvent::ResponseHead(head) => {
                self.say(format_args!("  {} {:?}", head.status, head.version));
                self.head(head.headers);
            }
            ExchangeEvent::RequestBody(body) | ExchangeEvent::ResponseBody(body) => {
                self.say(format_args!("    | {}", body.escape_ascii()));
            }
            other => self.say(format_args!("  {other:?}")),
        }
        BodyInterest::Wanted
    }

    fn ambiguous(&mut self, _: &Context<'_>, (): &mut (), _: ExchangeEvent<'_>) -> BodyInterest {
        unreachable!("logs have no copies");
    }

    fn tls(&mut self, context: &Context<'_>, (): &mut (), event: TlsEvent<'_>) {
        if let TlsEvent::Hello(_) = event {
            self.context(context);
        }
        self.say(format_args!("  {event:?}"));
    }

    fn dns(&mut self, context: &Context<'_>, (): &mut (), message: DnsMessage) {
        self.context(context);
        self.say(format_args!("  {message:?}"));
    }

    fn anomaly(&mut self, _: &Context<'_>, (): &mut (), anomaly: Anomaly) {
        self.say(format_args!("  {anomaly:?}"));
    }

    fn is_mcp(&self, (): &()) -> bool {
        false
    }
}

/// All fixtures that have an expectation, with the format that each is detected as.
fn fixtures() -> Vec<(&'static Spec, String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/logs/expected");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    // Those of mappings are of no format.
    names.retain(|name| !name.starts_with("mapping-"));
    let names = names.iter().map(|name| name.strip_suffix(".txt").unwrap().to_owned());
    names
        .map(|name| {
            let (_, bytes) = fixture(&name);
            let found = detect(&bytes);
            (found.first().unwrap_or_else(|| panic!("{name} is nothing known")).0, name, bytes)
        })
        .collect()
}

#[test]
fn names_are_lower_case_and_only_once() {
    let mut names: Vec<_> = ALL.iter().map(|spec| spec.name).collect();
    for name in &names {
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
        assert!(std::ptr::eq(super::by_name(name).unwrap(), super::by_name(name).unwrap()));
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn a_stream_says_the_same_however_it_is_cut() {
    for (spec, name, bytes) in fixtures() {
        let whole = lines(spec, &bytes);
        for size in [1, 7, 61, 4096] {
            assert_eq!(told(spec, bytes.chunks(size)), whole, "{name} in pieces of {size}");
        }
    }
}

#[test]
fn lines_cut_at_every_byte_are_read_or_bad() {
    for (spec, name, bytes) in fixtures() {
        let Framing::Lines = spec.framing else { continue };
        let longest = bytes.split(|byte| *byte == b'\n').max_by_key(|line| line.len()).unwrap();
        for end in 0..longest.len() {
            let (text, counters) = lines(spec, &longest[..end]);
            assert!(counters.lines <= 1 && counters.records + counters.bad <= 1, "{name}: {text}");
        }
    }
}

#[test]
fn reasons_do_not_quote_the_line() {
    for (spec, name, bytes) in fixtures() {
        let line = bytes.split(|byte| *byte == b'\n').find(|line| line.len() > 20);
        let Some(line) = line else { continue };
        let mut text = line[..line.len() / 2].to_vec();
        text.extend_from_slice(b"\"fake-secret-value\"");
        assert!(
            !lines(spec, &text).0.contains("bad") || !lines(spec, &text).0.contains("secret"),
            "{name}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_bad(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        for spec in ALL {
            lines(spec, &bytes);
        }
        assert!(detect(&bytes).len() <= ALL.len());
    }

    #[test]
    fn damaged_fixtures_are_read_or_bad(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        for (spec, _, bytes) in fixtures() {
            let mut bytes = bytes[..bytes.len().min(4096)].to_vec();
            for (at, byte) in &flips {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            lines(spec, &bytes);
        }
    }
}

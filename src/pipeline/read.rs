//! Captures into segments and datagrams: the reading side of a run.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::shard::Caused;
use super::workers::Workers;
use crate::app::Keyring;
use crate::capture::{self, Damage, Input, LinkType, Next, OpenError, Packet, Source};
use crate::decode::{Class, Decoded, Decoder, Skip, TunnelPath};
use crate::finding::{PacketNames, PacketRef};
use crate::flow::At;
use crate::net::Scope;
use crate::time::Timestamp;

/// Packets between two reports of progress.
const PROGRESS_PACKETS: u64 = 16_384;
/// A capture that begins so much before the end of the one before it is another matter: flows
/// are not continued. Rotated files of one capture do not overlap by more.
const OVERLAP: Duration = Duration::from_secs(2);

/// What skipped packets add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Skipped {
    /// Packets.
    pub(super) packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
}

/// What reading counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    /// Captures read, damaged ones included.
    pub captures: u64,
    /// Packets read.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Packets that the snapshot length cut.
    pub truncated_packets: u64,
    /// Bytes that it cut off.
    pub truncated_bytes: u64,
    /// Packets by link-layer type.
    pub links: BTreeMap<LinkType, u64>,
    /// Packets that gave neither segment nor datagram, by reason.
    pub skipped: BTreeMap<Skip, Skipped>,
    /// Fragments stored until their datagram is complete.
    pub fragments: u64,
    /// TCP segments.
    pub segments: u64,
    /// UDP datagrams that are no tunnels.
    pub datagrams: u64,
    /// First and last packet times.
    pub times: Option<(Timestamp, Timestamp)>,
}

impl Counters {
    /// Counts a packet, whatever comes of it.
    pub(super) fn count(&mut self, packet: &Packet<'_>) {
        self.packets += 1;
        self.bytes += u64::from(packet.wire_len);
        let captured = u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX);
        if captured < packet.wire_len {
            self.truncated_packets += 1;
            self.truncated_bytes += u64::from(packet.wire_len - captured);
        }
        self.times = match self.times {
            Some((first, last)) => Some((first.min(packet.time), last.max(packet.time))),
            None => Some((packet.time, packet.time)),
        };
        match self.links.get_mut(&packet.link) {
            Some(count) => *count += 1,
            None => {
                self.links.insert(packet.link, 1);
            }
        }
    }

    /// Packets and bytes skipped for reasons of one class.
    #[must_use]
    pub(super) fn skipped_of(&self, class: Class) -> Skipped {
        let of_class = self.skipped.iter().filter(|(skip, _)| skip.class() == class);
        of_class.fold(Skipped::default(), |sum, (_, more)| Skipped {
            packets: sum.packets + more.packets,
            bytes: sum.bytes + more.bytes,
        })
    }
}

/// Something that is wrong with an input. What could be read of it was.
#[derive(Debug)]
pub enum Trouble {
    /// Nothing could be read.
    Unopened(OpenError),
    /// It could be read only up to a point.
    Damaged {
        /// The input.
        input: String,
        /// Where and why.
        damage: Damage,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unopened(error) => error.fmt(f),
            Self::Damaged { input, damage } => write!(f, "{input}: {damage}"),
        }
    }
}

/// Packet indices into files and numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// The captures, in order.
    files: Vec<NamedFile>,
    /// The logs, by number.
    pub(super) logs: Vec<Arc<str>>,
    /// What scopes stand for; known at the end.
    paths: HashMap<Scope, TunnelPath>,
}

#[derive(Clone, Debug)]
struct NamedFile {
    /// Index of its first packet.
    first: u64,
    name: Arc<str>,
    /// Bytes on the wire of its packets.
    bytes: u64,
}

impl Names {
    /// Name, packets and bytes of each capture, of `packets` in all.
    pub(super) fn files(&self, packets: u64) -> impl Iterator<Item = (&str, u64, u64)> {
        let ends = self.files.iter().skip(1).map(|next| next.first).chain([packets]);
        self.files.iter().zip(ends).map(|(file, end)| (&*file.name, end - file.first, file.bytes))
    }
}

impl PacketNames for Names {
    fn name(&self, packet: u64) -> Option<PacketRef> {
        if let Some((log, number)) = At::line_of(packet) {
            let file = Arc::clone(self.logs.get(usize::from(log))?);
            return Some(PacketRef { file, number });
        }
        let at = self.files.partition_point(|file| file.first <= packet);
        let file = self.files.get(at.checked_sub(1)?)?;
        Some(PacketRef { file: Arc::clone(&file.name), number: packet - file.first + 1 })
    }

    fn path(&self, scope: Scope) -> Option<&TunnelPath> {
        self.paths.get(&scope)
    }
}

/// Names while the run is under way: of paths, those that were met.
struct NamesSoFar<'a> {
    names: &'a Names,
    decoder: &'a Decoder,
}

impl PacketNames for NamesSoFar<'_> {
    fn name(&self, packet: u64) -> Option<PacketRef> {
        self.names.name(packet)
    }

    fn path(&self, scope: Scope) -> Option<&TunnelPath> {
        self.decoder.path(scope)
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read of the inputs.
    pub bytes: u64,
    /// Packets read.
    pub packets: u64,
}

/// Reads captures one after the other.
#[derive(Debug)]
pub(super) struct Reader {
    limits: capture::Limits,
    decoder: Decoder,
    workers: Workers,
    keyring: Arc<Keyring>,
    counters: Counters,
    names: Names,
    troubles: Vec<Trouble>,
    bytes_of_ended: u64,
    last: At,
}

impl Reader {
    /// A reader that hands segments and datagrams to `workers`, and secrets to `keyring`.
    #[must_use]
    pub(super) fn new(
        limits: capture::Limits,
        decoder: Decoder,
        workers: Workers,
        keyring: Arc<Keyring>,
    ) -> Self {
        Self {
            limits,
            decoder,
            workers,
            keyring,
            counters: Counters::default(),
            names: Names::default(),
            troubles: Vec::new(),
            bytes_of_ended: 0,
            last: At { packet: 0, time: Timestamp::EPOCH },
        }
    }

    /// Lines of logs have these names.
    pub(super) fn name_logs(&mut self, logs: Vec<Arc<str>>) {
        self.names.logs = logs;
    }

    /// Reads one capture. `seen` gets observations, in packet order, and progress.
    pub(super) fn read(
        &mut self,
        input: &Input,
        seen: &mut impl FnMut(&dyn PacketNames, Progress, &mut Vec<Caused>),
    ) {
        let mut source = match Source::open(input, &self.limits) {
            Ok(source) => source,
            Err(error) => {
                self.troubles.push(Trouble::Unopened(error));
                return;
            }
        };
        let (first, before) = (self.counters.packets, self.counters.bytes);
        self.names.files.push(NamedFile { first, name: input.to_string().into(), bytes: 0 });
        self.counters.captures += 1;
        let mut out = Vec::new();
        let mut is_first = true;
        let expected = self.keyring.expects_more();
        self.keyring.expect_more(expected || source.brings_secrets());
        loop {
            let packet = match source.next() {
                Next::Packet { time, link, bytes, wire_len } => {
                    Packet { index: self.counters.packets, time, link, bytes, wire_len }
                }
                Next::Secrets(secrets) => {
                    self.workers.settle(&mut out);
                    self.keyring.add_text(secrets);
                    continue;
                }
                Next::End => break,
                Next::Damaged(damage) => {
                    let input = input.to_string();
                    self.troubles.push(Trouble::Damaged { input, damage });
                    break;
                }
            };
            if std::mem::take(&mut is_first) {
                self.separate(packet.time, &mut out);
            }
            self.push(&packet, &mut out);
            let report = self.counters.packets.is_multiple_of(PROGRESS_PACKETS);
            if report || !out.is_empty() {
                let bytes = if report { self.bytes_of_ended + source.bytes_read() } else { 0 };
                let progress = Progress { bytes, packets: self.counters.packets };
                seen(&self.names_so_far(), progress, &mut out);
            }
        }
        if self.keyring.expects_more() != expected {
            self.workers.settle(&mut out);
            self.keyring.expect_more(expected);
        }
        if let Some(file) = self.names.files.last_mut() {
            file.bytes = self.counters.bytes - before;
        }
        self.bytes_of_ended += input.size().unwrap_or_else(|| source.bytes_read());
        let progress = Progress { bytes: self.bytes_of_ended, packets: self.counters.packets };
        seen(&self.names_so_far(), progress, &mut out);
    }

    const fn names_so_far(&self) -> NamesSoFar<'_> {
        NamesSoFar { names: &self.names, decoder: &self.decoder }
    }

    /// Ends the run: closes all flows. Answers with the last packet.
    pub(super) fn finish(&mut self, out: &mut Vec<Caused>) -> At {
        self.decoder.finish();
        self.workers.finish(out);
        self.last
    }

    /// What was counted, what was wrong, and the workers.
    #[must_use]
    pub(super) fn into_parts(mut self) -> (Counters, Decoder, Vec<Trouble>, Names, Workers) {
        self.names.paths =
            self.decoder.paths().map(|(scope, path)| (scope, path.clone())).collect();
        (self.counters, self.decoder, self.troubles, self.names, self.workers)
    }

    /// A capture that overlaps the one before it in time is not its continuation.
    fn separate(&mut self, begins: Timestamp, out: &mut Vec<Caused>) {
        let overlaps = self.counters.times.is_some_and(|(_, last)| last.since(begins) > OVERLAP);
        if overlaps {
            self.decoder.finish();
            self.workers.finish(out);
        }
    }

    fn push(&mut self, packet: &Packet<'_>, out: &mut Vec<Caused>) {
        let Self { counters, decoder, workers, .. } = self;
        counters.count(packet);
        self.last = At { packet: packet.index, time: packet.time };
        match decoder.push(packet) {
            Decoded::Segment(segment) => {
                counters.segments += 1;
                workers.push(&segment, out);
            }
            Decoded::Datagram(datagram) => {
                counters.datagrams += 1;
                workers.push_datagram(&datagram, out);
            }
            Decoded::Fragment => counters.fragments += 1,
            Decoded::Skipped(skip) => {
                let skipped = counters.skipped.entry(skip).or_default();
                skipped.packets += 1;
                skipped.bytes += u64::from(packet.wire_len);
            }
        }
    }
}

/// Puts several captures in order of their first packets, so that rotated files are one capture
/// whatever their names; what cannot be opened keeps its place at the end.
#[must_use]
pub(super) fn in_order(mut inputs: Vec<Input>, limits: &capture::Limits) -> Vec<Input> {
    if inputs.len() < 2 {
        return inputs;
    }
    inputs.sort_by_cached_key(|input| match first_time(input, limits) {
        Some(time) => (0, time),
        None => (1, Timestamp::EPOCH),
    });
    inputs
}

fn first_time(input: &Input, limits: &capture::Limits) -> Option<Timestamp> {
    input.size()?;
    let mut source = Source::open(input, limits).ok()?;
    match source.next() {
        Next::Packet { time, .. } => Some(time),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::super::samples::{Capture, SECOND, Say, call};
    use super::super::shard;
    use super::*;
    use crate::decode;
    use crate::observation::Event;
    use crate::secret::SecretHasher;

    fn reader(threads: usize) -> Reader {
        let (limits, hasher) = (shard::Limits::default(), SecretHasher::default());
        let keyring = Arc::default();
        let workers = Workers::new(&limits, &hasher, &keyring, threads).unwrap();
        let decoder = Decoder::new(decode::Limits::default());
        Reader::new(capture::Limits::default(), decoder, workers, keyring)
    }

    /// What reading captures one after the other gives: messages as method (or kind) and whether
    /// partial, and the flows opened.
    fn read(files: &[Vec<u8>], threads: usize) -> (Vec<(String, bool)>, u64) {
        let folder = TempDir::new().unwrap();
        let mut reader = reader(threads);
        let mut all = Vec::new();
        for (number, bytes) in files.iter().enumerate() {
            let path = folder.path().join(format!("{number}.pcap"));
            std::fs::write(&path, bytes).unwrap();
            reader.read(&Input::file(path), &mut |_, _, caused| all.append(caused));
        }
        reader.finish(&mut all);
        let (_, _, troubles, _, workers) = reader.into_parts();
        assert!(troubles.is_empty(), "{troubles:?}");
        let shards = workers.into_shards().unwrap();
        let opened = shards.iter().map(|shard| shard.flow().opened).sum();
        let messages = all.into_iter().filter_map(|caused| match caused.observation.event {
            Event::Message { message, .. } => {
                let kind = format!("{:?}", message.kind);
                Some((message.method.clone().unwrap_or(kind), message.partial))
            }
            _ => None,
        });
        (messages.collect(), opened)
    }

    #[test]
    fn secrets_that_come_in_a_stream_reach_the_keyring() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/captures/tls12-dsb-a.pcapng");
        let bytes = std::fs::read(file).unwrap();
        for threads in [1, 3] {
            let (pipe, mut writer) = std::io::pipe().unwrap();
            let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&pipe));
            let bytes = bytes.clone();
            let writing = std::thread::spawn(move || {
                std::io::Write::write_all(&mut writer, &bytes).unwrap();
            });
            let mut reader = reader(threads);
            let keyring = Arc::clone(&reader.keyring);
            reader.read(&Input::file(path), &mut |_, _, _| {});
            writing.join().unwrap();
            assert_eq!(reader.counters.packets, 99);
            assert!(!keyring.is_empty() && !keyring.expects_more());
        }
    }

    /// A call in three segments, at one second each.
    fn slow_call() -> Capture {
        let [request, response] = call(1);
        let (head, body) = request.split_at(request.len() - 1);
        let mut capture = Capture::default();
        let says = [Say::Client(head), Say::Client(body), Say::Server(&response)];
        capture.converse(1, 100 * SECOND, SECOND, &says);
        capture
    }

    #[test]
    fn rotated_captures_are_one() {
        let capture = slow_call();
        let whole = vec![("tools/list".to_owned(), false), ("Result".to_owned(), false)];
        for cut in 0..=capture.packets() {
            // Clocks of rotated files may step back a little.
            for shift in [0, -SECOND] {
                let files = [
                    capture.part(0..cut, 0).pcap(),
                    capture.part(cut..capture.packets(), shift).pcap(),
                ];
                for threads in [1, 3] {
                    assert_eq!(read(&files, threads), (whole.clone(), 1), "{cut} {shift}");
                }
            }
        }
    }

    #[test]
    fn captures_that_overlap_are_not_one() {
        let capture = slow_call();
        // The second begins ten seconds before the first ends, inside the request.
        let files = [capture.part(0..4, 0).pcap(), capture.part(4..9, -10 * SECOND).pcap()];
        for threads in [1, 3] {
            let (messages, opened) = read(&files, threads);
            assert_eq!(messages[0], ("tools/list".to_owned(), true));
            assert_eq!(messages.last().unwrap(), &("Result".to_owned(), false));
            assert_eq!(opened, 2);
        }
    }

    #[test]
    fn what_is_wrong_with_an_input_is_told_and_the_rest_is_read() {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| -> PathBuf { folder.path().join(name) };
        let whole = Capture::of_calls(2);
        let mut cut = whole.pcap();
        cut.truncate(cut.len() - 5);
        std::fs::write(path("cut.pcap"), &cut).unwrap();
        std::fs::write(path("none.pcap"), b"no capture").unwrap();
        let mut reader = reader(1);
        let mut progress = Progress::default();
        for name in ["missing.pcap", "none.pcap", "cut.pcap"] {
            let input = Input::file(path(name));
            reader.read(&input, &mut |_, now, _| progress = now);
        }
        let last = reader.finish(&mut Vec::new());
        let (counters, _, troubles, names, _) = reader.into_parts();
        let read = whole.packets() as u64 - 1;
        assert_eq!((counters.captures, counters.packets, counters.segments), (1, read, read));
        assert_eq!(progress, Progress { bytes: cut.len() as u64, packets: read });
        assert_eq!(last.packet, read - 1);
        assert!(matches!(
            troubles.as_slice(),
            [Trouble::Unopened(_), Trouble::Unopened(_), Trouble::Damaged { .. }]
        ));
        assert!(troubles[2].to_string().contains("cut.pcap: "), "{}", troubles[2]);
        let files: Vec<_> = names.files(read).collect();
        assert_eq!(files.len(), 1);
        assert_eq!((files[0].1, files[0].2), (read, counters.bytes));
        let (first, end) = counters.times.unwrap();
        assert!(first < end);
        assert_eq!(counters.links.values().sum::<u64>(), read);
    }

    #[test]
    fn captures_are_put_in_order_of_their_first_packets() {
        let folder = TempDir::new().unwrap();
        let capture = Capture::of_calls(1);
        let mut inputs = Vec::new();
        for (name, shift) in [("c", 30), ("a", 20), ("b", 10)] {
            let path = folder.path().join(name);
            let file = capture.part(0..capture.packets(), shift * SECOND).pcap();
            std::fs::write(&path, file).unwrap();
            inputs.push(Input::file(path));
        }
        inputs.insert(1, Input::file(folder.path().join("missing")));
        let sorted = in_order(inputs, &capture::Limits::default());
        let name = |input: &Input| input.path().unwrap().file_name().unwrap().to_owned();
        assert_eq!(sorted.iter().map(name).collect::<Vec<_>>(), ["b", "a", "c", "missing"]);
    }

    #[test]
    fn packets_are_numbered_per_file_from_one() {
        let file = |first, name: &str| NamedFile { first, name: name.into(), bytes: 0 };
        let files = vec![file(0, "a"), file(3, "b"), file(3, "c")];
        let names = Names { files, ..Names::default() };
        let files: Vec<_> = names.files(5).map(|(name, packets, _)| (name, packets)).collect();
        assert_eq!(files, [("a", 3), ("b", 0), ("c", 2)]);
        let name = |packet| names.name(packet).map(|name| (name.file.to_string(), name.number));
        assert_eq!(name(0), Some(("a".into(), 1)));
        assert_eq!(name(2), Some(("a".into(), 3)));
        assert_eq!(name(3), Some(("c".into(), 1)));
        assert_eq!(Names::default().name(0), None);
    }
}

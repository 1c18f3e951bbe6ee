//! More than the sensor can take: it counts what it loses, and its memory has a bound.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::Value;

use super::lab::{Lab, SENDER, Watch};
use crate::run::capture;

/// The most resident memory of any of these runs, in kilobytes. A debug build with rings of 64 MiB.
const MAX_RESIDENT_KILOBYTES: u64 = 400 * 1024;
const FLOWS: u32 = 200_000;

/// Statistics told so far, in order.
fn stats(watch: &Watch) -> Vec<Value> {
    let events = watch.stdout();
    let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event_type"] == "stats").collect()
}

/// A counter of the only interface.
fn total(stats: &Value, name: &str) -> u64 {
    stats["live"]["interfaces"][0][name]["total"].as_u64().unwrap()
}

/// A line of tcpreplay's statistics.
fn reported(said: &str, name: &str) -> u64 {
    let line = said.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

/// Packets that the sender's interface gave up before they reached the other end.
fn lost_by_the_pair(lab: &Lab) -> u64 {
    let path = format!("/sys/class/net/{SENDER}/statistics/tx_dropped");
    let counted = lab.command("cat", &[&path]).output().unwrap().stdout;
    String::from_utf8(counted).unwrap().trim().parse().unwrap()
}

fn watch(lab: &Lab) -> Watch {
    let args =
        ["watch", "-i", super::lab::WATCHED, "--json", "--no-files", "--stats-interval", "1s"];
    lab.start(lab.command(env!("CARGO_BIN_EXE_shadowtap"), &args))
}

/// What was sent is what the sensor read, what found no room in the kernel's ring, and what the
/// pair of interfaces dropped itself. What was shed had been read before.
#[test]
fn at_full_speed_every_packet_is_accounted_for() {
    let Some(lab) = Lab::new() else { return };
    let seconds = std::env::var("SHADOWTAP_LIVE_SECONDS").unwrap_or_else(|_| "10".to_owned());
    let mut watch = watch(&lab);
    let duration = format!("--duration={seconds}");
    let options = ["--topspeed", "--preload-pcap", "--loop=100000000", &duration];
    let said = lab.send_with(&capture("office-morning.pcap"), &options);
    let sent = reported(&said, "Successful packets:");
    let lost = lost_by_the_pair(&lab);
    watch.wait("the rest of the ring", |watch| {
        let arrived = |last: &Value| total(last, "packets") + total(last, "dropped");
        stats(watch).last().is_some_and(|last| arrived(last) + lost >= sent)
    });
    let peak = watch.kilobytes("VmHWM:");
    assert_eq!(watch.stop(), 0, "{}", watch.stderr());
    let stats = stats(&watch);
    let last = stats.last().unwrap();
    let [read, dropped, received] =
        ["packets", "dropped", "received"].map(|name| total(last, name));
    let shed = &last["live"]["shed"];
    let shed = ["packets", "overflow_packets"].map(|name| shed[name]["total"].as_u64().unwrap());
    println!("sent {sent}, read {read}, dropped {dropped}, lost {lost}, shed {shed:?}, {peak} kB");
    assert_eq!(read + dropped + lost, sent, "{last}");
    assert_eq!(received, read + dropped, "libpcap's own sum: {last}");
    assert!(shed[0] + shed[1] <= read, "{last}");
    // Each interval tells what was lost in it.
    let intervals = stats[..stats.len() - 1].iter();
    let told: u64 = intervals
        .map(|event| event["live"]["interfaces"][0]["dropped"]["interval"].as_u64().unwrap())
        .sum();
    assert_eq!(told, total(&stats[stats.len() - 2], "dropped"));
    assert!(peak < MAX_RESIDENT_KILOBYTES, "{peak} kB");
}

/// An Ethernet frame of a TCP segment, with a packet header of a capture.
fn segment(
    file: &mut Vec<u8>,
    flow: u32,
    from_client: bool,
    flags: u8,
    numbers: [u32; 2],
    data: &[u8],
) {
    let [_, high, middle, low] = flow.to_be_bytes();
    let (client, server) = ([10, high, middle, low], [192, 0, 2, 9]);
    let (src, dst, ports) = if from_client {
        (client, server, [40_000_u16, 443])
    } else {
        (server, client, [443, 40_000])
    };
    let ip_len = u16::try_from(40 + data.len()).unwrap();
    let len = u32::from(ip_len) + 14;
    for field in [1_700_000_000, 0, len, len] {
        file.extend(field.to_le_bytes());
    }
    file.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0]);
    file.extend(ip_len.to_be_bytes());
    file.extend([0, 0, 0, 0, 64, 6]);
    let words =
        [src, dst].concat().chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum::<u32>();
    let sum = 0x4500 + u32::from(ip_len) + 0x4006 + words;
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    file.extend(sum.to_be_bytes());
    file.extend([src, dst].concat());
    file.extend(ports.map(u16::to_be_bytes).concat());
    file.extend(numbers.map(u32::to_be_bytes).concat());
    // No checksum, as a network card leaves it to itself.
    file.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    file.extend(data);
}

/// Writes a capture of flows that fall silent in four ways; how many packets it has.
fn abandoned(flows: std::ops::Range<u32>, path: &Path) -> u64 {
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    let mut bytes = Vec::new();
    for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(field.to_le_bytes());
    }
    let mut packets = 0;
    for flow in flows {
        let data: &[u8] = match flow % 4 {
            0 => b"",
            1 => b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Le",
            2 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03random",
            _ => b"{\"jsonrpc\":\"2.0\",\"id\":7",
        };
        if flow % 4 != 3 {
            segment(&mut bytes, flow, true, SYN, [99, 0], b"");
            packets += 1;
        }
        if matches!(flow % 4, 1 | 2) {
            segment(&mut bytes, flow, false, SYN | ACK, [499, 100], b"");
            packets += 1;
        }
        if !data.is_empty() {
            segment(&mut bytes, flow, true, ACK, [100, 500], data);
            packets += 1;
        }
    }
    fs::File::create(path).unwrap().write_all(&bytes).unwrap();
    packets
}

/// None of them is idle for long enough to expire: this is what open flows cost.
#[test]
fn abandoned_flows_stay_within_a_bound() {
    let Some(lab) = Lab::new() else { return };
    let mut watch = watch(&lab);
    let (mut sent, mut resident) = (0, Vec::new());
    for tenth in 0..10 {
        let file = lab.folder.path().join("abandoned.pcap");
        sent += abandoned(FLOWS / 10 * tenth..FLOWS / 10 * (tenth + 1), &file);
        lab.send_with(&file, &["--pps=50000"]);
        watch.wait("all packets", |watch| {
            let arrived = |last: &Value| total(last, "packets") + total(last, "dropped");
            stats(watch).last().is_some_and(|last| arrived(last) >= sent)
        });
        resident.push(watch.kilobytes("VmRSS:"));
    }
    assert_eq!(watch.stop(), 0, "{}", watch.stderr());
    let stats = stats(&watch);
    let last = stats.last().unwrap();
    println!("{sent} packets, resident kB after each tenth: {resident:?}: {last}");
    if total(last, "dropped") == 0 && last["live"]["shed"]["packets"]["total"] == 0 {
        assert_eq!(last["counters"]["flow.opened"], FLOWS, "{last}");
    }
    let grown = resident[9].saturating_sub(resident[0]);
    // What `flow::Limits` promises for a flow with payload, without the layers above, on average.
    assert!(grown * 1024 / u64::from(FLOWS / 10 * 9) <= 2048, "grown by {grown} kB: {resident:?}");
    assert!(resident.iter().all(|kilobytes| *kilobytes < MAX_RESIDENT_KILOBYTES), "{resident:?}");
}

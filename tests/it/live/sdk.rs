//! An MCP client and server of the official SDK, and the sensor on the wire between them.
//!
//! ```text
//!  client          sensor (the lab)           server
//!    c0 ──── c1 ── bridge.py, impairs ── s1 ──── s0
//!            └ shadowtap watch, tcpdump
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use super::lab::{Lab, has};
use crate::run::{replay_json, root};

const SERVER_ADDRESS: &str = "10.99.0.2";
/// Fields of a finding that do not depend on which packets the kernel dropped.
const FINDING: [&str; 5] =
    ["/rule/id", "/server/key", "/source/ip", "/event/severity_name", "/verdict"];

/// Python with the SDK, made on first use; or the reason why it cannot be had.
fn python() -> Option<PathBuf> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = root().join("target/live-venv");
        let wanted = fs::read_to_string(root().join("tests/live/requirements.txt")).unwrap();
        let stamp = folder.join("installed.txt");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(folder.join("bin/python"));
        }
        let folder_name = folder.to_str().unwrap();
        let requirements = root().join("tests/live/requirements.txt");
        let pip = folder.join("bin/pip");
        for (program, args) in [
            ("python3", &["-m", "venv", folder_name][..]),
            (pip.to_str().unwrap(), &["install", "-q", "-r", requirements.to_str().unwrap()]),
        ] {
            let mut command = Command::new("timeout");
            let output =
                command.args(["300", program]).args(args).output().map_err(|e| e.to_string())?;
            if !output.status.success() {
                let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(format!("{program} {args:?}: {stderr}"));
            }
        }
        fs::write(stamp, wanted).unwrap();
        Ok(folder.join("bin/python"))
    });
    made.clone().map_err(|why| println!("skipped: no Python with the SDK: {why}")).ok()
}

/// A process that does not outlive the test.
struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    fn start(mut command: Command, folder: &Path, name: &str) -> Self {
        let path = |kind: &str| folder.join(format!("{name}.{kind}"));
        let (stdout, stderr) = (path("stdout"), path("stderr"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        Self { child, stdout, stderr }
    }

    fn said(&self) -> String {
        [&self.stdout, &self.stderr].map(|path| fs::read_to_string(path).unwrap()).concat()
    }

    /// Waits until it says something; whoever starts slowly has a minute.
    fn wait_for(&mut self, text: &str) {
        for _ in 0..60 * 20 {
            if self.said().contains(text) {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "{}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("waiting for {text}: {}", self.said());
    }

    fn terminate(&mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap();
        self.said()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A namespace at an end of the wire, joined to the sensor's by a pair of interfaces.
fn join(sensor: &Lab, host: &Lab, inner: &str, outer: &str, address: &str) {
    let pair = ["link", "add", outer, "type", "veth", "peer", "name", inner, "netns", host.name()];
    assert!(sensor.ip(&pair));
    assert!(host.ip(&["addr", "add", address, "dev", inner]));
    for (lab, interface) in [(host, inner), (sensor, outer)] {
        lab.set(interface, "up");
        // Frames as they would be on a wire: whole checksums, nothing put together.
        let off = ["tso", "off", "gso", "off", "gro", "off", "tx", "off", "rx", "off"];
        let mut args = vec!["-K", interface];
        args.extend(off);
        let run = lab.command("ethtool", &args).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
}

/// The last server event of each key: methods by direction, and tools called.
fn servers(events: &[Value]) -> BTreeMap<String, (String, String)> {
    let mut servers = BTreeMap::new();
    for event in events.iter().filter(|event| event["event_type"] == "server") {
        let facts = (event["methods"].to_string(), event["tools_called"].to_string());
        servers.insert(event["server"]["key"].to_string(), facts);
    }
    servers
}

/// The final state of each finding, with how often it is there.
fn findings(events: &[Value]) -> BTreeMap<String, usize> {
    let mut last = BTreeMap::new();
    for event in events.iter().filter(|event| event["event_type"] == "finding") {
        last.insert(event["event"]["id"].to_string(), event);
    }
    let mut found = BTreeMap::new();
    for event in last.values() {
        let parts = FINDING.map(|path| event.pointer(path).unwrap().to_string());
        *found.entry(parts.join(" ")).or_default() += 1;
    }
    found
}

/// What both captures saw of one run.
struct Seen {
    live: Vec<Value>,
    replayed: Vec<Value>,
    /// Packets that the kernel dropped, for the sensor and for tcpdump.
    dropped: [u64; 2],
}

/// Runs a session of so many calls over a wire that is impaired like this.
fn watch_a_session(calls: u32, impairment: &[&str]) -> Option<Seen> {
    let tools = [&["ethtool", "--version"][..], &["tcpdump", "--version"]];
    if !tools.iter().all(|tool| has(tool)) {
        return None;
    }
    let (sensor, client, server) = (Lab::new()?, Lab::new()?, Lab::new()?);
    let python = python()?;
    let python = python.to_str().unwrap();
    join(&sensor, &client, "c0", "c1", "10.99.0.1/24");
    join(&sensor, &server, "s0", "s1", &format!("{SERVER_ADDRESS}/24"));
    let folder = sensor.folder.path().to_owned();
    let script = |name: &str| root().join("tests/live").join(name).to_str().unwrap().to_owned();

    let bridge_script = script("bridge.py");
    let mut args = vec![bridge_script.as_str(), "c1", "s1"];
    args.extend_from_slice(impairment);
    let mut bridge = Running::start(sensor.command(python, &args), &folder, "bridge");
    bridge.wait_for("ready");
    let file = folder.join("beside.pcap");
    let args = ["-i", "c1", "-s", "0", "-B", "65536", "-Z", "root", "-w", file.to_str().unwrap()];
    let mut tcpdump = Running::start(sensor.command("tcpdump", &args), &folder, "tcpdump");
    tcpdump.wait_for("listening on");
    let args = ["watch", "-i", "c1", "--json", "--no-files"];
    let mut watch = sensor.start(sensor.command(env!("CARGO_BIN_EXE_shadowtap"), &args));

    let args = [&script("server.py"), SERVER_ADDRESS, "8000"];
    let mut serving = Running::start(server.command(python, &args), &folder, "server");
    serving.wait_for("running on");
    let url = format!("http://{SERVER_ADDRESS}:8000/mcp");
    let args = ["180", python, &script("client.py"), &url, &calls.to_string()];
    let mut asking = Running::start(client.command("timeout", &args), &folder, "client");
    let status = asking.child.wait().unwrap();
    assert!(status.success(), "{}\n{}", asking.said(), serving.said());
    // Asked to stop, it would wait for connections that only time ends on a bad wire.
    serving.child.kill().unwrap();
    serving.child.wait().unwrap();
    // The last packets are under way through the bridge and the kernel's rings.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(watch.stop(), 0, "{}", watch.stderr());
    let said = tcpdump.terminate();

    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let live: Vec<Value> = watch.stdout().lines().map(parse).collect();
    let stats = live.iter().rfind(|event| event["event_type"] == "stats").unwrap();
    let missed = stats["live"]["interfaces"][0]["dropped"]["total"].as_u64().unwrap();
    let by_tcpdump = said.lines().find_map(|line| line.strip_suffix(" dropped by kernel"));
    let by_tcpdump = by_tcpdump.and_then(|line| line.split(' ').next()?.parse().ok());
    let replayed = replay_json(&file, &[]).events();
    Some(Seen { live, replayed, dropped: [missed, by_tcpdump.unwrap()] })
}

/// The live run and the replay of what tcpdump wrote beside it say the same.
fn compare(calls: u32, impairment: &[&str]) {
    let Some(seen) = watch_a_session(calls, impairment) else { return };
    if seen.dropped != [0, 0] {
        // They saw different packets. Nothing can be compared then.
        println!("skipped: the kernel dropped packets (watch, tcpdump): {:?}", seen.dropped);
        return;
    }
    let live = servers(&seen.live);
    assert_eq!(live, servers(&seen.replayed), "{impairment:?}");
    let keys: BTreeSet<_> = live.keys().map(String::as_str).collect();
    assert_eq!(keys, ["\"http://10.99.0.2:8000/mcp\""].into(), "{impairment:?}");
    let (methods, tools) = live.values().next().unwrap();
    // A frame that the bridge lost is sent again: the sensor sees every call, and each once.
    assert!(methods.contains(&format!("\"tools/call\":{}", calls + 1)), "{methods}");
    assert_eq!(tools, &format!("{{\"export_rows\":1,\"find_part\":{calls}}}"));
    let live = findings(&seen.live);
    assert_eq!(live, findings(&seen.replayed), "{impairment:?}");
    assert!(live.keys().any(|finding| finding.contains("SMCP-3001")), "{live:?}");
}

#[test]
fn a_session_of_the_sdk_is_watched_as_its_capture_is_replayed() {
    compare(40, &[]);
}

#[test]
fn a_session_over_a_bad_wire_is_watched_as_its_capture_is_replayed() {
    let impairment =
        ["--loss", "0.1", "--duplicate", "0.05", "--reorder", "0.25", "--delay-ms", "5"];
    compare(20, &impairment);
}

//! Squid, with TLS decrypted, in front of our ICAP server: what it shows, what it costs, and what
//! happens when the server is killed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use shadowtap::intake::icap::{Bodies, Server, Settings};
use shadowtap::intake::{NotTaken, Outlet, Parcel, Reply};
use shadowtap::observation::{Event, ExchangeId, Observation};
use tempfile::TempDir;

use crate::run::root;

const SQUID: &str = "root/usr/sbin/squid";
const CERTGEN: &str = "root/usr/lib/squid/security_file_certgen";
const PYTHON: &str = "programs/bin/python";
/// SDKs of both eras.
const SDKS: [&str; 2] = ["sessions/bin/python", "stateless/bin/python"];
/// Address and kind of bodies for [`serves`].
const SERVES: &str = "SHADOWTAP_TEST_ICAP";
const PATIENCE: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "tests wait and measure by the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Where the programs are that `deploy/proxies/test-programs.sh` gets.
fn programs() -> PathBuf {
    std::env::var_os("SHADOWTAP_PROXIES")
        .map_or_else(|| root().join("target/proxies"), PathBuf::from)
}

/// Whether all of these are there. If not, the test is skipped and says why; where CI runs, it
/// fails.
fn have(names: &[&str]) -> bool {
    let absent = names.iter().find(|name| !programs().join(name).exists());
    let Some(absent) = absent else { return true };
    let demanded = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!demanded, "no {absent}: run deploy/proxies/test-programs.sh");
    println!("skipped: no {absent}: run deploy/proxies/test-programs.sh");
    false
}

fn program(name: &str) -> Command {
    let mut command = Command::new(programs().join(name));
    let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
    command.env("LD_LIBRARY_PATH", programs().join("root/usr/lib").join(machine));
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that does not outlive the test.
struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    fn start(mut command: Command, folder: &Path, name: &str) -> Self {
        let output = folder.join(name);
        let file = File::create(&output).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, output }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap()
    }

    fn wait_for(&mut self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let until = now() + PATIENCE;
        loop {
            let said = self.said();
            if is_so(&said) {
                return said;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "ended before {what}: {said}");
            assert!(now() < until, "waiting for {what}: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_for_port(&mut self, port: u16) {
        self.wait_for("its port", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    /// As `kill -9` does.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Writes down what was observed.
#[derive(Debug, Default)]
struct Printer(AtomicU64);

fn line(observation: &Observation) -> String {
    match &observation.event {
        Event::Message { message, request, .. } => {
            let method = message.method.as_deref().unwrap_or("");
            let name = message.name.as_deref().unwrap_or("");
            let (kind, scheme) = (message.kind, request.scheme.as_str());
            let host = request.host.as_deref().unwrap_or("");
            format!("{kind:?} {scheme}://{host}{} {method} {name}", request.path)
        }
        Event::Ended { response, .. } => format!("Ended {response:?}"),
        _ => "Other".to_owned(),
    }
}

impl Outlet for Printer {
    fn flow(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn offer(&self, parcel: Parcel) -> Result<(), NotTaken> {
        let lines: String =
            parcel.observations.iter().map(|seen| format!("seen {}\n", line(seen))).collect();
        print!("{lines}");
        std::io::stdout().flush().unwrap();
        Ok(())
    }

    fn ask(&self, parcel: Parcel, _: ExchangeId, reply: Reply) -> Result<(), NotTaken> {
        reply(None);
        self.offer(parcel)
    }
}

/// No test: the server in a process of its own, that can be killed.
#[test]
#[ignore = "a process of the other tests"]
fn serves() {
    let Some(how) = std::env::var_os(SERVES) else { return };
    let how = how.into_string().unwrap();
    let (address, responses) = how.split_once(' ').unwrap();
    let mut settings = Settings::new(address.parse().unwrap());
    settings.responses = if responses == "whole" { Bodies::Whole } else { Bodies::Preview };
    let server = Server::start(settings, Arc::new(Printer::default())).unwrap();
    loop {
        std::thread::sleep(Duration::from_millis(100));
        println!("counters {:?}", server.counters());
    }
}

/// Squid, and the ICAP server behind it.
struct Scene {
    folder: TempDir,
    front: u16,
    sensor: Option<Process>,
    _squid: Process,
}

impl Scene {
    fn new(responses: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(folder.path(), mode).unwrap();
        let path = folder.path();
        let mut certificates = program(PYTHON);
        certificates.arg(root().join("tests/proxies/certificates.py")).arg(path);
        assert!(certificates.status().unwrap().success());
        let mut certgen = program(CERTGEN);
        certgen.args(["-c", "-s"]).arg(path.join("certificates")).args(["-M", "16MB"]);
        assert!(certgen.output().unwrap().status.success());
        let own =
            Command::new("chown").args(["-R", "proxy"]).arg(path.join("certificates")).output();
        drop(own);
        let icap = free_port();
        let sensor = responses.map(|responses| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "icap::serves", "--ignored", "--nocapture"]);
            command.env(SERVES, format!("127.0.0.1:{icap} {responses}"));
            let mut process = Process::start(command, path, "sensor");
            process.wait_for_port(icap);
            process
        });
        let front = free_port();
        let config = config(path, front, responses.map(|_| icap));
        fs::write(path.join("squid.conf"), config).unwrap();
        let mut command = program(SQUID);
        command.args(["-N", "-f"]).arg(path.join("squid.conf"));
        let mut squid = Process::start(command, path, "squid");
        squid.wait_for_port(front);
        Self { folder, front, sensor, _squid: squid }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.front)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

fn config(folder: &Path, front: u16, icap: Option<u16>) -> String {
    let folder = folder.display();
    let (programs, machine) = (programs(), std::env::consts::ARCH);
    let (certgen, root) = (programs.join(CERTGEN), programs.join("root"));
    let libraries = root.join("usr/lib").join(format!("{machine}-linux-gnu"));
    let (certgen, libraries) = (certgen.display(), libraries.display());
    let root = root.display();
    let icap = icap.map_or(String::new(), |port| {
        format!(
            "icap_enable on\nicap_preview_enable on\nicap_persistent_connections on\n\
             adaptation_send_client_ip on\n\
             adaptation_masterx_shared_names X-Shadowtap-Exchange\n\
             icap_service q reqmod_precache bypass=on icap://127.0.0.1:{port}/reqmod\n\
             icap_service s respmod_precache bypass=on icap://127.0.0.1:{port}/respmod\n\
             adaptation_access q allow all\nadaptation_access s allow all\n"
        )
    });
    format!(
        "http_port 127.0.0.1:{front} ssl-bump tls-cert={folder}/both.pem \
         generate-host-certificates=on\n\
         sslcrtd_program /usr/bin/env LD_LIBRARY_PATH={libraries} {certgen} \
         -s {folder}/certificates -M 16MB\nsslcrtd_children 1\n\
         ssl_bump bump all\ntls_outgoing_options cafile={folder}/authority.pem\n\
         http_access allow all\ncache deny all\npinger_enable off\nshutdown_lifetime 0 seconds\n\
         mime_table {root}/usr/share/squid/mime.conf\nicon_directory {root}/usr/share/squid/icons\n\
         error_directory {root}/usr/share/squid-langpack/templates\nunlinkd_program {root}/usr/lib/squid/unlinkd\n\
         pid_filename {folder}/squid.pid\naccess_log none\ncache_log {folder}/cache.log\n\
         coredump_dir {folder}\nvisible_hostname test\n{icap}"
    )
}

#[test]
fn whole_exchanges_of_both_eras_are_seen_inside_of_tls() {
    if !have(&[SQUID, CERTGEN, PYTHON]) || !have(&SDKS) {
        return;
    }
    for sdk in SDKS {
        let mut scene = Scene::new(Some("preview"));
        let path = scene.folder.path().to_owned();
        let back = free_port();
        let mut command = program(sdk);
        command.arg(root().join("tests/proxies/server.py")).arg(back.to_string());
        command.args([path.join("server.pem"), path.join("server.key")]);
        let mut server = Process::start(command, &path, "server");
        server.wait_for_port(back);
        let mut client = Command::new("timeout");
        client.arg("60").arg(programs().join(sdk)).arg(root().join("tests/proxies/client.py"));
        client.arg(format!("https://localhost:{back}/mcp"));
        client.args(["--proxy", &format!("http://127.0.0.1:{}", scene.front), "--authority"]);
        client.arg(path.join("authority.pem"));
        let output = client.output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(said.contains("done"), "{sdk}: {said}");

        let sensor = scene.sensor.as_mut().unwrap();
        let call = "seen Request https://localhost/mcp tools/call find_part";
        let results = |said: &str| said.matches("seen Result https://localhost/mcp").count();
        // Four calls, a list, and what begins a session or finds a server.
        let said = sensor.wait_for("all results", |said| results(said) >= 6);
        assert_eq!(said.matches(call).count(), 4, "{sdk}: {said}");
        assert_eq!(said.matches("tools/list").count(), 1, "{sdk}: {said}");
        let counters = said.lines().rfind(|line| line.starts_with("counters")).unwrap();
        assert!(counters.contains("malformed: 0"), "{counters}");
        assert!(counters.contains(" paired: 0, unpaired: 0"), "marked: {counters}");
    }
}

/// A server whose stream has an event every 100 ms; it writes down when the last one went.
fn streaming(events: u32) -> (SocketAddr, std::sync::mpsc::Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, sent) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
            )
            .unwrap();
            for number in 0..events {
                if number > 0 {
                    std::thread::sleep(Duration::from_millis(100));
                }
                let event =
                    format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{number},\"result\":{{}}}}\n\n");
                write!(stream, "{:x}\r\n{event}\r\n", event.len()).unwrap();
            }
            // The test may have ended.
            sender.send(now()).ok();
            write!(stream, "0\r\n\r\n").unwrap();
        }
    });
    (address, sent)
}

fn call(server: SocketAddr) -> String {
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"tools/list"}"#;
    format!(
        "POST http://{server}/mcp HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Time to the first event, and all that came.
fn first_event(scene: &Scene, server: SocketAddr) -> (Duration, Instant, String) {
    let mut stream = scene.connect();
    let begun = now();
    stream.write_all(call(server).as_bytes()).unwrap();
    let (mut text, mut buffer, mut first) = (String::new(), [0; 4096], None);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        if first.is_none() && text.contains("data: ") {
            first = Some(now());
        }
    }
    let first = first.unwrap_or_else(|| panic!("no event: {text}"));
    (first - begun, first, text)
}

#[test]
fn event_streams_pass_as_they_come() {
    if !have(&[SQUID, CERTGEN, PYTHON]) {
        return;
    }
    for how in [None, Some("preview"), Some("whole")] {
        let mut scene = Scene::new(how);
        let (server, sent) = streaming(6);
        first_event(&scene, server);
        sent.recv().unwrap();
        let (delay, first, text) = first_event(&scene, server);
        let last_sent = sent.recv().unwrap();
        println!("first event behind Squid, {how:?}: {} us", delay.as_micros());
        assert!(first + Duration::from_millis(200) < last_sent, "{how:?} held the stream up");
        assert!(text.ends_with("0\r\n\r\n"), "{text}");
        if let Some(sensor) = &mut scene.sensor {
            sensor.wait_for("the events", |said| said.matches("seen Result").count() == 12);
        }
    }
}

#[test]
fn latency_added_to_calls() {
    if !have(&[SQUID, CERTGEN, PYTHON]) {
        return;
    }
    for how in [None, Some("preview"), Some("whole")] {
        let scene = Scene::new(how);
        let (server, _sent) = streaming(1);
        let mut times: Vec<_> = (0..200).map(|_| first_event(&scene, server).0).collect();
        times.sort_unstable();
        println!(
            "a call through Squid, {how:?}: median {} us, 95 % {} us",
            times[100].as_micros(),
            times[190].as_micros()
        );
        // Far beyond what it takes: nothing waits for a time-out.
        assert!(times[100] < Duration::from_millis(250), "{how:?}: {:?}", times[100]);
    }
}

#[test]
fn a_server_killed_inside_of_a_request_is_not_noticed() {
    if !have(&[SQUID, CERTGEN, PYTHON]) {
        return;
    }
    let mut scene = Scene::new(Some("preview"));
    let (server, _sent) = streaming(2);
    first_event(&scene, server);
    let mut stream = scene.connect();
    let text = call(server);
    let (before, after) = text.split_at(text.len() - 20);
    stream.write_all(before.as_bytes()).unwrap();
    let sensor = scene.sensor.as_mut().unwrap();
    sensor.wait_for("the request", |said| said.contains("reqmods: 2"));
    sensor.kill();
    std::thread::sleep(Duration::from_millis(100));
    stream.write_all(after.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("0\r\n\r\n") && answer.matches("data: ").count() == 2, "{answer}");
    // And none after it.
    let (_, _, answer) = first_event(&scene, server);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

/// What the program answers to a request of a client that wants to call a tool.
fn asked(port: u16, tool: &str, argument: &str) -> String {
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"agent","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{argument},"_meta":{meta}}}}}"#
    );
    let http = format!(
        "POST https://mcp.example/mcp HTTP/1.1\r\nHost: mcp.example\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let icap = format!(
        "REQMOD icap://127.0.0.1/reqmod ICAP/1.0\r\nHost: 127.0.0.1\r\nAllow: 204\r\n\
         X-Client-IP: 10.1.2.3\r\nX-Client-Username: ada\r\n\
         Encapsulated: req-hdr=0, req-body={}\r\n\r\n",
        http.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{icap}{http}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer);
        let is_whole = text.ends_with("0\r\n\r\n") || text.starts_with("ICAP/1.0 204");
        if read == 0 || (is_whole && text.contains("\r\n\r\n")) {
            return text.into_owned();
        }
    }
}

#[test]
fn the_program_refuses_by_the_rules_that_it_ships_and_tells_who_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_shadowtap"));
    command.current_dir(folder.path()).args(["icap", "--enforce", "--contact", "it@example.com"]);
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--fail-on", "never"]);
    let mut sensor = Process::start(command, folder.path(), "sensor");
    sensor.wait_for_port(port);
    let refused = asked(port, "read_file", r#"{"path":"../../../../etc/shadow"}"#);
    for part in ["HTTP/1.1 403", "SMCP-5022", "it@example.com", r#""jsonrpc":"2.0","id":1"#] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let fine = asked(port, "get_weather", r#"{"city":"Bonn"}"#);
    assert!(fine.starts_with("ICAP/1.0 204"), "{fine}");
    let pid = sensor.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(sensor.child.wait().unwrap().success(), "{}", sensor.said());
    let events = fs::read_dir(folder.path().join("findings")).unwrap();
    let events: String =
        events.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    let finding = events.lines().find(|line| line.contains(r#""SMCP-5022""#)).unwrap();
    let finding: serde_json::Value = serde_json::from_str(finding).unwrap();
    assert_eq!(finding["user"]["name"], "ada");
    assert_eq!(finding["sources"], serde_json::json!(["icap"]));
    assert_eq!(finding["source"]["ip"], "10.1.2.3");
}

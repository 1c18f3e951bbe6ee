//! Children.

use super::*;

/// A server of MCP 2025-06-18 in a few lines.
const LEGACY: &str = r#"
import json, os, subprocess, sys, time
def say(m): print(json.dumps(m), flush=True)
print("hello, I am no message", flush=True)
for line in sys.stdin:
    m = json.loads(line)
    method, id = m.get("method"), m.get("id")
    name = (m.get("params") or {}).get("name")
    if id is None or method is None: continue
    if method == "initialize":
        r = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "child"}}
    elif method != "tools/call":
        say({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no"}}); continue
    elif name == "die": sys.stderr.write("I die\n"); sys.stderr.flush(); os._exit(3)
    elif name == "hang": continue
    elif name == "garbage": print('{"jsonrpc":', flush=True); continue
    elif name == "flood": print("x" * 3000, flush=True); continue
    elif name == "spawn":
        r = {"pid": subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL).pid}
    elif name == "env": r = {"env": sorted(os.environ), "cwd": os.getcwd(), "pid": os.getpid()}
    elif name == "argv": r = {"argv": sys.argv[1:]}
    elif name == "limit":
        import resource
        r = {"files": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}
    elif name == "progress":
        token = m["params"]["_meta"]["progressToken"]
        say({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token}})
        say({"jsonrpc": "2.0", "id": 1, "method": "roots/list"})
        r = {"token": token}
    else: r = {"pid": os.getpid()}
    say({"jsonrpc": "2.0", "id": id, "result": r})
"#;

/// A server of MCP 2026-07-28.
const MODERN: &str = r#"
import json, os, sys
for line in sys.stdin:
    m = json.loads(line)
    if m.get("id") is None: continue
    if m["method"] == "server/discover":
        r = {"supportedVersions": ["2026-07-28"], "capabilities": {}}
    else: r = dict(m["params"]["_meta"], pid=os.getpid())
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": r}), flush=True)
"#;

/// A server that is slow to start, and speaks as it was spoken to first.
const SLOW: &str = r#"
import json, sys, time
time.sleep(float(sys.argv[1]))
first = None
for line in sys.stdin:
    m = json.loads(line)
    if m.get("id") is None: continue
    first = first or m["method"]
    out = {"jsonrpc": "2.0", "id": m["id"]}
    if m["method"] == "server/discover" and sys.argv[2] == "both":
        out["result"] = {"supportedVersions": ["2026-07-28"], "capabilities": {}}
    elif m["method"] == "initialize" and (sys.argv[2] == "old" or first == "initialize"):
        out["result"] = {"protocolVersion": "2025-06-18", "capabilities": {}}
    elif m["method"] == "tools/call": out["result"] = {"text": first}
    else: out["error"] = {"code": -32601, "message": "no"}
    print(json.dumps(out), flush=True)
"#;

fn spec(script: &str, more: &str) -> String {
    let argv = serde_json::json!(["python3", "-c", script]);
    format!("{{id: a, command: {argv}, max_message_bytes: 2000, {more}}}")
}

fn value(said: &[String], member: &str) -> serde_json::Value {
    let result = said[0].splitn(3, ':').nth(2).unwrap();
    serde_json::from_str::<serde_json::Value>(result).unwrap()[member].clone()
}

fn is_alive(pid: &serde_json::Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn a_child_is_run_without_a_shell_and_with_what_it_may_know() {
    let more = "env: {TOKEN: fake}, pass_env: [CARGO], cwd: /, limits: {files: 77}";
    let upstreams = upstreams(&spec(LEGACY, more));
    let peer = peer(&upstreams).await;
    assert_eq!(peer.about().revision.as_str(), "2025-06-18");
    let said = call(&peer, 5, "env", false).await;
    assert!(said[0].starts_with("r:5:"), "{said:?}");
    assert_eq!(value(&said, "cwd"), "/");
    let names = value(&said, "env").to_string();
    assert!(names.contains("TOKEN") && names.contains("PATH"), "{names}");
    assert!(!names.contains("CARGO_MANIFEST_DIR"), "{names}");
    assert_eq!(value(&call(&peer, 6, "limit", false).await, "files"), 77);
    upstreams.close().await;
}

#[tokio::test]
async fn p32_no_shell_reads_the_arguments_and_every_start_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let trap = folder.path().join("trap");
    let injected = format!("x; touch {}", trap.display());
    let arguments = ["$(id)", "`id`", "$HOME", "*", "a b", "> out", &injected];
    let mut argv = vec!["python3", "-c", LEGACY];
    argv.extend(arguments);
    let lines = Arc::new(std::sync::Mutex::new(Vec::<String>::new()));
    let kept = Arc::clone(&lines);
    let told: Told = Arc::new(move |line: &str| kept.lock().unwrap().push(line.to_owned()));
    let argv = serde_json::json!(argv);
    let upstreams = upstreams_told(&format!("{{id: a, command: {argv}}}"), &told);
    let peer = peer(&upstreams).await;
    let said = call(&peer, 1, "argv", false).await;
    assert_eq!(value(&said, "argv"), serde_json::json!(arguments));
    assert!(!trap.exists());
    let pid = value(&call(&peer, 2, "pid", false).await, "pid");
    assert!(is(&call(&peer, 3, "die", false).await, "f:Broken"));
    let again = value(&call(&peer, 4, "pid", false).await, "pid");
    let lines = lines.lock().unwrap().clone();
    for process in [pid, again] {
        let want = format!("server a: python3 was started as process {process}");
        assert!(lines.contains(&want), "{lines:?}");
    }
    assert!(!lines.iter().any(|line| line.contains("touch")), "{lines:?}");
    upstreams.close().await;
}

#[tokio::test]
async fn a_child_that_dies_is_started_again_and_not_for_ever() {
    let upstreams = upstreams(&spec(LEGACY, "max_restarts: 2"));
    let peer = peer(&upstreams).await;
    let first = value(&call(&peer, 1, "pid", false).await, "pid");
    assert!(is(&call(&peer, 2, "die", false).await, "f:Broken"));
    let second = value(&call(&peer, 3, "pid", false).await, "pid");
    assert_ne!(first, second);
    // What may be done twice is tried twice, and breaks twice.
    assert!(is(&call(&peer, 4, "die", true).await, "f:Broken"));
    let left = call(&peer, 5, "pid", false).await;
    assert!(left[0].contains("keeps ending: I die"), "{left:?}");
    assert!(upstreams.log("a").contains(&"I die".to_owned()));
}

#[tokio::test]
async fn faults_of_children_are_failures() {
    let upstreams = upstreams(&spec(LEGACY, "max_restarts: 9"));
    let peer = peer(&upstreams).await;
    for (tool, want) in
        [("hang", "f:TimedOut"), ("garbage", "f:Garbled"), ("flood", "f:Garbled"), ("pid", "r:1:")]
    {
        let mut call = outgoing(1, tool);
        call.idle = Duration::from_secs(4);
        if tool == "hang" {
            call.idle = Duration::from_millis(300);
        }
        let said = heard(peer.call(call, false).await).await;
        assert!(is(&said, want), "{tool}: {said:?}");
    }
    let none = super::upstreams("{id: a, command: [/no/such/program]}");
    let failure = none.peer(&somebody("ann"), "a", &client(), None, None).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable(_)), "{failure:?}");
}

#[tokio::test]
async fn the_whole_group_ends_with_the_portal() {
    let upstreams = upstreams(&spec(LEGACY, "shared: false"));
    let peer = peer(&upstreams).await;
    let grandchild = value(&call(&peer, 1, "spawn", false).await, "pid");
    let child = value(&call(&peer, 2, "pid", false).await, "pid");
    assert!(is_alive(&grandchild) && is_alive(&child));
    drop(peer);
    upstreams.close().await;
    for _ in 0..100 {
        if !is_alive(&grandchild) && !is_alive(&child) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("they live on");
}

#[tokio::test]
async fn children_are_one_owners_unless_they_are_shared() {
    for (more, is_same) in [("shared: true", true), ("shared: false", false)] {
        let upstreams = upstreams(&spec(LEGACY, more));
        let mut pids = Vec::new();
        for subject in ["ann", "bob"] {
            let whose = somebody(subject);
            let peer = upstreams.peer(&whose, "a", &client(), Some("c"), None).await.unwrap();
            pids.push(value(&call(&peer, 1, "pid", false).await, "pid"));
        }
        assert_eq!(pids[0] == pids[1], is_same, "{more}");
        upstreams.close().await;
    }
}

#[tokio::test]
async fn a_child_with_sessions_is_one_conversations_and_ends_with_it() {
    for (script, more, is_same) in [
        (LEGACY, "shared: false", false),
        (LEGACY, "shared: true", true),
        (MODERN, "shared: false", true),
    ] {
        let upstreams = upstreams(&spec(script, more));
        let (whose, client) = (somebody("ann"), client());
        let peer = |of| upstreams.peer(&whose, "a", &client, Some(of), None);
        // Both at once, while nobody knows what it speaks.
        let (one, other) = tokio::join!(peer("one"), peer("other"));
        let (one, other) = (one.unwrap(), other.unwrap());
        let pids = [call(&one, 1, "pid", false).await, call(&other, 2, "pid", false).await];
        let [pid, others] = pids.map(|said| value(&said, "pid"));
        assert_eq!(pid == others, is_same, "{more}");
        if !is_same {
            one.close().await;
            for _ in 0..100 {
                if !is_alive(&pid) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(!is_alive(&pid) && is_alive(&others));
        }
        upstreams.close().await;
    }
}

#[tokio::test]
async fn tokens_and_requests_find_their_call() {
    let upstreams = upstreams(&spec(LEGACY, "shared: false"));
    let peer = peer(&upstreams).await;
    let mut call = outgoing(8, "progress");
    let params = serde_json::json!({"name": "progress", "_meta": {"progressToken": "mine"}});
    call.request.params = Some(raw(&params));
    let Ok(Conversation::Stream(mut from)) = peer.call(call, false).await else {
        panic!("no stream")
    };
    let Some(Heard::Notification(said)) = from.recv().await else { panic!("no progress") };
    assert_eq!(said.params.unwrap().get(), r#"{"progressToken":"mine"}"#);
    let Some(Heard::Request(asked)) = from.recv().await else { panic!("no request") };
    let answer = Response { id: Some(asked.id.clone()), outcome: Ok(raw(&serde_json::json!({}))) };
    peer.reply(answer.clone()).await.unwrap();
    // Twice, or unasked, is refused.
    assert!(peer.reply(answer).await.is_err());
    assert!(matches!(from.recv().await, Some(Heard::Response(_))));
    upstreams.close().await;
}

#[tokio::test]
async fn children_without_state_get_the_envelope() {
    let upstreams = upstreams(&spec(MODERN, "shared: true"));
    let peer = peer(&upstreams).await;
    assert_eq!(peer.about().revision.as_str(), "2026-07-28");
    let said = call(&peer, 1, "t", false).await;
    assert_eq!(value(&said, "io.modelcontextprotocol/protocolVersion"), "2026-07-28");
    assert_eq!(value(&said, "io.modelcontextprotocol/clientInfo")["name"], "agent");
    upstreams.close().await;
}

#[tokio::test]
async fn a_child_that_is_slow_to_start_is_spoken_to_as_it_wants() {
    for (speaks, revision) in [("both", "2026-07-28"), ("old", "2025-06-18")] {
        let argv = serde_json::json!(["python3", "-c", SLOW, "4", speaks]);
        let upstreams = upstreams(&format!("{{id: a, command: {argv}}}"));
        let (whose, client) = (somebody("ann"), client());
        let asking = upstreams.peer(&whose, "a", &client, Some("one"), None);
        // Whoever asks first does not wait so long; what was begun goes on.
        assert!(tokio::time::timeout(Duration::from_millis(500), asking).await.is_err());
        let peer = peer(&upstreams).await;
        assert_eq!(peer.about().revision.as_str(), revision);
        assert!(is(&call(&peer, 1, "t", false).await, "r:1:"));
        assert_eq!(upstreams.counters().next().unwrap().1.reconnects, 0);
        upstreams.close().await;
    }
}

/// Logs without saying for which call, and answers when the last of two has come.
const LOGS: &str = r#"
import json, sys
calls = []
def say(m): print(json.dumps(m), flush=True)
for line in sys.stdin:
    m = json.loads(line)
    if m.get("id") is None: continue
    if m["method"] == "server/discover":
        say({"jsonrpc": "2.0", "id": m["id"], "result": {"supportedVersions": ["2026-07-28"], "capabilities": {}}})
        continue
    calls.append(m["id"])
    if len(calls) < 3: continue
    for method in ["message", "tools/list_changed"]:
        say({"jsonrpc": "2.0", "method": "notifications/" + method, "params": {}})
    for id in calls[1:]: say({"jsonrpc": "2.0", "id": id, "result": {}})
"#;

#[tokio::test]
async fn messages_that_name_no_call_go_to_the_one_that_wants_them() {
    let upstreams = upstreams(&format!(
        "{{id: a, shared: false, command: {}}}",
        serde_json::json!(["python3", "-c", LOGS])
    ));
    let peer = peer(&upstreams).await;
    // What is listened to is no call.
    let mut listened = peer.listen(Some(raw(&serde_json::json!({})))).await.unwrap().unwrap();
    let mut first = outgoing(1, "t");
    let meta = serde_json::json!({"io.modelcontextprotocol/logLevel": "debug"});
    first.request.params = Some(raw(&serde_json::json!({"name": "t", "_meta": meta})));
    let (one, other) = tokio::join!(async { heard(peer.call(first, false).await).await }, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        call(&peer, 2, "t", false).await
    });
    assert_eq!(one[0], "n:notifications/message", "{one:?}");
    assert!(one[1].starts_with("r:1:"), "{one:?}");
    assert!(other.last().unwrap().starts_with("r:2:"), "{other:?}");
    assert!(!other.contains(&one[0]), "{other:?}");
    assert!(listened.try_recv().is_err());
    upstreams.close().await;
}

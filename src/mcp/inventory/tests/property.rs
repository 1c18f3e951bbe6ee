//! Any steps, within any bounds.

use proptest::prelude::*;

use super::bounds::tight;
use super::*;

const HEADS: [&str; 4] = [
    "POST /mcp | accept: application/json, text/event-stream",
    "GET /sse | accept: text/event-stream",
    "POST /message?sessionId=1",
    "GET /mcp | mcp-session-id: 1",
];
const CALLS: [&str; 5] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"#,
];
const ANSWER_HEADS: [&str; 5] = [SSE, JSON, "202", "307 | location: /sse", "404"];
const ANSWERS: [&str; 5] = [
    "event: endpoint\ndata: /message?sessionId=1\n",
    "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[]}}\n",
    "data: {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"roots/list\"}\n",
    r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601}}"#,
    r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#,
];

/// How far an exchange of the property below is.
#[derive(Clone, Copy, Default, PartialEq)]
enum Phase {
    #[default]
    Idle,
    Asked,
    Answered,
}

/// The lines of a step of exchange `name`, if it is possible now.
fn step(name: char, phase: &mut Phase, step: u8, choice: usize) -> Option<String> {
    let lines = |arrow: char, text: &str| -> String {
        text.split('\n').map(|line| format!("{name}{arrow} {line}\n")).collect()
    };
    match (step, *phase) {
        (0..=3, Phase::Idle) => {
            *phase = Phase::Asked;
            Some(lines('>', HEADS[choice % 4]))
        }
        (4..=6, Phase::Asked) => Some(lines('>', CALLS[choice])),
        (7 | 8, Phase::Idle | Phase::Asked) => {
            *phase = Phase::Answered;
            Some(lines('<', ANSWER_HEADS[choice]))
        }
        (9..=12, Phase::Answered) => Some(lines('<', ANSWERS[choice])),
        (13, Phase::Asked) => Some(format!("{name}>~ 5")),
        (13, Phase::Answered) => Some(format!("{name}<~ 5")),
        (14, Phase::Asked | Phase::Answered) => {
            *phase = Phase::Idle;
            Some(format!("{name}{}", if choice == 0 { '!' } else { '.' }))
        }
        (15, _) => Some(format!("wait {}", choice * 10)),
        _ => None,
    }
}

proptest! {
    /// Whatever is played, and however tight the bounds: nothing panics, each message is
    /// resolved exactly once, and only servers that took part have addresses.
    #[test]
    fn each_message_is_resolved_once(
        steps in prop::collection::vec((0..3_u8, 0..16_u8, 0..5_usize), 0..120),
        is_tight: bool,
    ) {
        let limits = if is_tight { Limits { max_servers: 64, ..tight() } } else { Limits::default() };
        let (mut stage, mut inventory) = (Stage::default(), Inventory::new(limits));
        let (mut resolved, mut messages) = (Vec::new(), 0);
        let mut phases = [Phase::default(); 3];
        for (name, kind, choice) in steps {
            let phase = &mut phases[usize::from(name)];
            let Some(lines) = step(char::from(b'a' + name), phase, kind, choice) else { continue };
            for observation in stage.play(&lines) {
                if let Event::Message { request, channel, message, .. } = &observation.event {
                    messages += usize::from(!evidence::is_download(request, *channel, message));
                }
                inventory.observe(observation, &mut resolved);
            }
        }
        inventory.finish(stage.now(), &mut resolved);
        let told = resolved.iter().filter(|one| matches!(one, Resolved::Message { .. })).count();
        prop_assert_eq!(told, messages);
        for (_, server) in inventory.servers() {
            prop_assert_eq!(server.is_mcp(), !server.endpoints.is_empty());
        }
    }
}

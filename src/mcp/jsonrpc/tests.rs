use proptest::prelude::*;
use serde_json::{Value, json};

use super::reference::{items, messages, outlines};
use super::*;
use crate::mcp::jcs;
use crate::mcp::json::{CONTROL_CHARACTER, TOO_DEEP};
use crate::observation::{DefinitionKind, Kind, MessageId, Software};

/// Reads `text` whole, byte by byte and cut in two at every offset: all must agree.
fn read(text: &[u8]) -> Vec<Item> {
    let whole = items(text, usize::MAX);
    assert_eq!(items(text, 1), whole, "byte by byte: {}", text.escape_ascii());
    for at in 0..text.len() {
        let mut reader = Reader::default();
        let mut found = Vec::new();
        reader.push(&text[..at], &mut |item| found.push(item));
        reader.push(&text[at..], &mut |item| found.push(item));
        reader.finish(&mut |item| found.push(item));
        assert_eq!(found, whole, "cut at {at}: {}", text.escape_ascii());
    }
    whole
}

/// The messages and the kinds of the anomalies of a text.
fn parse(text: impl AsRef<[u8]>) -> (Vec<Message>, Vec<&'static str>) {
    let (mut messages, mut anomalies) = (Vec::new(), Vec::new());
    for item in read(text.as_ref()) {
        match item {
            Item::Message(message) => messages.push(*message),
            Item::Anomaly(kind) => anomalies.push(kind),
        }
    }
    (messages, anomalies)
}

/// The only message of a text without anomalies.
fn only(text: impl AsRef<[u8]>) -> Message {
    let (mut messages, anomalies) = parse(text.as_ref());
    assert!(anomalies.is_empty(), "{anomalies:?}");
    assert_eq!(messages.len(), 1, "{}", text.as_ref().escape_ascii());
    messages.remove(0)
}

/// Methods of the messages of a text.
fn methods(text: impl AsRef<[u8]>) -> Vec<String> {
    parse(text).0.into_iter().map(|message| message.method.unwrap_or_default()).collect()
}

#[test]
fn kinds_follow_method_id_result_and_error() {
    for (text, kind, id) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Kind::Request, Some("1")),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Kind::Request, Some("null")),
        (r#"{"jsonrpc":"2.0","method":"ping"}"#, Kind::Notification, None),
        (r#"{"jsonrpc":"2.0","id":"a","result":{}}"#, Kind::Result, Some(r#""a""#)),
        (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, Kind::Result, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#, Kind::Result, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#, Kind::Result, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601}}"#, Kind::Error, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1}}"#, Kind::Error, Some("1")),
        (r#"{"jsonrpc":"2.0","error":null}"#, Kind::Error, None),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","error":null}"#, Kind::Request, Some("1")),
    ] {
        let message = only(text);
        assert_eq!((message.kind, message.id), (kind, id.map(|id| MessageId(id.into()))), "{text}");
        assert_eq!(message.size, text.len() as u64);
        assert!(!message.partial && !message.batched);
    }
}

#[test]
fn what_is_no_json_rpc_gives_nothing() {
    for text in [
        "",
        " ",
        "null",
        "\"{}\"",
        "{}",
        "[]",
        "<!doctype html><p>{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\"}",
        "Content-Length: 40\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"initialize\"}",
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"ping\"}",
        r#"{"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":2.0,"method":"tools/call"}"#,
        r#"{"jsonrpc":"1.0","method":"tools/call"}"#,
        r#"{"jsonrpc":"2.01","method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","method":["tools/call"]}"#,
        r#"{"jsonrpc":"2.0","method":null}"#,
        r#"{"Jsonrpc":"2.0","method":"tools/call"}"#,
        r#"{"jsonrpc":["2.0"],"method":"tools/call"}"#,
        r#"{"quote":"{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\"}"}"#,
        r#"{"nested":{"jsonrpc":"2.0","id":1,"method":"tools/call"}}"#,
        r#"{"messages":[{"jsonrpc":"2.0","id":1,"method":"tools/call"}]}"#,
        r#"[1,{"jsonrpc":"2.0","method":"tools/call"}]"#,
        r#"[[{"jsonrpc":"2.0","method":"tools/call"}]]"#,
        r#"{"jsonrpc":"2.0","method":"x","jsonrpc":"1.0"}"#,
        r#"{"jsonrpc":"2.0","method":"x","method":1}"#,
        r#"{jsonrpc:"2.0",method:"tools/call"}"#,
        r#"{'jsonrpc':'2.0','method':'tools/call'}"#,
    ] {
        assert_eq!(parse(text), (vec![], vec![]), "{text}");
    }
}

#[test]
fn spelling_does_not_matter() {
    let expected =
        only(r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"é"}}"#);
    for text in [
        r#"{"params":{"name":"é"},"method":"tools/call","id":"a","jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"tools\/call","params":{"name":"\u00e9"}}"#,
        r#"{"json\u0072pc":"2\u002E0","\u0069d":"\u0061","\u006dethod":"\u0074ools\u002fcall","p\u0061rams":{"n\u0061me":"\u00E9"}}"#,
        "\r\n\t {\n \"jsonrpc\" : \"2.0\" ,\r\n\"id\":\t\"a\",\"method\" :\"tools/call\" ,\"params\":{ \"name\": \"é\" }\n}\n\n ",
    ] {
        let found = only(text);
        assert_eq!(Message { size: expected.size, ..found }, expected, "{text}");
    }
    assert_eq!(only("  {\"jsonrpc\":\"2.0\",\"method\":\"x\"}  ").size, 30);
}

#[test]
fn method_after_a_long_body_is_found() {
    let padding = "tools/call\\\" ] } ".repeat(2_000);
    let text = format!(
        r#"{{"params":{{"name":"x","arguments":{{"a":"{padding}"}}}},"id":7,"jsonrpc":"2.0","method":"tools/call"}}"#
    );
    for size in [1, 1460, usize::MAX] {
        let found = outlines(&items(text.as_bytes(), size));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].method.as_deref(), Some("tools/call"));
        assert_eq!(found[0].name.as_deref(), Some("x"));
    }
}

#[test]
fn ids_keep_their_type_but_not_their_spelling() {
    let long = "x".repeat(300);
    for (id, expected) in [
        (r#""1""#, Some(r#""1""#)),
        ("1", Some("1")),
        ("-1.50e3", Some("-1.50e3")),
        (r#""\u0061\/\n""#, Some(r#""a/\n""#)),
        ("null", Some("null")),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
        assert_eq!(only(text).id.map(|id| id.0).as_deref(), expected, "{id}");
    }
    for id in [format!("\"{long}\""), "9".repeat(300)] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
        assert_eq!(only(text).id, Some(MessageId(format!("sha256:{}", jcs::digest(&id)))));
    }
    for id in ["true", "{}", "[1]"] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
        let (messages, anomalies) = parse(text);
        assert_eq!(anomalies, [INVALID_ID]);
        assert_eq!((messages[0].kind, &messages[0].id), (Kind::Request, &None));
    }
}

#[test]
fn the_last_of_repeated_keys_counts() {
    let (messages, anomalies) =
        parse(r#"{"jsonrpc":"2.0","method":"tools/list","method":"tools/call"}"#);
    assert_eq!(anomalies, [DUPLICATE_METHOD]);
    assert_eq!(messages[0].method.as_deref(), Some("tools/call"));
    assert!(messages[0].duplicate_keys);

    let message = only(
        r#"{"jsonrpc":"2.0","method":"m","\u006dethod":"m","params":{"name":"a","_meta":{}},"params":{"uri":"b","uri":"c","uri":1}}"#,
    );
    assert!(message.duplicate_keys);
    assert_eq!((message.name, message.uri), (None, None));
    assert_eq!(message.body_keys, ["uri"]);

    let message = only(r#"{"jsonrpc":"2.0","method":"m","x":1,"y":2,"x":3}"#);
    assert!(message.duplicate_keys);
    let message = only(r#"{"jsonrpc":"2.0","method":"m","x":1,"y":{"x":3,"x":4}}"#);
    assert!(!message.duplicate_keys);
    let message = only(
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}],"prompts":[{"name":"p"}],"tools":[{"name":"b","name":"c"}],"isError":true,"isError":0}}"#,
    );
    let names: Vec<_> = message.definitions.iter().map(|one| one.name.as_str()).collect();
    assert_eq!((names, message.is_error), (vec!["p", "c"], None));
}

#[test]
fn mixed_messages_are_requests_with_an_anomaly() {
    for (text, kind) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","result":{}}"#, Kind::Request),
        (r#"{"jsonrpc":"2.0","method":"m","error":{"code":1}}"#, Kind::Notification),
        (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1}}"#, Kind::Error),
    ] {
        let (messages, anomalies) = parse(text);
        assert_eq!((messages[0].kind, anomalies), (kind, vec![MIXED]), "{text}");
    }
}

#[test]
fn a_legacy_handshake_is_captured() {
    let message = only(
        r#"{"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"x":[{}]},"clientInfo":{"name":"c","title":"T","version":"1"}},"jsonrpc":"2.0","id":0}"#,
    );
    assert_eq!(message.protocol_version.as_deref(), Some("2025-11-25"));
    assert_eq!(message.client, Some(Software { name: "c".into(), version: "1".into() }));
    assert!(!message.modern_envelope && message.server.is_none());
    assert_eq!(message.body_keys, ["protocolVersion", "capabilities", "clientInfo"]);

    let message = only(
        r#"{"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":""}},"jsonrpc":"2.0","id":0}"#,
    );
    assert_eq!(message.protocol_version.as_deref(), Some("2025-06-18"));
    assert_eq!(message.server, Some(Software { name: "s".into(), version: String::new() }));
    // As of the Agent Client Protocol: an integer.
    let message = only(
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1,"clientInfo":"x"}}"#,
    );
    assert_eq!((message.protocol_version, message.client), (None, None));
}

#[test]
fn a_modern_envelope_is_captured() {
    let message = only(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"version":"2","name":"c"},"io.modelcontextprotocol\/clientCapabilities":{"io.modelcontextprotocol/x":1},"traceparent":"t"},"protocolVersion":"old","name":"n","arguments":{"a" : "\u0062"}}}"#,
    );
    assert_eq!(message.protocol_version.as_deref(), Some("2026-07-28"));
    assert!(message.modern_envelope);
    assert_eq!(message.client, Some(Software { name: "c".into(), version: "2".into() }));
    assert_eq!(
        message.meta_keys,
        ["protocolVersion", "clientInfo", "clientCapabilities"]
            .map(|key| format!("io.modelcontextprotocol/{key}"))
    );
    assert_eq!(message.arguments.as_deref(), Some(r#"{"a" : "\u0062"}"#));

    let message = only(
        r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","isError":false,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}},"inputRequests":{"a":{"method":"roots/list"},"b":{"params":{"method":"no"},"method":"elicitation/create"}}}}"#,
    );
    assert_eq!(message.result_type.as_deref(), Some("input_required"));
    assert_eq!(message.is_error, Some(false));
    assert_eq!(message.server, Some(Software { name: "s".into(), version: String::new() }));
    assert_eq!(message.input_requests, ["roots/list", "elicitation/create"]);
    let message = only(
        r#"{"jsonrpc":"2.0","id":1,"result":{"inputRequests":[{"method":"roots/list"},1,[]]}}"#,
    );
    assert_eq!(message.input_requests, ["roots/list"]);
}

#[test]
fn arguments_of_any_shape_are_kept_raw() {
    for raw in ["{}", "[1, 2]", "\"a\\\"b\"", "null", "-1.5e3", "{\"a\":[{\"b\":\"}\"}]}"] {
        for after in ["", " ", ",\"x\":1"] {
            let text = format!(
                r#"{{"jsonrpc":"2.0","method":"m","params":{{"arguments": {raw}{after}}}}}"#
            );
            assert_eq!(only(text).arguments.as_deref(), Some(raw), "{raw}");
        }
    }
}

#[test]
fn params_that_are_an_array_are_ignored() {
    let message = only(r#"{"jsonrpc":"2.0","method":"m","params":[{"name":"x"},"uri"]}"#);
    assert_eq!((message.name, message.body_keys), (None, vec![]));
}

#[test]
fn error_codes_are_integers() {
    for (code, expected) in
        [("-32020", Some(-32020)), ("1.5", None), ("\"1\"", None), ("99999999999999999999", None)]
    {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"error":{{"data":{{"code":7}},"code":{code},"message":"m"}}}}"#
        );
        assert_eq!(only(text).error_code, expected, "{code}");
    }
}

#[test]
fn definitions_are_digested_whatever_their_spelling() {
    let one = r#"{"name":"add","description":"é","inputSchema":{"type":"object","n":1.0}}"#;
    let other =
        r#"{ "inputSchema":{"n":1,"type":"object"}, "\u006eame":"add", "description":"\u00e9"}"#;
    let text = |one: &str| {
        format!(
            r#"{{"result":{{"tools":[{one}, 3, {{"name":"b"}}],"nextCursor":"x"}},"jsonrpc":"2.0","id":1}}"#
        )
    };
    let definitions = only(text(one)).definitions;
    assert_eq!(definitions, only(text(other)).definitions);
    let canonical = r#"{"description":"é","inputSchema":{"n":1,"type":"object"},"name":"add"}"#;
    assert_eq!(definitions.len(), 2);
    assert_eq!(definitions[0].name, "add");
    assert_eq!(definitions[0].canonical.as_deref(), Some(canonical));
    assert_eq!(definitions[0].digest, Some(jcs::digest(canonical)));
    assert_eq!(definitions[1].canonical.as_deref(), Some(r#"{"name":"b"}"#));

    let message = only(
        r#"{"jsonrpc":"2.0","id":1,"result":{"resources":[{"uri":"file:\/\/a","name":"n"}],"resourceTemplates":[{"uriTemplate":"t","uri":"u"}],"prompts":[{"name":"p"},{}]}}"#,
    );
    let found: Vec<_> =
        message.definitions.iter().map(|one| (one.kind, one.name.as_str())).collect();
    let expected = [
        (DefinitionKind::Resource, "file://a"),
        (DefinitionKind::ResourceTemplate, "t"),
        (DefinitionKind::Prompt, "p"),
        (DefinitionKind::Prompt, ""),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_loosely_skipped_definition_has_no_digest() {
    let (messages, anomalies) =
        parse(r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","x":{1,}}]}}"#);
    assert_eq!(anomalies, [DEFINITION_UNREADABLE]);
    assert_eq!(messages[0].definitions[0].digest, None);
}

#[test]
fn batches_give_each_element() {
    let text = r#" [ {"jsonrpc":"2.0","method":"a"} , 5, {"x":1},[{}], {"jsonrpc":"2.0","id":1,"result":{}}]"#;
    let (messages, anomalies) = parse(text);
    assert!(anomalies.is_empty());
    let found: Vec<_> =
        messages.iter().map(|message| (message.kind, message.batched, message.size)).collect();
    assert_eq!(found, [(Kind::Notification, true, 30), (Kind::Result, true, 36)]);
}

#[test]
fn several_values_are_read_and_flagged_unless_on_lines_of_their_own() {
    const A: &str = r#"{"jsonrpc":"2.0","method":"a"}"#;
    const B: &str = r#"{"jsonrpc":"2.0","method":"b"}"#;
    for (text, expected, anomalies) in [
        (format!("{A}\n{B}\n"), vec!["a", "b"], vec![]),
        (format!("{A}\r\n\r\n  [{B}]"), vec!["a", "b"], vec![]),
        (format!("{A}{B}{A}"), vec!["a", "b", "a"], vec![MULTIPLE_VALUES]),
        (format!("{A} {{}}"), vec!["a"], vec![MULTIPLE_VALUES]),
        (format!("{{}} {A}"), vec!["a"], vec![MULTIPLE_VALUES]),
        ("{} {} []".to_owned(), vec![], vec![]),
        (format!("{A},{B}"), vec!["a"], vec![TRAILING_BYTES]),
        (format!("{A}\nok"), vec!["a"], vec![TRAILING_BYTES]),
        (format!("{A}\0\0"), vec!["a"], vec![TRAILING_BYTES]),
        (format!("{A}}}"), vec!["a"], vec![TRAILING_BYTES]),
        (format!("{{}};{A}"), vec![], vec![]),
    ] {
        assert_eq!(methods(&text), expected, "{text}");
        assert_eq!(parse(&text).1, anomalies, "{text}");
    }
}

#[test]
fn a_message_comes_with_its_closing_brace() {
    let text = br#"[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","method":"b"}]"#;
    let mut reader = Reader::default();
    let mut at = Vec::new();
    for (index, &byte) in text.iter().enumerate() {
        reader.push(&[byte], &mut |_| at.push(index));
    }
    assert_eq!(at, [30, 61]);
}

#[test]
fn first_byte_decides_at_once() {
    for (text, dead) in
        [("<", true), (" \n<", true), ("1", true), ("\"", true), ("{", false), ("[", false)]
    {
        let mut reader = Reader::default();
        reader.push(text.as_bytes(), &mut |_| {});
        assert_eq!(reader.is_dead(), dead, "{text}");
        let first = text.trim_start().as_bytes()[0];
        assert_eq!(Reader::wants(first), !dead);
    }
    for (text, dead) in [
        ("[1", true),
        ("[ \"a", true),
        ("[[", true),
        ("[{", false),
        ("{\"a\":1}x", true),
        ("{a", true),
    ] {
        let mut reader = Reader::default();
        reader.push(text.as_bytes(), &mut |_| {});
        assert_eq!(reader.is_dead(), dead, "{text}");
        reader.finish(&mut |_| {});
        assert!(!reader.is_dead(), "another text may follow");
    }
}

#[test]
fn malformed_text_gives_no_message() {
    for (text, anomalies) in [
        (r#"{"jsonrpc":"2.0","method":"a",}"#, vec![MALFORMED]),
        (r#"{"jsonrpc":"2.0","method":"a" "id":1}"#, vec![MALFORMED]),
        (r#"{"jsonrpc":"2.0","method":"a","id":01}"#, vec![MALFORMED]),
        (r#"{"jsonrpc":"2.0","method":"a","id":tru}"#, vec![MALFORMED]),
        (r#"{"jsonrpc":"2.0","method":"a\x"}"#, vec![MALFORMED]),
        (r#"{"jsonrpc":"2.0","method":"a"]"#, vec![MALFORMED]),
        (r#"{"jsonrpc":"2.0","method":"a","params":{"x":[\]}}"#, vec![MALFORMED]),
        (r#"{"method":"a",,"jsonrpc":"2.0"}"#, vec![]),
        (r#"[{"jsonrpc":"2.0"}}"#, vec![]),
        (r#"{"jsonrpc"}"#, vec![]),
        (r#"{:1}"#, vec![]),
    ] {
        assert_eq!(parse(text), (vec![], anomalies), "{text}");
    }
}

#[test]
fn control_characters_are_tolerated_and_reported() {
    let (messages, anomalies) = parse("{\"jsonrpc\":\"2.0\",\"method\":\"a\nb\",\"x\":\"\u{1}\"}");
    assert_eq!(anomalies, [CONTROL_CHARACTER]);
    assert_eq!(messages[0].method.as_deref(), Some("a\nb"));
}

#[test]
fn deep_nesting_is_reported_and_does_not_hide_a_message() {
    for (depth, anomalies) in [(127, vec![]), (128, vec![TOO_DEEP]), (2_000, vec![TOO_DEEP])] {
        let text = format!(
            r#"{{"x":{}{},"y":[[[]]],"jsonrpc":"2.0","method":"a"}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        for size in [1, 50, usize::MAX] {
            let items = items(text.as_bytes(), size);
            let (last, first) = items.split_last().unwrap();
            assert!(matches!(last, Item::Message(_)));
            let expected: Vec<_> = anomalies.iter().map(|&kind| Item::Anomaly(kind)).collect();
            assert_eq!(first, expected, "{depth}");
        }
    }
}

#[test]
fn an_interrupted_message_is_partial_if_its_kind_was_seen() {
    const CALL: &str = r#"{"jsonrpc":"2.0","method":"tools/call","#;
    for (text, expected) in [
        (r#"{"jsonrpc":"2.0","method":"tools/call"#, None),
        (r#"{"method":"tools/call","params":{"name":"#, None),
        (r#"{"jsonrpc":"2.0","method":"tools/call""#, Some(Kind::Request)),
        (&format!(r#"{CALL}"params":{{"name":"x","arguments":{{"a":"#), Some(Kind::Request)),
        (&format!(r#"{CALL}"id":1"#), Some(Kind::Request)),
        (r#"{"jsonrpc":"2.0","method":"notifications/message","pa"#, Some(Kind::Notification)),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"na"#, Some(Kind::Result)),
        (r#"{"jsonrpc":"2.0","id":1,"result":nu"#, None),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"co"#, Some(Kind::Error)),
        (r#"[{"jsonrpc":"2.0","method":"x"}"#, None),
    ] {
        let partials = |end: fn(&mut Reader, &mut Vec<Item>)| {
            let (mut reader, mut items) = (Reader::default(), Vec::new());
            reader.push(text.as_bytes(), &mut |item| items.push(item));
            end(&mut reader, &mut items);
            outlines(&items).into_iter().filter(|message| message.partial).collect::<Vec<_>>()
        };
        let finished = partials(|reader, items| reader.finish(&mut |item| items.push(item)));
        let gapped = partials(|reader, items| {
            reader.gap(5, &mut |item| items.push(item));
            assert!(reader.is_dead());
            let more = br#"{"jsonrpc":"2.0","method":"b"}"#;
            reader.push(more, &mut |item| items.push(item));
            reader.finish(&mut |item| items.push(item));
        });
        assert_eq!(finished, gapped, "{text}");
        let kinds: Vec<_> = finished.iter().map(|message| message.kind).collect();
        assert_eq!(kinds, expected.into_iter().collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn partial_messages_keep_what_was_complete() {
    let message = only(r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"#);
    assert!(message.partial);
    assert_eq!((message.definitions.len(), message.size), (1, 66));
    let mut reader = Reader::default();
    reader.push(br#"{"jsonrpc":"2.0","method":"m","#, &mut |_| {});
    reader.gap(0, &mut |_| panic!("an empty gap is none"));
    assert!(!reader.is_dead());
}

/// The same with bounds of a few bytes.
fn bounded(text: &str, limits: Limits) -> (Vec<Message>, Vec<&'static str>) {
    let read = |size: usize| {
        let (mut reader, mut messages, mut anomalies) =
            (Reader::new(limits), Vec::new(), Vec::new());
        let mut out = |item| match item {
            Item::Message(message) => messages.push(*message),
            Item::Anomaly(kind) => anomalies.push(kind),
        };
        text.as_bytes().chunks(size).for_each(|piece| reader.push(piece, &mut out));
        reader.finish(&mut out);
        (messages, anomalies)
    };
    let whole = read(usize::MAX);
    for size in [1, 2, 3, 7, 19] {
        assert_eq!(read(size), whole, "by {size}");
    }
    whole
}

#[test]
fn of_arguments_beyond_the_bound_the_beginning_is_kept() {
    for (raw, kept) in [(r#"{"a":"bcd"}"#, true), (r#"{"a":"bcde"}"#, false)] {
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"m","params":{{"arguments":{raw},"name":"n"}}}}"#
        );
        let limits = Limits { max_arguments_bytes: 11, ..Limits::default() };
        let (messages, anomalies) = bounded(&text, limits);
        assert_eq!(messages[0].arguments.as_deref(), raw.get(..11));
        assert_eq!(messages[0].name.as_deref(), Some("n"));
        assert_eq!(anomalies, if kept { vec![] } else { vec![ARGUMENTS_TOO_LARGE] });
    }
}

#[test]
fn definitions_beyond_the_bounds_lose_digest_text_or_place() {
    let text = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"x":"0123456789","name":"a"},{"name":"b"},{"name":"c"},{"name":"d"}]}}"#;
    let limits = Limits {
        max_definition_bytes: 20,
        max_definitions: 3,
        max_canonical_bytes: 15,
        ..Limits::default()
    };
    let (messages, anomalies) = bounded(text, limits);
    assert_eq!(anomalies, [DEFINITION_TOO_LARGE, TOO_MANY_DEFINITIONS]);
    let found: Vec<_> = messages[0]
        .definitions
        .iter()
        .map(|one| (one.name.as_str(), one.digest.is_some(), one.canonical.is_some()))
        .collect();
    assert_eq!(found, [("a", false, false), ("b", true, true), ("c", true, false)]);
}

#[test]
fn long_batches_and_barren_texts_are_given_up() {
    let message = r#"{"jsonrpc":"2.0","method":"m"}"#;
    let limits = Limits { max_batch_messages: 2, max_barren_values: 3, ..Limits::default() };
    let (messages, anomalies) = bounded(&format!("[{message},{message},{message}]"), limits);
    assert_eq!((messages.len(), anomalies), (2, vec![BATCH_TOO_LONG]));
    for (barren, found) in [(3, 1), (4, 0)] {
        let (messages, _) = bounded(&format!("{}{message}", "{}\n".repeat(barren)), limits);
        assert_eq!(messages.len(), found);
        let (messages, _) = bounded(&format!("[{}{message}]", "{},".repeat(barren)), limits);
        assert_eq!(messages.len(), found);
    }
}

#[test]
fn texts_are_cut_at_their_bounds_between_characters() {
    let long = "é".repeat(3_000);
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x{long}","params":{{"name":"x{long}","uri":"x{long}","k{long}":1}}}}"#
    );
    let found = items(text.as_bytes(), 7);
    assert_eq!(found, items(text.as_bytes(), usize::MAX));
    let Item::Message(message) = &found[0] else { panic!("{found:?}") };
    let lengths =
        [&message.method, &message.name, &message.uri].map(|text| text.as_ref().unwrap().len());
    assert_eq!(lengths, [255, 1023, 2047]);
    assert_eq!(message.body_keys[2].len(), 63);
    let keys: Vec<_> = (0..100).map(|key| format!("\"{key}\":0")).collect();
    let text = format!(r#"{{"jsonrpc":"2.0","method":"m","params":{{{}}}}}"#, keys.join(","));
    assert_eq!(outlines(&items(text.as_bytes(), 9)), messages(text.as_bytes()).unwrap());
}

/// Chooses from a stream of random bytes.
struct Dice<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>);

impl Dice<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        usize::from(*self.0.next().unwrap()) % sides
    }
}

/// Writes a value with escapes, blanks and an order of keys as the dice fall.
fn spell(value: &Value, dice: &mut Dice<'_>, out: &mut String) {
    let blank = |dice: &mut Dice<'_>| ["", "", "", " ", "\n", "\t\r\n "][dice.roll(6)];
    out.push_str(blank(dice));
    match value {
        Value::String(text) => spell_string(text, dice, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                spell(item, dice, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            out.push('{');
            while !members.is_empty() {
                let (key, value) = members.swap_remove(dice.roll(members.len()));
                out.push_str(blank(dice));
                spell_string(key, dice, out);
                out.push_str(blank(dice));
                out.push(':');
                spell(value, dice, out);
                out.push_str(if members.is_empty() { "" } else { "," });
            }
            out.push_str(blank(dice));
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
    out.push_str(blank(dice));
}

fn spell_string(text: &str, dice: &mut Dice<'_>, out: &mut String) {
    let rate = [1, 4, 1000][dice.roll(3)];
    out.push('"');
    for char in text.chars() {
        if char < ' ' || char == '"' || char == '\\' || dice.roll(rate) == 0 {
            for unit in char.encode_utf16(&mut [0; 2]) {
                out.push_str(&if dice.roll(2) == 0 {
                    format!("\\u{unit:04x}")
                } else {
                    format!("\\u{unit:04X}")
                });
            }
        } else if char == '/' && dice.roll(2) == 0 {
            out.push_str("\\/");
        } else {
            out.push(char);
        }
    }
    out.push('"');
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["tools/call", "name", "2.0", "2026-07-28", "é😀\"\\\n", ""])
            .prop_map(str::to_owned),
        "\\PC{0,12}",
        "[a-z]{250,300}",
    ]
}

/// Values whose keys are often those that matter.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-40_000_i64..40_000).prop_map(Value::from),
        any_text().prop_map(Value::String),
    ];
    let keys = prop::sample::select(vec![
        "jsonrpc",
        "method",
        "id",
        "params",
        "result",
        "error",
        "name",
        "version",
        "uri",
        "uriTemplate",
        "arguments",
        "protocolVersion",
        "clientInfo",
        "serverInfo",
        "_meta",
        "io.modelcontextprotocol/protocolVersion",
        "io.modelcontextprotocol/clientInfo",
        "io.modelcontextprotocol/serverInfo",
        "io.modelcontextprotocol/é",
        "tools",
        "resources",
        "resourceTemplates",
        "prompts",
        "inputRequests",
        "resultType",
        "isError",
        "code",
        "é/\"",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Mostly messages, with any of their parts missing or odd.
fn any_message() -> impl Strategy<Value = Value> {
    let part = || prop::option::weighted(0.6, any_value());
    let body = || {
        prop::option::of((any_value(), any_value(), any_value(), any_text()).prop_map(
            |(a, b, c, name)| {
                json!({
                    "name": name, "_meta": a, "tools": [b, {"name": c, "x": 1}],
                    "serverInfo": {"name": "s", "version": c}, "inputRequests": {"k": b},
                    "arguments": a,
                })
            },
        ))
    };
    (any::<bool>(), prop::option::of(any_text()), part(), part(), part(), (body(), body()))
        .prop_map(|(jsonrpc, method, id, result, error, (params, object))| {
            let mut members = serde_json::Map::new();
            members.insert("jsonrpc".into(), if jsonrpc { "2.0".into() } else { "2.1".into() });
            let parts = [
                ("method", method.map(Value::String)),
                ("id", id),
                ("result", object.or(result)),
                ("error", error),
                ("params", params),
            ];
            for (key, value) in parts {
                members.extend(value.map(|value| (key.to_owned(), value)));
            }
            Value::Object(members)
        })
}

proptest! {
    #[test]
    fn agrees_with_a_document_tree_whatever_the_spelling(
        value in prop_oneof![
            4 => any_message(),
            1 => prop::collection::vec(any_message(), 0..4).prop_map(Value::Array),
            1 => any_value(),
        ],
        dice in prop::collection::vec(any::<u8>(), 1..200),
        size in 1_usize..40,
    ) {
        let mut text = String::new();
        spell(&value, &mut Dice(dice.iter().cycle()), &mut text);
        let whole = items(text.as_bytes(), usize::MAX);
        prop_assert_eq!(&items(text.as_bytes(), size), &whole);
        prop_assert_eq!(&items(text.as_bytes(), 1), &whole);
        prop_assert_eq!(outlines(&whole), messages(text.as_bytes()).unwrap());
        for item in &whole {
            let Item::Message(message) = item else { continue };
            for definition in &message.definitions {
                let canonical = definition.canonical.as_ref().unwrap();
                prop_assert_eq!(definition.digest.as_ref(), Some(&jcs::digest(canonical)));
                let value: Value = serde_json::from_str(canonical).unwrap();
                prop_assert!(value.is_object());
                prop_assert!(text_contains(&json!(messages_of(text.as_bytes())), &value));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_splits_agree(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"", "\\", "\n", "1", "null", "é", "\"jsonrpc\":\"2.0\"",
                "\"method\":\"a\"", "\"params\":{", "\"result\":{\"tools\":[{", "\"id\":", "\u{1}",
            ]), 0..40).prop_map(|words| words.concat().into_bytes()),
        ],
        size in 1_usize..20,
    ) {
        let whole = items(&bytes, usize::MAX);
        prop_assert_eq!(&items(&bytes, size), &whole);
        if let Some(expected) = messages(&bytes) {
            prop_assert_eq!(outlines(&whole), expected);
        }
    }

    #[test]
    fn cut_messages_never_panic_and_splits_agree(
        value in any_message(),
        dice in prop::collection::vec(any::<u8>(), 1..200),
        keep in 0.0..1.0_f64,
        size in 1_usize..20,
    ) {
        let mut text = String::new();
        spell(&value, &mut Dice(dice.iter().cycle()), &mut text);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let bytes = &text.as_bytes()[..(text.len() as f64 * keep) as usize];
        let whole = items(bytes, usize::MAX);
        prop_assert_eq!(&items(bytes, size), &whole);
        // What is cut off may be nothing but the white space at the end.
        let is_cut = bytes.trim_ascii_end().len() < text.trim_ascii_end().len();
        let is_whole = |item: &Item| matches!(item, Item::Message(message) if !message.partial);
        prop_assert!(!is_cut || !whole.iter().any(is_whole));
    }
}

/// The text as a tree.
fn messages_of(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

/// Whether `needle` is somewhere in `hay`.
fn text_contains(hay: &Value, needle: &Value) -> bool {
    hay == needle
        || match hay {
            Value::Array(items) => items.iter().any(|item| text_contains(item, needle)),
            Value::Object(members) => members.values().any(|value| text_contains(value, needle)),
            _ => false,
        }
}

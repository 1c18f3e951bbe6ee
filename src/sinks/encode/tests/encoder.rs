//! Lines in, records out.

use proptest::prelude::*;

use super::super::*;
use crate::finding::News;
use crate::sinks::event::tests::sample_finding;
use crate::sinks::event::{Event, FindingEvent};

fn line() -> Vec<u8> {
    let event = FindingEvent::live(&sample_finding(), News::Began);
    let mut out = Vec::new();
    crate::sinks::write_event(&mut out, &Event::Finding(&event)).unwrap();
    out
}

const MESSAGE_LINE: &str = r#"{"event_type":"message","@timestamp":"2026-11-22T08:00:01.000000Z","source":{"ip":"10.0.0.1","port":40000},"destination":{"ip":"192.0.2.1","port":8000},"server":{"key":"http://mcp.example:8000/mcp"},"mcp":{"direction":"to_server","kind":"request","method":"tools/call","channel":"request_body","size":120,"partial":false,"ambiguous":false}}"#;
const STATS_LINE: &str = r#"{"event_type":"stats","@timestamp":"2026-11-22T08:00:00.5Z"}"#;

fn encoder(encoding: Encoding, events: &[EventType], envelope: Envelope) -> EventEncoder {
    let selection = Selection { events: events.to_vec(), min_severity: Severity::Info };
    EventEncoder::new(encoding, selection, envelope, &Source { sensor: "edge-1", run: "watch" })
}

fn encode(encoder: &mut EventEncoder, line: &[u8]) -> Result<Vec<(Stream, String)>, String> {
    let mut records = Vec::new();
    encoder.encode(line, &mut |stream, record| {
        records.push((stream, String::from_utf8(record.to_vec()).unwrap()));
    })?;
    Ok(records)
}

#[test]
fn native_records_are_the_lines() {
    let mut encoder = encoder(Encoding::Native, &EventType::ALL, Envelope::None);
    let line = line();
    let want = String::from_utf8(line.trim_ascii().to_vec()).unwrap();
    assert_eq!(encode(&mut encoder, &line), Ok(vec![(EVENTS, want)]));
    assert_eq!(encode(&mut encoder, b" \n"), Ok(vec![]));
}

#[test]
fn rows_go_to_their_tables() {
    let mut encoder = encoder(Encoding::Rows, &EventType::ALL, Envelope::None);
    for (line, table) in [
        (line(), "findings"),
        (MESSAGE_LINE.into(), "mcp_messages"),
        (STATS_LINE.into(), "sensor_stats"),
    ] {
        let records = encode(&mut encoder, &line).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].0, table);
    }
}

#[test]
fn only_what_is_wanted_is_encoded() {
    let mut encoder = encoder(Encoding::Native, &[EventType::Finding], Envelope::None);
    assert_eq!(encode(&mut encoder, MESSAGE_LINE.as_bytes()), Ok(vec![]));
    // The sample is `high`.
    for (least, count) in
        [(Severity::Info, 1), (Severity::Medium, 1), (Severity::High, 1), (Severity::Critical, 0)]
    {
        encoder.selection.min_severity = least;
        assert_eq!(encode(&mut encoder, &line()).unwrap().len(), count, "{least:?}");
    }
    encoder.selection.events = vec![EventType::Message];
    assert_eq!(encode(&mut encoder, MESSAGE_LINE.as_bytes()).unwrap().len(), 1);
}

#[test]
fn a_finding_of_the_program_keeps_its_facts_in_every_encoding() {
    for (encoding, facts) in [
        (Encoding::Ecs, ["\"id\":\"SMCP-1001\"", "\"name\":\"edge-1\"", "\"ip\":\"10.0.0.1\""]),
        (Encoding::Ocsf, ["\"uid\":\"SMCP-1001\"", "\"name\":\"edge-1\"", "\"ip\":\"10.0.0.1\""]),
        (
            Encoding::Eve,
            ["\"signature_id\":9101001", "\"host\":\"edge-1\"", "\"src_ip\":\"10.0.0.1\""],
        ),
        (Encoding::Cef, ["|SMCP-1001|", "dvchost=edge-1", "src=10.0.0.1"]),
    ] {
        let mut encoder = encoder(encoding, &EventType::ALL, Envelope::None);
        let records = encode(&mut encoder, &line()).unwrap();
        let [(EVENTS, record)] = records.as_slice() else { panic!("{records:?}") };
        for fact in facts {
            assert!(record.contains(fact), "{encoding:?} without {fact}: {record}");
        }
        assert_eq!(encode(&mut encoder, STATS_LINE.as_bytes()), Ok(vec![]), "no place in it");
        assert_eq!(encode(&mut encoder, MESSAGE_LINE.as_bytes()).unwrap().len(), 1);
    }
}

#[test]
fn lines_that_are_none_of_ours_say_so() {
    for encoding in Encoding::ALL {
        let mut encoder = encoder(encoding, &EventType::ALL, Envelope::None);
        for (line, want) in [
            (&b"no json"[..], "not an event"),
            (b"{\"a\":1}", "event_type"),
            (b"{\"event_type\":\"weather\"}", "\"weather\" is none of ours"),
            (b"\xff\xfe", "not an event"),
            (b"[]", "not an event"),
        ] {
            let error = encode(&mut encoder, line).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }
}

#[test]
fn syslog_headers_follow_rfc_5424() {
    let header = SyslogHeader { facility: Facility::Local4, hostname: "edge 1 ä".into() };
    let mut encoder = encoder(Encoding::Cef, &EventType::ALL, Envelope::Syslog(header));
    let records = encode(&mut encoder, &line()).unwrap();
    let want = "<163>1 2026-11-22T08:00:00.000000Z edge1 shadowtap - finding - CEF:0|shadowtap|";
    assert!(records[0].1.starts_with(want), "{}", records[0].1);
    let records = encode(&mut encoder, MESSAGE_LINE.as_bytes()).unwrap();
    let want = "<166>1 2026-11-22T08:00:01.000000Z edge1 shadowtap - message - CEF:0|";
    assert!(records[0].1.starts_with(want), "{}", records[0].1);
    encoder.envelope = Envelope::Syslog(SyslogHeader::default());
    encoder.encoding = Encoding::Native;
    let records = encode(&mut encoder, b"{\"event_type\":\"stats\"}").unwrap();
    assert_eq!(records[0].1, "<134>1 - - shadowtap - stats - {\"event_type\":\"stats\"}");
}

#[test]
fn splunk_envelopes_hold_time_host_and_the_record() {
    let envelope = SplunkEnvelope {
        host: "edge \"1\"".into(),
        source: "shadowtap".into(),
        sourcetype: "shadowtap".into(),
        index: "security".into(),
    };
    let mut encoder = encoder(Encoding::Ocsf, &EventType::ALL, Envelope::Splunk(envelope.clone()));
    let records = encode(&mut encoder, &line()).unwrap();
    assert!(records[0].1.starts_with("{\"time\":1795334400.000000,\"host\":\"edge \\\"1\\\"\","));
    let value: serde_json::Value = serde_json::from_str(&records[0].1).unwrap();
    assert_eq!(value["sourcetype"], "shadowtap:finding");
    assert_eq!((&value["source"], &value["index"]), (&"shadowtap".into(), &"security".into()));
    assert_eq!(value["event"]["class_uid"], 2004);
    encoder.encoding = Encoding::Cef;
    encoder.envelope = Envelope::Splunk(SplunkEnvelope { index: String::new(), ..envelope });
    let records = encode(&mut encoder, &line()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&records[0].1).unwrap();
    assert!(value.get("index").is_none());
    assert!(value["event"].as_str().unwrap().starts_with("CEF:0|"));
}

/// Lines as a careless or hostile writer would make them.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let text = "[ -~\\n\\u{80}-\\u{2fff}]{0,20}";
    let finding = (text, text, text, any::<u8>()).prop_map(|(a, b, c, n)| {
        serde_json::json!({
            "event_type": "finding", "@timestamp": a, "message": b,
            "event": {"id": c, "severity": n}, "server": {"key": a}, "rule": {"id": c, "name": b},
            "source": {"ip": "10.0.0.1"}, "destination": {"ip": "::1", "port": 1}, "todo": [a, b],
        })
        .to_string()
        .into_bytes()
    });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..60), finding]
}

proptest! {
    #[test]
    fn records_are_single_lines_whatever_comes(line in lines()) {
        for encoding in Encoding::ALL {
            let envelopes = [
                Envelope::None,
                Envelope::Syslog(SyslogHeader::default()),
                Envelope::Splunk(SplunkEnvelope::default()),
            ];
            for envelope in envelopes {
                // A native line is as it came; files have no line breaks in lines.
                if encoding == Encoding::Native && line.contains(&b'\n') {
                    continue;
                }
                let splunk = matches!(envelope, Envelope::Splunk(_));
                let bare = envelope == Envelope::None;
                let mut encoder = encoder(encoding, &EventType::ALL, envelope);
                for (_, record) in encode(&mut encoder, &line).unwrap_or_default() {
                    prop_assert!(!record.contains('\n'), "{:?}", record);
                    if splunk || bare && encoding.is_json() {
                        prop_assert!(serde_json::from_str::<serde_json::Value>(&record).is_ok());
                    }
                }
            }
        }
    }
}

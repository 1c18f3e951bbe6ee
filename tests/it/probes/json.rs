//! JSON in all the forms that parsers take, and content codings around it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::builder::Talk;
use super::seen::{SERVER, Seen, watch};
use super::text::{
    answer, call_of, call_text, event, http, post, post_with, reply, reply_with, request,
    result_text, say_calls, stream_head,
};

/// A call in this form and its plain result, then one more of both.
fn said(body: impl AsRef<[u8]>) -> Seen {
    said_with("", body)
}

fn said_with(fields: &str, body: impl AsRef<[u8]>) -> Seen {
    let mut talk = Talk::open();
    talk.exchange(post_with(fields, body), answer(1));
    say_calls(&mut talk, 1);
    watch(&talk)
}

fn utf16(text: &str, big_endian: bool, mark: bool) -> Vec<u8> {
    let marked = if mark { format!("\u{feff}{text}") } else { text.to_owned() };
    let bytes = |unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
    marked.encode_utf16().flat_map(bytes).collect()
}

fn utf32(text: &str, big_endian: bool) -> Vec<u8> {
    let bytes = |c: char| {
        if big_endian { u32::from(c).to_be_bytes() } else { u32::from(c).to_le_bytes() }
    };
    text.chars().flat_map(bytes).collect()
}

/// p05: one message, spelled in every way that a JSON parser reads the same.
#[test]
fn spellings() {
    let plain = call_text(1);
    let pretty = plain.replace('{', "{\r\n\t ").replace(':', " : ").replace(',', " ,\n");
    let reversed = r#"{"params":{"arguments":{"text":"hi"},"name":"echo"},"method":"tools/call","id":1,"jsonrpc":"2.0"}"#;
    let escaped: String = "tools/call".bytes().map(|b| format!("\\u{b:04X}")).collect();
    for (name, text) in [
        ("escaped slash", plain.replace("tools/call", "tools\\/call")),
        ("escaped letter", plain.replace("tools/call", "\\u0074ools/call")),
        ("escaped throughout", plain.replace("tools/call", &escaped)),
        ("escaped key", plain.replace("\"method\"", "\"\\u006dethod\"")),
        (
            "escaped keys",
            plain.replace("\"name\"", "\"n\\u0061me\"").replace("\"id\"", "\"\\u0069d\""),
        ),
        ("pretty-printed", pretty),
        ("blanks around", format!(" \r\n\t{plain}\n\n ")),
        ("other order", reversed.to_owned()),
        (
            "unknown members",
            plain
                .replacen('{', r#"{"x":[{"method":"no"},1e9,null,{}],"y":"method",""#, 1)
                .replacen("\"\"", "\"", 1),
        ),
    ] {
        let seen = said(&text);
        seen.assert_clean(name, 2);
        assert_eq!(seen.server()["tools_called"]["echo"], 2, "{name}");
    }
}

/// p05: UTF-16 and UTF-32 in both byte orders, with and without marks, and the mark of UTF-8.
#[test]
fn encodings() {
    let plain = call_text(1);
    for (name, bytes) in [
        ("UTF-8 with mark", format!("\u{feff}{plain}").into_bytes()),
        ("UTF-16LE", utf16(&plain, false, false)),
        ("UTF-16LE with mark", utf16(&plain, false, true)),
        ("UTF-16BE", utf16(&plain, true, false)),
        ("UTF-16BE with mark", utf16(&plain, true, true)),
        ("UTF-32LE", utf32(&plain, false)),
        ("UTF-32BE", utf32(&plain, true)),
    ] {
        let seen = said(&bytes);
        seen.assert_calls(name, 2);
        assert_eq!(seen.server()["tools_called"]["echo"], 2, "{name}");
    }
    let text = utf16(&plain, true, false);
    let fields = format!(
        "Content-Type: application/json; charset=\"UTF-16BE\"\r\nContent-Length: {}\r\n",
        text.len()
    );
    let mut talk = Talk::open();
    talk.exchange(request(&fields, &text), answer(1));
    talk.close();
    watch(&talk).assert_calls("charset parameter", 1);
}

/// p05: a batch is so many messages.
#[test]
fn batches() {
    let texts: Vec<_> = (1..=5).map(call_text).collect();
    let results: Vec<_> = (1..=5).map(result_text).collect();
    let mut talk = Talk::open();
    talk.exchange(
        post(format!("[{}]", texts.join(" , "))),
        reply(format!(" [{}]", results.join(","))),
    );
    talk.close();
    let seen = watch(&talk);
    seen.assert_clean("batch", 5);
    assert_eq!(seen.server()["outcomes"]["tools/call"]["result"], 5);
}

/// Texts one after the other, by line or not.
#[test]
fn several_texts_in_a_body() {
    for between in ["\n", "\r\n", "", " "] {
        let texts: Vec<_> = (1..=3).map(call_text).collect();
        let results: Vec<_> = (1..=3).map(result_text).collect();
        let mut talk = Talk::open();
        talk.exchange(post(texts.join(between)), reply(results.join(between)));
        talk.close();
        let seen = watch(&talk);
        assert_eq!(seen.count("> tools/call"), 3, "{between:?}: {:?}", seen.said());
        assert_eq!(seen.count("< result"), 3, "{between:?}: {:?}", seen.said());
    }
}

/// p04: 300 KB before the method.
#[test]
fn method_at_the_end() {
    let filler = "lorem ipsum \\\"tools/list\\\" ".repeat(12_000);
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"params":{{"arguments":{{"text":"{filler}"}},"name":"echo"}},"method":"tools/call"}}"#
    );
    assert!(text.len() > 300_000);
    let seen = said(&text);
    seen.assert_calls("tail method", 2);
    assert!(seen.has_anomaly("json_rpc/jsonrpc-arguments-too-large"), "{:?}", seen.anomalies());
    assert_eq!(seen.server()["tools_called"]["echo"], 2);
}

/// Nesting of any depth, in what does not matter.
#[test]
fn deep_nesting() {
    for depth in [10, 200, 5_000, 100_000] {
        let nest = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{nest}}}}}"#
        );
        let seen = said(&deep);
        assert_eq!(seen.count("> tools/call"), 2, "depth {depth}: {:?}", seen.said());
        assert_eq!(seen.servers(), [SERVER], "depth {depth}");
        let first = format!(
            r#"{{"jsonrpc":"2.0","id":1,"params":{{"arguments":{nest},"name":"echo"}},"method":"tools/call"}}"#
        );
        let seen = said(&first);
        assert!(seen.count("> tools/call") >= 1, "depth {depth}: {:?}", seen.said());
    }
}

/// A key twice: parsers differ, so that a finding says it.
#[test]
fn duplicate_keys() {
    let text = call_text(1).replace(r#""id":1"#, r#""id":1,"method":"tools/list""#);
    let seen = said(&text);
    assert_eq!(seen.severity("SMCP-7003").as_deref(), Some("medium"), "{:?}", seen.findings());
    assert_eq!(seen.servers(), [SERVER]);
    assert_eq!(said(call_text(1)).severity("SMCP-7003"), None);
}

/// What is not JSON is no message, and does not stop the next one.
#[test]
fn broken_json() {
    let whole = call_text(1);
    for (name, text) in [
        ("cut", whole[..whole.len() - 9].to_owned()),
        ("single quotes", whole.replace('"', "'")),
        ("no quotes", "{jsonrpc:2.0,method:tools/call}".to_owned()),
        ("empty", String::new()),
        ("null", "null".to_owned()),
        ("a number", "42".to_owned()),
        ("a string", format!("{whole:?}")),
        ("an empty batch", "[]".to_owned()),
    ] {
        let seen = said(&text);
        assert_eq!(seen.said(), ["> tools/call", "< result"], "{name}");
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(text: &str) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 3).unwrap()
}

/// RFC 7932: a window of 64 KiB, one uncompressed meta-block, an empty last one.
fn brotli(text: &str) -> Vec<u8> {
    let bits = (u32::try_from(text.len()).unwrap() - 1) << 4 | 1 << 20;
    let mut out = bits.to_le_bytes()[..3].to_vec();
    out.extend(text.as_bytes());
    out.push(3);
    out
}

type Encode = fn(&str) -> Vec<u8>;

const CODINGS: [(&str, Encode); 5] = [
    ("gzip", gzip),
    ("deflate", zlib),
    ("deflate", raw_deflate),
    ("zstd", zstandard),
    ("br", brotli),
];

/// p11: content codings of request and response, in segments of any size.
#[test]
fn content_codings() {
    for (name, encode) in CODINGS {
        for mss in [1, 50, 1460] {
            let mut talk = Talk::new();
            talk.mss = mss;
            talk.handshake();
            let fields = format!("Content-Encoding: {name}\r\n");
            for id in 1..=2 {
                let ask = post_with(&fields, encode(&call_text(id)));
                talk.exchange(ask, reply_with(&fields, encode(&result_text(id))));
            }
            talk.close();
            watch(&talk).assert_clean(&format!("{name} in {mss}"), 2);
        }
    }
}

/// Codings on codings, and events in a coding.
#[test]
fn stacked_codings() {
    let twice = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&brotli(text)).unwrap();
        encoder.finish().unwrap()
    };
    let fields = "Content-Encoding: br, gzip\r\n";
    let mut talk = Talk::open();
    talk.exchange(
        post_with(fields, twice(&call_text(1))),
        reply_with(fields, twice(&result_text(1))),
    );
    let events = gzip(&event(&result_text(2)));
    let head =
        stream_head(&format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", events.len()));
    talk.exchange(post(call_text(2)), [head, events].concat());
    talk.close();
    watch(&talk).assert_clean("stacked", 2);
}

/// R27: megabytes out of kilobytes are given up, and said; what follows is read.
#[test]
fn decompression_bombs() {
    for (name, encode) in [CODINGS[0], CODINGS[1], CODINGS[3]] {
        let bomb = encode(&format!(r#"{{"x":"{}"}}"#, "a".repeat(200 << 20)));
        assert!(bomb.len() < 1 << 20);
        let fields = format!("Content-Encoding: {name}\r\n");
        let mut talk = Talk::open();
        talk.exchange(post(call_text(1)), reply_with(&fields, &bomb));
        talk.exchange(post_with(&fields, &bomb), answer(1));
        talk.exchange(post(call_text(2)), answer(2));
        talk.close();
        let seen = watch(&talk);
        assert_eq!(seen.count("> tools/call"), 2, "{name}: {:?}", seen.said());
        assert_eq!(seen.servers(), [SERVER], "{name}");
        let anomalies = seen.anomalies();
        assert!(
            anomalies.keys().any(|kind| kind.contains("decompression-bomb")),
            "{name}: {anomalies:?}"
        );
    }
}

/// A coding that is unknown or broken is counted as unreadable; what follows is read.
#[test]
fn unreadable_codings() {
    for (coding, bytes) in [
        ("compress", gzip(&call_text(1))),
        ("gzip", brotli(&call_text(1))),
        ("zstd", b"no such thing, only text of some length".to_vec()),
    ] {
        let fields = format!("Content-Encoding: {coding}\r\n");
        let seen = said_with(&fields, &bytes);
        assert_eq!(seen.count("> tools/call"), 1, "{coding}: {:?}", seen.said());
        assert!(seen.counter("mcp.undecodable_bytes") > 0, "{coding}");
    }
    // It says gzip and is not: servers refuse or read it as it is.
    let seen = said_with("Content-Encoding: gzip\r\n", call_text(1));
    assert!(seen.count("> tools/call") >= 1, "{:?}", seen.said());
}

/// Names of tools in any script arrive as they are.
#[test]
fn names_in_any_script() {
    for (text, name) in [
        (call_of(1, "наслідки"), "наслідки"),
        (call_of(1, "\\ud83d\\ude80"), "🚀"),
        (call_of(1, "a\\\"b"), "a\"b"),
    ] {
        let seen = said(text);
        seen.assert_clean(name, 2);
        assert_eq!(seen.server()["tools_called"][name], 1, "{}", seen.server()["tools_called"]);
    }
}

/// A result in a form that only the status line tells from a request.
#[test]
fn errors_count_as_answers() {
    let text = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool: echo"}}"#;
    let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", text.len());
    let mut talk = Talk::open();
    talk.exchange(post(call_text(1)), http("HTTP/1.1 400 Bad Request", &fields, text));
    say_calls(&mut talk, 1);
    let seen = watch(&talk);
    assert_eq!(seen.said(), ["> tools/call", "< error", "> tools/call", "< result"]);
    assert_eq!(seen.server()["outcomes"]["tools/call"]["error"], 1);
}

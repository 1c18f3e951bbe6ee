//! HTTP/1 framing: what a peer would take for a message, however it is wrapped.

use super::builder::{Client, Server, Talk};
use super::seen::{SERVER, Seen, watch};
use super::text::{
    answer, call, call_text, chunked, http, post, post_with, reply, request, result_text, say_calls,
};

/// An exchange of these bytes, followed by a plain one that shows that framing was kept.
fn exchange(request: impl AsRef<[u8]>, response: impl AsRef<[u8]>) -> Seen {
    let mut talk = Talk::open();
    talk.exchange(request, response);
    talk.exchange(call(2), answer(2));
    talk.close();
    watch(&talk)
}

fn chunked_request(body: &[u8]) -> Vec<u8> {
    request("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", body)
}

fn chunked_reply(body: &[u8]) -> Vec<u8> {
    let fields = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    http("HTTP/1.1 200 OK", fields, body)
}

/// p07: chunks of three bytes, or any other number, both ways, in segments that cut them anywhere.
#[test]
fn chunks() {
    for size in [1, 3, 16, 1000] {
        for mss in [1, 5, 1460] {
            let mut talk = Talk::new();
            talk.mss = mss;
            talk.handshake();
            let ask = chunked_request(&chunked(call_text(1), size));
            talk.exchange(ask, chunked_reply(&chunked(result_text(1), size)));
            talk.exchange(call(2), answer(2));
            talk.close();
            watch(&talk).assert_clean(&format!("chunks of {size} in {mss}"), 2);
        }
    }
}

/// Chunk extensions, leading zeros, upper-case sizes, trailers.
#[test]
fn decorated_chunks() {
    let text = call_text(1);
    let (a, b) = text.split_at(11);
    let body = format!(
        "0b;name=value\r\n{a}\r\n000{:X};x=\"a;b\\\"c\";y\r\n{b}\r\n0;last\r\nX-Trailer: {}\r\nX-Other: 1\r\n\r\n",
        b.len(),
        call_text(9),
    );
    let seen = exchange(chunked_request(body.as_bytes()), answer(1));
    seen.assert_clean("extensions and trailers", 2);
}

/// p09: ten requests before the first response.
#[test]
fn ten_pipelined() {
    let mut talk = Talk::open();
    let ask: Vec<u8> = (1..=10).flat_map(call).collect();
    let said: Vec<u8> = (1..=10).flat_map(answer).collect();
    talk.exchange(ask, said);
    talk.close();
    let seen = watch(&talk);
    seen.assert_clean("pipelined", 10);
    assert_eq!(seen.server()["outcomes"]["tools/call"]["result"], 10);
}

/// p10: the body waits for 100 Continue; other interim responses come and go.
#[test]
fn interim_responses() {
    let whole = post_with("Expect: 100-continue\r\n", call_text(1));
    let (head, body) = whole.split_at(whole.len() - call_text(1).len());
    let mut talk = Talk::open();
    talk.client(head);
    talk.server("HTTP/1.1 100 Continue\r\n\r\n");
    talk.client(body);
    talk.server("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    talk.server(answer(1));
    talk.exchange(call(2), answer(2));
    talk.close();
    let seen = watch(&talk);
    seen.assert_clean("interim", 2);
    assert_eq!(seen.messages()[..2], ["6 > tools/call", "8 < result"]);
}

/// A request that was refused at its `Expect` has no body: the next request follows.
#[test]
fn refused_expectation() {
    let whole = post_with("Expect: 100-continue\r\n", call_text(1));
    let head = &whole[..whole.len() - call_text(1).len()];
    let mut talk = Talk::open();
    talk.exchange(head, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    talk.exchange(call(2), answer(2));
    talk.close();
    let seen = watch(&talk);
    assert_eq!(seen.said(), ["> tools/call", "< result"]);
}

/// Responses without a body, whatever their fields say.
#[test]
fn bodiless_responses() {
    for (ask, said) in [
        (
            "HEAD /mcp HTTP/1.1\r\nHost: mcp.test:8080\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        ),
        (
            "HEAD /mcp HTTP/1.1\r\nHost: mcp.test:8080\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "GET /mcp HTTP/1.1\r\nHost: mcp.test:8080\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nContent-Length: 500\r\n\r\n",
        ),
        (
            "GET /mcp HTTP/1.1\r\nHost: mcp.test:8080\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: mcp.test:8080\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
    ] {
        let mut talk = Talk::open();
        talk.exchange(ask, said);
        say_calls(&mut talk, 2);
        let seen = watch(&talk);
        assert_eq!(seen.count("> tools/call"), 2, "{ask}{said}");
        assert_eq!(seen.count("< result"), 2, "{ask}{said}");
    }
}

/// HTTP/1.0, and HTTP/1.1 without a length: the end of the connection ends the body.
#[test]
fn until_close() {
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let mut talk = Talk::open();
        talk.mss = 70;
        talk.client(post(call_text(1)).as_slice());
        let fields = "Content-Type: application/json\r\n";
        talk.server(http(&format!("{version} 200 OK"), fields, result_text(1)));
        talk.segment(Server, super::builder::FIN | super::builder::ACK, b"");
        talk.segment(Client, super::builder::FIN | super::builder::ACK, b"");
        let seen = watch(&talk);
        seen.assert_clean(version, 1);
    }
}

/// Tolerated ugliness, each with the name under which it is noted.
#[test]
fn ugly_heads() {
    let text = call_text(1);
    let len = text.len();
    let host = "Host: mcp.test:8080\r\n";
    let json = "Content-Type: application/json\r\n";
    let post = "POST /mcp HTTP/1.1\r\n";
    for (kind, bytes) in [
        (
            "bare-lf",
            format!("{post}{host}{json}Content-Length: {len}\r\n\r\n{text}").replace("\r\n", "\n"),
        ),
        ("obs-fold", format!("{post}{host}{json}Content-Length:\r\n  {len}\r\n\r\n{text}")),
        (
            "obs-fold",
            format!(
                "{post}{host}Content-Type:\r\n\tapplication/json\r\nContent-Length: {len}\r\n\r\n{text}"
            ),
        ),
        (
            "content-length-duplicate",
            format!(
                "{post}{host}{json}Content-Length: {len}\r\nContent-Length: {len}\r\n\r\n{text}"
            ),
        ),
        (
            "content-length-duplicate",
            format!("{post}{host}{json}Content-Length: {len}, {len}\r\n\r\n{text}"),
        ),
        (
            "header-space-before-colon",
            format!("{post}{host}{json}Content-Length : {len}\r\n\r\n{text}"),
        ),
        (
            "content-length-with-transfer-encoding",
            format!(
                "{post}{host}{json}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n{len:x}\r\n{text}\r\n0\r\n\r\n"
            ),
        ),
        (
            "content-length-with-transfer-encoding",
            format!(
                "{post}{host}{json}Transfer-Encoding: chunked\r\nContent-Length: 9999\r\n\r\n{len:x}\r\n{text}\r\n0\r\n\r\n"
            ),
        ),
    ] {
        let seen = exchange(&bytes, answer(1));
        seen.assert_calls(&bytes, 2);
        assert!(seen.has_anomaly(&format!("http1/{kind}")), "{kind}: {:?}", seen.anomalies());
    }
}

/// Two lengths that differ: nobody knows which one the server takes; the next request is found.
#[test]
fn two_lengths() {
    let text = call_text(1);
    for (first, second) in [(text.len(), 3), (3, text.len())] {
        let fields = format!(
            "Content-Type: application/json\r\nContent-Length: {first}\r\nContent-Length: {second}\r\n"
        );
        let seen = exchange(request(&fields, &text), answer(1));
        assert!(seen.has_anomaly("http1/content-length-conflict"), "{:?}", seen.anomalies());
        assert!(seen.count("> tools/call") >= 1, "{:?}", seen.said());
        assert_eq!(seen.servers(), [SERVER]);
    }
}

/// Names in any case, blanks around values, empty lines before a request, unknown fields.
#[test]
fn harmless_oddities() {
    let text = call_text(1);
    let bytes = format!(
        "\r\n\r\nPOST /mcp HTTP/1.1\r\nhOST:mcp.test:8080\r\nX-Empty:\r\ncontent-type:\t application/json \r\nCONTENT-LENGTH:{}   \r\n\r\n{text}",
        text.len()
    );
    exchange(bytes, answer(1)).assert_clean("oddities", 2);
}

/// Absolute form, through a proxy: the server is the one that the target names.
#[test]
fn absolute_form() {
    let text = call_text(1);
    let mut talk = Talk::between("10.0.0.2:40000", "10.0.0.9:3128");
    talk.handshake();
    for id in 1..=2 {
        let bytes = format!(
            "POST http://mcp.test:8080/mcp HTTP/1.1\r\nHost: ignored.test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        talk.exchange(bytes.replace("\"id\":1", &format!("\"id\":{id}")), answer(id));
    }
    talk.close();
    let seen = watch(&talk);
    seen.assert_clean("absolute form", 2);
    assert_eq!(seen.server()["server"]["via_proxy"], true);
}

/// `CONNECT`, and plain HTTP inside the tunnel.
#[test]
fn tunnel_with_plain_http() {
    for granted in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 77\r\n\r\n",
    ] {
        let mut talk = Talk::between("10.0.0.2:40000", "10.0.0.9:3128");
        talk.handshake();
        talk.exchange("CONNECT mcp.test:8080 HTTP/1.1\r\nHost: mcp.test:8080\r\n\r\n", granted);
        say_calls(&mut talk, 3);
        let seen = watch(&talk);
        seen.assert_clean("tunnel", 3);
        assert_eq!(seen.server()["server"]["via_proxy"], true);
    }
}

/// A tunnel that is refused, and a request after it.
#[test]
fn refused_tunnel() {
    let mut talk = Talk::open();
    talk.exchange(
        "CONNECT mcp.test:8080 HTTP/1.1\r\nHost: mcp.test:8080\r\n\r\n",
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno",
    );
    say_calls(&mut talk, 2);
    watch(&talk).assert_calls("refused", 2);
}

/// An upgrade that the server does not take leaves HTTP as it is.
#[test]
fn upgrade_not_taken() {
    let ask = post_with("Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n", call_text(1));
    exchange(ask, answer(1)).assert_clean("no upgrade", 2);
}

/// `/mcp` redirects to `/mcp/`: one server, not two.
#[test]
fn redirect_to_slash() {
    for (status, location) in
        [("307", "/mcp/"), ("308", "http://mcp.test:8080/mcp/"), ("301", "/mcp/")]
    {
        let mut talk = Talk::open();
        let moved =
            format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let there = |id| String::from_utf8(call(id)).unwrap().replace("POST /mcp ", "POST /mcp/ ");
        talk.exchange(call(1), &moved);
        talk.exchange(there(1), answer(1));
        talk.exchange(call(2), &moved);
        talk.exchange(there(2), answer(2));
        talk.close();
        let seen = watch(&talk);
        assert_eq!(seen.servers().len(), 1, "{status}: {:?}", seen.servers());
        assert_eq!(seen.count("< result"), 2, "{status}");
    }
}

/// HTTP/0.9 and its look-alikes are not HTTP.
#[test]
fn http_09_baits() {
    for bait in ["GET /mcp\r\n", "V http-not09\r\n", "GET tools/call\r\n\r\n", "POST /mcp\r\n\r\n"]
    {
        let mut talk = Talk::open();
        talk.exchange(format!("{bait}{}", call_text(1)), result_text(1));
        talk.close();
        watch(&talk).assert_no_mcp(bait);
    }
}

/// What follows a message without belonging to it does not swallow the next one.
#[test]
fn line_ends_after_bodies() {
    let ask = [call(1), b"\r\n".to_vec()].concat();
    let said = [answer(1), b"\r\n".to_vec()].concat();
    let seen = exchange(ask, said);
    seen.assert_calls("trailing CRLF", 2);
}

/// A body that is shorter than its length: the connection ends first.
#[test]
fn cut_body() {
    let mut talk = Talk::open();
    talk.exchange(call(1), answer(1));
    let whole = call(2);
    talk.client(&whole[..whole.len() - 30]);
    talk.close();
    let seen = watch(&talk);
    assert_eq!(seen.said(), ["> tools/call", "< result", "> tools/call partial"]);
}

/// A response before the request is complete.
#[test]
fn early_response() {
    let mut talk = Talk::open();
    let whole = call(1);
    let (a, b) = whole.split_at(whole.len() - 40);
    talk.client(a);
    talk.server(answer(1));
    talk.client(b);
    talk.acknowledge(Server);
    talk.exchange(call(2), answer(2));
    talk.close();
    let seen = watch(&talk);
    assert_eq!(seen.count("> tools/call"), 2, "{:?}", seen.said());
    assert_eq!(seen.counter("mcp.messages"), 4, "{:?}", seen.said());
}

/// Other traffic on the same connection changes nothing.
#[test]
fn among_other_requests() {
    let mut talk = Talk::open();
    for id in 1..=3 {
        let page = http(
            "HTTP/1.1 200 OK",
            "Content-Type: text/html\r\nContent-Length: 4000\r\n",
            vec![b'<'; 4000],
        );
        talk.exchange("GET /page HTTP/1.1\r\nHost: www.test\r\n\r\n", page);
        talk.exchange(call(id), answer(id));
    }
    talk.close();
    watch(&talk).assert_clean("mixed", 3);
}

/// A response that names no length and no type, read by its content.
#[test]
fn untyped_bodies() {
    let text = call_text(1);
    let ask = request(&format!("Content-Length: {}\r\n", text.len()), &text);
    let said = http(
        "HTTP/1.1 200 OK",
        &format!("Content-Length: {}\r\n", result_text(1).len()),
        result_text(1),
    );
    exchange(ask, said).assert_clean("no content type", 2);
    let said = reply(result_text(1));
    let ask =
        request(&format!("Content-Type: text/plain\r\nContent-Length: {}\r\n", text.len()), &text);
    exchange(ask, said).assert_clean("text/plain", 2);
}

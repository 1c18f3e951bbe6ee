//! Whether a connection carries lines of JSON-RPC, and who asks.

use super::top::{Rest, Text, members};
use crate::net::Direction;

/// What the first bytes of a side say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Sign {
    /// More bytes are needed.
    More,
    /// A line of JSON-RPC begins here.
    Lines,
    /// It is something else.
    Other,
}

/// The first bytes without what may stand before the first line: blanks, empty lines, a byte
/// order mark. `None` if it is not over yet.
fn beginning(bytes: &[u8]) -> Option<&[u8]> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let rest = match bytes.strip_prefix(MARK) {
        Some(rest) => rest,
        None if MARK.starts_with(bytes) => return None,
        None => bytes,
    };
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = rest.iter().position(|byte| !blank(byte))?;
    rest.get(start..)
}

/// Looks for JSON-RPC in the first line of a side. Of more bytes than `max` those before count;
/// when they are not enough, a line with the members of a message and no others is taken for one.
pub(in crate::app) fn sign(bytes: &[u8], max: usize) -> Sign {
    let known = bytes.get(..max).unwrap_or(bytes);
    let undecided = if bytes.len() < max { Sign::More } else { Sign::Other };
    let Some(line) = beginning(known) else { return undecided };
    if !matches!(line.first(), Some(b'{' | b'[')) {
        return Sign::Other;
    }
    let (mut named, mut speaks, mut foreign) = (false, false, false);
    let rest = members(line, &mut |member| {
        match member.key.as_bytes() {
            b"jsonrpc" => named = true,
            b"method" => speaks |= member.first == b'"',
            b"result" | b"error" => speaks |= member.first == b'{',
            b"id" | b"params" => {}
            _ => foreign = true,
        }
        !named
    });
    match rest {
        _ if named => Sign::Lines,
        Rest::Over | Rest::Wrong => Sign::Other,
        Rest::Cut if bytes.len() >= max && speaks && !foreign => Sign::Lines,
        Rest::Cut => undecided,
    }
}

/// Whether bytes from the middle of a flow are lines of JSON-RPC from their first to their last
/// byte. A body of HTTP that lies in segments of its own seldom ends with a line feed.
pub(in crate::app) fn are_whole(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{')
        && bytes.last() == Some(&b'\n')
        && sign(bytes, bytes.len()) == Sign::Lines
        && memchr::memchr_iter(b'\n', bytes)
            .all(|end| matches!(bytes.get(end + 1), None | Some(b'{' | b'\n')))
}

/// What the side that says this line does, as far as the start of the line tells: `ToServer` if
/// it asks as a client does, `ToClient` if it answers or asks as a server does.
pub(in crate::app) fn role(line: &[u8]) -> Option<Direction> {
    let mut role = None;
    members(beginning(line)?, &mut |member| {
        role = match member.key.as_bytes() {
            b"result" | b"error" => Some(Direction::ToClient),
            b"method" => member.string.and_then(|raw| of_method(Text::decode(raw).as_bytes())),
            _ => return true,
        };
        role.is_none()
    });
    role
}

/// Who sends a method. Those of other protocols are taken to be the client's, unless they look
/// like notifications; what both sides send tells nothing.
fn of_method(method: &[u8]) -> Option<Direction> {
    match method {
        b"ping"
        | b"notifications/progress"
        | b"notifications/cancelled"
        | b"notifications/tasks/status"
        | b"tasks/get"
        | b"tasks/result"
        | b"tasks/list"
        | b"tasks/cancel" => None,
        b"notifications/initialized" | b"notifications/roots/list_changed" => {
            Some(Direction::ToServer)
        }
        b"roots/list" | b"sampling/createMessage" | b"elicitation/create" => {
            Some(Direction::ToClient)
        }
        _ if method.starts_with(b"notifications/") => Some(Direction::ToClient),
        _ => Some(Direction::ToServer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 4096;

    #[test]
    fn json_rpc_shows_at_the_top_of_the_first_line() {
        let table: &[(&str, Sign)] = &[
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Sign::Lines),
            ("\u{feff}\r\n \t{\"jsonrpc\" : \"2.0\"", Sign::Lines),
            (r#"{"result":{"a":[1,{"b":"}]\"{"}]},"jsonrpc":"2.0","id":1}"#, Sign::Lines),
            (r#"{"id":-1.5e+3,"x":true,"y":null,"json\u0072pc":"2.0"}"#, Sign::Lines),
            (r#"[ {"id":1,"jsonrpc":"2.0"}]"#, Sign::Lines),
            (r#"{"params":{"jsonrpc":"2.0"},"method":"x","id":1}"#, Sign::Other),
            (r#"{"text":"\"jsonrpc\":\"2.0\"","id":1}"#, Sign::Other),
            (r#"{"id":1,"method":"mining.subscribe","params":[]}"#, Sign::Other),
            (r#"{"level":"info","message":"started"}"#, Sign::Other),
            ("{\n  \"jsonrpc\": \"2.0\"}", Sign::Other),
            ("{\"a\":\n1,\"jsonrpc\":\"2.0\"}", Sign::Other),
            ("{}\n{\"jsonrpc\":\"2.0\"}", Sign::Other),
            ("[]", Sign::Other),
            ("[1]", Sign::Other),
            ("{jsonrpc:1}", Sign::Other),
            ("Content-Length: 52\r\n\r\n{\"jsonrpc\":\"2.0\"}", Sign::Other),
            ("\u{fffd}{\"jsonrpc\":\"2.0\"}", Sign::Other),
            ("plain", Sign::Other),
        ];
        for (text, expected) in table {
            let mut decided = None;
            for cut in 0..=text.len() {
                let sign = sign(&text.as_bytes()[..cut], MAX);
                match decided {
                    Some(before) => assert_eq!(sign, before, "{text} at {cut}"),
                    None if sign != Sign::More => decided = Some(sign),
                    None => {}
                }
            }
            assert_eq!(decided, Some(*expected), "{text}");
        }
    }

    #[test]
    fn a_long_line_is_decided_at_the_bound_by_its_members() {
        let long = |start: &str| format!("{start}{}\"}}}}", "a".repeat(5000));
        let table = [
            (long(r#"{"method":"tools/call","params":{"x":""#), Sign::Lines),
            (long(r#"{"id":1,"result":{"x":""#), Sign::Lines),
            (long(r#"{"id":1,"result":""#), Sign::Other),
            (long(r#"{"id":1,"params":{"x":""#), Sign::Other),
            (long(r#"{"method":"x","version":1,"params":{"x":""#), Sign::Other),
            (long("\""), Sign::Other),
            (" ".repeat(5000), Sign::Other),
        ];
        for (text, expected) in table {
            for cut in [MAX, MAX + 1, text.len()] {
                assert_eq!(sign(&text.as_bytes()[..cut], MAX), expected, "{cut}");
            }
            if expected == Sign::Lines {
                assert_eq!(sign(&text.as_bytes()[..MAX - 1], MAX), Sign::More);
            }
        }
    }

    #[test]
    fn who_asks_is_the_client() {
        use Direction::{ToClient, ToServer};
        let table: &[(&str, Option<Direction>)] = &[
            (r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"#, Some(ToServer)),
            (r#"{"method":"server\/discover","jsonrpc":"2.0"}"#, Some(ToServer)),
            (r#"[{"method":"tools/list""#, Some(ToServer)),
            (r#"{"method":"notifications/initialized"}"#, Some(ToServer)),
            (r#"{"method":"eth_call","#, Some(ToServer)),
            (r#"{"jsonrpc":"2.0","id":0,"result":{"#, Some(ToClient)),
            (r#"{"jsonrpc":"2.0","error":"#, Some(ToClient)),
            (r#"{"method":"sampling/createMessage","id":1}"#, Some(ToClient)),
            (r#"{"method":"notifications/message","params":{}}"#, Some(ToClient)),
            (r#"{"id":1,"method":"ping"}"#, None),
            (r#"{"id":1,"method":"tools/"#, None),
            (r#"{"params":{"method":"tools/list"},"id":1}"#, None),
            ("", None),
            ("noise", None),
        ];
        for (line, expected) in table {
            assert_eq!(role(line.as_bytes()), *expected, "{line}");
        }
    }
}

//! Lines that are nearly JSON into JSON.

/// What programs get wrong, put right; what is JSON stays as it is:
/// bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD, control characters and
/// `\xHH` become `\u00HH` (nginx without `escape=json`), other escapes that JSON does not have
/// their letters; a value that is `-` or left out becomes `null`.
pub(super) fn mend(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    let mut in_string = false;
    // The last character outside of strings that is not blank.
    let mut last = ' ';
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => escape(&mut chars, &mut out),
            '"' => {
                in_string = !in_string;
                last = c;
                out.push(c);
            }
            _ if in_string && c < ' ' => push_code(u32::from(c), &mut out),
            _ if in_string => out.push(c),
            '-' if chars.peek().is_none_or(|next| !next.is_ascii_digit()) => {
                out.push_str("null");
                last = '-';
            }
            _ => {
                if last == ':' && matches!(c, ',' | '}') {
                    out.push_str("null");
                }
                if !c.is_ascii_whitespace() {
                    last = c;
                }
                out.push(c);
            }
        }
    }
    out
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// What stands behind a backslash.
fn escape(rest: &mut Rest<'_>, out: &mut String) {
    match rest.next() {
        Some(c @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => out.extend(['\\', c]),
        Some('u') => match digits(rest, 4) {
            // The second half comes at once, or the first is no character.
            Some(first @ 0xd800..0xdc00) => {
                let mut ahead = rest.clone();
                let is_escape = ahead.next() == Some('\\') && ahead.next() == Some('u');
                match digits(&mut ahead, 4).filter(|_| is_escape) {
                    Some(second @ 0xdc00..0xe000) => {
                        *rest = ahead;
                        push_code(first, out);
                        push_code(second, out);
                    }
                    _ => out.push(char::REPLACEMENT_CHARACTER),
                }
            }
            Some(0xdc00..0xe000) | None => out.push(char::REPLACEMENT_CHARACTER),
            Some(code) => push_code(code, out),
        },
        Some('x') => match digits(rest, 2) {
            Some(code) => push_code(code, out),
            None => out.push('x'),
        },
        Some(c) if c < ' ' => push_code(u32::from(c), out),
        Some(c) => out.push(c),
        None => {}
    }
}

/// So many hexadecimal digits; nothing is taken if there are fewer.
fn digits(rest: &mut Rest<'_>, count: usize) -> Option<u32> {
    let mut ahead = rest.clone();
    let mut code = 0;
    for _ in 0..count {
        code = code << 4 | ahead.next()?.to_digit(16)?;
    }
    *rest = ahead;
    Some(code)
}

fn push_code(code: u32, out: &mut String) {
    let digit = |shift: u32| char::from_digit(code >> shift & 15, 16).unwrap_or('0');
    out.extend(['\\', 'u', digit(12), digit(8), digit(4), digit(0)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_json_becomes_json() {
        for (line, expected) in [
            (&br#"{"a":"\x22b\x22"}"#[..], r#"{"a":"\u0022b\u0022"}"#),
            (br#"{"a":"it\'s"}"#, r#"{"a":"it's"}"#),
            (br#"{"a":-,"b":-1,"c":-}"#, r#"{"a":null,"b":-1,"c":null}"#),
            (br#"{"a":, "b": }"#, r#"{"a":null, "b": null}"#),
            (b"{\"a\":\"x\ty\"}", r#"{"a":"x\u0009y"}"#),
            (b"{\"a\":\"\xff\"}", "{\"a\":\"\u{fffd}\"}"),
            (br#"{"a":"\ud800"}"#, "{\"a\":\"\u{fffd}\"}"),
            (br#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#),
            (br#"{"a":"\ude00\uq"}"#, "{\"a\":\"\u{fffd}\u{fffd}q\"}"),
            (br#"{"a":"-:,"}"#, r#"{"a":"-:,"}"#),
            (br#"{"a":"b\"#, r#"{"a":"b"#),
        ] {
            assert_eq!(mend(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn what_is_json_keeps_its_meaning() {
        let text = r#"{"a":[1,-2.5e-3,null,true],"b":"\"\\\/\b\n\u00e4ä","c":{"d":""}}"#;
        let before: serde_json::Value = serde_json::from_str(text).unwrap();
        let after: serde_json::Value = serde_json::from_str(&mend(text.as_bytes())).unwrap();
        assert_eq!(before, after);
    }
}

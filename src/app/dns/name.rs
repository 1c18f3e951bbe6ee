//! Domain names (RFC 1035 sections 3.1 and 4.1.4).

/// Longest name, in bytes: its labels and a dot after each but the last.
pub(super) const MAX_NAME_BYTES: usize = 255;
/// Pointers of one name; compression makes few.
const MAX_POINTERS: usize = 32;

/// Reads the name at `at`: its text, and where what follows it starts. Lower case, without the
/// final dot; a dot inside a label is written `\.` (RFC 4343 section 2.1). The root is the empty
/// text. `None` if it is cut off, too long, or its pointers do not all lead backwards.
pub(super) fn name(message: &[u8], at: usize) -> Option<(String, usize)> {
    let mut text = Vec::with_capacity(32);
    let mut next = None;
    let mut at = at;
    // A pointer leads before all that was read, so that there is an end.
    let mut floor = at;
    let (mut length, mut pointers) = (0, 0);
    loop {
        let len = *message.get(at)?;
        match len >> 6 {
            0b00 if len == 0 => break,
            0b00 => {
                let label = message.get(at + 1..at + 1 + usize::from(len))?;
                length += label.len() + 1;
                if length > MAX_NAME_BYTES {
                    return None;
                }
                push(&mut text, label);
                at += label.len() + 1;
            }
            0b11 => {
                let low = *message.get(at + 1)?;
                next = next.or(Some(at + 2));
                at = usize::from(u16::from_be_bytes([len & 0x3f, low]));
                pointers += 1;
                if at >= floor || pointers > MAX_POINTERS {
                    return None;
                }
                floor = at;
            }
            // Reserved.
            _ => return None,
        }
    }
    let text = String::from_utf8(text)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Some((text, next.unwrap_or(at + 1)))
}

fn push(text: &mut Vec<u8>, label: &[u8]) {
    if !text.is_empty() {
        text.push(b'.');
    }
    for byte in label {
        if *byte == b'.' {
            text.push(b'\\');
        }
        text.push(byte.to_ascii_lowercase());
    }
}

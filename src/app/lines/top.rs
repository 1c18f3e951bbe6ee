//! The keys of the outermost object of a JSON text that may end anywhere: what a connection
//! carries, and who asks, has to be clear from its first bytes.

/// Longest string that is decoded, in bytes; of a longer one the start is compared.
const MAX_TEXT_BYTES: usize = 64;

/// A key of the outermost object (or of the first one in an outermost array) and its value, as
/// far as they are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    pub(super) key: Text,
    /// What begins the value: `"`, `{`, `[`, or the first byte of a scalar; 0 if it is not here.
    pub(super) first: u8,
    /// The raw inside of a string, if all of it is here.
    pub(super) string: Option<&'a [u8]>,
}

/// A decoded string, cut at [`MAX_TEXT_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    bytes: [u8; MAX_TEXT_BYTES],
    len: usize,
}

impl Text {
    /// Decodes the inside of a JSON string; what is not ASCII becomes `?`, which no name that is
    /// looked for contains.
    pub(super) fn decode(raw: &[u8]) -> Self {
        let mut text = Self { bytes: [0; MAX_TEXT_BYTES], len: 0 };
        let mut rest = raw;
        while let [first, tail @ ..] = rest {
            let (byte, after) = match (first, tail) {
                (b'\\', [b'u', a, b, c, d, after @ ..]) => {
                    (unicode([*a, *b, *c, *d]).unwrap_or(b'?'), after)
                }
                (b'\\', [escaped, after @ ..]) => (*escaped, after),
                _ => (*first, tail),
            };
            rest = after;
            let Some(slot) = text.bytes.get_mut(text.len) else { break };
            *slot = byte;
            text.len += 1;
        }
        text
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Four hexadecimal digits, if they are an ASCII character.
fn unicode(digits: [u8; 4]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [a, b, c, d] = digits;
    let value = (digit(a)? << 12) + (digit(b)? << 8) + (digit(c)? << 4) + digit(d)?;
    u8::try_from(value).ok().filter(u8::is_ascii)
}

/// How the text goes on after the members that were reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The bytes end first.
    Cut,
    /// The object is over.
    Over,
    /// This is no JSON object, or not one on a line.
    Wrong,
}

/// Reads the members of the object that the line begins with, until `each` answers `false`.
pub(super) fn members<'a>(line: &'a [u8], each: &mut impl FnMut(Member<'a>) -> bool) -> Rest {
    let mut cursor = Cursor { bytes: line, at: 0 };
    if cursor.peek() == Some(b'[') {
        cursor.at += 1;
    }
    match cursor.next_token() {
        None => return Rest::Cut,
        Some(b'{') => {}
        Some(_) => return Rest::Wrong,
    }
    loop {
        match cursor.next_token() {
            None => return Rest::Cut,
            Some(b'}') => return Rest::Over,
            Some(b',') => {}
            Some(b'"') => match cursor.member(each) {
                Ok(true) => {}
                Ok(false) => return Rest::Over,
                Err(rest) => return rest,
            },
            Some(_) => return Rest::Wrong,
        }
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is no blank.
    fn next_token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// The inside of a string whose first quotation mark was read.
    fn string(&mut self) -> Result<&'a [u8], Rest> {
        let start = self.at;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let (found, after) = match memchr::memchr3(b'"', b'\\', b'\n', rest) {
                None => {
                    self.at = self.bytes.len();
                    return Err(Rest::Cut);
                }
                Some(found) => (rest.get(found), self.at + found),
            };
            self.at = after + 1;
            match found {
                Some(b'"') => return Ok(self.bytes.get(start..after).unwrap_or_default()),
                Some(b'\\') => self.at += 1,
                _ => return Err(Rest::Wrong),
            }
        }
    }

    /// A member whose key begins here; whether to go on.
    fn member(&mut self, each: &mut impl FnMut(Member<'a>) -> bool) -> Result<bool, Rest> {
        let key = Text::decode(self.string()?);
        match self.next_token() {
            None => return Err(Rest::Cut),
            Some(b':') => {}
            Some(_) => return Err(Rest::Wrong),
        }
        let Some(first) = self.next_token() else {
            let goes_on = each(Member { key, first: 0, string: None });
            return if goes_on { Err(Rest::Cut) } else { Ok(false) };
        };
        match first {
            b'"' => {
                let string = self.string();
                let goes_on = each(Member { key, first, string: string.ok() });
                string.map(|_| goes_on).or_else(|rest| if goes_on { Err(rest) } else { Ok(false) })
            }
            b'{' | b'[' => {
                if !each(Member { key, first, string: None }) {
                    return Ok(false);
                }
                self.container().map(|()| true)
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                let goes_on = each(Member { key, first, string: None });
                let scalar =
                    |byte: u8| matches!(byte, b'-' | b'+' | b'.') || byte.is_ascii_alphanumeric();
                while self.peek().is_some_and(scalar) {
                    self.at += 1;
                }
                Ok(goes_on)
            }
            _ => Err(Rest::Wrong),
        }
    }

    /// Passes over a container whose bracket was read.
    fn container(&mut self) -> Result<(), Rest> {
        let mut depth = 1_u32;
        while depth > 0 {
            let byte = self.peek().ok_or(Rest::Cut)?;
            self.at += 1;
            match byte {
                b'"' => _ = self.string()?,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'\n' => return Err(Rest::Wrong),
                _ => {}
            }
        }
        Ok(())
    }
}

//! What was agreed on in `Sec-WebSocket-Extensions` (RFC 6455 section 9.1, RFC 7692 section 7).

use crate::exchange::Headers;

/// permessage-deflate, as the server accepted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct Deflate {
    /// Each message of the client begins with an empty window (`client_no_context_takeover`).
    pub(in crate::app) to_server_fresh: bool,
    /// The same of the server (`server_no_context_takeover`).
    pub(in crate::app) to_client_fresh: bool,
}

/// Whether messages may be compressed, by the header fields of the 101.
pub(in crate::app) fn deflate(headers: &Headers<'_>) -> Option<Deflate> {
    let fields = headers.get_all("sec-websocket-extensions");
    fields.flat_map(|field| field.split(|byte| *byte == b',')).find_map(extension)
}

/// One element of the list, if it is permessage-deflate. Window sizes do not matter: the largest
/// window can read them all.
fn extension(element: &[u8]) -> Option<Deflate> {
    let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    if !parts.next()?.eq_ignore_ascii_case(b"permessage-deflate") {
        return None;
    }
    let mut deflate = Deflate::default();
    for parameter in parts {
        deflate.to_server_fresh |= parameter.eq_ignore_ascii_case(b"client_no_context_takeover");
        deflate.to_client_fresh |= parameter.eq_ignore_ascii_case(b"server_no_context_takeover");
    }
    Some(deflate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::HeaderSpan;

    fn parse(fields: &[&str]) -> Option<Deflate> {
        let (mut bytes, mut spans) = (b"Sec-WebSocket-Extensions".to_vec(), Vec::new());
        for field in fields {
            let value_start = u32::try_from(bytes.len()).unwrap();
            bytes.extend_from_slice(field.as_bytes());
            let value_end = u32::try_from(bytes.len()).unwrap();
            spans.push(HeaderSpan { name_start: 0, name_end: 24, value_start, value_end });
        }
        deflate(&Headers { bytes: &bytes, spans: &spans })
    }

    #[test]
    fn parameters_say_whose_window_is_kept() {
        let agreed =
            |to_server_fresh, to_client_fresh| Some(Deflate { to_server_fresh, to_client_fresh });
        let table: &[(&[&str], Option<Deflate>)] = &[
            (&[], None),
            (&[""], None),
            (&["x-webkit-deflate-frame"], None),
            (&["permessage-deflate"], agreed(false, false)),
            (&["PerMessage-Deflate; server_max_window_bits=\"10\""], agreed(false, false)),
            (&["permessage-deflate;server_no_context_takeover"], agreed(false, true)),
            (&["permessage-deflate ; Client_No_Context_Takeover "], agreed(true, false)),
            (
                &["a; b=1, permessage-deflate; client_no_context_takeover; \
                   server_no_context_takeover"],
                agreed(true, true),
            ),
            (&["foo", "permessage-deflate"], agreed(false, false)),
        ];
        for (fields, expected) in table {
            assert_eq!(parse(fields), *expected, "{fields:?}");
        }
    }
}

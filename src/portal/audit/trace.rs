//! Trace context (W3C Trace Context level 1), as MCP carries it: `traceparent` and `tracestate` in
//! `_meta` of the parameters (SEP-414), or the header fields of these names.

use std::fmt;

use serde_json::value::RawValue;

use crate::portal::wire::{Members, Raw, raw, text};

/// Where a call stands in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Of all spans together; not zero.
    pub id: u128,
    /// The portal's span; not zero.
    pub span: u64,
    /// The span that it is in; 0 where the trace begins here.
    pub parent: u64,
    /// Whether whoever began the trace keeps it.
    pub is_sampled: bool,
    /// `tracestate`, as it came; handed on.
    pub state: Option<Box<str>>,
}

/// Longest `tracestate`, in bytes; longer ones are left out, as section 3.3.1.1 allows.
const MAX_STATE_BYTES: usize = 512;

/// Numbers that nobody can foresee; `None` when the system gives none.
fn random<const N: usize>() -> Option<[u8; N]> {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0; N];
    ring::rand::SystemRandom::new().fill(&mut bytes).ok().map(|()| bytes)
}

impl Trace {
    /// Of a call: goes on with the trace that it names, or begins one. `sample`: share of those
    /// begun here that are kept, in parts of 2^32.
    #[must_use]
    pub fn of(params: Option<&RawValue>, header: Option<&str>, sample: u64) -> Self {
        let meta = params.and_then(Members::of).unwrap_or_default();
        let meta = meta.get("_meta");
        let named = text(meta, "traceparent");
        let known = named.as_deref().or(header).and_then(parse);
        let fresh = random::<24>().unwrap_or([1; 24]);
        let (id, span) = fresh.split_at(16);
        let id = id.iter().fold(0_u128, |id, byte| id << 8 | u128::from(*byte)).max(1);
        let span = span.iter().fold(0_u64, |id, byte| id << 8 | u64::from(*byte)).max(1);
        match known {
            Some((id, parent, is_sampled)) => {
                let state = text(meta, "tracestate").filter(|state| state.len() <= MAX_STATE_BYTES);
                Self { id, span, parent, is_sampled, state }
            }
            None => {
                let is_sampled = (span & 0xffff_ffff) < sample;
                Self { id, span, parent: 0, is_sampled, state: None }
            }
        }
    }

    /// The value of `traceparent` for what the portal sends: its own span is the parent.
    #[must_use]
    pub fn to_traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.id, self.span, u8::from(self.is_sampled))
    }

    /// The parameters with the trace gone on with in `_meta`; everything else stays as it came.
    #[must_use]
    pub fn continued(&self, params: Option<&RawValue>) -> Raw {
        let mut params = Members::of_any(params);
        let mut meta = Members::of_any(params.get("_meta"));
        meta.set("traceparent", raw(&self.to_traceparent()));
        match &self.state {
            Some(state) => meta.set("tracestate", raw(state)),
            None => drop(meta.take("tracestate")),
        }
        params.set("_meta", meta.to_raw());
        params.to_raw()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_traceparent())
    }
}

/// Trace, parent and whether it is kept, of a `traceparent` (section 3.2.2). Of versions that are
/// not known the beginning is read (section 4.3); `ff` is none.
fn parse(text: &str) -> Option<(u128, u64, bool)> {
    let mut parts = text.trim().split('-');
    let mut hex = |len: usize| {
        let part = parts.next()?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (part.len() == len && part.bytes().all(is_hex)).then_some(part)
    };
    let (version, trace, parent, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|id| *id != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace, parent, flags & 1 == 1))
}

#[cfg(test)]
#[expect(clippy::string_slice, reason = "tests cut where characters begin")]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn traceparents_are_read_as_the_recommendation_has_it() {
        let read = (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331, true);
        let of = |from: &str, to: &str| PARENT.replace(from, to);
        for (text, want) in [
            (PARENT.to_owned(), Some(read)),
            (of("-01", "-00"), Some((read.0, read.1, false))),
            (of("-01", "-ff"), Some(read)),
            (of("00-0af", "cc-0af") + "-more", Some(read)),
            (of("00-0af", "ff-0af"), None),
            (PARENT.to_owned() + "-more", None),
            (of("0af", "0AF"), None),
            (of("b7ad6b7169203331", "0000000000000000"), None),
            (of("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)), None),
            (of("-01", ""), None),
            (of("-01", "-1"), None),
            (String::new(), None),
        ] {
            assert_eq!(parse(&text), want, "{text}");
        }
        for end in 0..PARENT.len() {
            assert_eq!(parse(&PARENT[..end]), None);
        }
    }

    #[test]
    fn a_trace_is_gone_on_with_and_the_rest_stays() {
        let params = format!(
            r#"{{"name":"x","_meta":{{"k":1e1,"traceparent":"{PARENT}","tracestate":"a=b"}},"z":[]}}"#
        );
        let params = RawValue::from_string(params).unwrap();
        let trace = Trace::of(Some(&params), Some("nonsense"), 0);
        assert_eq!((trace.parent, trace.is_sampled), (0xb7ad_6b71_6920_3331, true));
        let own = trace.to_traceparent();
        assert!(own.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && own != PARENT);
        let want = params.get().replace(PARENT, &own);
        assert_eq!(trace.continued(Some(&params)).get(), want);
        let header = Trace::of(None, Some(PARENT), 0);
        assert_eq!(header.id, trace.id);
    }

    #[test]
    fn without_one_a_trace_begins_and_the_share_decides() {
        let (none, all) = (Trace::of(None, None, 0), Trace::of(None, None, 1 << 32));
        assert!(!none.is_sampled && all.is_sampled);
        assert!(none.id != all.id && none.span != all.span && none.parent == 0);
        let continued = none.continued(None);
        let members = Members::of(&continued).unwrap();
        assert!(parse(&text(members.get("_meta"), "traceparent").unwrap()).is_some());
    }
}

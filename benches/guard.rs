//! What the portal's guard costs a message: `cargo bench --bench guard`. To be held: 1 KiB in 15 µs,
//! 64 KiB in 400 µs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "inputs are known")]

use std::path::Path;
use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use serde_json::value::RawValue;
use shadowtap::portal::guard::config::{RulesSpec, Spec};
use shadowtap::portal::guard::{Call, Guard, Part, Place};
use shadowtap::portal::principal::{Owner, Principal, Proof};
use shadowtap::time::Timestamp;

fn main() {
    divan::main();
}

fn guard(enforce: bool) -> Guard {
    let rules = RulesSpec { enforce, ..RulesSpec::default() };
    Guard::new(Spec { rules, ..Spec::default() }.check(Path::new("/")).unwrap())
}

fn who() -> Principal {
    Principal {
        owner: Owner { issuer: "i".into(), subject: "s".into(), client: "c".into() },
        name: None,
        groups: Arc::from([]),
        scopes: Arc::from([]),
        proof: Proof::Token,
        expires: None,
        shown: None,
    }
}

/// Prose, code and identifiers as tools are given them, of about so many bytes.
fn text(bytes: usize) -> String {
    let mut text = String::new();
    let mut number = 7_u64;
    while text.len() < bytes {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push_str("the quick fox of issue ");
        text.push_str(&(number >> 40).to_string());
        text.push_str(" calls `parse(input)` in src/main.rs and\\n");
    }
    text
}

fn params(bytes: usize) -> Box<RawValue> {
    let text = text(bytes);
    let json = format!(
        r#"{{"name":"note","arguments":{{"title":"t","labels":["a","b"],"n":12,"text":"{text}"}}}}"#
    );
    RawValue::from_string(json).unwrap()
}

fn call<'a>(who: &'a Principal, place: &'a Place, params: &'a RawValue) -> Call<'a> {
    Call {
        who,
        client: None,
        user_agent: None,
        server: "s",
        place,
        method: "tools/call",
        name: Some("note"),
        params: Some(params),
        param_headers: &[],
        at: Timestamp::EPOCH,
    }
}

/// A request without anything in it, with and without rules.
#[divan::bench(args = [(1 << 10, false), (1 << 10, true), (64 << 10, false), (64 << 10, true)])]
fn request(bencher: Bencher<'_, '_>, (bytes, rules): (usize, bool)) {
    let (guard, who, params) = (guard(rules), who(), params(bytes));
    let place = Place::of("s", "https://mcp.example.com/mcp");
    let call = call(&who, &place, &params);
    bencher
        .counter(BytesCount::new(params.get().len()))
        .bench(|| black_box(guard.request(&call)).findings.len());
}

/// An answer without anything in it.
#[divan::bench(args = [1 << 10, 64 << 10])]
fn answer(bencher: Bencher<'_, '_>, bytes: usize) {
    let (guard, who, none) = (guard(true), who(), params(0));
    let place = Place::of("s", "https://mcp.example.com/mcp");
    let call = call(&who, &place, &none);
    let text = text(bytes);
    let json = format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#);
    let result = RawValue::from_string(json).unwrap();
    bencher
        .counter(BytesCount::new(result.get().len()))
        .bench(|| black_box(guard.heard(&call, Part::Result(&result))).findings.len());
}

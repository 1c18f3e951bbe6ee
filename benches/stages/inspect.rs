//! What a text holds: bytes per second over results of tools that hold nothing which is looked for.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use shadowtap::inspect::view::{View, view};
use shadowtap::inspect::{address, fingerprint, hidden, personal, secrets, strings};

use crate::{input, messages};

/// `records` are JSON of a service in a string, as most tools return it; `prose` are sentences.
const TEXTS: [&str; 2] = ["records", "prose"];

/// 256 KiB in 16 pieces: results are of some kilobytes.
fn texts(what: &str) -> Vec<String> {
    let text = match what {
        "records" => input::json_records(1 << 14),
        _ => messages::ordinary_text(1 << 14),
    };
    vec![text; 16]
}

fn over(bencher: Bencher<'_, '_>, what: &str, mut look: impl FnMut(&str)) {
    let texts = texts(what);
    let bytes: usize = texts.iter().map(String::len).sum();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        texts.iter().for_each(|text| look(black_box(text)));
    });
}

/// Typed secrets.
#[divan::bench(args = TEXTS)]
fn secrets(bencher: Bencher<'_, '_>, what: &str) {
    over(bencher, what, |text| secrets::secrets(text, &mut |secret| panic!("{secret:?}")));
}

/// Personal data.
#[divan::bench(args = TEXTS)]
fn personal(bencher: Bencher<'_, '_>, what: &str) {
    over(bencher, what, |text| personal::personal(text, &mut |found| panic!("{found:?}")));
}

/// Strings of the JSON text of a result that holds the text as a string, or is it.
#[divan::bench(args = ["records", "prose", "structured"])]
fn strings(bencher: Bencher<'_, '_>, what: &str) {
    let json: Vec<String> = match what {
        "structured" => texts("records"),
        _ => texts(what).iter().map(|text| serde_json::to_string(text).unwrap()).collect(),
    };
    let bytes: usize = json.iter().map(String::len).sum();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        for json in &json {
            strings::strings(json, &strings::Limits::default(), &mut |leaf| {
                black_box(leaf);
            });
        }
    });
}

/// Hidden characters.
#[divan::bench(args = TEXTS)]
fn hidden(bencher: Bencher<'_, '_>, what: &str) {
    over(bencher, what, |text| hidden::hidden(text, &mut |found| panic!("{found:?}")));
}

/// URLs.
#[divan::bench(args = TEXTS)]
fn urls(bencher: Bencher<'_, '_>, what: &str) {
    over(bencher, what, |text| {
        address::urls(text, &mut |url| {
            black_box(url);
        });
    });
}

/// Hashes of stretches.
#[divan::bench(args = TEXTS)]
fn fingerprints(bencher: Bencher<'_, '_>, what: &str) {
    over(bencher, what, |text| {
        black_box(fingerprint::fingerprints(text, 128));
    });
}

/// Decoded views.
#[divan::bench(args = ["percent", "folded", "decoded"], consts = [0, 1])]
fn views<const TEXT: usize>(bencher: Bencher<'_, '_>, what: &str) {
    let what = View::parse(what).unwrap();
    over(bencher, TEXTS[TEXT], |text| {
        black_box(view(text, what));
    });
}

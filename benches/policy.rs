//! Decisions of the portal's policies: `cargo bench --bench policy`.

#![allow(clippy::expect_used, reason = "inputs are known")]

use shadowtap::portal::policy::{Checked, Circumstances, Config, Hints, Item, Kind, Policy, Who};
use shadowtap::portal::wire::Raw;
use shadowtap::rules::Source;

fn main() {
    divan::main();
}

/// A thousand rules; every tenth looks at arguments.
fn policy() -> Policy {
    let rules: String = (0..1_000)
        .map(|n| {
            let arguments = if n % 10 == 0 { ", arguments: {owner: {eq: acme}}" } else { "" };
            format!(
                "  - {{name: r{n}, groups: [g{}], servers: [s{}], tools: ['t{}_*'], effect: allow{arguments}}}\n",
                n % 20,
                n % 50,
                n % 7,
            )
        })
        .collect();
    let text = format!("rules:\n{rules}");
    let config: Config = serde_saphyr::from_str(&text).expect("valid");
    let source = Source::new("bench", text);
    let checked: Checked = config.check(&source).expect("valid");
    Policy::new(checked, &[]).expect("valid")
}

/// One decision of a call: `arguments` says whether the rules look at them.
#[divan::bench(args = [false, true])]
fn call(bencher: divan::Bencher<'_, '_>, arguments: bool) {
    let policy = policy();
    let (group, server, name) = if arguments { (0, 0, 0) } else { (1, 1, 1) };
    let who = Who { groups: vec![format!("g{group}")], ..Who::default() }.principal();
    let (server, name) = (format!("s{server}"), format!("t{name}_x"));
    let item = Item { server: &server, kind: Kind::Tool, name: &name, hints: Hints::default() };
    let raw: Raw = serde_json::from_str(r#"{"owner":"acme","title":"x"}"#).expect("valid");
    bencher.bench(|| policy.call(&who, &item, Some(&raw), &Circumstances::default()));
}

/// A list of 500 tools.
#[divan::bench]
fn list(bencher: divan::Bencher<'_, '_>) {
    let policy = policy();
    let who = Who { groups: vec!["g1".to_owned()], ..Who::default() }.principal();
    let names: Vec<_> = (0..500).map(|n| format!("t{}_{n}", n % 7)).collect();
    bencher.bench(|| {
        let item = |name| Item { server: "s1", kind: Kind::Tool, name, hints: Hints::default() };
        names
            .iter()
            .filter(|name| policy.list(&who, &item(name), &Circumstances::default()).is_open())
            .count()
    });
}

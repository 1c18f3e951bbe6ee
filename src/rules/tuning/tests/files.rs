//! The files: read from folders, and complained of by `rules check`.

use std::path::Path;

use clap::Parser as _;

use crate::cli::{self, Exit, args::Cli};
use crate::rules::{self, Source};

fn check(path: &Path) -> Exit {
    cli::run(Cli::parse_from([Path::new("shadowtap"), "rules".as_ref(), "check".as_ref(), path]))
}

#[test]
fn rules_check_reads_files_of_every_kind_beside_the_rules_that_ship() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tuning.yaml");
    let good = "{schema: shadowtap/exceptions@1, items: [{name: lab, rule: SMCP-3001, \
                when: {client.ip: {in_net: 10.0.0.1}}, because: b, owner: o, expires: 2030-01-01}]}";
    for (text, want) in [
        (good.to_owned(), Exit::Clean),
        (good.replace("SMCP-3001", "SMCP-3999"), Exit::Usage),
        (good.replace("client.ip", "tls.sni"), Exit::Usage),
        (good.replace("2030-01-01", "soon"), Exit::Usage),
        (
            "{schema: shadowtap/thresholds@1, items: [{rule: SMCP-3*, type: both, count: 2, \
          within: 1h, per: pair}]}"
                .to_owned(),
            Exit::Clean,
        ),
        (
            "{schema: shadowtap/thresholds@1, items: [{rule: SMCP-3*, type: some, count: 2, \
          within: 1h, per: pair}]}"
                .to_owned(),
            Exit::Usage,
        ),
    ] {
        std::fs::write(&path, &text).unwrap();
        assert_eq!(check(&path), want, "{text}");
    }
    assert_eq!(check(folder.path()), Exit::Usage);
}

#[test]
fn files_that_refer_to_rules_get_the_built_in_ones_but_not_their_doubles() {
    let limits = rules::Limits::default();
    let source = |text: &str| Source::new("x.yaml", text);
    let alone = vec![source(&super::rule("SMCP-9001", "a"))];
    assert_eq!(rules::beside_builtin(alone.clone(), &limits).len(), 1);
    let mut more = alone;
    more.push(source("{schema: shadowtap/exceptions@1, items: []}"));
    let all = rules::beside_builtin(more.clone(), &limits).len();
    assert_eq!(all, rules::builtin().len() + 2);
    more.push(rules::builtin().swap_remove(0));
    assert_eq!(rules::beside_builtin(more, &limits).len(), all);
}

#[test]
fn the_set_that_is_loaded_has_the_tuning() {
    let limits = rules::Limits::default();
    let mut sources = rules::builtin();
    let text = "{schema: shadowtap/thresholds@1, items: [{rule: SMCP-3001, type: limit, count: 1, \
                within: 1h, per: rule}]}";
    sources.push(Source::new("t.yaml", text));
    let (set, _) = rules::compile(&sources, &limits).unwrap();
    assert_eq!(set.tuning().thresholds().len(), 1);
    assert!(set.tuning().plan(set.get("SMCP-3001").unwrap()).is_some());
    assert!(set.tuning().plan(set.get("SMCP-3002").unwrap()).is_none());
}

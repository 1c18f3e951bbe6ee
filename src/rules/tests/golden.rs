//! Messages of `rules check`, byte for byte. `testdata/CASE.yaml` holds one or several files, each
//! after a line `#%% NAME`; `CASE.out` what is said of them. `BLESS=1` rewrites the
//! latter.

use std::path::Path;

use crate::pipeline::Recogniser;
use crate::rules::{Limits, Source, check};

#[test]
fn errors_read_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules/testdata");
    let bless = std::env::var_os("BLESS").is_some();
    let mut cases = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        cases += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let files = text.split("#%% ").skip(1).map(|part| {
            let (name, text) = part.split_once('\n').unwrap();
            Source::new(name.trim(), text)
        });
        let files: Vec<_> = files.collect();
        let limits = Limits { max_unfiltered_rules: 1, ..Limits::default() };
        let (_, report) = check(&files, &limits, &Recogniser);
        let out = path.with_extension("out");
        if bless {
            std::fs::write(&out, report.to_string()).unwrap();
        }
        let expected = std::fs::read_to_string(&out).unwrap_or_default();
        assert_eq!(report.to_string(), expected, "{}", path.display());
    }
    assert!(cases >= 8);
}

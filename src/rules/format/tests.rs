use proptest::prelude::*;

use super::*;
use crate::rules::builtin;

fn formatted(text: &str) -> Result<String, Box<Problem>> {
    format(&Source::new("x.yaml", text), &Limits::default())
}

const RULE: &str = "\
# yaml-language-server: $schema=../schema.json
schema: shadowtap/rule@1
id: SMCP-9001
rev: 1
title: \"Test: x\"
status: draft
lane: hunt
severity: low
confidence: 50
# Two comments
# on why
why: >-
  Text  with   blanks,

  and a paragraph.

on: message
when:
  # inside
  mcp.method: tools/call

  mcp.name: \"x\"
report: {text: \"x\"}
# the end
";

#[test]
fn a_formatted_file_stays_as_it_is() {
    assert_eq!(formatted(RULE).unwrap(), RULE);
}

#[test]
fn shipped_files_are_formatted() {
    for file in builtin() {
        let text = format(&file, &Limits::default()).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(text, file.text, "{}", file.name);
    }
}

#[test]
fn keys_move_with_their_comments_and_blanks_are_tidied() {
    let why = "# Two comments\n# on why\nwhy: >-\n  Text  with   blanks,\n\n  and a paragraph.\n";
    let text = [
        "\u{feff}report: {text: \"x\"}   \r\n\r\n\r\n",
        "# yaml-language-server: $schema=../schema.json\r\n",
        "when:\r\n  # inside\r\n  mcp.method: tools/call  \r\n\r\n\r\n  mcp.name: 'x'\r\n",
        "severity: low\nconfidence: 50\n",
        why,
        "lane: hunt\nstatus: draft\ntitle: 'Test: x'\nrev: 1\nid: SMCP-9001\n\n",
        "schema: shadowtap/rule@1\non: message\n# the end\n\n\n",
    ];
    let text = &text.concat();
    let once = formatted(text).unwrap();
    let lines: Vec<_> = once.lines().filter_map(lines::key).collect();
    let expected: Vec<_> = RULE.lines().filter_map(lines::key).collect();
    assert_eq!(lines, expected);
    assert!(once.contains("# Two comments\n# on why\nwhy: >-\n"), "{once}");
    assert!(once.contains("mcp.method: tools/call\n\n  mcp.name: \"x\"\n"), "{once}");
    assert!(once.ends_with("# the end\n") && !once.contains('\r'), "{once}");
    assert_eq!(formatted(&once).unwrap(), once);
}

#[test]
fn files_that_are_no_rules_are_refused_with_their_place() {
    let wrong = formatted(&RULE.replace("lane: hunt", "lane: hnt")).unwrap_err();
    assert!(wrong.to_string().contains("x.yaml:7:7"), "{wrong}");
    assert!(formatted("servers: []\n").is_err());
}

#[test]
fn a_text_that_would_read_differently_is_left_alone() {
    // In double quotes over lines, a line can look like a key of the top level.
    let text = RULE.replace("title: \"Test: x\"", "title: \"Test\n lane: 'x'\n rev: y\"");
    let once = formatted(&text).unwrap();
    assert!(once.contains("title: \"Test\n lane: 'x'\n rev: y\""), "{once}");
}

/// Splits a file into its blocks, mixes them, and spoils its blanks.
fn spoilt(text: &str, order: &[usize], blanks: u8) -> String {
    let document = Document::read(text, true);
    let mut blocks: Vec<String> = Vec::new();
    for block in &document.blocks {
        let mut out = Output::default();
        out.lines(&block.comments);
        out.lines(&block.lines);
        blocks.push(out.text);
    }
    let mut keyed: Vec<_> = order.iter().cycle().zip(blocks).collect();
    keyed.sort_by_key(|(order, _)| **order);
    let mut out = String::new();
    for (index, (_, block)) in keyed.into_iter().enumerate() {
        let gap = if blanks >> (index % 8) & 1 == 1 { "\n\n" } else { "" };
        out.push_str(gap);
        let (first, rest) = block.split_once('\n').unwrap();
        let comment = first.starts_with('#');
        let tail = if comment || first.ends_with(['-', '|', '>']) { "" } else { "  " };
        out.push_str(&format!("{first}{tail}\n{rest}"));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn spoilt_files_are_put_right_and_stay_so(
        file in 0_usize..1_000,
        order in prop::collection::vec(0_usize..30, 1..30),
        blanks: u8,
    ) {
        let files = builtin();
        let file = &files[file % files.len()];
        let bad = spoilt(&file.text, &order, blanks);
        let source = Source::new(file.name.clone(), bad.clone());
        let once = format(&source, &Limits::default()).map_err(|problem| {
            TestCaseError::fail(format!("{problem}\n{bad}"))
        })?;
        prop_assert_eq!(syntax::any(&source).unwrap(), syntax::any(file).unwrap());
        prop_assert_eq!(formatted(&once).unwrap(), once.clone());
        let keys = |text: &str| text.lines().filter_map(lines::key).map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(keys(&once), keys(&file.text));
    }

    #[test]
    fn no_text_makes_the_formatter_panic(text in "\\PC{0,200}", cut in 0_usize..1_000) {
        let end = (0..=cut.min(RULE.len())).rev().find(|end| RULE.is_char_boundary(*end)).unwrap();
        for text in [text.clone(), RULE.split_at(end).0.to_owned() + &text] {
            if let Ok(once) = formatted(&text) {
                prop_assert_eq!(formatted(&once).unwrap(), once);
            }
        }
    }
}

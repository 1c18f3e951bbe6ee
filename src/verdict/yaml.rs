//! Text that comes from the network, as YAML that stays what it is.

/// A double-quoted YAML scalar (YAML 1.2.2 section 7.3.1) on one line; characters that YAML leaves
/// out become `U+FFFD`.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in printable(text).chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Text for a comment: one line, bounded.
pub(super) fn comment(text: &str) -> String {
    printable(text).chars().take(200).collect()
}

/// Control and invisible characters replaced, so that the text stays on its line.
pub(super) fn printable(text: &str) -> String {
    // YAML 1.2 section 5.1 leaves out controls and noncharacters.
    let safe = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
            && u32::from(c) & 0xfffe != 0xfffe
    };
    text.chars().map(|c| if safe(c) { c } else { '\u{fffd}' }).collect()
}

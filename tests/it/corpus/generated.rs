//! Sections of `rules/README.md` that tests write.

use std::sync::Mutex;

use crate::run::root;

/// Their names.
pub const SECTIONS: [&str; 2] = ["corpus", "cloudflare"];

/// Tests run side by side, and write into one file.
static FILE: Mutex<()> = Mutex::new(());

/// What stands before and after a section.
pub fn markers(name: &str) -> (String, String) {
    (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"))
}

/// Compares a section with what it should be, or rewrites it when `BLESS` is set.
pub fn section(name: &str, want: &str) {
    let _guard = FILE.lock();
    let path = root().join("rules/README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = markers(name);
    let from = text.find(&begin).unwrap_or_else(|| panic!("{begin} is missing")) + begin.len();
    let to = text.find(&end).unwrap_or_else(|| panic!("{end} is missing"));
    let want = format!("\n{want}\n");
    if std::env::var_os("BLESS").is_some() && text[from..to] != want {
        let text = format!("{}{want}{}", &text[..from], &text[to..]);
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert!(
        text[from..to] == want,
        "the section `{name}` of rules/README.md is stale: BLESS=1 rewrites it, and it is part of \
         the change to say what changed. It should be:{want}"
    );
}

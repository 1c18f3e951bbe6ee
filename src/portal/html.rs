//! What others say, on pages.

use crate::html::entity;

/// Text for HTML, also in quotes.
pub(in crate::portal) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match entity(char) {
            Some(entity) => out.push_str(entity),
            // Lines stay lines.
            None if char.is_control() && char != '\n' => out.push(' '),
            None => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_text() {
        assert_eq!(escaped("<a href='x'>&\"\n\u{7}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\n ");
    }
}

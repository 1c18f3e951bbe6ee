//! What others say, on pages.

/// Text for HTML, also in quotes.
pub(in crate::portal) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Lines stay lines.
            char if char.is_control() && char != '\n' => out.push(' '),
            char => out.push(char),
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

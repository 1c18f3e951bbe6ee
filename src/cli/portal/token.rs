//! `shadowtap portal token new`: a token for a program.

use std::fmt::Write as _;

use crate::cli::{Failure, print};
use crate::portal::identity::mint;

/// Makes a token, and prints it with the lines for the portal's file. It is told this once: what the
/// file has is its SHA-256.
pub(in crate::cli) fn new(
    name: &str,
    groups: &[String],
    expires: Option<&str>,
) -> Result<(), Failure> {
    let lines = lines(name, groups, expires)?;
    print(&lines)
}

fn lines(name: &str, groups: &[String], expires: Option<&str>) -> Result<String, Failure> {
    if name.trim().is_empty() {
        return Err(Failure::new("the token needs a name, for policies and records"));
    }
    if let Some(time) = expires
        && time.parse::<jiff::Timestamp>().is_err()
    {
        return Err(Failure::new(format!("{time:?} is no time like 2027-01-31T00:00:00Z")));
    }
    let minted = mint().map_err(Failure::new)?;
    // A JSON string is a YAML string, whatever is in it.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let groups: Vec<_> = groups.iter().map(|group| quoted(group)).collect();
    let mut out = format!(
        "# The token, for the program. It is shown this once; keep it as a secret:\n# {}\n\
         # For the portal's file, under identity.service_tokens:\n- name: {}\n  sha256: {}\n",
        minted.token.expose(),
        quoted(name),
        minted.sha256
    );
    if !groups.is_empty() {
        // Writing to a string does not fail.
        let _infallible = writeln!(out, "  groups: [{}]", groups.join(", "));
    }
    if let Some(time) = expires {
        let _infallible = writeln!(out, "  expires: {}", quoted(time));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::identity::config::Section;

    #[test]
    fn what_is_printed_fits_the_portals_file() {
        let text = lines("ci: \"x\"", &["bots".to_owned()], Some("2027-01-31T00:00:00Z")).unwrap();
        let token = text.split("# stp_").nth(1).unwrap();
        assert_eq!(token.lines().next().unwrap().len(), 43);
        let yaml = format!("service_tokens:\n{text}");
        let section: Section = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(section.service_tokens[0].name, "ci: \"x\"");
        assert_eq!(section.service_tokens[0].groups, ["bots"]);
        assert!(section.check().is_ok());
        assert!(lines(" ", &[], None).is_err());
        assert!(lines("a", &[], Some("soon")).is_err());
    }
}

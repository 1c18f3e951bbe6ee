//! The catalog of public MCP services: hosts that are known to offer one.
//!
//! A comma-separated file (RFC 4180) with the columns `vendor,host,path,transport,auth,source`.
//! One ships with the program; another can stand in for it without a new build. A host on it is
//! a hint, never proof: many offer other things under the same name.

use std::collections::{HashMap, HashSet};
use std::fmt;

/// The catalog that ships with the program.
const BUILTIN: &str = include_str!("../../rules/data/remote-mcp-hosts.csv");

const HEADER: [&str; 6] = ["vendor", "host", "path", "transport", "auth", "source"];

/// Most rows that are read; more are an error. Worst-case memory: a few times the text.
const MAX_ROWS: usize = 100_000;

/// Longest catalog that is read, in bytes.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Suffixes under which anyone can publish: a name below them says nothing about a vendor.
const PLATFORMS: [&str; 16] = [
    "workers.dev",
    "pages.dev",
    "vercel.app",
    "up.railway.app",
    "azurewebsites.net",
    "azurecontainerapps.io",
    "run.app",
    "herokuapp.com",
    "fly.dev",
    "onrender.com",
    "netlify.app",
    "supabase.co",
    "replit.app",
    "deno.dev",
    "hf.space",
    "amazonaws.com",
];

/// How much a host name alone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Anyone can publish under the suffix.
    Platform,
    /// The host offers other things too: only with the path it says something.
    Shared,
    /// The name itself speaks of MCP (`mcp.example.com`, `files-mcp.example.com`).
    Dedicated,
}

/// One host of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who offers it, without repeats, in the order of the file.
    pub vendors: Vec<String>,
    /// Paths of the endpoints, without repeats, in the order of the file.
    pub paths: Vec<String>,
    /// How much the host name alone says.
    pub strength: Strength,
}

/// Hosts of public MCP services.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    hosts: HashMap<Box<str>, Entry>,
}

/// What is wrong with a catalog file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// Line of the file, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "catalog, line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for Error {}

impl Catalog {
    /// The catalog that ships with the program.
    #[must_use]
    pub fn builtin() -> Self {
        // A test parses the embedded file, so that an empty catalog is never served here.
        Self::parse(BUILTIN).unwrap_or_default()
    }

    /// Reads a catalog file.
    ///
    /// # Errors
    ///
    /// The first line that is not a row of the six columns with a vendor, a host name and a path.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = |line, message: &str| Err(Error { line, message: message.into() });
        if text.len() > MAX_BYTES {
            return fail(1, "the file is too long");
        }
        let mut catalog = Self::default();
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let header = lines.next().map(|(_, line)| line.trim_start_matches('\u{feff}').trim_end());
        if header.map(|line| line.split(',').collect::<Vec<_>>()).as_deref() != Some(&HEADER[..]) {
            return fail(1, &format!("the first line must be `{}`", HEADER.join(",")));
        }
        for (line, row) in lines.filter(|(_, row)| !row.trim().is_empty()) {
            if line > MAX_ROWS {
                return fail(line, "too many rows");
            }
            catalog.add(row).map_err(|message| Error { line, message })?;
        }
        Ok(catalog)
    }

    fn add(&mut self, row: &str) -> Result<(), String> {
        let columns = split(row)?;
        let [vendor, host, path, ..] = columns.as_slice() else {
            return Err("a row has six columns".into());
        };
        if columns.len() != HEADER.len() {
            return Err(format!(
                "{} columns where there should be {}",
                columns.len(),
                HEADER.len()
            ));
        }
        if vendor.is_empty() {
            return Err("no vendor".into());
        }
        let host = host.to_ascii_lowercase();
        let label_ok = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if !host.contains('.') || !host.split('.').all(label_ok) {
            return Err(format!("`{host}` is not a host name"));
        }
        if !path.starts_with('/') {
            return Err(format!("the path `{path}` does not begin with `/`"));
        }
        let entry = self.hosts.entry(host.as_str().into()).or_insert_with(|| Entry {
            vendors: Vec::new(),
            paths: Vec::new(),
            strength: strength(&host),
        });
        for (value, values) in [(vendor, &mut entry.vendors), (path, &mut entry.paths)] {
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
        Ok(())
    }

    /// Looks up a host, in any case and with or without the trailing dot of the root.
    #[must_use]
    pub fn get(&self, host: &str) -> Option<&Entry> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.hosts.get(host.as_str())
    }

    /// Who offers the service of a host, if its name alone says that it is one of MCP.
    #[must_use]
    pub fn vendor(&self, host: &str) -> Option<String> {
        let entry = self.get(host).filter(|entry| entry.strength == Strength::Dedicated)?;
        entry.vendors.first().cloned()
    }

    /// All hosts, in no order.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.hosts.iter().map(|(host, entry)| (&**host, entry))
    }

    /// How many hosts it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// All vendors.
    #[must_use]
    pub fn vendors(&self) -> HashSet<&str> {
        self.hosts.values().flat_map(|entry| &entry.vendors).map(String::as_str).collect()
    }
}

/// Whether a label of a host name says MCP by convention: `mcp`, `mcp2`, `mcp-*` or `*-mcp`,
/// anywhere but in the top-level domain. `host` in lower case.
#[must_use]
pub fn is_named_for_mcp(host: &str) -> bool {
    // Most names have no such letters: one pass over them settles it.
    if memchr::memmem::find(host.as_bytes(), b"mcp").is_none() {
        return false;
    }
    let numbered = |part: &str| {
        part.strip_prefix("mcp").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let says_so = |label: &str| {
        let ends = [label.split('-').next(), label.rsplit('-').next()];
        ends.into_iter().flatten().any(numbered)
    };
    let labels = host.trim_end_matches('.').rsplit_once('.').map(|(labels, _)| labels);
    labels.is_some_and(|labels| labels.split('.').any(says_so))
}

/// Columns of a row; quoted ones may hold commas and doubled quotes, but no line breaks.
fn split(row: &str) -> Result<Vec<String>, String> {
    let mut columns = Vec::new();
    let mut rest = Some(row);
    while let Some(text) = rest {
        let (column, after) = match text.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => match text.split_once(',') {
                Some((column, after)) => (column.to_owned(), Some(after)),
                None => (text.to_owned(), None),
            },
        };
        columns.push(column.trim().to_owned());
        rest = after;
    }
    Ok(columns)
}

/// A quoted column whose first quote is read, and what follows its comma.
fn unquote(text: &str) -> Result<(String, Option<&str>), String> {
    let mut column = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or("a quote is not closed")?;
        column.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                column.push('"');
                rest = after;
            }
            None if after.is_empty() => return Ok((column, None)),
            None => {
                let after = after.strip_prefix(',').ok_or("text after a closing quote")?;
                return Ok((column, Some(after)));
            }
        }
    }
}

/// What a host name alone says, by its form.
fn strength(host: &str) -> Strength {
    let below = |suffix: &str| {
        host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if PLATFORMS.iter().any(|suffix| below(suffix)) {
        return Strength::Platform;
    }
    let speaks = |part: &str| part.starts_with("mcp") || part.ends_with("mcp");
    let mut parts = host.split(['.', '-']);
    if parts.any(speaks) { Strength::Dedicated } else { Strength::Shared }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_catalog_has_all_its_hosts() {
        let catalog = Catalog::parse(BUILTIN).unwrap();
        assert_eq!(catalog.len(), 357);
        assert!(catalog.vendors().contains("Asana"));
        let atlassian = catalog.get("MCP.atlassian.com.").unwrap();
        assert_eq!(atlassian.paths, ["/v1/mcp", "/v1/sse"]);
        assert_eq!(atlassian.vendors, ["Atlassian"]);
        assert_eq!(catalog.get("example.com"), None);
        assert!(!catalog.is_empty());
    }

    #[test]
    fn strength_follows_from_the_form_of_the_name() {
        for (host, expected) in [
            ("mcp.asana.com", Strength::Dedicated),
            ("docs.mcp.cloudflare.com", Strength::Dedicated),
            ("adisinsight-mcp.springer.com", Strength::Dedicated),
            ("gitmcp.io", Strength::Dedicated),
            ("mcp2.example.com", Strength::Dedicated),
            ("api.githubcopilot.com", Strength::Shared),
            ("mcp.example.workers.dev", Strength::Platform),
            ("notworkers.dev", Strength::Shared),
            ("xmcpx.example.com", Strength::Shared),
        ] {
            assert_eq!(strength(host), expected, "{host}");
        }
    }

    #[test]
    fn labels_by_convention_are_told_from_words_that_hold_the_letters() {
        for host in [
            "mcp.example.com",
            "files-mcp.example.com",
            "mcp-files.example.com",
            "mcp2.example.com",
            "docs.mcp.example.com",
            "mcp.local",
            "mcp.example.com.",
        ] {
            assert!(is_named_for_mcp(host), "{host}");
        }
        for host in [
            "mcp",
            "example.mcp",
            "gitmcp.io",
            "mcpherson.example.com",
            "smcp.example.com",
            "a-mcp-b.example.com",
            "mcp2go.example.com",
            "10.0.0.1",
            "",
        ] {
            assert!(!is_named_for_mcp(host), "{host}");
        }
    }

    #[test]
    fn bad_rows_are_named_by_line() {
        let head = HEADER.join(",");
        for (rows, line, message) in [
            ("A,mcp.a.com,/mcp,x,y,z\nB,b", 3, "six columns"),
            ("A,mcp.a.com,/mcp,x", 2, "4 columns"),
            ("A,mcp.a.com,/mcp,x,y,z,w", 2, "7 columns"),
            (",mcp.a.com,/mcp,x,y,z", 2, "no vendor"),
            ("A,mcp a.com,/mcp,x,y,z", 2, "not a host name"),
            ("A,localhost,/mcp,x,y,z", 2, "not a host name"),
            ("A,mcp.a.com,mcp,x,y,z", 2, "does not begin"),
            ("\"A,mcp.a.com,/mcp,x,y,z", 2, "not closed"),
            ("\"A\"b,mcp.a.com,/mcp,x,y,z", 2, "after a closing quote"),
        ] {
            let error = Catalog::parse(&format!("{head}\n{rows}\n")).unwrap_err();
            assert_eq!(error.line, line, "{rows}");
            assert!(error.to_string().contains(message), "{error}");
        }
        assert_eq!(Catalog::parse("").unwrap_err().line, 1);
        assert_eq!(Catalog::parse("host,vendor\n").unwrap_err().line, 1);
    }

    #[test]
    fn quoted_columns_blank_lines_and_crlf_are_read() {
        let text = format!(
            "\u{feff}{}\r\n\"Smith, \"\"J\"\"\",mcp.smith.com,/,x,y,z\r\n\r\n",
            HEADER.join(",")
        );
        let catalog = Catalog::parse(&text).unwrap();
        assert_eq!(catalog.get("mcp.smith.com").unwrap().vendors, ["Smith, \"J\""]);
    }
}

//! How a followed file is read.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::logs::format::generic::Mapping;
use crate::logs::{self, Format, Framing, Likelihood, Line, Reason, Record, Spec, Stance};

/// Opens a format at the beginning of a file.
pub type Open = Arc<dyn Fn() -> Box<dyn Format> + Send + Sync>;

/// A format that files are read as: one of [`logs::format`], or what a mapping says.
#[derive(Clone)]
pub struct Dialect {
    /// Name, as findings tell it.
    pub name: Arc<str>,
    /// Where what is logged stands.
    pub stance: Stance,
    /// Opens it.
    pub open: Open,
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dialect").field(&self.name).finish()
    }
}

impl Dialect {
    /// Of a built-in format; `None` if its files are whole documents, which cannot be followed.
    #[must_use]
    pub fn of(spec: &'static Spec) -> Option<Self> {
        let open: Open = Arc::new(spec.open);
        let is_lines = spec.framing == Framing::Lines;
        is_lines.then(|| Self { name: spec.name.into(), stance: spec.stance, open })
    }
}

impl Dialect {
    /// Of a mapping; `None` likewise.
    #[must_use]
    pub fn mapped(mapping: &Mapping) -> Option<Self> {
        let is_lines = mapping.framing() == Framing::Lines;
        let (name, stance, own) = (mapping.name().into(), mapping.stance(), mapping.clone());
        is_lines.then(|| Self { name, stance, open: Arc::new(move || own.open()) })
    }
}

/// The formats that a tail knows.
pub trait Dialects: Send + Sync + fmt::Debug {
    /// By name.
    fn named(&self, name: &str) -> Option<Dialect>;
    /// By the beginning of a file, whole lines; and how sure that is.
    fn detect(&self, beginning: &[u8]) -> Option<(Dialect, Likelihood)>;
}

/// Those of [`logs::format`], and mappings beside them.
#[derive(Clone, Debug, Default)]
pub struct Formats {
    /// They come before those of the same name.
    pub mappings: Vec<Dialect>,
}

impl Dialects for Formats {
    fn named(&self, name: &str) -> Option<Dialect> {
        let mapping = self.mappings.iter().find(|mapping| *mapping.name == *name).cloned();
        mapping.or_else(|| logs::format::by_name(name).and_then(Dialect::of))
    }

    fn detect(&self, beginning: &[u8]) -> Option<(Dialect, Likelihood)> {
        let found = logs::detect(beginning).into_iter();
        let mut found = found.filter_map(|(spec, sure)| Some((Dialect::of(spec)?, sure)));
        found.next()
    }
}

/// Bytes of header lines that are kept of a file; further ones are not.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// The lines of a file that say how later ones are to be read: its first line, if that is no
/// record, and of lines that begin with `#` the last one of each name. Bounded by 64 KiB.
#[derive(Debug, Default)]
struct Header {
    lines: Vec<String>,
}

impl Header {
    /// Takes a line that is no record.
    fn note(&mut self, line: &[u8], is_first: bool) {
        let is_mark = line.starts_with(b"#");
        if !(is_first || is_mark) {
            return;
        }
        let line = String::from_utf8_lossy(line).into_owned();
        if is_mark {
            let own = directive(&line);
            self.lines.retain(|other| directive(other) != own || !other.starts_with('#'));
        }
        let kept: usize = self.lines.iter().map(String::len).sum();
        if kept + line.len() <= MAX_HEADER_BYTES {
            self.lines.push(line);
        }
    }
}

/// `#Fields` of `#Fields: date time`.
fn directive(line: &str) -> &str {
    let end = line.find([':', ' ', '\t']).unwrap_or(line.len());
    line.get(..end).unwrap_or(line)
}

/// The header of a file, which its reader adds to.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted(Arc<Mutex<Header>>);

impl Noted {
    /// The lines so far, in their order.
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }

    /// A format at the beginning of a file, or behind lines of which `header` are such.
    pub(super) fn open(&self, dialect: &Dialect, header: Option<&[String]>) -> Box<dyn Format> {
        let format = (dialect.open)();
        let mut format = Noting { format, noted: self.clone(), is_first: true };
        for line in header.unwrap_or_default() {
            // It was read before; what was wrong with it was told then.
            let _told = format.line(line.as_bytes(), &mut Record::default());
        }
        format.is_first = header.is_none();
        Box::new(format)
    }
}

/// Notes header lines on their way.
#[derive(Debug)]
struct Noting {
    format: Box<dyn Format>,
    noted: Noted,
    is_first: bool,
}

impl Format for Noting {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let read = self.format.line(line, record);
        let is_first = std::mem::take(&mut self.is_first);
        if read == Ok(Line::Nothing) {
            let mut header = self.noted.0.lock().unwrap_or_else(PoisonError::into_inner);
            header.note(line, is_first);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_each_directive_is_kept_and_the_first_of_the_file() {
        let mut header = Header::default();
        for line in ["#Fields: a b", "#Date: 1", "x", "#Fields: a c", "# comment", "y"] {
            header.note(line.as_bytes(), false);
        }
        assert_eq!(header.lines, ["#Date: 1", "#Fields: a c", "# comment"]);
        let mut header = Header::default();
        for (line, is_first) in [("time,host", true), ("#1", false), ("z", false)] {
            header.note(line.as_bytes(), is_first);
        }
        assert_eq!(header.lines, ["time,host", "#1"]);
    }

    #[test]
    fn a_header_is_bounded() {
        let mut header = Header::default();
        for number in 0..10_000 {
            let line = format!("#{number} {}", "x".repeat(100));
            header.note(line.as_bytes(), false);
        }
        let kept: usize = header.lines.iter().map(String::len).sum();
        assert!(kept <= MAX_HEADER_BYTES && kept > MAX_HEADER_BYTES / 2);
    }
}

//! The input arguments of a run into a list of files.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::glob;

/// Endings of capture files in a directory, in any case, each also with one of [`PACKED`].
const ENDINGS: [&str; 4] = ["pcap", "pcapng", "cap", "dmp"];
const PACKED: [&str; 2] = ["gz", "zst"];

/// Where packets come from: a file, or standard input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Input {
    path: Option<PathBuf>,
}

impl Input {
    /// A file, or a named pipe.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()) }
    }

    /// Standard input.
    #[must_use]
    pub const fn stdin() -> Self {
        Self { path: None }
    }

    /// The path as the user gave it, or under the directory that the user gave; `None` for
    /// standard input.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Bytes of the file, as it is on disk; `None` where that is not known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        let metadata = fs::metadata(self.path()?).ok()?;
        metadata.is_file().then_some(metadata.len())
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => path.display().fmt(f),
            None => f.write_str("standard input"),
        }
    }
}

/// An argument that names no input: what, where, and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum InputError {
    /// There is nothing of that name.
    Missing(PathBuf),
    /// This user may not read it.
    Denied(PathBuf),
    /// A directory without capture files.
    NoCaptures(PathBuf),
    /// A pattern that matches no file.
    NoMatch(PathBuf),
    /// The operating system refused for another reason.
    Io(PathBuf, io::Error),
}

impl InputError {
    fn of(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing(path.to_owned()),
            io::ErrorKind::PermissionDenied => Self::Denied(path.to_owned()),
            _ => Self::Io(path.to_owned(), error),
        }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => {
                write!(f, "{}: no such file or directory; check the path", path.display())
            }
            Self::Denied(path) => {
                write!(f, "{}: permission denied; make it readable for this user", path.display())
            }
            Self::NoCaptures(path) => write!(
                f,
                "{}: no capture files in this directory; files named .pcap, .pcapng, .cap or \
                 .dmp, also with .gz or .zst, are read, and its own directories are not searched",
                path.display()
            ),
            Self::NoMatch(path) => {
                write!(f, "{}: no file matches this pattern; check it", path.display())
            }
            Self::Io(path, error) => write!(f, "{}: cannot be read: {error}", path.display()),
        }
    }
}

impl std::error::Error for InputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Expands arguments into inputs: a file is itself, a directory its capture files by name, a
/// pattern its matches, and `-` standard input. Arguments keep their order; files of a directory
/// or pattern are sorted by name; what comes twice, also by another path, stays the first time.
///
/// # Errors
/// The first argument that names no readable input.
pub fn expand(arguments: &[PathBuf]) -> Result<Vec<Input>, InputError> {
    let mut inputs = Inputs::default();
    for argument in arguments {
        if argument.as_os_str() == "-" {
            inputs.add(Input::stdin());
            continue;
        }
        match fs::metadata(argument) {
            Ok(metadata) if metadata.is_dir() => {
                if inputs.add_directory(argument)? == 0 {
                    return Err(InputError::NoCaptures(argument.clone()));
                }
            }
            Ok(metadata) => inputs.add_file(argument, metadata.is_file())?,
            // Only what is not there by that name is a pattern.
            Err(error) if glob::is_pattern(argument) && is_absent(&error) => {
                inputs.add_matches(argument)?;
            }
            Err(error) => return Err(InputError::of(argument, error)),
        }
    }
    Ok(inputs.list)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[derive(Default)]
struct Inputs {
    list: Vec<Input>,
    /// Each input by its real path.
    seen: HashSet<Input>,
}

impl Inputs {
    fn add(&mut self, input: Input) {
        let real = input.path().and_then(|path| fs::canonicalize(path).ok());
        let key = real.map_or_else(|| input.clone(), Input::file);
        if self.seen.insert(key) {
            self.list.push(input);
        }
    }

    /// Opens a regular file once, to fail now and not in the middle of a run.
    fn add_file(&mut self, path: &Path, regular: bool) -> Result<(), InputError> {
        if regular {
            File::open(path).map_err(|error| InputError::of(path, error))?;
        }
        self.add(Input::file(path));
        Ok(())
    }

    /// Adds the capture files of a directory; gives how many there are.
    fn add_directory(&mut self, directory: &Path) -> Result<usize, InputError> {
        let refused = |error| InputError::of(directory, error);
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).map_err(refused)? {
            let path = entry.map_err(refused)?.path();
            if is_capture_name(&path) && path.is_file() {
                found.push(path);
            }
        }
        found.sort();
        for path in &found {
            self.add_file(path, true)?;
        }
        Ok(found.len())
    }

    fn add_matches(&mut self, pattern: &Path) -> Result<(), InputError> {
        let matches = glob::expand(pattern).map_err(|error| InputError::of(pattern, error))?;
        let mut found = 0;
        for path in matches {
            let metadata = fs::metadata(&path).map_err(|error| InputError::of(&path, error))?;
            if metadata.is_dir() {
                found += self.add_directory(&path)?;
            } else {
                self.add_file(&path, metadata.is_file())?;
                found += 1;
            }
        }
        if found == 0 { Err(InputError::NoMatch(pattern.to_owned())) } else { Ok(()) }
    }
}

fn is_capture_name(path: &Path) -> bool {
    let ends = |path: &Path, endings: &[&str]| {
        let found = path.extension().and_then(|ending| ending.to_str());
        found.is_some_and(|found| endings.iter().any(|ending| found.eq_ignore_ascii_case(ending)))
    };
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let unpacked = if ends(path, &PACKED) { path.with_extension("") } else { path.to_owned() };
    !hidden && ends(&unpacked, &ENDINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with empty files of these names.
    fn directory(names: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        directory
    }

    /// The names under the directory that arguments under it expand to.
    fn expanded(directory: &Path, arguments: &[&str]) -> Result<Vec<String>, InputError> {
        let arguments: Vec<_> = arguments
            .iter()
            .map(|name| if *name == "-" { "-".into() } else { directory.join(name) })
            .collect();
        let inputs = expand(&arguments)?;
        let name = |input: &Input| match input.path() {
            Some(path) => path.strip_prefix(directory).unwrap().display().to_string(),
            None => input.to_string(),
        };
        Ok(inputs.iter().map(name).collect())
    }

    #[test]
    fn arguments_expand_in_order_and_once() {
        let files = directory(&[
            "b.pcap",
            "a.pcapng",
            "c.CAP",
            "d.dmp.gz",
            "e.pcap.zst",
            "f.json",
            "g.gz",
            "h.pcap.bz2",
            ".pcap",
            ".i.pcap",
            "pcap",
            "sub/j.pcap",
            "sub/k.txt",
            "sub/folder.pcap/l.pcap",
            "x[1].pcap",
        ]);
        let whole = ["a.pcapng", "b.pcap", "c.CAP", "d.dmp.gz", "e.pcap.zst", "x[1].pcap"];
        for (arguments, expected) in [
            (&[""][..], &whole[..]),
            (&["sub"], &["sub/j.pcap"]),
            (&["f.json"], &["f.json"]),
            (&["b.pcap", "a.pcapng"], &["b.pcap", "a.pcapng"]),
            (&["*.pcap"], &["b.pcap", "x[1].pcap"]),
            (&["x[1].pcap"], &["x[1].pcap"]),
            (&["s*"], &["sub/j.pcap"]),
            (&["s?b/*"], &["sub/folder.pcap/l.pcap", "sub/j.pcap", "sub/k.txt"]),
            (&["b.pcap", "*.pcap", "sub/../b.pcap"], &["b.pcap", "x[1].pcap"]),
            (&["-", "b.pcap", "-"], &["standard input", "b.pcap"]),
            (&[], &[]),
        ] {
            assert_eq!(expanded(files.path(), arguments).unwrap(), expected, "{arguments:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_file_is_the_same_file() {
        let files = directory(&["a.pcap"]);
        std::os::unix::fs::symlink(files.path().join("a.pcap"), files.path().join("b.pcap"))
            .unwrap();
        assert_eq!(expanded(files.path(), &["."]).unwrap(), ["a.pcap"]);
        assert_eq!(expanded(files.path(), &["b.pcap", "a.pcap"]).unwrap(), ["b.pcap"]);
    }

    #[test]
    fn errors_say_what_where_and_what_to_do() {
        let files = directory(&["empty/readme", "a.pcap"]);
        for (argument, expected) in [
            ("none.pcap", "none.pcap: no such file or directory; check the path"),
            ("empty", "empty: no capture files in this directory; files named .pcap"),
            ("*.cap", "*.cap: no file matches this pattern"),
            ("none/*.pcap", "none/*.pcap: no file matches this pattern"),
            ("a.pcap/*", "a.pcap/*: no file matches this pattern"),
            ("emp*", "emp*: no file matches this pattern"),
            ("a.pcap/b", "a.pcap/b: cannot be read: Not a directory"),
        ] {
            let error = expanded(files.path(), &[argument]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn size_is_that_of_a_regular_file() {
        let files = directory(&[]);
        fs::write(files.path().join("a.pcap"), b"12345").unwrap();
        assert_eq!(Input::file(files.path().join("a.pcap")).size(), Some(5));
        assert_eq!(Input::file(files.path()).size(), None);
        assert_eq!(Input::stdin().size(), None);
    }

    #[test]
    fn denied_files_are_told_apart() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = InputError::of(Path::new("a.pcap"), denied).to_string();
        assert_eq!(error, "a.pcap: permission denied; make it readable for this user");
    }
}

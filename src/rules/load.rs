//! Rule files from disk: the only part of the engine that does I/O.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use super::Limits;
use super::problem::Source;

/// Directories deeper than this are not entered.
const MAX_DEPTH: usize = 16;

/// A file or directory that cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Error {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read rules from {}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Reads files, and of directories everything below that ends in `.yaml` or `.yml`, in the order
/// of their names. Hidden entries, links to directories, and directories named `data` (which hold
/// no rules) are passed over.
///
/// # Errors
///
/// The first path that cannot be read, is longer than the limit, or is not UTF-8; too many files.
pub fn read(paths: &[PathBuf], limits: &Limits) -> Result<Vec<Source>, Error> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, 0, limits, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    files.iter().map(|path| file(path, limits)).collect()
}

fn walk(
    directory: &Path,
    depth: usize,
    limits: &Limits,
    files: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let fail = |source| Error { path: directory.to_owned(), source };
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.map_err(fail)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if hidden {
            continue;
        }
        if entry.file_type().map_err(fail)?.is_dir() {
            if depth < MAX_DEPTH && entry.file_name() != "data" {
                walk(&path, depth + 1, limits, files)?;
            }
        } else if is_yaml && path.is_file() {
            if files.len() >= limits.max_files {
                let message = format!("more than {} files", limits.max_files);
                return Err(fail(io::Error::other(message)));
            }
            files.push(path);
        }
    }
    Ok(())
}

fn file(path: &Path, limits: &Limits) -> Result<Source, Error> {
    let fail = |source| Error { path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(fail)?.len();
    if length > limits.max_file_bytes as u64 {
        let message = format!("longer than {} bytes", limits.max_file_bytes);
        return Err(fail(io::Error::new(io::ErrorKind::FileTooLarge, message)));
    }
    let text = fs::read_to_string(path).map_err(fail)?;
    Ok(Source::new(path.display().to_string(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_read_in_order_and_other_files_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("b")).unwrap();
        fs::create_dir(path("data")).unwrap();
        for name in ["z.yaml", "b/c.yml", "a.yaml", ".hidden.yaml", "notes.txt", "data/d.yaml"] {
            fs::write(path(name), name).unwrap();
        }
        let sources = read(&[folder.path().to_owned()], &Limits::default()).unwrap();
        let texts: Vec<_> = sources.iter().map(|source| source.text.as_str()).collect();
        assert_eq!(texts, ["a.yaml", "b/c.yml", "z.yaml"]);
    }

    #[test]
    fn missing_long_and_binary_files_are_errors_that_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        let limits = Limits { max_file_bytes: 4, max_files: 1, ..Limits::default() };
        let error = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(std::slice::from_ref(&path), &limits).unwrap_err().to_string()
        };
        assert!(error(b"12345").contains("longer than 4 bytes"));
        assert!(error(b"\xff").contains("a.yaml"));
        fs::write(folder.path().join("b.yaml"), "").unwrap();
        let error = read(&[folder.path().to_owned()], &limits).unwrap_err();
        assert!(error.to_string().contains("more than 1 files"));
        assert!(read(&[folder.path().join("nope")], &limits).is_err());
    }
}

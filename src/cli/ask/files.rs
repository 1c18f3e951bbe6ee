//! Files as a store: a ClickHouse with views over them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use clickhouse::Client;

use crate::cli::Failure;
use crate::cli::args::EngineArgs;
use crate::cli::engine::{Engine, Options};
use crate::cli::store::Waiting;
use crate::sinks::store::client::{Address, Compression, client};
use crate::sinks::store::files::statements;
use crate::sinks::store::reason::reason;

/// Lines of files do not name their sensor.
const SENSOR: &str = "files";
/// What makes a path a pattern for ClickHouse.
const WILD: [char; 3] = ['*', '?', '{'];

/// The files that a path names, as ClickHouse's `file()` wants them: absolute, and the NDJSON
/// files of a folder, finished or not.
pub(super) fn glob(path: &Path) -> Result<String, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        let hint = "name a folder or files that `replay` or `watch` wrote";
        Failure::new(format!("cannot read {}: {why}; {hint}", path.display()))
    };
    let text = |path: &Path| {
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| failed(&"its name is no UTF-8, which ClickHouse needs"))
    };
    let given = text(path)?;
    if !path.exists() && given.contains(WILD) {
        return text(&std::path::absolute(path).map_err(|error| failed(&error))?);
    }
    let found = fs::canonicalize(path).map_err(|error| failed(&error))?;
    let absolute = text(&found)?;
    if absolute.contains(WILD) {
        return Err(failed(&"ClickHouse takes *, ? and { in names for patterns"));
    }
    if !found.is_dir() {
        return Ok(absolute);
    }
    let entries = fs::read_dir(&found).map_err(|error| failed(&error))?;
    let mut names = entries.flatten().map(|entry| entry.file_name());
    if !names.any(|name| name.to_string_lossy().contains(".ndjson")) {
        return Err(failed(&"the folder has no .ndjson files"));
    }
    Ok(format!("{}/*.ndjson*", absolute.trim_end_matches('/')))
}

/// A folder of our own for the engine; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Self, Failure> {
        let base = std::env::temp_dir();
        for number in 0..1_000 {
            let path = base.join(format!("shadowtap-ask-{}-{number}", std::process::id()));
            // Somebody else's folder or link is never used.
            match private(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let path = path.display();
                    return Err(Failure::new(format!("cannot make {path}: {error}")));
                }
            }
        }
        Err(Failure::new(format!("{} is full of folders of ours: remove them", base.display())))
    }
}

fn private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever tidies the folder of temporary files.
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// Starts an engine with views over files, in a database of that name.
pub(super) fn open(
    glob: &str,
    engine: &EngineArgs,
    database: &str,
    waiting: &Waiting,
) -> Result<(Client, Engine, Folder), Failure> {
    let folder = Folder::make()?;
    let options = Options { engine: engine.clone(), data: folder.0.clone(), http_port: None };
    let engine = Engine::start(&options)?;
    let address = Address {
        url: engine.url(),
        database: "default".to_owned(),
        user: None,
        password: None,
        ca_file: None,
        compression: Compression::None,
    };
    let client = client(&address).map_err(Failure::new)?;
    for statement in statements(database, glob, SENSOR) {
        let done = waiting.on(client.query_raw(&statement).execute());
        done.map_err(|error| Failure::new(format!("{glob}: {}", reason(&error))))?;
    }
    Ok((client.with_database(database), engine, folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_files_and_patterns_become_absolute_patterns() {
        let folder = tempfile::tempdir().unwrap();
        let at = fs::canonicalize(folder.path()).unwrap();
        let shown = at.display();
        let told = |path: &Path| glob(path).map_err(|failure| failure.to_string());
        assert!(told(&at).unwrap_err().contains("has no .ndjson files"));
        fs::write(at.join("watch.3.ndjson.partial"), "").unwrap();
        assert_eq!(told(&at), Ok(format!("{shown}/*.ndjson*")));
        let file = at.join("watch.3.ndjson.partial");
        assert_eq!(told(&file), Ok(file.display().to_string()));
        assert_eq!(told(&at.join("*.ndjson")), Ok(format!("{shown}/*.ndjson")));
        let missing = told(&at.join("none")).unwrap_err();
        assert!(missing.ends_with("files that `replay` or `watch` wrote"), "{missing}");
        fs::create_dir(at.join("a{b")).unwrap();
        assert!(told(&at.join("a{b")).unwrap_err().contains("for patterns"));
    }

    #[test]
    fn a_folder_of_ours_is_private_and_goes() {
        use std::os::unix::fs::PermissionsExt as _;
        let (one, two) = (Folder::make().unwrap(), Folder::make().unwrap());
        assert_ne!(one.0, two.0);
        let mode = fs::metadata(&one.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let path = one.0.clone();
        drop(one);
        assert!(!path.exists() && two.0.exists());
    }
}

//! Files that are written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Failure;

/// Makes a file have this content: a reader sees the old one or the new one, also after a crash.
/// Behind a symbolic link the file it names is replaced; rights of the old file are kept.
pub(super) fn replace(file: &Path, content: &str) -> Result<(), Failure> {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    write(&file, content)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))
}

fn write(file: &Path, content: &str) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let name = file.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let partial = format!(".{}.{}.partial", name.to_string_lossy(), std::process::id());
    let partial = folder.join(partial);
    let written = fill(&partial, file, content).and_then(|()| fs::rename(&partial, file));
    if written.is_err() {
        drop(fs::remove_file(&partial));
    } else if let Ok(folder) = File::open(&folder) {
        drop(folder.sync_all());
    }
    written
}

fn fill(partial: &Path, old: &Path, content: &str) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).open(partial)?;
    if let Ok(metadata) = fs::metadata(old) {
        out.set_permissions(metadata.permissions())?;
    }
    out.write_all(content.as_bytes())?;
    out.sync_all()
}

/// Makes a folder for what the program remembers, for its user only.
pub(super) fn state_folder(folder: &Path) -> Result<(), Failure> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder
        .create(folder)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        replace(&file, "one").unwrap();
        replace(&file, "two").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("no/a.yaml"), "x").is_err());
        assert!(replace(folder.path(), "x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn rights_and_links_stay() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.yaml"), folder.path().join("b.yaml"));
        fs::write(&file, "one").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, "two").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert!(link.is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    }
}

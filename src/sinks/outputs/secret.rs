//! Secrets of outputs, read when an output begins.

use std::path::{Path, PathBuf};

use super::config::Secret;

/// Longest secret file, in bytes.
const MAX_SECRET_BYTES: u64 = 64 << 10;

impl Secret {
    /// The secret: the first line of its file.
    ///
    /// # Errors
    /// Where it should be and is not, and what to do.
    pub fn read(&self) -> Result<String, String> {
        // systemd names the folder of a service's credentials there.
        self.read_in(std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).as_deref())
    }

    fn read_in(&self, credentials: Option<&Path>) -> Result<String, String> {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Credential(name) => credentials
                .ok_or_else(|| {
                    format!(
                        "the credential {name} is not there: this is no service of systemd \
                         (CREDENTIALS_DIRECTORY is not set); use a file"
                    )
                })?
                .join(name),
        };
        let shown = path.display();
        let size = std::fs::metadata(&path).map_err(|error| self.hint(&path, &error))?.len();
        if size > MAX_SECRET_BYTES {
            return Err(format!("{shown} has {size} bytes: too many for a secret"));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| self.hint(&path, &error))?;
        let secret = text.lines().next().unwrap_or_default().trim();
        if secret.is_empty() {
            return Err(format!("{shown} has no secret in its first line"));
        }
        Ok(secret.to_owned())
    }

    fn hint(&self, path: &Path, error: &std::io::Error) -> String {
        let shown = path.display();
        match self {
            Self::File(_) => format!("cannot read {shown}: {error}"),
            Self::Credential(name) => format!(
                "cannot read {shown}: {error}; the unit needs LoadCredential={name}:/path/of/the/file"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for (text, want) in [
            ("fake-token\n", Some("fake-token")),
            (" x \r\nrest", Some("x")),
            ("\n\n", None),
            ("", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Secret::File(path.clone()).read().ok().as_deref(), want, "{text:?}");
            let credential = Secret::Credential("token".into());
            assert_eq!(credential.read_in(Some(folder.path())).ok().as_deref(), want);
        }
        let credential = Secret::Credential("absent".into());
        assert!(credential.read_in(None).unwrap_err().contains("CREDENTIALS_DIRECTORY"));
        let error = credential.read_in(Some(folder.path())).unwrap_err();
        assert!(error.contains("LoadCredential=absent:"), "{error}");
        let file = Secret::File(folder.path().join("absent"));
        assert!(file.read().unwrap_err().starts_with("cannot read "));
    }
}

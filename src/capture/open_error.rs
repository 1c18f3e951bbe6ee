//! Why a file is not read at all.

use std::fmt;
use std::io;

/// A file of which nothing can be read: what, where, and what to do.
#[derive(Debug)]
pub struct OpenError {
    /// The file as the user named it.
    pub input: String,
    /// What is wrong with it.
    pub problem: OpenProblem,
}

/// What keeps a file from being read.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenProblem {
    /// The operating system refused.
    Io(io::Error),
    /// A directory, where a file is needed.
    Directory,
    /// Standard input is a terminal.
    Terminal,
    /// There are no bytes in it.
    Empty,
    /// It is neither pcap nor pcapng.
    NotACapture {
        /// What its first bytes look like, such as `a ZIP archive`.
        looks_like: String,
    },
    /// Its compression is damaged from the first bytes on.
    Compression(io::Error),
    /// libpcap does not read this sort of capture; what it says.
    Refused(String),
    /// The pipe or thread that feeds libpcap could not be made.
    Feed(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, problem } = self;
        match problem {
            OpenProblem::Io(error) => match error.kind() {
                io::ErrorKind::NotFound => write!(f, "{input}: no such file; check the path"),
                io::ErrorKind::PermissionDenied => {
                    write!(f, "{input}: permission denied; make it readable for this user")
                }
                _ => write!(f, "{input}: cannot be read: {error}"),
            },
            OpenProblem::Directory => {
                write!(f, "{input}: a directory; name a capture file in it")
            }
            OpenProblem::Terminal => {
                write!(f, "{input}: a terminal; pipe a capture into it, or name a file")
            }
            OpenProblem::Empty => {
                write!(f, "{input}: empty, without even a file header; capture it again")
            }
            OpenProblem::NotACapture { looks_like } => write!(
                f,
                "{input}: not a packet capture, it begins like {looks_like}; pcap and pcapng are \
                 read, plain or compressed with gzip or zstd"
            ),
            OpenProblem::Compression(error) => {
                write!(f, "{input}: cannot be decompressed: {error}; copy or capture it again")
            }
            OpenProblem::Refused(reason) => {
                write!(f, "{input}: libpcap does not read it: {reason}; convert it to pcap")
            }
            OpenProblem::Feed(reason) => {
                write!(f, "{input}: no pipe to libpcap: {reason}; raise the process limits")
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            OpenProblem::Io(error) | OpenProblem::Compression(error) => Some(error),
            _ => None,
        }
    }
}

/// Names what the first bytes of a file look like.
pub(super) fn looks_like(head: &[u8]) -> String {
    const KNOWN: &[(&[u8], &str)] = &[
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\xFD7zXZ\0", "an xz file"),
        (b"BZh", "a bzip2 file"),
        (b"\x04\x22\x4D\x18", "an lz4 file"),
        (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"),
        (b"\x1F\x8B", "a gzip file inside another compression"),
        (b"\x28\xB5\x2F\xFD", "a zstd file inside another compression"),
        (b"\x7FELF", "a program"),
        (b"snoop\0\0\0", "a snoop capture"),
        (b"TRSNIFF data", "a Sniffer capture"),
        (b"GMBU", "a Network Monitor capture"),
        (b"RTSS", "a Network Monitor capture"),
    ];
    if let Some((_, name)) = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return (*name).to_owned();
    }
    let text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    if head.iter().all(text) {
        return format!("text ({:?})", String::from_utf8_lossy(head));
    }
    let (head, _) = head.split_at(head.len().min(8));
    let hex: Vec<_> = head.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("data of another sort (bytes {})", hex.join(" "))
}

//! `shadowtap logs`: logs of proxies and sensors, read from their beginning to their end.

use std::fs::File;
use std::io::{self, Cursor, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{self, LogsCommand};
use super::replay::{self, Inputs};
use super::{Exit, Failure, complain, load, print};
use crate::capture::{glob, plain};
use crate::logs::format::generic::{MAX_MAPPING_BYTES, Mapping};
use crate::logs::{self, Likelihood, MAX_SNIFFED_BYTES, Reader, Spec, Splitter};
use crate::pipeline::LogInput;

pub(super) fn run(args: &args::Logs) -> Result<Exit, Failure> {
    match args.command {
        Some(LogsCommand::Formats) => print(&formats()).map(|()| Exit::Clean),
        Some(LogsCommand::Schema) => {
            let schema = serde_json::to_string_pretty(&Mapping::schema()).map_err(Failure::new)?;
            print(&format!("{schema}\n")).map(|()| Exit::Clean)
        }
        None => {
            let inputs = open_all(args)?;
            replay::run_over(inputs, &args.run, &args::PacketOptions::default())
        }
    }
}

/// The formats, one a line.
fn formats() -> String {
    let width = logs::format::ALL.iter().map(|spec| spec.name.len()).max().unwrap_or(0);
    let line = |spec: &&Spec| format!("{:width$}  {}\n", spec.name, spec.title);
    logs::format::ALL.iter().map(line).collect()
}

/// How files are to be read.
#[derive(Debug)]
enum Choice {
    /// As they look.
    Detected,
    Named(&'static Spec),
    Mapped(Mapping),
}

impl Choice {
    fn of(args: &args::Logs) -> Result<Self, Failure> {
        if let Some(file) = &args.mapping {
            return mapping(file).map(Self::Mapped);
        }
        let Some(name) = &args.format else { return Ok(Self::Detected) };
        let known = logs::format::by_name(name).map(Self::Named);
        known.ok_or_else(|| unknown_format(name))
    }
}

/// A format that does not exist.
pub(super) fn unknown_format(name: &str) -> Failure {
    let names: Vec<_> = logs::format::ALL.iter().map(|spec| spec.name).collect();
    Failure::new(format!("there is no format {name}; there are {}", names.join(", ")))
}

/// Reads a mapping.
pub(super) fn mapping(file: &Path) -> Result<Mapping, Failure> {
    let text = load::text(file, MAX_MAPPING_BYTES as u64)?;
    Mapping::parse(&text).map_err(|problem| Failure::new(format!("{}: {problem}", file.display())))
}

/// Files, folders, patterns and `-` into paths; `None` is standard input.
fn expand(arguments: &[PathBuf]) -> Result<Vec<Option<PathBuf>>, Failure> {
    let mut paths = Vec::new();
    for argument in arguments {
        let name = argument.display();
        if argument.as_os_str() == "-" {
            paths.push(None);
            continue;
        }
        let pattern = match argument.metadata() {
            Ok(metadata) if metadata.is_dir() => argument.join("*"),
            Err(_) if glob::is_pattern(argument) => argument.clone(),
            Ok(_) => {
                paths.push(Some(argument.clone()));
                continue;
            }
            Err(error) => {
                let text = format!("cannot read {name}: {error}; check the path");
                return Err(Failure::new(text));
            }
        };
        let found = glob::expand(&pattern);
        let found = found.map_err(|error| Failure::new(format!("cannot read {name}: {error}")))?;
        let before = paths.len();
        paths.extend(found.into_iter().filter(|path| path.is_file()).map(Some));
        if paths.len() == before {
            return Err(Failure::new(format!("{name}: there is no file; check the path")));
        }
    }
    Ok(paths)
}

fn open_all(args: &args::Logs) -> Result<Inputs, Failure> {
    let mut inputs = Inputs::default();
    add(&args.files, &Choice::of(args)?, args.run.quiet, &mut inputs)?;
    Ok(inputs)
}

/// Opens logs that stand beside captures.
pub(super) fn beside(
    files: &[PathBuf],
    is_quiet: bool,
    inputs: &mut Inputs,
) -> Result<(), Failure> {
    add(files, &Choice::Detected, is_quiet, inputs)
}

fn add(
    files: &[PathBuf],
    choice: &Choice,
    is_quiet: bool,
    inputs: &mut Inputs,
) -> Result<(), Failure> {
    inputs.log_bytes = Some(0);
    for path in expand(files)? {
        let bytes = path.as_ref().and_then(|path| path.metadata().ok()).map(|file| file.len());
        inputs.log_bytes = inputs.log_bytes.zip(bytes).map(|(sum, bytes)| sum + bytes);
        open(path.as_deref(), choice, is_quiet, inputs)?;
        inputs.paths.extend(path);
    }
    Ok(())
}

/// Opens one log and finds out how to read it.
fn open(
    path: Option<&Path>,
    choice: &Choice,
    is_quiet: bool,
    inputs: &mut Inputs,
) -> Result<(), Failure> {
    let name: Arc<str> =
        path.map_or_else(|| "standard input".into(), |path| path.to_string_lossy().into());
    let cannot = |error: io::Error| Failure::new(format!("cannot read {name}: {error}"));
    let raw: Box<dyn Read + Send> = match path {
        Some(path) => Box::new(File::open(path).map_err(cannot)?),
        None if io::stdin().is_terminal() => {
            return Err(Failure::new(
                "standard input is a terminal; give a file, or pipe a log in",
            ));
        }
        None => Box::new(io::stdin()),
    };
    let mut bytes = plain(raw).map_err(cannot)?;
    let mut beginning = Vec::new();
    // What is wrong further on is told when reading comes there.
    let read = bytes.by_ref().take(MAX_SNIFFED_BYTES as u64).read_to_end(&mut beginning);
    if let Err(error) = read
        && beginning.is_empty()
    {
        inputs.troubles.push(format!("{name}: cannot be read: {error}"));
        return Ok(());
    }
    let whole = match memchr::memrchr(b'\n', &beginning) {
        Some(end) if beginning.len() == MAX_SNIFFED_BYTES => beginning.get(..=end),
        _ => None,
    };
    let found = logs::detect(whole.unwrap_or(&beginning));
    let bytes: Box<dyn Read + Send> = Box::new(Cursor::new(beginning).chain(bytes));
    let (source, stance, reader, why) = match choice {
        Choice::Mapped(mapping) => {
            let reader = Reader::with(Splitter::new(mapping.framing()), mapping.open());
            (mapping.name(), mapping.stance(), reader, "as its mapping says")
        }
        Choice::Named(spec) => (spec.name, spec.stance, Reader::new(spec), "as told"),
        Choice::Detected => {
            let Some((spec, sure)) = found.first().copied() else {
                inputs.troubles.push(format!(
                    "{name}: its first lines look like no format; name it with --format (`shadowtap \
                     logs formats` lists them), or describe it with --mapping"
                ));
                return Ok(());
            };
            (spec.name, spec.stance, Reader::new(spec), because(sure))
        }
    };
    if !is_quiet {
        complain(&format!("notice: {name} is read as {source}, {why}"));
    }
    if let Some((other, _)) = found.iter().find(|(other, _)| other.name != source) {
        inputs.likely.push((Arc::clone(&name), other.name.to_owned()));
    }
    let source = source.into();
    inputs.logs.push(LogInput { name, source, stance, reader, bytes });
    Ok(())
}

const fn because(sure: Likelihood) -> &'static str {
    match sure {
        Likelihood::Certain => "which its first lines show",
        Likelihood::Likely => "which its first lines look like",
        Likelihood::Possible | Likelihood::No => "which is a guess; --format names another one",
    }
}

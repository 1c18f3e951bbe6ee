//! `shadowtap-engine LIBRARY ARGUMENT...`: ClickHouse as a process of its own, out of `libchdb.so`.
//!
//! The library is the whole of ClickHouse. It takes over signals and 200 MB of memory, so neither
//! the sensor nor the portal loads it: `shadowtap store up` and `shadowtap ask` start this program
//! beside them and speak HTTP with it. The arguments are those of `clickhouse local`.
//!
//! With `SHADOWTAP_ENGINE_STDIN=follow` in the environment it ends when its standard input does:
//! however the process that started it ends, the engine does not outlive it.

use std::ffi::{CString, OsString, c_char, c_int, c_void};
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::process::ExitCode;

/// The command line of ClickHouse, as the library exports it. What it returns belongs to the
/// library and lives as long as the process.
type CommandLine = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;

fn main() -> ExitCode {
    let mut given = std::env::args_os().skip(1);
    let Some(library) = given.next() else {
        return complain("usage: shadowtap-engine LIBCHDB.SO [ARGUMENT OF CLICKHOUSE LOCAL]...");
    };
    if std::env::var_os("SHADOWTAP_ENGINE_STDIN").is_some_and(|value| value == "follow") {
        std::thread::spawn(|| {
            let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            // MergeTree parts are complete or not there: nothing needs to be put in order.
            std::process::exit(0);
        });
    }
    match run(library, given) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

fn run(library: OsString, given: impl Iterator<Item = OsString>) -> Result<(), String> {
    let text = |argument: OsString| {
        CString::new(argument.into_vec()).map_err(|_| "an argument contains a zero byte".to_owned())
    };
    let mut arguments = vec![text("clickhouse".into())?];
    for argument in given {
        arguments.push(text(argument)?);
    }
    let count = c_int::try_from(arguments.len()).map_err(|error| error.to_string())?;
    let mut pointers: Vec<*mut c_char> =
        arguments.into_iter().map(CString::into_raw).chain([std::ptr::null_mut()]).collect();
    let shown = library.display().to_string();
    #[expect(unsafe_code, reason = "a C library is loaded and called")]
    // SAFETY: the library's initialisers are trusted as the engine itself is. The function has
    // this signature in chdb's header; the pointers are zero-terminated strings that are never
    // freed, and the list ends with a null pointer as `main`'s does.
    unsafe {
        let library = libloading::Library::new(library)
            .map_err(|error| format!("cannot load {shown}: {error}"))?;
        let command_line = library
            .get::<CommandLine>(b"chdb_query_cmdline\0")
            .map_err(|error| format!("{shown} is no libchdb with a command line: {error}"))?;
        command_line(count, pointers.as_mut_ptr());
        // Its threads may still run: it stays loaded until the process is gone.
        std::mem::forget(library);
    }
    Ok(())
}

fn complain(text: &str) -> ExitCode {
    // There is nobody left to tell when standard error is closed.
    let _closed = writeln!(std::io::stderr(), "error: {text}");
    ExitCode::from(2)
}

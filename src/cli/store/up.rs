//! `shadowtap store up`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::{Waiting, migrate};
use crate::cli::args::Up;
use crate::cli::engine::{Engine, Options, data_home};
use crate::cli::{Exit, Failure, print};
use crate::sinks::store::client::{Address, Compression, client};
use crate::sinks::store::schema::Target;

/// Between two looks at signals and at the engine.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) fn run(args: &Up) -> Result<Exit, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        // In this order: the first signal finds the flag unset, and sets it; a second one ends
        // the program at once, and ClickHouse with it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Failure::new(format!("cannot handle signals: {error}")))?;
    }
    let data = args.data.clone().or_else(|| Some(data_home()?.join("store"))).ok_or_else(|| {
        Failure::new("there is no home folder to keep the data in: name a folder with --data")
    })?;
    let mut engine = Engine::start(&Options {
        engine: args.engine.clone(),
        data: data.clone(),
        http_port: Some(args.port),
    })?;
    let url = engine.url();
    let address = Address {
        url: url.clone(),
        database: args.database.clone(),
        user: None,
        password: None,
        ca_file: None,
        compression: Compression::None,
    };
    let client = client(&address).map_err(Failure::new)?;
    let target = Target { database: args.database.clone(), cluster: None };
    Waiting::new()?.on(migrate::bring_up(&client, &target))?;
    print(&welcome(&url, &args.database, &data.display().to_string()))?;
    while !stop.load(Relaxed) {
        if !engine.is_running() {
            return Err(Failure::new(format!(
                "ClickHouse ended by itself: see engine.log in {}",
                data.display()
            )));
        }
        std::thread::sleep(PAUSE);
    }
    drop(engine);
    print("Stopped; the data stays.\n")?;
    Ok(Exit::Clean)
}

fn welcome(url: &str, database: &str, data: &str) -> String {
    let mut place = if url == super::URL { String::new() } else { format!(" --url {url}") };
    if database != "shadowtap" {
        place.push_str(" --database ");
        place.push_str(database);
    }
    format!(
        "ClickHouse listens at {url}, for this machine only and without a password.\n\
         Its data is in {data}. Ctrl-C stops it.\n\n\
         In another terminal:\n  \
         shadowtap store load findings/*.ndjson{place}\n  \
         shadowtap ask{place}\n  \
         shadowtap store status{place}\n"
    )
}

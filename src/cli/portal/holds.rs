//! `shadowtap portal holds`.

use super::{operator, shown};
use crate::cli::approvals::now;
use crate::cli::args::{PortalHold, PortalHolds};
use crate::cli::{Exit, Failure, print};
use crate::portal::holds::Desk;

pub(super) fn run(command: &PortalHolds) -> Result<Exit, Failure> {
    match command {
        PortalHolds::List { state } => {
            let desk = Desk::open(&state.state).map_err(Failure::new)?;
            for waiting in desk.list(now()) {
                let who = waiting.name.as_deref().unwrap_or(&waiting.subject);
                let text = format!(
                    "{} {} {}/{} ({}) by {} of {} with client {}\n  {}\n",
                    waiting.id,
                    waiting.since,
                    waiting.server,
                    waiting.tool,
                    waiting.tier.as_str(),
                    who,
                    waiting.issuer,
                    waiting.client,
                    waiting.arguments.replace('\n', " "),
                );
                print(&shown(&text))?;
            }
            Ok(Exit::Clean)
        }
        PortalHolds::Approve(args) => decide(args, true),
        PortalHolds::Deny(args) => decide(args, false),
    }
}

fn decide(args: &PortalHold, release: bool) -> Result<Exit, Failure> {
    let desk = Desk::open(&args.state.state).map_err(Failure::new)?;
    let all = desk.list(now());
    let mut fits = all.iter().filter(|waiting| waiting.id.starts_with(&args.id));
    let (Some(waiting), None) = (fits.next(), fits.next()) else {
        return Err(Failure::new("no such call waits, or the id is not whole enough"));
    };
    desk.decide(waiting, release, &operator()).map_err(Failure::new)?;
    let done = if release { "approved" } else { "denied" };
    print(&format!("{done} {}\n", waiting.id))?;
    Ok(Exit::Clean)
}

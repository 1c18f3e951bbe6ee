//! What an operator should hear of while the sensor runs.

use std::fmt;
use std::time::Duration;

use crate::capture::live::LiveError;

/// Something that happened to the sensor, not in the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// An interface cannot be read any more; it will be opened again when it can be.
    Lost {
        /// Its name.
        interface: String,
        /// What libpcap says.
        reason: String,
    },
    /// It cannot be opened again, for a reason that was not told yet; this is tried further.
    StillLost {
        /// Why.
        error: LiveError,
    },
    /// It can be read again.
    Reopened {
        /// Its name.
        interface: String,
        /// How long it could not be.
        after: Duration,
    },
    /// An interface was set down.
    Down {
        /// Its name.
        interface: String,
    },
    /// An interface was set up again.
    Up {
        /// Its name.
        interface: String,
    },
    /// More flows are shed, or fewer: sixteenths, of the worker that sheds most.
    Shedding {
        /// 0 to 16.
        sixteenths: u8,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { interface, reason } => {
                write!(f, "{interface}: cannot be read ({reason}); trying again every second")
            }
            Self::StillLost { error } => write!(f, "still waiting: {error}"),
            Self::Reopened { interface, after } => write!(
                f,
                "{interface}: is read again; what happened in the {} seconds between was not seen",
                after.as_secs_f64().ceil()
            ),
            Self::Down { interface } => write!(f, "{interface}: went down"),
            Self::Up { interface } => write!(f, "{interface}: is up again"),
            Self::Shedding { sixteenths: 0 } => {
                f.write_str("fast enough again: all flows are looked at")
            }
            Self::Shedding { sixteenths } => write!(
                f,
                "too slow for this traffic: up to {sixteenths} sixteenths of the flows of a worker \
                 are not looked at; more processors, --threads or --filter help"
            ),
        }
    }
}

//! Why an interface is not read.

use std::fmt;

/// Why an interface cannot be opened: where, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LiveError {
    /// There is none of this name.
    NoSuchInterface {
        /// The name.
        interface: String,
        /// Those that there are.
        available: Vec<String>,
    },
    /// It is set down.
    Down {
        /// Its name.
        interface: String,
    },
    /// The capability is missing.
    NotPermitted {
        /// Its name.
        interface: String,
    },
    /// libpcap does not compile the filter.
    Filter {
        /// The interface it was compiled for.
        interface: String,
        /// The filter.
        filter: String,
        /// What libpcap says.
        reason: String,
    },
    /// Anything else.
    Refused {
        /// Its name.
        interface: String,
        /// What libpcap says.
        reason: String,
    },
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchInterface { interface, available } => {
                write!(f, "there is no interface {interface}; there ")?;
                match available.as_slice() {
                    [] => f.write_str("are none that this user may see"),
                    [one] => write!(f, "is {one}"),
                    many => write!(f, "are {}", many.join(", ")),
                }?;
                f.write_str(" (--wait-for-interface waits for one that comes later)")
            }
            Self::Down { interface } => write!(
                f,
                "interface {interface} is down; `ip link set {interface} up` sets it up \
                 (--wait-for-interface waits until somebody does)"
            ),
            Self::NotPermitted { interface } => write!(
                f,
                "no permission to capture on {interface}: the capability CAP_NET_RAW is missing; \
                 run under the systemd unit, which gives it, or as root, or give it to the \
                 program with `setcap cap_net_raw=ep` and its path"
            ),
            Self::Filter { interface, filter, reason } => {
                write!(f, "--filter {filter:?}: libpcap, for {interface}: {reason}")
            }
            Self::Refused { interface, reason } => {
                write!(f, "cannot capture on {interface}: {reason}")
            }
        }
    }
}

impl std::error::Error for LiveError {}

impl LiveError {
    /// Waiting may help: the interface is not there yet, or not up.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::NoSuchInterface { .. } | Self::Down { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_interface_names_those_there_are() {
        let of = |available: &[&str]| {
            let available = available.iter().map(|name| (*name).to_owned()).collect();
            LiveError::NoSuchInterface { interface: "eth9".into(), available }.to_string()
        };
        assert!(
            of(&["lo", "eth0"]).starts_with("there is no interface eth9; there are lo, eth0 (")
        );
        assert!(of(&["lo"]).contains("there is lo ("));
        assert!(of(&[]).contains("there are none"));
    }
}

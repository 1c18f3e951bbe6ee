//! An interface, read through libpcap.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use pcap::{Active, Capture, Device, Error as PcapError, Precision};

use super::counted::{Running, Wrapping};
use super::privilege::may_capture;
use super::{Drops, LinkState, LiveError, LiveNext, LiveSource, NetRaw};
use crate::capture::LinkType;
use crate::capture::direct::reason;
use crate::time::Timestamp;

/// The kernel hands over what it has at least so often, in milliseconds.
const READ_TIMEOUT_MILLIS: i32 = 100;
/// libpcap's name for all interfaces at once, which has no promiscuous mode.
const ANY: &str = "any";

/// How interfaces are opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of each packet at most; the rest is cut off.
    pub snaplen_bytes: u32,
    /// Bytes of the ring that the kernel fills while nobody reads, for each interface.
    pub buffer_bytes: u32,
    /// See what is not addressed to this host.
    pub promiscuous: bool,
    /// A filter in the language of pcap-filter(7); what it does not let through is never seen.
    pub filter: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { snaplen_bytes: 262_144, buffer_bytes: 64 << 20, promiscuous: true, filter: None }
    }
}

/// An interface, open or to be opened again.
pub struct Interface {
    name: String,
    settings: Settings,
    handle: Option<Handle>,
    received: Wrapping,
    dropped: Wrapping,
    if_dropped: Wrapping,
    rx_dropped: Running,
    rx_missed: Running,
}

struct Handle {
    capture: Capture<Active>,
    link: LinkType,
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interface")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .field("open", &self.handle.is_some())
            .finish_non_exhaustive()
    }
}

impl Interface {
    /// Opens an interface and compiles the filter for it.
    ///
    /// # Errors
    /// When there is none of that name, it is down, the capability is missing, or the filter is
    /// wrong.
    pub fn open(name: &str, settings: &Settings) -> Result<Self, LiveError> {
        let mut interface = Self::closed(name, settings);
        interface.handle = Some(open(name, settings)?);
        interface.drops();
        Ok(interface)
    }

    /// An interface that is opened once it is there: the first read finds it lost.
    #[must_use]
    pub fn closed(name: &str, settings: &Settings) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            handle: None,
            received: Wrapping::default(),
            dropped: Wrapping::default(),
            if_dropped: Wrapping::default(),
            rx_dropped: Running::default(),
            rx_missed: Running::default(),
        }
    }

    fn system(&self, file: &str) -> PathBuf {
        Path::new("/sys/class/net").join(&self.name).join(file)
    }

    fn statistic(&self, name: &str) -> Option<u64> {
        let file = self.system("statistics").join(name);
        fs::read_to_string(file).ok()?.trim().parse().ok()
    }
}

impl LiveSource for Interface {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self) -> LiveNext<'_> {
        let Some(Handle { capture, link }) = &mut self.handle else {
            return LiveNext::Lost("not open".to_owned());
        };
        match capture.next_packet() {
            Ok(packet) => LiveNext::Packet {
                // libpcap was asked for nanoseconds, which stand in the field for microseconds.
                time: Timestamp::from_parts(packet.header.ts.tv_sec, packet.header.ts.tv_usec),
                link: *link,
                bytes: packet.data,
                wire_len: packet.header.len,
            },
            Err(PcapError::TimeoutExpired | PcapError::NoMorePackets) => LiveNext::Idle,
            Err(error) => LiveNext::Lost(reason(error)),
        }
    }

    fn reopen(&mut self) -> Result<(), LiveError> {
        // What the old handle counted last is lost with it.
        self.drops();
        self.handle = None;
        let _capability = NetRaw::hold();
        self.handle = Some(open(&self.name, &self.settings)?);
        for counter in [&mut self.received, &mut self.dropped, &mut self.if_dropped] {
            counter.restart();
        }
        Ok(())
    }

    fn drops(&mut self) -> Drops {
        let (rx_dropped, rx_missed) =
            (self.statistic("rx_dropped"), self.statistic("rx_missed_errors"));
        let stats = self.handle.as_mut().and_then(|handle| handle.capture.stats().ok());
        let mut total = |counter: fn(&mut Self) -> &mut Wrapping, now: Option<u32>| {
            let counter = counter(self);
            match now {
                Some(now) => counter.read(now),
                None => counter.total(),
            }
        };
        Drops {
            received: total(|this| &mut this.received, stats.map(|stats| stats.received)),
            dropped: total(|this| &mut this.dropped, stats.map(|stats| stats.dropped)),
            if_dropped: total(|this| &mut this.if_dropped, stats.map(|stats| stats.if_dropped)),
            rx_dropped: self.rx_dropped.read(rx_dropped),
            rx_missed: self.rx_missed.read(rx_missed),
        }
    }

    fn state(&self) -> LinkState {
        state(&self.name)
    }
}

/// IFF_UP of the interface's flags; interfaces that the system does not list are taken for up.
fn state(name: &str) -> LinkState {
    let class = Path::new("/sys/class/net");
    if name == ANY || !class.is_dir() {
        return LinkState::Up;
    }
    let Ok(flags) = fs::read_to_string(class.join(name).join("flags")) else {
        return LinkState::Gone;
    };
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(1);
    if flags & 1 == 1 { LinkState::Up } else { LinkState::Down }
}

fn open(name: &str, settings: &Settings) -> Result<Handle, LiveError> {
    let whole = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let opened = Capture::from_device(name).and_then(|capture| {
        let capture = capture
            .promisc(settings.promiscuous && name != ANY)
            .snaplen(whole(settings.snaplen_bytes))
            .buffer_size(whole(settings.buffer_bytes))
            .timeout(READ_TIMEOUT_MILLIS)
            .immediate_mode(false)
            .precision(Precision::Nano);
        capture.open()?.setnonblock()
    });
    let mut capture = opened.map_err(|error| explain(name, reason(error)))?;
    if let Some(filter) = &settings.filter {
        capture.filter(filter, true).map_err(|error| LiveError::Filter {
            interface: name.to_owned(),
            filter: filter.clone(),
            reason: reason(error),
        })?;
    }
    let link = LinkType(u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX));
    Ok(Handle { capture, link })
}

/// libpcap has one sentence for several reasons, and sometimes none.
fn explain(name: &str, reason: String) -> LiveError {
    let interface = name.to_owned();
    let available: Vec<String> =
        Device::list().unwrap_or_default().into_iter().map(|device| device.name).collect();
    let listed = available.iter().any(|device| device == name);
    match state(name) {
        LinkState::Gone if !listed => LiveError::NoSuchInterface {
            interface,
            available: available.into_iter().filter(|device| is_network(device)).collect(),
        },
        _ if !may_capture() => LiveError::NotPermitted { interface },
        LinkState::Down => LiveError::Down { interface },
        _ if reason.is_empty() => {
            LiveError::Refused { interface, reason: "libpcap does not say why".to_owned() }
        }
        _ => LiveError::Refused { interface, reason },
    }
}

/// Not one of libpcap's devices for other things than networks.
fn is_network(device: &str) -> bool {
    !["bluetooth", "usbmon", "nflog", "nfqueue", "dbus-"]
        .iter()
        .any(|kind| device.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_is_told_apart() {
        let error = Interface::open("shadowtap-none", &Settings::default()).unwrap_err();
        let LiveError::NoSuchInterface { interface, available } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(interface, "shadowtap-none");
        assert!(available.iter().all(|device| is_network(device)), "{available:?}");
        assert!(error.may_pass());
    }

    #[test]
    fn one_that_is_not_open_is_lost_until_it_is_reopened() {
        let mut interface = Interface::closed("shadowtap-none", &Settings::default());
        assert!(matches!(interface.next(), LiveNext::Lost(_)));
        assert!(interface.reopen().is_err());
        assert_eq!(interface.state(), LinkState::Gone);
        assert_eq!(interface.drops(), Drops::default());
    }

    #[test]
    fn libpcap_s_other_devices_are_no_interfaces() {
        assert!(is_network("eth0") && is_network("any"));
        assert!(!is_network("nflog") && !is_network("usbmon0") && !is_network("bluetooth0"));
    }
}

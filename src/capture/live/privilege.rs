//! Capabilities: what the process needs to capture, and nothing else for longer than needed.

use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};

/// Whether this thread may open interfaces now.
pub(super) fn may_capture() -> bool {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_NET_RAW).unwrap_or(false)
}

/// Gives up every capability of this thread, and so of the threads that it makes from now on, but
/// `CAP_NET_RAW`, which stays permitted without being in effect: an interface that went away can
/// be opened again. Answers whether there was anything to give up.
///
/// # Errors
/// When the kernel refuses.
pub fn give_up_privileges() -> Result<bool, CapsError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    if permitted.is_empty() {
        return Ok(false);
    }
    // The bounding set needs CAP_SETPCAP, which under the unit is not there and not needed.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).unwrap_or(false) {
        for capability in caps::read(None, CapSet::Bounding)? {
            if capability != Capability::CAP_NET_RAW {
                caps::drop(None, CapSet::Bounding, capability)?;
            }
        }
    }
    let kept: CapsHashSet =
        permitted.into_iter().filter(|one| *one == Capability::CAP_NET_RAW).collect();
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::clear(None, CapSet::Effective)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    Ok(true)
}

/// `CAP_NET_RAW` in effect on this thread while it lives, if it is permitted.
#[derive(Debug)]
pub struct NetRaw {
    raised: bool,
}

impl NetRaw {
    /// Puts it into effect.
    #[must_use]
    pub fn hold() -> Self {
        let raised =
            !may_capture() && caps::raise(None, CapSet::Effective, Capability::CAP_NET_RAW).is_ok();
        Self { raised }
    }
}

impl Drop for NetRaw {
    fn drop(&mut self) {
        if self.raised {
            // Lowering what one has is never refused.
            let _lowered = caps::drop(None, CapSet::Effective, Capability::CAP_NET_RAW);
        }
    }
}

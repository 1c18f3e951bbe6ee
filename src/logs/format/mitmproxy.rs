//! What our addon for mitmproxy writes (`deploy/proxies`): the keys that we recommend. Its HAR
//! export is read as [`har`](super::har).

use super::json::{Keys, Lines, Probe, as_it_stands};
use super::recommended;
use crate::logs::{Framing, Likelihood, Meaning, Spec, Stance};

pub(super) static SPEC: Spec = Spec {
    name: "mitmproxy-json",
    title: "mitmproxy, our addon",
    stance: Stance::Forward,
    framing: Framing::Lines,
    sniff,
    open: || Lines::open(keys(), as_it_stands),
};

/// As a reverse proxy it has its own address under another key; the client talked to it as well.
fn keys() -> Keys {
    recommended::keys().otherwise(&[("here", Meaning::Proxy)])
}

fn sniff(bytes: &[u8]) -> Likelihood {
    if Probe::of(bytes).is(recommended::MARKER, "mitmproxy") {
        Likelihood::Certain
    } else {
        Likelihood::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::tests::check;

    #[test]
    fn its_fixture_is_read() {
        check(&SPEC, "mitmproxy-json.json");
    }
}

//! Arbitrary bytes as both sides of a connection in TLS, with its secrets.

use super::cipher::{Opener, Tls12};
use super::keyring::Keyring;
use super::record::{Header, kind};
use super::schedule;
use super::secret::Secret;
use super::session::{Env, Outlook, Receiver, Scratch, Session};
use super::suite::{Hash, Suite};
use super::{KeyringLimits, Limits};
use crate::exchange::{TlsAnswer, TlsHello};
use crate::net::Side;

const CLIENT_RANDOM: [u8; 32] = [0xC1; 32];
const SERVER_RANDOM: [u8; 32] = [0x5E; 32];

/// Checks what every receiver relies on.
#[derive(Debug, Default)]
struct Checker {
    hellos: usize,
    answers: usize,
    over: bool,
}

impl Receiver for Checker {
    fn hello(&mut self, _: Side, _: &TlsHello) {
        assert!(!self.over && self.hellos == 0, "one hello");
        self.hellos += 1;
    }

    fn answer(&mut self, _: &TlsAnswer) {
        assert!(!self.over && self.answers == 0, "one answer");
        self.answers += 1;
    }

    fn plain(&mut self, _: Side, bytes: &[u8]) {
        assert!(!self.over && !bytes.is_empty(), "no empty pieces");
        assert!(self.hellos == 1, "a hello before data");
    }

    fn plain_gap(&mut self, _: Side, len: u64) {
        assert!(!self.over && len > 0, "no empty gaps");
    }

    fn plain_end(&mut self, _: Side) {
        assert!(!self.over, "nothing after the end of hope");
    }

    fn anomaly(&mut self, _: &'static str) {
        assert!(!self.over, "nothing after the end of hope");
    }
}

/// A message of a handshake in a record of its own.
fn hello(kind_of: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind_of, 0];
    message.extend(u16::try_from(body.len()).unwrap_or(0).to_be_bytes());
    message.extend_from_slice(body);
    record(kind::HANDSHAKE, &message)
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap_or(0);
    [&Header { kind, version: [3, 3], len }.bytes()[..], body].concat()
}

/// A ClientHello that offers early data, without anything else of interest.
fn client_hello() -> Vec<u8> {
    let extensions = [0, 42, 0, 0];
    let head = [&[3, 3][..], &CLIENT_RANDOM, &[0, 0, 2, 0x13, 1, 1, 0, 0, 4], &extensions];
    hello(1, &head.concat())
}

fn server_hello(tls13: bool) -> Vec<u8> {
    let rest: &[u8] =
        if tls13 { &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4] } else { &[0, 0xC0, 0x2F, 0] };
    hello(2, &[&[3, 3][..], &SERVER_RANDOM, rest].concat())
}

fn keylog() -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let labels = [
        "CLIENT_EARLY_TRAFFIC_SECRET",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    ];
    let mut text = format!("CLIENT_RANDOM {} {}\n", hex(&CLIENT_RANDOM), hex(&[9; 48]));
    for (number, label) in (0_u8..).zip(labels) {
        text += &format!("{label} {} {}\n", hex(&CLIENT_RANDOM), hex(&[number; 32]));
    }
    text
}

/// Who seals what a side sends.
struct Sealer {
    tls13: bool,
    client: bool,
    secret: Option<Secret>,
    opener: Option<Opener>,
    sequence: u64,
}

impl Sealer {
    fn new(tls13: bool, client: bool) -> Self {
        let mut sealer = Self { tls13, client, secret: None, opener: None, sequence: 0 };
        sealer.enter(if client { 1 } else { 2 });
        sealer
    }

    /// Takes the secret of this number in the key log.
    fn enter(&mut self, number: u8) {
        self.sequence = 0;
        self.secret = Secret::new(&[number; 32]);
        self.opener = if self.tls13 {
            let suite = Suite::of_tls13(0x1301);
            suite.zip(self.secret.as_ref()).and_then(|(suite, secret)| Opener::tls13(suite, secret))
        } else {
            let made_of = Tls12 {
                client_random: &CLIENT_RANDOM,
                server_random: &SERVER_RANDOM,
                encrypt_then_mac: false,
            };
            Suite::of_tls12(0xC02F)
                .zip(Secret::new(&[9; 48]))
                .and_then(|(suite, master)| Opener::tls12(suite, &master, made_of, self.client))
        };
    }

    fn update(&mut self) {
        let next = self.secret.as_ref().and_then(|s| schedule::next_secret(Hash::Sha256, s));
        let suite = Suite::of_tls13(0x1301);
        self.opener = suite.zip(next.as_ref()).and_then(|(suite, next)| Opener::tls13(suite, next));
        (self.secret, self.sequence) = (next, 0);
    }

    fn seal(&mut self, kind_of: u8, bytes: &[u8]) -> Vec<u8> {
        let body = self.opener.as_ref().map(|opener| opener.seal(self.sequence, kind_of, bytes));
        self.sequence += 1;
        let outer = if self.tls13 { kind::APPLICATION_DATA } else { kind_of };
        record(outer, &body.unwrap_or_default())
    }
}

/// Feeds `data` as a connection. The first byte says with what beginning, version and secrets; then
/// one byte of each piece says its side and what it is, the next one its length.
pub fn fuzz(data: &[u8]) {
    let Some((first, mut rest)) = data.split_first() else { return };
    let bit = |bit: u8| first >> bit & 1 == 1;
    let tls13 = bit(0);
    let keys = Keyring::new(KeyringLimits { max_held_bytes: 4 << 10, ..KeyringLimits::default() });
    keys.expect_more(bit(1));
    if bit(2) {
        keys.add_text(keylog().as_bytes());
    }
    let limits = Limits {
        max_held_bytes: 2 << 10,
        max_passed_bytes: 2 << 10,
        max_search_bytes: 4 << 10,
        max_trials: 16,
        max_trial_bytes: 64 << 10,
    };
    let mut scratch = Scratch::default();
    let mut env = Env { keys: &keys, limits: &limits, scratch: &mut scratch };
    let (mut session, mut checker) = (Session::new(), Checker::default());
    let [mut client, mut server] = [Sealer::new(tls13, true), Sealer::new(tls13, false)];
    if bit(3) {
        let change = record(kind::CHANGE_CIPHER_SPEC, &[1]);
        let flight = [server_hello(tls13), change.clone()].concat();
        session.push(Side::Originator, &client_hello(), &mut env, &mut checker);
        session.push(Side::Responder, &flight, &mut env, &mut checker);
        session.push(Side::Originator, &change, &mut env, &mut checker);
    }
    while let [what, len, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        let side = if what & 1 == 0 { Side::Originator } else { Side::Responder };
        let sealer = if side == Side::Originator { &mut client } else { &mut server };
        let sent = match what >> 1 & 15 {
            0 => {
                let outlook = session.gap(side, u64::from(*len) + 1, &mut env, &mut checker);
                checker.over |= outlook == Outlook::Hopeless;
                continue;
            }
            1 => {
                session.finish(side, &mut env, &mut checker);
                continue;
            }
            2 => {
                keys.add_text(keylog().as_bytes());
                continue;
            }
            3 => {
                // The epochs: early data, handshake, application.
                sealer.enter(if sealer.client { *len % 5 } else { 2 + *len % 3 });
                continue;
            }
            4 => {
                sealer.update();
                continue;
            }
            5 => {
                let lost = sealer.seal(kind::APPLICATION_DATA, bytes);
                let outlook = session.gap(side, lost.len() as u64, &mut env, &mut checker);
                checker.over |= outlook == Outlook::Hopeless;
                continue;
            }
            6 => client_hello(),
            7 => server_hello(tls13),
            8 => sealer.seal(kind::HANDSHAKE, bytes),
            9 => sealer.seal(kind::ALERT, bytes),
            10 => sealer.seal(kind::HANDSHAKE, &[24, 0, 0, 1, 0]),
            11 => sealer.seal(kind::HANDSHAKE, &[20, 0, 0, 0]),
            12 | 13 => sealer.seal(kind::APPLICATION_DATA, bytes),
            _ => bytes.to_vec(),
        };
        for piece in [sent.get(..2), sent.get(2..)].into_iter().flatten() {
            let outlook = session.push(side, piece, &mut env, &mut checker);
            checker.over |= outlook == Outlook::Hopeless;
        }
    }
    drop(session);
    assert!(keys.room().grow(4 << 10), "room was given back");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_panics(data in prop::collection::vec(any::<u8>(), 0..400)) {
            fuzz(&data);
        }

        #[test]
        fn nothing_panics_with_secrets(
            first in 4_u8..16,
            pieces in prop::collection::vec((0_u8..32, 0_u8..40), 0..60),
        ) {
            let mut data = vec![first];
            for (what, len) in pieces {
                data.extend([what, len]);
                data.extend(std::iter::repeat_n(what, usize::from(len)));
            }
            fuzz(&data);
        }
    }

    #[derive(Default)]
    struct Plain(Vec<u8>, Vec<&'static str>);

    impl Receiver for Plain {
        fn hello(&mut self, _: Side, _: &TlsHello) {}
        fn answer(&mut self, _: &TlsAnswer) {}
        fn plain(&mut self, _: Side, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
        fn plain_gap(&mut self, _: Side, len: u64) {
            self.0.extend(std::iter::repeat_n(b'?', usize::try_from(len).unwrap()));
        }
        fn plain_end(&mut self, _: Side) {}
        fn anomaly(&mut self, kind: &'static str) {
            self.1.push(kind);
        }
    }

    /// Key updates lost in a gap, and before data that is met in time, on made-up connections.
    #[test]
    fn key_updates_are_followed_through_gaps() {
        let keys = Keyring::default();
        keys.add_text(keylog().as_bytes());
        let (limits, mut scratch) = (Limits::default(), Scratch::default());
        let mut env = Env { keys: &keys, limits: &limits, scratch: &mut scratch };
        let (mut session, mut plain) = (Session::new(), Plain::default());
        let mut server = Sealer::new(true, false);
        session.push(Side::Originator, &client_hello(), &mut env, &mut plain);
        session.push(Side::Responder, &server_hello(true), &mut env, &mut plain);
        let finished = server.seal(kind::HANDSHAKE, &[20, 0, 0, 0]);
        session.push(Side::Responder, &finished, &mut env, &mut plain);
        server.enter(4);
        let update = [24, 0, 0, 1, 0];
        for round in 0..3 {
            let one = server.seal(kind::APPLICATION_DATA, b"one ");
            session.push(Side::Responder, &one, &mut env, &mut plain);
            let change = server.seal(kind::HANDSHAKE, &update);
            server.update();
            let two = server.seal(kind::APPLICATION_DATA, b"two ");
            if round == 1 {
                let lost = (change.len() + two.len()) as u64;
                session.gap(Side::Responder, lost, &mut env, &mut plain);
            } else {
                session.push(Side::Responder, &change, &mut env, &mut plain);
                session.push(Side::Responder, &two, &mut env, &mut plain);
            }
        }
        let text = String::from_utf8(plain.0).unwrap();
        assert!(text.starts_with("one two one ?") && text.ends_with("?one two "), "{text}");
        assert_eq!(plain.1.len(), 0);
    }
}

//! Records in the clear: the handshake of TLS 1.2, the hellos of TLS 1.3.

use super::super::record::{Header, kind as content};
use super::super::suite::Suite;
use super::half::{Epoch, Stage, Step};
use super::hold::Wait;
use super::{Call, Choice, Session};
use crate::app::tls::handshake::{
    ServerHello, certificate_names, client_hello, kind, server_hello,
};
use crate::exchange::{Carrier, TlsAnswer};
use crate::net::Side;

const TLS12: u16 = 0x0303;
const TLS13: u16 = 0x0304;
/// `AlertLevel` fatal.
const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;

impl Session {
    /// A record of a side whose records are in the clear; `None` if it turns out to be protected.
    pub(super) fn clear_record(
        &mut self,
        side: Side,
        header: Header,
        body: &[u8],
        call: &mut Call<'_>,
    ) -> Option<Step> {
        match header.kind {
            content::HANDSHAKE => self.clear_messages(side, body, call),
            content::CHANGE_CIPHER_SPEC => return Some(self.change_cipher(side, call)),
            // One that is protected: joined after the handshake.
            content::ALERT if body.len() != 2 => self.fail(None, call),
            content::ALERT => self.clear_alert(side, body, call),
            content::APPLICATION_DATA => return self.first_data(side, call),
            _ => {}
        }
        Some(Step::Taken)
    }

    fn clear_messages(&mut self, side: Side, body: &[u8], call: &mut Call<'_>) {
        let mut messages = std::mem::take(&mut self.half(side).messages);
        messages.push(body, |kind, body, _| {
            if !self.failed {
                self.clear_message(side, kind, body, call);
            }
        });
        if self.half(side).stage == Stage::Clear {
            self.half(side).messages = messages;
        }
    }

    fn clear_message(&mut self, side: Side, message: u8, body: &[u8], call: &mut Call<'_>) {
        match message {
            kind::CLIENT_HELLO => self.client_greets(side, body, call),
            kind::SERVER_HELLO => self.server_greets(side, body, call),
            kind::HELLO_REQUEST => {}
            // Joined in the middle of a handshake.
            _ if !self.half(side).greeted => self.fail(None, call),
            kind::CERTIFICATE if !self.is_client(side) => {
                if let Some(answer) = &mut self.answer {
                    answer.names = certificate_names(body, false);
                }
                self.conclude_answer(side, call);
            }
            _ if !self.is_client(side) => self.conclude_answer(side, call),
            _ => {}
        }
    }

    fn client_greets(&mut self, side: Side, body: &[u8], call: &mut Call<'_>) {
        if self.client.is_some_and(|client| client != side) {
            self.fail(Some("tls-bad-handshake"), call);
            return;
        }
        if std::mem::replace(&mut self.half(side).greeted, true) {
            return; // After a HelloRetryRequest; with the same random.
        }
        let Some(hello) = client_hello(body) else {
            self.fail(Some("tls-bad-handshake"), call);
            return;
        };
        self.client = Some(side);
        self.client_random = Some(hello.random);
        self.early_offered = hello.early_data;
        call.out.hello(side, &hello.summary(Carrier::Tcp));
        self.look(call);
        if !self.has_hope(call) {
            self.half(side).end(Stage::Off);
        }
        if self.answer_ripe {
            self.conclude_answer(side.other(), call);
        } else {
            self.conclude_if_hopeless(side.other(), call);
        }
    }

    fn server_greets(&mut self, side: Side, body: &[u8], call: &mut Call<'_>) {
        let Some(hello) = server_hello(body).filter(|_| !self.is_client(side)) else {
            self.fail(Some("tls-bad-handshake"), call);
            return;
        };
        self.client = Some(side.other());
        self.half(side).greeted = true;
        if hello.hello_retry {
            self.retried = true;
            self.early_taken = Some(false);
            return;
        }
        if std::mem::replace(&mut self.answered, true) {
            self.fail(Some("tls-bad-handshake"), call);
            return;
        }
        self.answer = Some(Box::new(TlsAnswer {
            version: hello.version,
            cipher_suite: hello.cipher_suite,
            alpn: hello.alpn.clone(),
            names: Vec::new(),
        }));
        self.choose(&hello, call);
        if hello.version == TLS13 {
            self.conclude_if_hopeless(side, call);
        }
    }

    fn choose(&mut self, hello: &ServerHello, call: &mut Call<'_>) {
        let suite = match hello.version {
            TLS13 => Suite::of_tls13(hello.cipher_suite),
            TLS12 => Suite::of_tls12(hello.cipher_suite),
            _ => None,
        };
        self.choice = suite.map(|suite| Choice {
            tls13: hello.version == TLS13,
            suite,
            random: hello.random,
            encrypt_then_mac: hello.encrypt_then_mac,
        });
        self.unreadable = suite.is_none();
        if self.unreadable {
            // The client's side has nothing to tell; the server's may, in the clear.
            if let Some(client) = self.client {
                self.half(client).end(Stage::Off);
            }
            if self.secrets.is_some() {
                let known = matches!(hello.version, TLS12 | TLS13);
                call.out.anomaly(if known {
                    "tls-unsupported-suite"
                } else {
                    "tls-unsupported-version"
                });
            }
        }
    }

    /// Everything is known of the answer that ever will be in the clear. It waits for the hello
    /// where the server's side comes first.
    pub(super) fn conclude_answer(&mut self, side: Side, call: &mut Call<'_>) {
        if self.client_random.is_some() {
            self.tell_answer(call);
        } else {
            self.answer_ripe = true;
        }
        if !self.has_hope(call) {
            self.half(side).end(Stage::Off);
        }
    }

    /// The rest of the answer is encrypted, or comes later.
    fn conclude_if_hopeless(&mut self, side: Side, call: &mut Call<'_>) {
        let tls13 = self.answer.as_ref().is_some_and(|answer| answer.version == TLS13);
        if tls13 && !self.has_hope(call) {
            self.conclude_answer(side, call);
        }
    }

    /// In TLS 1.2 what follows is protected; in TLS 1.3 it says nothing (RFC 8446 section D.4).
    fn change_cipher(&mut self, side: Side, call: &mut Call<'_>) -> Step {
        if !self.half(side).greeted {
            self.fail(None, call);
            return Step::Taken;
        }
        if self.retried || self.choice.is_some_and(|choice| choice.tls13) {
            return Step::Taken;
        }
        if !self.answered {
            return Step::Wait(Wait::Server);
        }
        if !self.is_client(side) {
            self.conclude_answer(side, call);
        }
        let unreadable = self.unreadable;
        let half = self.half(side);
        if unreadable {
            half.end(Stage::Off);
        } else if half.stage == Stage::Clear {
            half.stage = Stage::Sealed;
            half.enter(Epoch::Application);
        }
        Step::Taken
    }

    /// Application data: in TLS 1.3 the first protected record, or early data.
    fn first_data(&mut self, side: Side, call: &mut Call<'_>) -> Option<Step> {
        if !self.half(side).greeted {
            // Joined after the handshake.
            self.fail(None, call);
            return Some(Step::Taken);
        }
        if !self.answered {
            return Some(Step::Wait(Wait::Server));
        }
        match self.choice {
            Some(choice) if choice.tls13 => {
                self.half(side).stage = Stage::Sealed;
                None
            }
            Some(_) => {
                self.fail(Some("tls-bad-record"), call);
                Some(Step::Taken)
            }
            None => {
                self.half(side).end(Stage::Off);
                Some(Step::Taken)
            }
        }
    }

    /// An alert before protection: most end the handshake.
    pub(super) fn clear_alert(&mut self, side: Side, body: &[u8], call: &mut Call<'_>) {
        match body {
            [FATAL, _] => self.fail(None, call),
            [_, CLOSE_NOTIFY] => self.half(side).end(Stage::Over),
            _ => {}
        }
    }

    /// An alert under protection.
    pub(super) fn alert(&mut self, side: Side, body: &[u8], call: &mut Call<'_>) {
        match body {
            [_, CLOSE_NOTIFY] => {
                call.out.plain_end(side);
                self.half(side).end(Stage::Over);
            }
            [FATAL, _] => self.half(side).end(Stage::Over),
            _ => {}
        }
    }
}

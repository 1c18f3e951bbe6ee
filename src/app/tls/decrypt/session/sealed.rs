//! Protected records.
//!
//! TLS 1.3 protects a side with one secret after the other: early data, handshake, application,
//! and a new one after each key update. Messages tell where one ends; where the message cannot be
//! read, because a secret or a part of the capture is missing, the first record that opens under
//! the next secret does.

use super::super::cipher::{Content, Opener, Tls12, may_be_protected};
use super::super::record::{Header, kind as content};
use super::super::schedule;
use super::super::secret::Secret;
use super::half::{Epoch, Seal, Stage, Step};
use super::hold::{Need, Wait};
use super::{Call, Choice, Session};
use crate::app::tls::handshake::{certificate_names, encrypted_extensions_alpn, extension, kind};
use crate::net::Side;

impl Seal {
    pub(super) const fn new(opener: Opener, secret: Option<Secret>) -> Self {
        Self { opener, secret, sequence: 0, shown: None }
    }
}

impl Session {
    /// A record of a side whose records are protected. `body` is lost unless it waits.
    pub(super) fn sealed_record(
        &mut self,
        side: Side,
        header: Header,
        body: &mut [u8],
        call: &mut Call<'_>,
    ) -> Option<Step> {
        let Some(choice) = self.choice else {
            self.half(side).end(Stage::Off);
            return Some(Step::Taken);
        };
        if choice.tls13 {
            match header.kind {
                content::APPLICATION_DATA => {}
                // A fatal alert of who has no keys yet.
                content::ALERT if !self.half(side).opened => {
                    self.clear_alert(side, body, call);
                    return Some(Step::Taken);
                }
                // The second ClientHello, after early data, and compatibility.
                _ => return Some(Step::Taken),
            }
        } else if !may_be_protected(header.kind) {
            return Some(Step::Taken);
        }
        if let Err(wait) = self.ensure_seal(side, choice, call) {
            return Some(Step::Wait(wait));
        }
        self.open(side, header, body, call);
        Some(Step::Taken)
    }

    /// Makes the keys of the current epoch, if they are not there.
    pub(super) fn ensure_seal(
        &mut self,
        side: Side,
        choice: Choice,
        call: &mut Call<'_>,
    ) -> Result<(), Wait> {
        if self.half(side).seal.is_some() {
            return Ok(());
        }
        self.look(call);
        let seal = if choice.tls13 {
            self.enter_first_epoch(side)?;
            self.pass_over_handshake(side, call);
            let need = match self.half(side).epoch {
                Epoch::Application => Need::Traffic,
                Epoch::Early | Epoch::Handshake => Need::Handshake,
            };
            self.seal13(side, self.peek(side).epoch, choice).ok_or(Wait::Secret(need))?
        } else {
            let client_random = self.client_random.as_ref().ok_or(Wait::Client)?;
            let made_of = Tls12 {
                client_random,
                server_random: &choice.random,
                encrypt_then_mac: choice.encrypt_then_mac,
            };
            let master = self.secrets.as_ref().and_then(|secrets| secrets.master.as_ref());
            let master = master.ok_or(Wait::Secret(Need::Master))?;
            let opener = Opener::tls12(choice.suite, master, made_of, self.is_client(side));
            self.half(side).epoch = Epoch::Application;
            Seal::new(opener.ok_or(Wait::Secret(Need::Master))?, None)
        };
        let half = self.half(side);
        half.seal = Some(Box::new(seal));
        half.entered = true;
        Ok(())
    }

    /// The client's side begins with early data if the server takes it.
    fn enter_first_epoch(&mut self, side: Side) -> Result<(), Wait> {
        if self.client_random.is_none() {
            return Err(Wait::Client);
        }
        let known = self.secrets.as_ref().is_some_and(|secrets| secrets.client_early.is_some());
        let first = !self.peek(side).entered;
        if !(first && known && self.is_client(side) && self.early_offered) {
            return Ok(());
        }
        if !self.early_is_decided() {
            return Err(Wait::Early);
        }
        if self.early_taken != Some(false) {
            self.half(side).enter(Epoch::Early);
        }
        Ok(())
    }

    /// Whether the server takes early data is in its encrypted part; where that cannot be read,
    /// it is taken to.
    pub(super) fn early_is_decided(&self) -> bool {
        let server = self.peek(self.client.map_or(Side::Responder, Side::other));
        self.early_taken.is_some()
            || server.epoch == Epoch::Application
            || !matches!(server.stage, Stage::Clear | Stage::Sealed)
    }

    /// Where only the traffic secret of a side is known, its handshake is passed over.
    fn pass_over_handshake(&mut self, side: Side, call: &mut Call<'_>) {
        let missing = self.peek(side).epoch == Epoch::Handshake
            && self.secret(side, Need::Handshake).is_none()
            && self.secret(side, Need::Traffic).is_some()
            && !call.keys.expects_more();
        if missing {
            self.half(side).enter(Epoch::Application);
            if !self.is_client(side) {
                self.tell_answer(call);
            }
        }
    }

    pub(super) fn secret(&self, side: Side, need: Need) -> Option<&Secret> {
        let secrets = self.secrets.as_ref()?;
        match (need, self.is_client(side)) {
            (Need::Master, _) => secrets.master.as_ref(),
            (Need::Handshake, true) => secrets.client_handshake.as_ref(),
            (Need::Handshake, false) => secrets.server_handshake.as_ref(),
            (Need::Traffic, true) => secrets.client_traffic.as_ref(),
            (Need::Traffic, false) => secrets.server_traffic.as_ref(),
        }
    }

    /// Keys of an epoch of TLS 1.3.
    pub(super) fn seal13(&self, side: Side, epoch: Epoch, choice: Choice) -> Option<Seal> {
        let secret = match epoch {
            Epoch::Early => self.secrets.as_ref()?.client_early.as_ref()?,
            Epoch::Handshake => self.secret(side, Need::Handshake)?,
            Epoch::Application => self.secret(side, Need::Traffic)?,
        };
        Some(Seal::new(Opener::tls13(choice.suite, secret)?, Some(secret.clone())))
    }

    /// Opens a record under the current keys, or those that follow.
    fn open(&mut self, side: Side, header: Header, body: &mut [u8], call: &mut Call<'_>) {
        let next = match self.peek(side).epoch {
            Epoch::Application => None,
            Epoch::Early => Some(Epoch::Handshake),
            Epoch::Handshake => Some(Epoch::Application),
        };
        let Some(mut seal) = self.half(side).seal.take() else { return };
        let mut spare = std::mem::take(&mut call.scratch.spare);
        if next.is_some() {
            spare.clear();
            spare.extend_from_slice(body);
        }
        let nonce = seal.opener.explicit_nonce(body);
        if let Some(content) = seal.opener.open(seal.sequence, header, body) {
            seal.advance(nonce);
            self.opened(side, seal, &content, call);
        } else if !self.open_with_next(side, next, header, &mut spare, call) {
            self.half(side).seal = Some(seal);
            self.pass_over(side, header, call);
        }
        call.scratch.spare = spare;
    }

    fn open_with_next(
        &mut self,
        side: Side,
        next: Option<Epoch>,
        header: Header,
        body: &mut [u8],
        call: &mut Call<'_>,
    ) -> bool {
        let (Some(next), Some(choice)) = (next, self.choice) else { return false };
        let Some(mut seal) = self.seal13(side, next, choice) else { return false };
        let Some(content) = seal.opener.open(0, header, body) else { return false };
        seal.advance(None);
        self.enter(side, next, call);
        self.opened(side, Box::new(seal), &content, call);
        true
    }

    /// The next records are of another epoch of TLS 1.3.
    pub(super) fn enter(&mut self, side: Side, epoch: Epoch, call: &mut Call<'_>) {
        let client = self.is_client(side);
        let half = self.half(side);
        half.messages.reset();
        half.enter(epoch);
        if epoch == Epoch::Application && !client {
            self.tell_answer(call);
        }
    }

    /// A record that does not open: one whose secret is not known, or the end.
    fn pass_over(&mut self, side: Side, header: Header, call: &mut Call<'_>) {
        let early = self.is_client(side) && self.early_offered;
        let unread_handshake = self.secret(side, Need::Handshake).is_none();
        let tls13 = self.choice.is_some_and(|choice| choice.tls13);
        let half = self.half(side);
        let excused = match half.epoch {
            Epoch::Early | Epoch::Handshake => early,
            Epoch::Application => tls13 && unread_handshake,
        };
        half.passed = half.passed.saturating_add(header.body_bytes());
        half.passed_records += 1;
        if half.opened || !excused || half.passed > call.limits.max_passed_bytes {
            self.fail(Some("tls-decrypt-failed"), call);
        }
    }

    /// A record was opened with these keys.
    pub(super) fn opened(
        &mut self,
        side: Side,
        seal: Box<Seal>,
        content: &Content<'_>,
        call: &mut Call<'_>,
    ) {
        self.decrypted = true;
        self.tell_passed(side, call);
        let half = self.half(side);
        half.seal = Some(seal);
        half.opened = true;
        match content.kind {
            content::APPLICATION_DATA if content.bytes.is_empty() => {}
            content::APPLICATION_DATA => call.out.plain(side, content.bytes),
            content::ALERT => self.alert(side, content.bytes, call),
            content::HANDSHAKE => self.sealed_messages(side, content.bytes, call),
            _ => {}
        }
    }

    /// Early data that the server took, and whose secret is not known, is missing. Its last record
    /// is an EndOfEarlyData message.
    fn tell_passed(&mut self, side: Side, call: &mut Call<'_>) {
        let taken = self.early_taken != Some(false);
        let half = self.half(side);
        if half.opened || half.epoch != Epoch::Handshake || half.passed_records == 0 {
            return;
        }
        let records = std::mem::take(&mut half.passed_records);
        let lost = half.passed.saturating_sub(records * 17 + 4);
        if taken && lost > 0 {
            call.out.plain_gap(side, lost as u64);
        }
    }

    fn sealed_messages(&mut self, side: Side, bytes: &[u8], call: &mut Call<'_>) {
        let tls13 = self.choice.is_some_and(|choice| choice.tls13);
        let epoch = self.peek(side).epoch;
        let mut messages = std::mem::take(&mut self.half(side).messages);
        messages.push(bytes, |kind, body, _| {
            if self.failed {
            } else if tls13 {
                self.message13(side, kind, body, call);
            } else if matches!(kind, kind::CLIENT_HELLO | kind::SERVER_HELLO) {
                self.fail(Some("tls-renegotiation"), call);
            }
        });
        if self.peek(side).epoch == epoch && !self.failed {
            self.half(side).messages = messages;
        }
    }

    fn message13(&mut self, side: Side, message: u8, body: &[u8], call: &mut Call<'_>) {
        match (self.peek(side).epoch, message) {
            (Epoch::Early, kind::END_OF_EARLY_DATA) => self.enter(side, Epoch::Handshake, call),
            (Epoch::Handshake, kind::FINISHED) => self.enter(side, Epoch::Application, call),
            (Epoch::Handshake, kind::ENCRYPTED_EXTENSIONS) if !self.is_client(side) => {
                self.early_taken = Some(takes_early_data(body));
                if let Some(answer) = &mut self.answer {
                    answer.alpn = encrypted_extensions_alpn(body);
                }
            }
            (Epoch::Handshake, kind::CERTIFICATE) if !self.is_client(side) => {
                if let Some(answer) = &mut self.answer {
                    answer.names = certificate_names(body, true);
                }
                self.tell_answer(call);
            }
            (Epoch::Application, kind::KEY_UPDATE) => self.update_keys(side, call),
            _ => {}
        }
    }

    fn update_keys(&mut self, side: Side, call: &mut Call<'_>) {
        let next = self.peek(side).seal.as_deref().and_then(|seal| self.next_seal(seal));
        match next {
            Some(seal) => self.half(side).seal = Some(Box::new(seal)),
            None => self.fail(Some("tls-decrypt-failed"), call),
        }
    }

    /// The keys that follow a key update.
    pub(super) fn next_seal(&self, seal: &Seal) -> Option<Seal> {
        let suite = self.choice?.suite;
        let secret = schedule::next_secret(suite.hash, seal.secret.as_ref()?)?;
        Some(Seal::new(Opener::tls13(suite, &secret)?, Some(secret)))
    }
}

impl Seal {
    /// A record was opened.
    pub(super) fn advance(&mut self, nonce: Option<u64>) {
        self.shown = nonce.map(|nonce| (self.sequence, nonce));
        self.sequence += 1;
    }
}

/// Whether EncryptedExtensions say so (RFC 8446 section 4.2.10).
fn takes_early_data(body: &[u8]) -> bool {
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some(([a, b, high, low], after)) = rest.split_first_chunk() {
        if u16::from_be_bytes([*a, *b]) == extension::EARLY_DATA {
            return true;
        }
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        rest = after.get(len..).unwrap_or_default();
    }
    false
}

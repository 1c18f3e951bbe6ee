//! One TCP connection that plays a script, packet by packet.

use super::Random;
use super::frame::Tcp;
use super::script::{Script, Side};

const MSS: usize = 1_448;
/// Hosts that open flows.
const CLIENTS: u64 = 4_000;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Where a connection stands.
#[derive(Debug)]
enum Stage {
    Syn,
    SynAck,
    Ack,
    Data,
    Fin(u8),
    Over,
}

/// A connection in the middle of its script.
#[derive(Debug)]
pub struct Flow {
    client: (u32, u16),
    server: (u32, u16),
    step: u64,
    script: Script,
    turn: usize,
    offset: usize,
    unacked: usize,
    seq: [u32; 2],
    stage: Stage,
    lossy: bool,
    /// A data segment that comes late.
    late: Option<(Side, u32, Vec<u8>)>,
}

impl Flow {
    pub fn new(
        number: u64,
        _start: u64,
        step: u64,
        port: u16,
        script: Script,
        lossy: bool,
    ) -> Self {
        // The network 198.18.0.0/15 is for benchmarks (RFC 2544).
        let client = 0xc612_0000 | (number % CLIENTS) as u32;
        let server = 0xc613_0000 | (number * 7 % 500) as u32;
        let sport = 20_000 + (number / CLIENTS % 40_000) as u16;
        let isn = (number as u32).wrapping_mul(2_654_435_761);
        Self {
            client: (client, sport),
            server: (server, port),
            step,
            script,
            turn: 0,
            offset: 0,
            unacked: 0,
            seq: [isn, isn.wrapping_mul(3).wrapping_add(77)],
            stage: Stage::Syn,
            lossy,
            late: None,
        }
    }

    /// Appends the packet that is due at `time`, if the capture has it; answers when the next is.
    pub fn next(&mut self, time: u64, out: &mut Vec<u8>, random: &mut Random) -> Option<u64> {
        match self.stage {
            Stage::Syn => self.control(Side::Client, SYN, Stage::SynAck, out),
            Stage::SynAck => self.control(Side::Server, SYN | ACK, Stage::Ack, out),
            Stage::Ack => {
                self.send(Side::Client, ACK, self.seq[0], &[], out);
                self.stage = Stage::Data;
            }
            Stage::Data => self.data(out, random),
            Stage::Fin(0) => self.control(Side::Client, FIN | ACK, Stage::Fin(1), out),
            Stage::Fin(1) => self.control(Side::Server, FIN | ACK, Stage::Fin(2), out),
            Stage::Fin(_) => {
                self.send(Side::Client, ACK, self.seq[0], &[], out);
                self.stage = Stage::Over;
            }
            Stage::Over => return None,
        }
        Some(time + self.step / 2 + random.next() % self.step)
    }

    fn control(&mut self, side: Side, flags: u8, next: Stage, out: &mut Vec<u8>) {
        self.send(side, flags, self.seq[side as usize], &[], out);
        self.seq[side as usize] = self.seq[side as usize].wrapping_add(1);
        self.stage = next;
    }

    fn data(&mut self, out: &mut Vec<u8>, random: &mut Random) {
        if let Some((side, seq, payload)) = self.late.take() {
            self.send(side, PSH | ACK, seq, &payload, out);
            return;
        }
        let Some((side, bytes)) = self.script.get(self.turn) else {
            self.stage = Stage::Fin(0);
            return;
        };
        let side = *side;
        if self.unacked >= 2 {
            self.unacked = 0;
            self.send(side.other(), ACK, self.seq[side.other() as usize], &[], out);
            return;
        }
        let end = (self.offset + MSS).min(bytes.len());
        let payload = bytes[self.offset..end].to_vec();
        let seq = self.seq[side as usize];
        self.seq[side as usize] = seq.wrapping_add(payload.len() as u32);
        (self.offset, self.unacked) = (end, self.unacked + 1);
        if end == bytes.len() {
            (self.turn, self.offset) = (self.turn + 1, 0);
        }
        if self.lossy && random.chance(0.8) {
            return;
        }
        if self.lossy && random.chance(4.0) && self.offset > 0 {
            self.late = Some((side, seq, payload));
            return;
        }
        self.send(side, PSH | ACK, seq, &payload, out);
    }

    fn send(&self, side: Side, flags: u8, seq: u32, payload: &[u8], out: &mut Vec<u8>) {
        let (src, dst) = match side {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        };
        let ack = if flags & ACK != 0 { self.seq[side.other() as usize] } else { 0 };
        Tcp { src, dst, seq, ack, flags, payload }.write(out);
    }
}

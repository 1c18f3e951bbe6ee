//! The `gzip` coding (RFC 1952), several members one after the other.

use flate2::Crc;

use super::Oddity;
use super::deflate::Inflate;
use super::stack::Step;

const FHCRC: u8 = 0x02;
const FEXTRA: u8 = 0x04;
const FNAME: u8 = 0x08;
const FCOMMENT: u8 = 0x10;

/// Where in a member the next byte is (RFC 1952 section 2.3).
#[derive(Clone, Copy, Debug)]
enum Part {
    /// Byte of the fixed header.
    Fixed(u8),
    ExtraLenLow,
    ExtraLenHigh(u8),
    /// Bytes left of the extra field.
    Extra(u16),
    Name,
    Comment,
    /// Bytes left of the header's checksum, which is not checked.
    HeaderCrc(u8),
    Body,
    /// Byte of the trailer.
    Trailer(u8),
    /// After a member.
    Between,
}

#[derive(Debug)]
pub(super) struct Gzip {
    part: Part,
    /// Optional header fields still to come.
    flags: u8,
    inflate: Inflate,
    crc: Crc,
    trailer: [u8; 8],
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Fixed(0),
            flags: 0,
            inflate: Inflate::new(),
            crc: Crc::new(),
            trailer: [0; 8],
        }
    }

    /// A stream that was cut inside the trailer lost nothing that matters.
    pub(super) const fn is_complete(&self) -> bool {
        matches!(self.part, Part::Between | Part::Trailer(_))
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        if matches!(self.part, Part::Body) {
            return self.body(input, output);
        }
        let mut step = Step::default();
        for &byte in input {
            if matches!(self.part, Part::Body) {
                break;
            }
            match self.framing(byte) {
                Ok(note) => step.note = step.note.or(note),
                Err(oddity) => {
                    step.fault = Some(oddity);
                    break;
                }
            }
            step.consumed += 1;
        }
        step
    }

    fn body(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (step, ended) = self.inflate.step(input, output);
        self.crc.update(output.get(..step.produced).unwrap_or_default());
        if ended {
            self.part = Part::Trailer(0);
        }
        step
    }

    /// One byte of a header or trailer; a note if the trailer does not match.
    fn framing(&mut self, byte: u8) -> Result<Option<Oddity>, Oddity> {
        self.part = match self.part {
            Part::Fixed(at) => self.fixed(at, byte)?,
            Part::ExtraLenLow => Part::ExtraLenHigh(byte),
            Part::ExtraLenHigh(low) => match u16::from_le_bytes([low, byte]) {
                0 => self.next_optional(),
                len => Part::Extra(len),
            },
            Part::Extra(left) if left > 1 => Part::Extra(left - 1),
            Part::Name if byte != 0 => Part::Name,
            Part::Comment if byte != 0 => Part::Comment,
            Part::HeaderCrc(left) if left > 1 => Part::HeaderCrc(left - 1),
            Part::Extra(_) | Part::Name | Part::Comment => self.next_optional(),
            Part::HeaderCrc(_) | Part::Body => Part::Body,
            Part::Trailer(at) => {
                if let Some(slot) = self.trailer.get_mut(usize::from(at)) {
                    *slot = byte;
                }
                if at < 7 {
                    Part::Trailer(at + 1)
                } else {
                    let note = (!self.trailer_matches()).then_some(Oddity::Checksum);
                    self.part = Part::Between;
                    return Ok(note);
                }
            }
            Part::Between => {
                self.inflate.reset();
                self.crc.reset();
                self.fixed(0, byte).map_err(|_| Oddity::Trailing)?
            }
        };
        Ok(None)
    }

    fn fixed(&mut self, at: u8, byte: u8) -> Result<Part, Oddity> {
        let fits = match at {
            0 => byte == 0x1f,
            1 => byte == 0x8b,
            2 => byte == 8,
            3 => {
                self.flags = byte;
                true
            }
            _ => true,
        };
        match (fits, at) {
            (false, _) => Err(Oddity::Corrupt),
            (true, 0..9) => Ok(Part::Fixed(at + 1)),
            (true, _) => Ok(self.next_optional()),
        }
    }

    fn next_optional(&mut self) -> Part {
        let order = [
            (FEXTRA, Part::ExtraLenLow),
            (FNAME, Part::Name),
            (FCOMMENT, Part::Comment),
            (FHCRC, Part::HeaderCrc(2)),
        ];
        for (flag, part) in order {
            if self.flags & flag != 0 {
                self.flags &= !flag;
                return part;
            }
        }
        Part::Body
    }

    /// CRC-32 and size modulo 2^32 of the plain data.
    fn trailer_matches(&self) -> bool {
        let [a, b, c, d, e, f, g, h] = self.trailer;
        u32::from_le_bytes([a, b, c, d]) == self.crc.sum()
            && u32::from_le_bytes([e, f, g, h]) == self.crc.amount()
    }
}

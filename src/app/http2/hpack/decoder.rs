//! The representations of RFC 7541 section 6.

use super::super::Limits;
use super::fields::Fields;
use super::huffman;
use super::static_table;
use super::table::{Lookup, Table};

/// Table size before any SETTINGS (RFC 9113 section 6.5.2), in bytes.
const INITIAL_TABLE_BYTES: u32 = 4096;
/// Bytes that the table may add to the fields for each byte of a block, and in advance: requests
/// with kilobytes of cookies repeat them in a few bytes each.
const CREDIT_PER_BYTE: u64 = 256;
const INITIAL_CREDIT_BYTES: u64 = 1 << 20;
const MAX_CREDIT_BYTES: u64 = 4 << 20;

/// The rest of the block makes no sense.
#[derive(Debug)]
pub(super) struct Broken;

/// One direction's decoder. The table takes at most `max_table_bytes` twice over.
#[derive(Debug)]
pub(in crate::app) struct Decoder {
    table: Table,
    /// The largest table that the receiver has ever allowed.
    allowed_bytes: u32,
    /// What the encoder said since.
    update: Option<u32>,
    /// Nothing is known of the table's size.
    unsized_table: bool,
    credit: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            table: Table::default(),
            allowed_bytes: INITIAL_TABLE_BYTES,
            update: None,
            unsized_table: false,
            credit: INITIAL_CREDIT_BYTES,
        }
    }
}

/// A literal's name and value in the arena.
struct Literal {
    value_at: usize,
    known: bool,
}

impl Decoder {
    /// The receiver's `SETTINGS_HEADER_TABLE_SIZE`. When the encoder learns of it is not visible;
    /// a table that is larger than the encoder's does no harm, so that the largest one counts
    /// until the encoder says what it uses.
    pub(in crate::app) fn allow(&mut self, bytes: u32) {
        self.allowed_bytes = self.allowed_bytes.max(bytes);
    }

    /// A block was missed, or the connection was met midstream.
    pub(in crate::app) fn lose(&mut self) {
        self.table.lose();
        self.update = None;
        self.unsized_table = true;
    }

    /// The encoder turns out to begin here.
    pub(in crate::app) fn restart(&mut self) {
        self.table.empty();
        (self.update, self.unsized_table) = (None, false);
    }

    fn capacity(&mut self, limits: &Limits) -> usize {
        let max = limits.max_table_bytes;
        let bytes = match self.update {
            Some(bytes) => bytes,
            None if self.unsized_table => return max,
            None => self.allowed_bytes,
        };
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes > max {
            self.table.forget_oldest();
        }
        bytes.min(max)
    }

    /// Reads a block into `out`, which is cleared. `cut`: the end of the block is missing.
    pub(in crate::app) fn decode(
        &mut self,
        block: &[u8],
        cut: bool,
        limits: &Limits,
        out: &mut Fields,
    ) {
        out.clear();
        self.credit = (self.credit + block.len() as u64 * CREDIT_PER_BYTE).min(MAX_CREDIT_BYTES);
        let mut rest = block;
        while let Some(first) = rest.first().copied() {
            let step = match first {
                0x80.. => self.indexed(&mut rest, limits, out),
                0x40.. => self.literal(&mut rest, 6, true, limits, out),
                0x20.. => self.resize(&mut rest, limits, out),
                _ => self.literal(&mut rest, 4, false, limits, out),
            };
            if step.is_err() {
                out.findings.malformed |= !cut;
                self.lose();
                return;
            }
        }
        if cut {
            self.lose();
        }
    }

    /// Section 6.1.
    fn indexed(
        &mut self,
        rest: &mut &[u8],
        limits: &Limits,
        out: &mut Fields,
    ) -> Result<(), Broken> {
        let index = integer(rest, 7)?;
        if out.is_full(limits) {
            out.findings.too_large = true;
            return Ok(());
        }
        let mark = out.mark();
        if let Some((name, value)) = static_table::entry(index) {
            out.bytes_mut().extend_from_slice(name.as_bytes());
            let value_at = out.mark();
            out.bytes_mut().extend_from_slice(value.as_bytes());
            out.keep(mark, value_at, limits);
            return Ok(());
        }
        if let Some((name, value)) = self.lookup(index, true, out) {
            out.bytes_mut().extend_from_slice(name);
            let value_at = out.mark();
            out.bytes_mut().extend_from_slice(value);
            out.keep(mark, value_at, limits);
        }
        Ok(())
    }

    /// An entry of the dynamic table whose name, or all of it, is to be copied.
    fn lookup(&mut self, index: u32, whole: bool, out: &mut Fields) -> Option<(&[u8], &[u8])> {
        let Some(back) = index.checked_sub(static_table::LEN + 1) else {
            // Index 0, as all static ones were looked up before.
            out.findings.malformed = true;
            return None;
        };
        match self.table.get(back) {
            Lookup::Field(name, value) => {
                let bytes = name.len() + if whole { value.len() } else { 0 };
                let Some(left) = self.credit.checked_sub(bytes as u64) else {
                    out.findings.expanded = true;
                    return None;
                };
                self.credit = left;
                Some((name, value))
            }
            Lookup::Unknown => {
                out.findings.unknown = true;
                None
            }
            Lookup::Missing => {
                out.findings.malformed = true;
                None
            }
        }
    }

    /// Sections 6.2.1 to 6.2.3.
    fn literal(
        &mut self,
        rest: &mut &[u8],
        prefix: u32,
        insert: bool,
        limits: &Limits,
        out: &mut Fields,
    ) -> Result<(), Broken> {
        let mark = out.mark();
        let literal = self.read_literal(rest, prefix, out);
        let Ok(Literal { value_at, known }) = literal else {
            out.drop_since(mark);
            return Err(Broken);
        };
        if insert {
            let capacity = self.capacity(limits);
            let field = if known { out.since(mark, value_at) } else { None };
            self.table.insert(field, capacity);
        }
        if known {
            out.keep(mark, value_at, limits);
        } else {
            out.drop_since(mark);
        }
        Ok(())
    }

    fn read_literal(
        &mut self,
        rest: &mut &[u8],
        prefix: u32,
        out: &mut Fields,
    ) -> Result<Literal, Broken> {
        let index = integer(rest, prefix)?;
        let mut known = true;
        if index == 0 {
            known &= string(rest, out)?;
        } else if let Some((name, _)) = static_table::entry(index) {
            out.bytes_mut().extend_from_slice(name.as_bytes());
        } else if let Some((name, _)) = self.lookup(index, false, out) {
            out.bytes_mut().extend_from_slice(name);
        } else {
            known = false;
        }
        let value_at = out.mark();
        known &= string(rest, out)?;
        Ok(Literal { value_at, known })
    }

    /// Section 6.3.
    fn resize(
        &mut self,
        rest: &mut &[u8],
        limits: &Limits,
        out: &mut Fields,
    ) -> Result<(), Broken> {
        let bytes = integer(rest, 5)?;
        // Section 4.2: at the beginning of a block, and not more than the receiver allows.
        out.findings.late_resize |= !out.is_empty();
        out.findings.malformed |= bytes > self.allowed_bytes && !self.unsized_table;
        self.update = Some(bytes);
        if bytes == 0 {
            self.table.empty();
            self.unsized_table = false;
        }
        let capacity = self.capacity(limits);
        self.table.evict(capacity);
        Ok(())
    }
}

/// Section 5.1, of at most 32 bits in at most five octets after the prefix.
pub(super) fn integer(rest: &mut &[u8], prefix: u32) -> Result<u32, Broken> {
    let (first, mut tail) = rest.split_first().ok_or(Broken)?;
    let mask = (1_u32 << prefix) - 1;
    let start = u32::from(*first) & mask;
    let mut value = u64::from(start);
    if start == mask {
        let mut shift = 0;
        loop {
            let (octet, after) = tail.split_first().ok_or(Broken)?;
            tail = after;
            value += u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 28 {
                return Err(Broken);
            }
        }
    }
    *rest = tail;
    u32::try_from(value).map_err(|_| Broken)
}

/// Section 5.2: appends the string. False when its code makes no sense.
fn string(rest: &mut &[u8], out: &mut Fields) -> Result<bool, Broken> {
    let coded = rest.first().ok_or(Broken)? & 0x80 != 0;
    let len = usize::try_from(integer(rest, 7)?).unwrap_or(usize::MAX);
    let (text, tail) = rest.split_at_checked(len).ok_or(Broken)?;
    *rest = tail;
    if !coded {
        out.bytes_mut().extend_from_slice(text);
        return Ok(true);
    }
    let valid = huffman::decode(text, out.bytes_mut()).is_ok();
    out.findings.malformed |= !valid;
    Ok(valid)
}

//! An encoder, for tests and fuzzers: it mirrors the table as RFC 7541 has it.

use std::collections::VecDeque;

use super::{huffman, static_table};

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Form {
    /// By index where there is one, else with incremental indexing.
    Indexing,
    Plain,
    Never,
}

#[derive(Clone, Debug)]
pub(in crate::app) struct Encoder {
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    capacity: usize,
    pub(in crate::app) huffman: bool,
}

impl Encoder {
    pub(in crate::app) const fn new() -> Self {
        Self { table: VecDeque::new(), capacity: 4096, huffman: true }
    }

    /// All fields with incremental indexing.
    pub(in crate::app) fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in fields {
            self.field(name.as_bytes(), value.as_bytes(), Form::Indexing, &mut out);
        }
        out
    }

    fn find(&self, matches: impl Fn(&[u8], &[u8]) -> bool) -> Option<u32> {
        let fixed = (1..=static_table::LEN).find(|index| {
            static_table::entry(*index).is_some_and(|(n, v)| matches(n.as_bytes(), v.as_bytes()))
        });
        let dynamic = || (62..).zip(&self.table).find(|(_, (n, v))| matches(n, v));
        fixed.or_else(|| dynamic().map(|(index, _)| index))
    }

    pub(in crate::app) fn field(
        &mut self,
        name: &[u8],
        value: &[u8],
        form: Form,
        out: &mut Vec<u8>,
    ) {
        if form == Form::Indexing
            && let Some(index) = self.find(|n, v| n == name && v == value)
        {
            return integer(index, 7, 0x80, out);
        }
        let index = self.find(|n, _| n == name);
        let (prefix, pattern) = match form {
            Form::Indexing => (6, 0x40),
            Form::Plain => (4, 0),
            Form::Never => (4, 0x10),
        };
        integer(index.unwrap_or(0), prefix, pattern, out);
        if index.is_none() {
            self.string(name, out);
        }
        self.string(value, out);
        if form == Form::Indexing {
            self.table.push_front((name.to_vec(), value.to_vec()));
            self.evict();
        }
    }

    fn evict(&mut self) {
        let size = |table: &VecDeque<(Vec<u8>, Vec<u8>)>| -> usize {
            table.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
        };
        while size(&self.table) > self.capacity {
            self.table.pop_back();
        }
    }

    pub(in crate::app) fn resize(&mut self, bytes: u32, out: &mut Vec<u8>) {
        self.capacity = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.evict();
        integer(bytes, 5, 0x20, out);
    }

    fn string(&self, text: &[u8], out: &mut Vec<u8>) {
        let mut coded = Vec::new();
        huffman::encode(text, &mut coded);
        let (text, flag) = if self.huffman { (coded.as_slice(), 0x80) } else { (text, 0) };
        integer(u32::try_from(text.len()).unwrap_or(u32::MAX), 7, flag, out);
        out.extend_from_slice(text);
    }
}

fn integer(value: u32, prefix: u32, pattern: u8, out: &mut Vec<u8>) {
    let mask = (1_u32 << prefix) - 1;
    let octet = |value: u32| u8::try_from(value & 0xff).unwrap_or_default();
    if value < mask {
        return out.push(pattern | octet(value));
    }
    out.push(pattern | octet(mask));
    let mut left = value - mask;
    while left >= 0x80 {
        out.push(octet(left) | 0x80);
        left >>= 7;
    }
    out.push(octet(left));
}

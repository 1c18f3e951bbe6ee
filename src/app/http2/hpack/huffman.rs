//! The Huffman code of RFC 7541 section 5.2 and appendix B.
//!
//! The code is canonical: shorter codes come first, and codes of one length follow the order of
//! their symbols. So the lengths alone define it, and all tables are made from them when this is
//! compiled. Codes of up to eight bits, which is nearly all text, take one look-up a symbol.

/// Bits of the code of each symbol; the last one is EOS.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
    30,
];
const EOS: u16 = 256;
const MAX_BITS: usize = 30;

/// All codes of one length, as the left end of 32 bits.
#[derive(Clone, Copy)]
struct Row {
    /// The first one.
    first: u32,
    /// One beyond the last one.
    end: u64,
    /// Place of the first one's symbol in `SYMBOLS`.
    symbol: u16,
}

struct Code {
    rows: [Row; MAX_BITS + 1],
    /// In the order of their codes.
    symbols: [u16; 257],
    /// By the next eight bits: length and symbol, zero where the code is longer.
    short: [u16; 256],
    /// By symbol, right-aligned.
    #[cfg(test)]
    codes: [u32; 257],
}

static CODE: Code = build();

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "runs when this is compiled, on at most 30 bits and 257 symbols"
)]
const fn build() -> Code {
    let mut rows = [Row { first: 0, end: 0, symbol: 0 }; MAX_BITS + 1];
    let (mut symbols, mut short, mut codes) = ([0_u16; 257], [0_u16; 256], [0_u32; 257]);
    let (mut code, mut place, mut bits) = (0_u64, 0, 1);
    while bits <= MAX_BITS {
        code <<= 1;
        let shift = 32 - bits;
        let first = ((code << shift) as u32, place as u16);
        let mut symbol = 0_u16;
        while symbol < 257 {
            if LENGTHS[symbol as usize] as usize == bits {
                symbols[place] = symbol;
                let value = code as u32;
                codes[symbol as usize] = value;
                let mut after = 0;
                while bits <= 8 && after < 1 << (8 - bits) {
                    short[((value as usize) << (8 - bits)) + after] = (bits as u16) << 8 | symbol;
                    after += 1;
                }
                code += 1;
                place += 1;
            }
            symbol += 1;
        }
        rows[bits] = Row { first: first.0, end: code << shift, symbol: first.1 };
        bits += 1;
    }
    #[cfg(not(any(test, fuzzing)))]
    let _ = codes;
    Code {
        rows,
        symbols,
        short,
        #[cfg(test)]
        codes,
    }
}

/// No Huffman code: EOS inside, or padding that is too long or not of ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) struct Malformed;

/// Appends the decoded string: at most 8/5 of the input.
pub(in crate::app) fn decode(mut input: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.reserve(input.len() * 8 / 5);
    // The next bits, left-aligned, and how many they are.
    let (mut window, mut bits) = (0_u64, 0_u32);
    loop {
        if bits <= 32 {
            if let Some((word, rest)) = input.split_first_chunk::<4>() {
                window |= u64::from(u32::from_be_bytes(*word)) << (32 - bits);
                bits += 32;
                input = rest;
            } else {
                while let Some((byte, rest)) = input.split_first().filter(|_| bits <= 56) {
                    window |= u64::from(*byte) << (56 - bits);
                    bits += 8;
                    input = rest;
                }
            }
        }
        let (symbol, length) = next(window);
        if length > bits {
            // Section 5.2: padding is less than a byte of the start of EOS, which is all ones.
            let ones = window.leading_ones() >= bits;
            return if bits < 8 && ones { Ok(()) } else { Err(Malformed) };
        }
        let Ok(byte) = u8::try_from(symbol) else { return Err(Malformed) };
        out.push(byte);
        window <<= length;
        bits -= length;
    }
}

/// The symbol that begins the window, and its length.
fn next(window: u64) -> (u16, u32) {
    let [top, ..] = window.to_be_bytes();
    let short = CODE.short.get(usize::from(top)).copied().unwrap_or_default();
    if short != 0 {
        return (short & 0xff, u32::from(short >> 8));
    }
    let word = window >> 32;
    for (bits, row) in (0_u32..).zip(&CODE.rows).skip(9) {
        if word < row.end {
            let place = (word - u64::from(row.first)) >> (32 - bits);
            let place = usize::from(row.symbol) + usize::try_from(place).unwrap_or(usize::MAX);
            return (CODE.symbols.get(place).copied().unwrap_or(EOS), bits);
        }
    }
    (EOS, 30)
}

/// Appends the encoded string.
#[cfg(test)]
pub(in crate::app) fn encode(input: &[u8], out: &mut Vec<u8>) {
    let (mut window, mut bits) = (0_u64, 0_u32);
    for byte in input {
        let at = usize::from(*byte);
        let length = u32::from(LENGTHS.get(at).copied().unwrap_or(30));
        window = window << length | u64::from(CODE.codes.get(at).copied().unwrap_or_default());
        bits += length;
        while bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(window >> bits & 0xff).unwrap_or_default());
        }
    }
    if bits > 0 {
        let padded = window << (8 - bits) | (0xff >> bits);
        out.push(u8::try_from(padded & 0xff).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(input: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        decode(input, &mut out).map(|()| out)
    }

    #[test]
    fn codes_are_those_of_appendix_b() {
        let table: &[(usize, u32, u8)] = &[
            (0, 0x1ff8, 13),
            (10, 0x3fff_fffc, 30),
            (32, 0x14, 6),
            (48, 0x0, 5),
            (92, 0x7fff0, 19),
            (122, 0x7b, 7),
            (127, 0xfff_fffc, 28),
            (249, 0xfff_fffe, 28),
            (255, 0x3ff_ffee, 26),
            (256, 0x3fff_ffff, 30),
        ];
        for (symbol, code, bits) in table {
            assert_eq!((CODE.codes[*symbol], LENGTHS[*symbol]), (*code, *bits), "{symbol}");
        }
    }

    #[test]
    fn every_octet_comes_back() {
        for byte in 0..=255_u8 {
            for input in [vec![byte], vec![byte; 9], vec![b'0', byte, b'~', byte]] {
                let mut coded = Vec::new();
                encode(&input, &mut coded);
                assert_eq!(decoded(&coded).unwrap(), input);
            }
        }
    }

    #[test]
    fn padding_must_be_short_and_of_ones() {
        assert_eq!(decoded(&[]).unwrap(), b"");
        assert_eq!(decoded(&[0x07]).unwrap(), b"0");
        for bad in [&[0x00_u8][..], &[0x06], &[0x07, 0xff], &[0xff], &[0xff; 4], &[0xff; 9]] {
            assert_eq!(decoded(bad), Err(Malformed), "{bad:x?}");
        }
    }

    proptest! {
        #[test]
        fn text_comes_back(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut coded = Vec::new();
            encode(&input, &mut coded);
            prop_assert_eq!(decoded(&coded).unwrap(), input);
        }

        #[test]
        fn what_decodes_encodes_to_the_same(input in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(text) = decoded(&input) {
                let mut coded = Vec::new();
                encode(&text, &mut coded);
                prop_assert_eq!(coded, input);
            }
        }
    }
}

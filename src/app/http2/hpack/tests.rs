use proptest::prelude::*;

use super::super::Limits;
use super::decoder::integer;
use super::encoder::Form;
use super::*;

/// Pseudo-header fields, then the others, as text.
fn text(fields: &Fields) -> Vec<String> {
    let pseudo = [
        (":method", Pseudo::Method),
        (":scheme", Pseudo::Scheme),
        (":path", Pseudo::Path),
        (":authority", Pseudo::Authority),
        (":status", Pseudo::Status),
        (":protocol", Pseudo::Protocol),
    ];
    let pseudo = pseudo.iter().filter_map(|(name, pseudo)| {
        Some(format!("{name}: {}", fields.pseudo(*pseudo)?.escape_ascii()))
    });
    let regular = fields
        .headers()
        .iter()
        .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()));
    pseudo.chain(regular).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Fields {
    let mut fields = Fields::default();
    decoder.decode(block, false, &Limits::default(), &mut fields);
    fields
}

#[test]
fn integers_of_appendix_c_1_and_their_bounds() {
    /// Bytes, prefix, and the value with the number of bytes left over.
    type Row = (&'static str, u32, Option<(u32, usize)>);
    let table: &[Row] = &[
        ("0a", 5, Some((10, 0))),
        ("1f9a0a", 5, Some((1337, 0))),
        ("2a ff", 8, Some((42, 1))),
        ("1f00", 5, Some((31, 0))),
        ("1f8000", 5, Some((31, 0))),
        ("7fe0ffffff07", 7, Some((0x8000_005f, 0))),
        ("7f80ffffff0f", 7, Some((0xffff_ffff, 0))),
        ("7f81ffffff0f", 7, None),
        ("7f8080808010", 7, None),
        ("7f808080808000", 7, None),
        ("1f", 5, None),
        ("1f80", 5, None),
        ("", 5, None),
    ];
    for (bytes, prefix, expected) in table {
        let bytes = hex(bytes);
        let mut rest = bytes.as_slice();
        let got = integer(&mut rest, *prefix).ok();
        assert_eq!(got.map(|value| (value, rest.len())), *expected, "{bytes:x?}");
    }
}

const DATE_1: &str = "date: Mon, 21 Oct 2013 20:13:21 GMT";
const DATE_2: &str = "date: Mon, 21 Oct 2013 20:13:22 GMT";
const COOKIE: &str = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const WWW: &str = ":authority: www.example.com";
const HOST: &str = "host: www.example.com";
const PRIVATE: &str = "cache-control: private";
const LOCATION: &str = "location: https://www.example.com";

/// Blocks of appendices C.2 to C.6, one connection a row. `host` is ours.
const VECTORS: &[&[(&str, &[&str])]] = &[
    &[("400a637573746f6d2d6b65790d637573746f6d2d686561646572", &["custom-key: custom-header"])],
    &[("040c2f73616d706c652f70617468", &[":path: /sample/path"])],
    &[("100870617373776f726406736563726574", &["password: secret"])],
    &[("82", &[":method: GET"])],
    &[
        (
            "828684410f7777772e6578616d706c652e636f6d",
            &[":method: GET", ":scheme: http", ":path: /", WWW, HOST],
        ),
        (
            "828684be58086e6f2d6361636865",
            &[":method: GET", ":scheme: http", ":path: /", WWW, HOST, "cache-control: no-cache"],
        ),
        (
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
            &[
                ":method: GET",
                ":scheme: https",
                ":path: /index.html",
                WWW,
                HOST,
                "custom-key: custom-value",
            ],
        ),
    ],
    &[
        (
            "828684418cf1e3c2e5f23a6ba0ab90f4ff",
            &[":method: GET", ":scheme: http", ":path: /", WWW, HOST],
        ),
        (
            "828684be5886a8eb10649cbf",
            &[":method: GET", ":scheme: http", ":path: /", WWW, HOST, "cache-control: no-cache"],
        ),
        (
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
            &[
                ":method: GET",
                ":scheme: https",
                ":path: /index.html",
                WWW,
                HOST,
                "custom-key: custom-value",
            ],
        ),
    ],
    // A table of 256 bytes, which appendix C.5 takes as agreed; here it is said first.
    &[
        (
            "3fe101 4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a \
             323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
            &[":status: 302", PRIVATE, DATE_1, LOCATION],
        ),
        ("4803333037c1c0bf", &[":status: 307", PRIVATE, DATE_1, LOCATION]),
        (
            "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738 \
             666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d33 \
             3630303b2076657273696f6e3d31",
            &[":status: 200", PRIVATE, DATE_2, LOCATION, "content-encoding: gzip", COOKIE],
        ),
    ],
    &[
        (
            "3fe101 488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29 \
             ad171863c78f0b97c8e9ae82ae43d3",
            &[":status: 302", PRIVATE, DATE_1, LOCATION],
        ),
        ("4883640effc1c0bf", &[":status: 307", PRIVATE, DATE_1, LOCATION]),
        (
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7 \
             b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
            &[":status: 200", PRIVATE, DATE_2, LOCATION, "content-encoding: gzip", COOKIE],
        ),
    ],
];

#[test]
fn blocks_of_appendix_c() {
    for connection in VECTORS {
        let mut decoder = Decoder::default();
        for (block, expected) in *connection {
            let fields = decode(&mut decoder, &hex(block));
            assert_eq!(text(&fields), *expected, "{block}");
            assert_eq!(fields.findings, fields::Findings::default(), "{block}");
        }
    }
}

#[test]
fn what_was_inserted_before_is_left_out_and_what_comes_after_is_known() {
    let mut encoder = Encoder::new();
    let first = encoder.block(&[(":method", "POST"), (":path", "/mcp"), ("a", "1")]);
    let second = encoder.block(&[(":method", "POST"), (":path", "/mcp"), ("b", "2"), ("a", "1")]);
    let third = encoder.block(&[(":path", "/mcp"), ("b", "2"), ("c", "3")]);
    let fourth = encoder.block(&[("c", "3"), ("b", "2"), ("a", "1")]);
    for lost in 0..2 {
        let mut decoder = Decoder::default();
        if lost == 0 {
            decoder.lose();
        } else {
            let mut fields = Fields::default();
            let cut = &first[..first.len() - 2];
            decoder.decode(cut, true, &Limits::default(), &mut fields);
            assert_eq!(text(&fields), [":method: POST", ":path: /mcp"]);
        }
        let blocks = [&second, &third, &fourth].map(|block| decode(&mut decoder, block));
        assert!(blocks.iter().all(|fields| fields.findings.unknown));
        assert_eq!(text(&blocks[0]), [":method: POST", "b: 2"]);
        assert_eq!(text(&blocks[1]), ["b: 2", "c: 3"]);
        assert_eq!(text(&blocks[2]), ["c: 3", "b: 2"]);
    }
}

#[test]
fn an_emptied_table_is_known_again() {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::default();
    decoder.lose();
    let mut block = Vec::new();
    encoder.resize(0, &mut block);
    encoder.resize(4096, &mut block);
    block.extend(encoder.block(&[("a", "1")]));
    assert_eq!(text(&decode(&mut decoder, &block)), ["a: 1"]);
    // An index beyond the table is wrong now, not unknown.
    let findings = decode(&mut decoder, &[0x80 | 70]).findings;
    assert!(findings.malformed && !findings.unknown);
}

#[test]
fn malformed_blocks_are_read_as_far_as_they_go() {
    // Block; fields before the fault; whether the table is lost.
    let table: &[(&str, &[&str], bool)] = &[
        ("82 80", &[":method: GET"], false),
        ("82 ff", &[":method: GET"], true),
        ("82 be", &[":method: GET"], false),
        ("82 40 05 61", &[":method: GET"], true),
        ("82 40 01 61 83 ffffff 84", &[":method: GET", ":path: /"], false),
        ("82 3f", &[":method: GET"], true),
        ("82 20", &[":method: GET"], false),
        ("3fe2ffff 82", &[], true),
        ("3fe2ff00 82", &[":method: GET"], false),
    ];
    for (block, expected, lost) in table {
        let mut decoder = Decoder::default();
        let fields = decode(&mut decoder, &hex(block));
        assert_eq!(text(&fields), *expected, "{block}");
        assert!(fields.findings.malformed != fields.findings.late_resize, "{block}");
        let unknown = decode(&mut decoder, &[0x80 | 100]).findings.unknown;
        assert_eq!(unknown, *lost, "{block}");
    }
}

#[test]
fn a_larger_table_counts_until_the_encoder_says_what_it_uses() {
    let long = "x".repeat(3000);
    let mut encoder = Encoder::new();
    let mut out = Vec::new();
    encoder.resize(8192, &mut out);
    let mut decoder = Decoder::default();
    decoder.allow(8192);
    let blocks = [encoder.block(&[("a", &long)]), encoder.block(&[("b", &long)])];
    for block in &blocks {
        assert!(!decode(&mut decoder, block).findings.malformed);
    }
    let both = encoder.block(&[("a", &long), ("b", &long)]);
    assert_eq!(both.len(), 2);
    assert_eq!(text(&decode(&mut decoder, &both)).len(), 2);
    assert_eq!(text(&decode(&mut decoder, &hex("3fe11f be"))).len(), 1, "4096 keep the newest");
    assert!(decode(&mut decoder, &[0xbf]).findings.malformed);
}

#[test]
fn a_table_beyond_the_bound_is_known_in_its_newest_part() {
    let limits = Limits { max_table_bytes: 100, ..Limits::default() };
    let mut decoder = Decoder::default();
    let mut encoder = Encoder::new();
    let mut fields = Fields::default();
    for name in ["a", "b", "c", "d"] {
        decoder.decode(&encoder.block(&[(name, "1")]), false, &limits, &mut fields);
    }
    decoder.decode(
        &encoder.block(&[("d", "1"), ("c", "1"), ("b", "1")]),
        false,
        &limits,
        &mut fields,
    );
    assert_eq!(text(&fields), ["d: 1", "c: 1"]);
    assert!(fields.findings.unknown && !fields.findings.malformed);
}

#[test]
fn bombs_stay_within_bounds() {
    let limits = Limits::default();
    let long = "x".repeat(4000);
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::default();
    let mut fields = Fields::default();
    decoder.decode(&encoder.block(&[("a", &long)]), false, &limits, &mut fields);
    // Names that come from the table are paid for, however they are used.
    let long_name = [&[0x40, 0x7f, 0xa1, 0x1e][..], &[b'n'; 4000], &[0]].concat();
    decoder.decode(&long_name, false, &limits, &mut fields);
    let mut expanded = false;
    for round in 0..2000 {
        let block = if round % 2 == 0 { vec![0xbe; 600] } else { [0x7e, 0].repeat(300) };
        decoder.decode(&block, false, &limits, &mut fields);
        let bytes: usize = fields.headers().iter().map(|(n, v)| n.len() + v.len()).sum();
        assert!(bytes <= limits.max_head_bytes + 8000);
        assert!(fields.headers().spans.len() <= limits.max_headers);
        let found = fields.findings;
        assert!(found.too_large || found.expanded || (expanded && found.unknown));
        expanded |= fields.findings.expanded;
    }
    assert!(expanded);
    let many: Vec<u8> = [0x82, 0x90].repeat(400);
    decoder.decode(&many, false, &limits, &mut fields);
    assert!(fields.findings.too_large);
    assert_eq!(fields.headers().spans.len(), limits.max_headers);
}

#[test]
fn values_are_trimmed_and_authority_stands_in_for_host() {
    let mut encoder = Encoder::new();
    type Row = (&'static [(&'static str, &'static str)], &'static [&'static str]);
    let table: &[Row] = &[
        (&[("a", " \t1 2\t ")], &["a: 1 2"]),
        (&[("a", " "), ("b", "")], &["a: ", "b: "]),
        (&[(":authority", "h"), ("a", "1")], &[":authority: h", "host: h", "a: 1"]),
        (&[(":authority", "h"), ("host", "g")], &[":authority: h", "host: g"]),
        (&[("a", "1"), (":path", "/"), (":path", "/2"), (":x", "1")], &[":path: /", "a: 1"]),
    ];
    for (input, expected) in table {
        let mut decoder = Decoder::default();
        let fields = decode(&mut decoder, &Encoder::new().block(input));
        assert_eq!(text(&fields), *expected);
        assert_eq!(fields.findings.pseudo_misplaced, input.len() == 4);
    }
    let block = encoder.block(&[("a", "1\r\n2")]);
    assert!(decode(&mut Decoder::default(), &block).has_forbidden_byte());
}

/// A field, how it is written, and a table size before it.
type Written = (usize, Vec<u8>, u8, Option<u16>);

fn written() -> impl Strategy<Value = Vec<Vec<Written>>> {
    let field = (
        0..8_usize,
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            proptest::collection::vec(b'a'..=b'c', 0..2),
        ],
        0..8_u8,
        proptest::option::weighted(0.1, 0..4096_u16),
    );
    proptest::collection::vec(proptest::collection::vec(field, 0..12), 1..12)
}

proptest! {
    #[test]
    fn what_is_encoded_comes_back(blocks in written()) {
        const NAMES: [&str; 8] =
            ["accept", "cookie", "x-a", "x-b", "content-type", "mcp-session-id", "y", "date"];
        let mut encoder = Encoder::new();
        let mut decoder = Decoder::default();
        for block in blocks {
            let (mut out, mut expected) = (Vec::new(), Vec::new());
            for (index, (name, value, form, resize)) in block.iter().enumerate() {
                if let Some(bytes) = resize.filter(|_| index == 0) {
                    encoder.resize(u32::from(bytes), &mut out);
                }
                encoder.huffman = form & 1 == 0;
                let form = match form {
                    0 | 1 => Form::Plain,
                    2 => Form::Never,
                    _ => Form::Indexing,
                };
                encoder.field(NAMES[*name].as_bytes(), value, form, &mut out);
                let trimmed = value.iter().position(|b| !matches!(b, b' ' | b'\t')).map_or(&[][..], |from| {
                    let to = value.iter().rposition(|b| !matches!(b, b' ' | b'\t')).unwrap();
                    &value[from..=to]
                });
                expected.push(format!("{}: {}", NAMES[*name], trimmed.escape_ascii()));
            }
            let fields = decode(&mut decoder, &out);
            prop_assert_eq!(text(&fields), expected);
            prop_assert_eq!(fields.findings, fields::Findings::default());
        }
    }

    #[test]
    fn any_bytes_are_read_within_bounds(
        blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8),
    ) {
        let mut decoder = Decoder::default();
        let limits = Limits { max_head_bytes: 500, max_headers: 5, ..Limits::default() };
        let mut fields = Fields::default();
        for block in blocks {
            decoder.decode(&block, block.len() % 3 == 0, &limits, &mut fields);
            prop_assert!(fields.headers().iter().count() <= 6);
            prop_assert_eq!(fields.headers().iter().count(), fields.headers().spans.len());
        }
    }
}

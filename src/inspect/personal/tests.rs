use super::*;

fn all(text: &str) -> Vec<(&'static str, &str)> {
    let mut found = Vec::new();
    personal(text, &mut |it| found.push((it.kind.id(), it.bytes)));
    found
}

/// Texts with one find, by kind.
const TRUE: &[(&str, &str, &str)] = &[
    ("card", "card: 4532015112830366", "4532015112830366"),
    ("card", "4532 0151 1283 0366", "4532 0151 1283 0366"),
    ("card", "pay with 5425-2334-3010-9903 now", "5425-2334-3010-9903"),
    ("card", "3742 454554 00126", "3742 454554 00126"),
    ("card", "amex 374245455400126", "374245455400126"),
    ("card", "{\"cardNumber\":\"2720418372650944\",\"cvv\":1}", "2720418372650944"),
    ("card", "Bob,6228480402564899,Visa", "6228480402564899"),
    ("card", "JCB 3528950638172406.", "3528950638172406"),
    ("card", "diners: 36227495183607", "36227495183607"),
    ("card", "visa\\n4532015112830366\\n", "4532015112830366"),
    ("iban", "DE44500105175407324931", "DE44500105175407324931"),
    ("iban", "to DE44 5001 0517 5407 3249 31, please", "DE44 5001 0517 5407 3249 31"),
    ("iban", "(NL91ABNA0417164300)", "NL91ABNA0417164300"),
    ("iban", "iban=GB26MIDL40051512345674;", "GB26MIDL40051512345674"),
    ("iban", "\"NO9386011117947\"", "NO9386011117947"),
    ("us-ssn", "SSN 536-22-8726", "536-22-8726"),
    ("us-ssn", "\"ssn\":\"536228726\"", "536228726"),
    ("us-ssn", "social security number: 219 47 3308", "219 47 3308"),
    ("uk-nino", "National Insurance no. AB 48 29 37 C", "AB 48 29 37 C"),
    ("uk-nino", "NINO: JG103759A", "JG103759A"),
    ("uk-nino", "ni_number=SR482937D", "SR482937D"),
    ("de-steuer-id", "Steuer-ID 86095742719", "86095742719"),
    ("de-steuer-id", "IdNr. 47 036 892 816", "47 036 892 816"),
    ("de-steuer-id", "steuerliche Identifikationsnummer: 65929970489", "65929970489"),
    ("fr-insee", "NIR 255081416802538", "255081416802538"),
    ("fr-insee", "numéro de sécurité sociale : 1 85 05 78 006 084 91", "1 85 05 78 006 084 91"),
    ("fr-insee", "INSEE: 185052A00608435", "185052A00608435"),
    ("es-dni", "DNI 53862941T", "53862941T"),
    ("es-dni", "NIE: X4719283M", "X4719283M"),
    ("es-dni", "documento 40172639-B", "40172639-B"),
    ("it-codice-fiscale", "Codice Fiscale: RSSMRA85T10A562S", "RSSMRA85T10A562S"),
    ("it-codice-fiscale", "C.F. VRDGPP13R10B293P", "VRDGPP13R10B293P"),
    ("it-codice-fiscale", "codice_fiscale=BNCLRA92D57H501F&x", "BNCLRA92D57H501F"),
    ("nl-bsn", "BSN 284917369", "284917369"),
    ("nl-bsn", "burgerservicenummer: 618203953", "618203953"),
    ("nl-bsn", "\"bsn\":\"123456708\"", "123456708"),
    ("pl-pesel", "PESEL 85071428395", "85071428395"),
    ("pl-pesel", "\"pesel\": \"02281704611\"", "02281704611"),
    ("pl-pesel", "nr pesel: 91123055178", "91123055178"),
    ("in-aadhaar", "Aadhaar 2938 4756 1021", "2938 4756 1021"),
    ("in-aadhaar", "aadhaar_number: 582039471650", "582039471650"),
    ("in-aadhaar", "UIDAI 2938-4756-1021", "2938-4756-1021"),
    ("br-cpf", "CPF 529.982.247-25", "529.982.247-25"),
    ("br-cpf", "\"cpf\":\"16899535009\"", "16899535009"),
    ("br-cpf", "cadastro de pessoa: 713.402.896-87", "713.402.896-87"),
];

/// Texts in which nothing is personal.
const FALSE: &[&str] = &[
    // Card numbers: wrong sum, no issuer, no word, tests, longer runs, ids, fractions, times.
    "card 4532015112830367",
    "4532 0151 1283 0367",
    "card 9532015112830361",
    "order 4532015112830366",
    "card 4111111111111111",
    "4242 4242 4242 4242",
    "card 14532015112830366",
    "card 4532015112830366a",
    "card x4532015112830366",
    "1234 4532 0151 1283 0366 1234",
    "4532 0151-1283 0366",
    "card 0.4532015112830366",
    "card 3f2b8c1e-9d47-4532015112830366",
    "card updated at 1763845200123, id 1187429387120345088",
    "visa page /v/4532015112830366/x",
    "discarded 4532015112830366",
    // Accounts: wrong sum, length, country, letters.
    "DE45500105175407324931",
    "DE4450010517540732493",
    "XX44500105175407324931",
    "de44500105175407324931",
    "GB82WEST12345698765432",
    "XDE44500105175407324931",
    "DE44_500105175407324931",
    // National numbers without a word, or with a wrong digit or a number that never was.
    "536-22-8726",
    "SSN 000-22-8726",
    "SSN 666-22-8726",
    "SSN 987-22-8726",
    "SSN 536-00-8726",
    "SSN 123-45-6789",
    "lessness 536-22-8726",
    "JG103759A",
    "NINO: GB103759A",
    "NINO: JG103759E",
    "NINO: AB123456C",
    "86095742719",
    "Steuer-ID 86095742718",
    "Steuer-ID 12345678901",
    "Steuer-ID 06095742719",
    "255081416802538",
    "NIR 255081416802539",
    "NIR 355081416802538",
    "53862941T",
    "DNI 53862941R",
    "DNI 12345678Z",
    "RSSMRA85T10A562S",
    "codice fiscale RSSMRA85T10A562T",
    "codice fiscale RSSMRAA5T10A562S",
    "284917369",
    "BSN 284917368",
    "BSN 111111111",
    "85071428395",
    "PESEL 85071428396",
    "PESEL 85991428391",
    "2938 4756 1021",
    "Aadhaar 2938 4756 1022",
    "Aadhaar 1938 4756 1021",
    "529.982.247-25",
    "CPF 529.982.247-26",
    "CPF 111.111.111-11",
    // Neither addresses nor telephone numbers.
    "alice@example.test, +49 1512 3456789, (555) 010-4477",
];

#[test]
fn personal_data_of_every_kind_is_found_whole() {
    for (kind, text, bytes) in TRUE {
        assert_eq!(all(text), [(*kind, *bytes)], "{text}");
    }
    for kind in PersonalKind::ALL {
        let count = TRUE.iter().filter(|(id, ..)| *id == kind.id()).count();
        assert!(count >= 3, "{kind:?}");
    }
}

#[test]
fn what_only_looks_like_it_is_nothing() {
    for text in FALSE {
        assert_eq!(all(text), [], "{text}");
    }
}

#[test]
fn several_come_in_order_and_up_to_the_bound() {
    let text = "card 4532 0151 1283 0366, IBAN DE44500105175407324931; SSN 536-22-8726";
    let kinds: Vec<_> = all(text).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["card", "iban", "us-ssn"]);
    let many = "DE44500105175407324931\n".repeat(MAX_PERSONAL + 10);
    assert_eq!(all(&many).len(), MAX_PERSONAL);
}

#[test]
fn ids_are_unique_and_titles_there() {
    let ids: std::collections::BTreeSet<_> =
        PersonalKind::ALL.iter().map(|kind| kind.id()).collect();
    assert_eq!(ids.len(), PersonalKind::ALL.len());
    assert!(PersonalKind::ALL.iter().all(|kind| !kind.title().is_empty()));
}

#[test]
fn debug_output_holds_no_digits_of_it() {
    personal("4532 0151 1283 0366", &mut |it| assert!(!format!("{it:?}").contains("4532")));
}

#[test]
fn numbers_of_machines_are_nothing() {
    use std::fmt::Write as _;
    // Times in milli-, micro- and nanoseconds, ids, fractions, and their neighbours.
    let mut text = String::new();
    let mut state = 88_172_645_463_325_252_u64;
    for index in 0..20_000_u64 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let milliseconds = 1_763_845_200_000 + index * 977;
        write!(text, "{milliseconds} {milliseconds}{:03} ", state % 1000).unwrap();
        write!(text, "{{\"id\":{},\"x\":0.{}}} ", state % 10_000_000_000_000_000, state).unwrap();
        writeln!(
            text,
            "{:08x}-{:04x}-4{:03x}-{:012}",
            state % 0xffff_ffff,
            index % 0xffff,
            index % 4096,
            state % 1_000_000_000_000
        )
        .unwrap();
    }
    assert_eq!(all(&text), []);
}

proptest::proptest! {
    #[test]
    fn any_text_is_looked_at_without_panic(text in "[0-9 A-Z./é-]{0,200}|\\PC{0,100}") {
        let mut from = 0;
        personal(&text, &mut |it| {
            assert!(from <= it.start && it.start < it.end);
            assert_eq!(text.get(it.start..it.end), Some(it.bytes));
            from = it.end;
        });
    }

    #[test]
    fn a_card_anywhere_among_words_is_found(before in "[a-z ]{0,60}", after in "[a-z ]{0,60}") {
        let text = format!("{before} 4532-0151-1283-0366 {after}");
        proptest::prop_assert_eq!(all(&text), [("card", "4532-0151-1283-0366")]);
    }
}

//! Personal data in a text: card numbers, bank accounts, national identity numbers.
//!
//! Numbers are everywhere, and a tenth of them pass a Luhn check, so a checksum alone proves
//! nothing. What a kind needs besides it:
//!
//! - `card`: a length and first digits that an issuer has. Written in the groups that are on cards
//!   it is then taken as one. As one run of digits (times, order numbers, ids of all kinds) it needs
//!   a word such as `card` or `visa` within 40 bytes too: of random 16-digit numbers about one in
//!   forty passes the other tests.
//! - `iban`: two checked digits (mod 97), the country's length, and its letters in upper case. That
//!   is enough: chance passes one candidate in a hundred, and candidates are rare.
//! - national numbers: their checksum where they have one, and always a word that names them within
//!   40 bytes.
//!
//! Numbers stand by themselves: not inside longer runs of letters or digits, not part of a decimal
//! fraction, a UUID, a path or a dotted name. E-mail addresses and telephone numbers are not
//! reported: nearly every text of an office has them.

mod bank;
mod card;
mod national;
mod near;
mod numbers;

use numbers::Groups;

/// Most finds that one call reports; the rest of the text is not looked at.
pub const MAX_PERSONAL: usize = 64;

/// A kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PersonalKind {
    /// Payment card (ISO/IEC 7812).
    Card,
    /// International bank account number (ISO 13616).
    Iban,
    /// Social Security number of the United States.
    UsSsn,
    /// National Insurance number of the United Kingdom.
    UkNino,
    /// Tax identification number of Germany.
    DeSteuerId,
    /// Registration number (NIR) of France.
    FrInsee,
    /// Identity number of Spain, of citizens (DNI) and foreigners (NIE).
    EsDni,
    /// Tax code of Italy.
    ItCodiceFiscale,
    /// Citizen service number of the Netherlands.
    NlBsn,
    /// Identity number of Poland.
    PlPesel,
    /// Aadhaar number of India.
    InAadhaar,
    /// Taxpayer number of Brazil.
    BrCpf,
}

impl PersonalKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Card,
        Self::Iban,
        Self::UsSsn,
        Self::UkNino,
        Self::DeSteuerId,
        Self::FrInsee,
        Self::EsDni,
        Self::ItCodiceFiscale,
        Self::NlBsn,
        Self::PlPesel,
        Self::InAadhaar,
        Self::BrCpf,
    ];

    /// Stable name, lower case and hyphenated.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Iban => "iban",
            Self::UsSsn => "us-ssn",
            Self::UkNino => "uk-nino",
            Self::DeSteuerId => "de-steuer-id",
            Self::FrInsee => "fr-insee",
            Self::EsDni => "es-dni",
            Self::ItCodiceFiscale => "it-codice-fiscale",
            Self::NlBsn => "nl-bsn",
            Self::PlPesel => "pl-pesel",
            Self::InAadhaar => "in-aadhaar",
            Self::BrCpf => "br-cpf",
        }
    }

    /// Name for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Card => "Payment card number",
            Self::Iban => "Bank account number (IBAN)",
            Self::UsSsn => "US Social Security number",
            Self::UkNino => "UK National Insurance number",
            Self::DeSteuerId => "German tax identification number",
            Self::FrInsee => "French social security number",
            Self::EsDni => "Spanish identity number",
            Self::ItCodiceFiscale => "Italian tax code",
            Self::NlBsn => "Dutch citizen service number",
            Self::PlPesel => "Polish identity number",
            Self::InAadhaar => "Indian Aadhaar number",
            Self::BrCpf => "Brazilian taxpayer number",
        }
    }
}

/// A piece of personal data and where it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Personal<'t> {
    /// What it is.
    pub kind: PersonalKind,
    /// As written, separators included.
    pub bytes: &'t str,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset after its last byte.
    pub end: usize,
}

/// The bytes stay out of logs.
impl std::fmt::Debug for Personal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Personal")
            .field("kind", &self.kind)
            .field("start", &self.start)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Calls `each` for every piece of personal data, in order; no byte is in two of them.
///
/// After [`MAX_PERSONAL`] the search stops. Time is linear in the text; nothing is allocated.
pub fn personal<'t>(text: &'t str, each: &mut dyn FnMut(Personal<'t>)) {
    let bytes = text.as_bytes();
    let (mut at, mut count) = (0, 0);
    while let Some(start) = numbers::next_word(bytes, at) {
        let Some((kind, end)) = find(bytes, start) else {
            at = numbers::word_end(bytes, start);
            continue;
        };
        if let Some(found) = text.get(start..end) {
            each(Personal { kind, bytes: found, start, end });
            count += 1;
        }
        if count == MAX_PERSONAL {
            return;
        }
        at = end;
    }
}

/// What begins with the word at `start`, and where it ends.
fn find(text: &[u8], start: usize) -> Option<(PersonalKind, usize)> {
    if text.get(start).is_some_and(u8::is_ascii_alphabetic) {
        return bank::iban(text, start).or_else(|| national::lettered(text, start));
    }
    if !numbers::may_be_whole(text, start) {
        return None;
    }
    if let Some(found) = national::lettered(text, start) {
        return Some(found);
    }
    let groups = Groups::read(text, start);
    card::card(text, &groups).or_else(|| national::numbered(text, &groups))
}

#[cfg(test)]
mod tests;

//! Times as logs write them.

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::time::Timestamp;

/// Reads a time in any of the spellings that logs have. Without an offset it is UTC.
///
/// - `1795334400`, `1795334400.123`, and milli-, micro- and nanoseconds, told apart by size
/// - `2026-11-22T08:00:00.123Z`, `2026-11-22 08:00:00+01:00`, `2026/11/22 08:00:00` (RFC 3339 and
///   near it)
/// - `22/Nov/2026:08:00:00 +0100`, with or without brackets and fractions (common log format)
/// - `Sun Nov 22 08:00:00 2026` (`ctime`)
#[must_use]
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    let bytes = text.as_bytes();
    let mut cursor = Cursor { rest: bytes };
    if bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return epoch(text);
    }
    match (bytes.get(2), bytes.get(4)) {
        (_, Some(b'-' | b'/')) if bytes.first().is_some_and(u8::is_ascii_digit) => cursor.iso(),
        (Some(b'/'), _) => cursor.common(),
        _ => cursor.ctime(),
    }
}

/// The same of a number: seconds since the epoch, or parts of them, told apart by size.
#[must_use]
pub(super) const fn of_int(value: i64) -> Timestamp {
    // Each unit gets the years 1973 to 5138 of the one before it.
    match value.unsigned_abs() {
        0..100_000_000_000 => Timestamp::from_parts(value, 0),
        100_000_000_000..100_000_000_000_000 => {
            Timestamp::from_nanos(value.saturating_mul(1_000_000))
        }
        100_000_000_000_000..100_000_000_000_000_000 => {
            Timestamp::from_nanos(value.saturating_mul(1_000))
        }
        _ => Timestamp::from_nanos(value),
    }
}

fn epoch(text: &str) -> Option<Timestamp> {
    let Some((whole, part)) = text.split_once('.') else { return Some(of_int(text.parse().ok()?)) };
    let whole = of_int(whole.parse().ok()?);
    Some(Timestamp::from_parts(0, whole.as_nanos().checked_add(fraction(part)?)?))
        .filter(|_| whole.as_nanos() % 1_000_000_000 == 0)
}

/// Digits behind a decimal point as nanoseconds.
fn fraction(digits: &str) -> Option<i64> {
    let digits = digits.get(..digits.len().min(9))?;
    let value: i64 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let missing = u32::try_from(9_usize.checked_sub(digits.len())?).ok()?;
    Some(value * 10_i64.pow(missing))
}

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn iso(&mut self) -> Option<Timestamp> {
        let date = (self.number(4)?, self.separated(b"-/")?, self.separated(b"-/")?);
        self.one(b"T t_").or_else(|| self.rest.is_empty().then_some(()))?;
        if self.rest.is_empty() {
            return self.finish(date, (0, 0, 0), 0);
        }
        let (time, nanos) = self.time()?;
        self.finish(date, time, nanos)
    }

    fn common(&mut self) -> Option<Timestamp> {
        let day = self.number(2)?;
        self.one(b"/")?;
        let month = self.month()?;
        self.one(b"/")?;
        let year = self.number(4)?;
        self.one(b": ")?;
        let (time, nanos) = self.time()?;
        self.finish((year, month, day), time, nanos)
    }

    fn ctime(&mut self) -> Option<Timestamp> {
        let (_, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        let month = self.month()?;
        self.one(b" ")?;
        let _padding = self.one(b" ");
        let day = self.number(2)?;
        self.one(b" ")?;
        let (time, nanos) = self.time()?;
        self.one(b" ")?;
        let year = self.number(4)?;
        self.finish((year, month, day), time, nanos)
    }

    fn time(&mut self) -> Option<((i64, i64, i64), i64)> {
        let time = (self.number(2)?, self.separated(b":")?, self.separated(b":")?);
        if self.one(b".,").is_none() {
            return Some((time, 0));
        }
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some((time, fraction(std::str::from_utf8(digits).ok()?)?))
    }

    fn finish(
        &self,
        (year, month, day): (i64, i64, i64),
        (hour, minute, second): (i64, i64, i64),
        nanos: i64,
    ) -> Option<Timestamp> {
        let offset = self.offset()?;
        let small = |value: i64| i8::try_from(value).ok();
        // A leap second is told as the one before it.
        let second = small(second.min(59))?;
        let (year, nanos) = (i16::try_from(year).ok()?, i32::try_from(nanos).ok()?);
        let (month, day) = (small(month)?, small(day)?);
        let time = DateTime::new(year, month, day, small(hour)?, small(minute)?, second, nanos);
        let time = offset.to_timestamp(time.ok()?).ok()?;
        i64::try_from(time.as_nanosecond()).ok().map(Timestamp::from_nanos)
    }

    /// `Z`, `+01:00`, `+0100`, ` GMT`, or nothing, to the end.
    fn offset(&self) -> Option<Offset> {
        let text = self.rest.trim_ascii();
        let negative = match text.split_first() {
            None | Some((b'Z' | b'z', [])) => return Some(Offset::UTC),
            Some((b'+', rest)) => (false, rest),
            Some((b'-', rest)) => (true, rest),
            Some(_) if text == b"GMT" || text == b"UTC" => return Some(Offset::UTC),
            Some(_) => return None,
        };
        let (negative, digits) = negative;
        let mut cursor = Cursor { rest: digits };
        let hours = cursor.number(2)?;
        let _colon = cursor.one(b":");
        let minutes = if cursor.rest.is_empty() { 0 } else { cursor.number(2)? };
        let seconds = i32::try_from(hours * 3_600 + minutes * 60).ok()?;
        let offset = Offset::from_seconds(if negative { -seconds } else { seconds }).ok()?;
        cursor.rest.is_empty().then_some(offset)
    }

    fn month(&mut self) -> Option<i64> {
        let (name, rest) = self.rest.split_at_checked(3)?;
        let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
        self.rest = rest;
        i64::try_from(month + 1).ok()
    }

    fn separated(&mut self, by: &[u8]) -> Option<i64> {
        self.one(by)?;
        self.number(2)
    }

    fn one(&mut self, of: &[u8]) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        of.contains(first).then(|| self.rest = rest)
    }

    /// Up to so many digits, one at least.
    fn number(&mut self, max: usize) -> Option<i64> {
        let digits = self.rest.iter().take(max).take_while(|byte| byte.is_ascii_digit());
        let (value, len) = digits
            .fold((0, 0), |(value, len), digit| (value * 10 + i64::from(digit - b'0'), len + 1));
        self.rest = self.rest.get(len..)?;
        (len > 0).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_one_moment_is_that_moment() {
        let expected = Timestamp::from_parts(1_795_334_400, 0);
        for text in [
            "1795334400",
            "1795334400.000",
            "1795334400000",
            "1795334400000000",
            "1795334400000000000",
            "2026-11-22T08:00:00Z",
            "2026-11-22T08:00:00.000000000Z",
            "2026-11-22 08:00:00",
            "2026-11-22T09:00:00+01:00",
            "2026-11-22T03:30:00-0430",
            "2026/11/22 08:00:00",
            "22/Nov/2026:08:00:00 +0000",
            "[22/Nov/2026:10:00:00 +0200]",
            "22/Nov/2026:08:00:00.000",
            "Sun Nov 22 08:00:00 2026",
            "Sun, 22 Nov",
        ] {
            let expected = (text != "Sun, 22 Nov").then_some(expected);
            assert_eq!(timestamp(text), expected, "{text}");
        }
    }

    #[test]
    fn fractions_count() {
        let expected = Some(Timestamp::from_parts(1_795_334_400, 123_400_000));
        for text in [
            "1795334400.1234",
            "2026-11-22T08:00:00.1234Z",
            "2026-11-22T08:00:00,1234Z",
            "22/Nov/2026:08:00:00.1234",
        ] {
            assert_eq!(timestamp(text), expected, "{text}");
        }
        assert_eq!(
            timestamp("1795334400123"),
            Some(Timestamp::from_parts(1_795_334_400, 123_000_000))
        );
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "-",
            ".",
            "1.2.3",
            "2026-13-22T08:00:00Z",
            "22/Nov",
            "2026-11-22T08:00:00X",
            "yesterday noon",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }
}

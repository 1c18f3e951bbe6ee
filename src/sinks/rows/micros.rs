//! Times as the store has them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::Timestamp;

/// Microseconds since the Unix epoch: `DateTime64(6, 'UTC')`. In JSON `2026-11-16 08:00:00.000000`,
/// which ClickHouse reads with its default settings; RFC 3339 is read too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

impl From<Timestamp> for Micros {
    fn from(time: Timestamp) -> Self {
        Self(time.as_nanos().div_euclid(1_000))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Timestamp::from_nanos(self.0.saturating_mul(1_000)).to_string();
        match text.strip_suffix('Z').and_then(|text| text.split_once('T')) {
            Some((day, time)) => write!(f, "{day} {time}"),
            None => f.write_str(&text),
        }
    }
}

impl std::str::FromStr for Micros {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let zoned = match text.split_once(' ') {
            Some((day, time)) => format!("{day}T{time}Z"),
            None => text.to_owned(),
        };
        let time: jiff::Timestamp =
            zoned.parse().map_err(|_| format!("`{text}` is no time, as 2026-11-16T08:00:00Z"))?;
        Ok(Self(time.as_microsecond()))
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            text.parse().map_err(de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_what_events_write() {
        for micros in [0, 1, -1, 1_794_816_000_123_456, -9_000_000_000_000_000] {
            let text = Micros(micros).to_string();
            assert_eq!(text.parse(), Ok(Micros(micros)), "{text}");
        }
        assert_eq!(Micros(1_794_816_000_123_456).to_string(), "2026-11-16 08:00:00.123456");
        assert_eq!("2026-11-16T08:00:00.123456Z".parse(), Ok(Micros(1_794_816_000_123_456)));
        assert!("yesterday".parse::<Micros>().is_err());
    }
}

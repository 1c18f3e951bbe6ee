//! Why the store did not do what it was asked.

use std::error::Error as _;

/// What an error of the client says, with what it rests on: the outermost alone says no more than
/// "network error". Password and address are not part of it.
#[must_use]
pub fn reason(error: &clickhouse::error::Error) -> String {
    let mut text = error.to_string().trim_end().to_owned();
    let mut source = error.source();
    while let Some(error) = source {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        source = error.source();
    }
    text
}

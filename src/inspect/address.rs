//! URLs in a text, the addresses that their hosts are, and how far those reach.

mod host;
mod reach;
mod url;

pub use host::{embedded_v4, host_ip};
pub use reach::{Reach, reach};
pub use url::{Url, urls};

#[cfg(test)]
mod tests;

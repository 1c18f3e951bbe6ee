//! HTTP/1 (RFC 9112): one direction at a time in `half`, pairing in `connection`.

pub(in crate::app) mod body;
pub(in crate::app) mod connection;
pub(in crate::app) mod feed;
pub(in crate::app) mod half;
pub(in crate::app) mod head;
pub(in crate::app) mod oddity;
pub(in crate::app) mod resync;
pub(in crate::app) mod start_line;

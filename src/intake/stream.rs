//! A connection, with or without TLS.

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Any of them.
pub(super) type Stream = Box<dyn Duplex>;

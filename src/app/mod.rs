//! In-order bytes into exchanges: protocol probe, HTTP/1, and what is shed. Sans-IO.
//!
//! In: calls from `flow`. Out: [`ExchangeEvent`](crate::exchange::ExchangeEvent)s into an
//! [`ExchangeSink`](crate::exchange::ExchangeSink).

//! The corpus: traffic that must stay quiet, traffic that must not, and what is published of both.
//!
//! - `kit` makes captures of scripted connections.
//! - `lookalikes`, `documents` and `honest` are benign; `gate` lets the program read them and every
//!   recorded benign capture: nothing in the lanes `alert` and `enforce` may be found.
//! - `figure` and `cloudflare` write tables into `rules/README.md`; stale ones are refused.
//! - `planted` looks for secrets in outputs, `evasion` disguises payloads, `day` is an office with
//!   500 clients.

mod cloudflare;
mod day;
mod documents;
mod evasion;
mod figure;
mod gate;
mod generated;
mod honest;
mod kit;
mod lookalikes;
mod planted;

//! Hand-built captures for tests.

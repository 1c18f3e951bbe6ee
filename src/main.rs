//! The command line of shadowtap.

fn main() {}

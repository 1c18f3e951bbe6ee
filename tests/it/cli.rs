//! The command line: exit codes, outputs, errors.

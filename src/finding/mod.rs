//! Rule matches and verdicts into findings: identity, windows, masking. Sans-IO.

//! Findings and other events to the outside: NDJSON, SARIF, JUnit, the terminal. An I/O edge.

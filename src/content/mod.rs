//! Body bytes into plain bytes, text and server-sent events. Sans-IO, bounded.

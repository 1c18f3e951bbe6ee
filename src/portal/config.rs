//! The portal's file, checked.

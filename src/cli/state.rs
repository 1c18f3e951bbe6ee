//! `--state`: what lists of servers taught, kept from run to run.

use std::path::Path;

use super::{Failure, complain};
use crate::memory::Memory;
use crate::memory::store::{self, Store};

/// An open state directory, or none.
#[derive(Debug, Default)]
pub(super) struct State {
    store: Option<Store>,
    /// Could not be written once: said once.
    failed: bool,
}

impl State {
    /// Opens the directory, if one is named, and reads what is in it.
    pub(super) fn open(directory: Option<&Path>) -> Result<(Self, Memory), Failure> {
        let Some(directory) = directory else { return Ok((Self::default(), Memory::default())) };
        let (store, memory, notice) =
            store::open(directory, Memory::default()).map_err(Failure::new)?;
        if let Some(notice) = notice {
            complain(&format!("warning: {notice}"));
        }
        Ok((Self { store: Some(store), failed: false }, memory))
    }

    /// Keeps the memory for the next run.
    pub(super) fn save(&self, memory: &Memory) -> Result<(), Failure> {
        match &self.store {
            Some(store) => store.save(memory).map_err(Failure::new),
            None => Ok(()),
        }
    }

    /// The same in a run that goes on: a failure is said once, until it passes.
    pub(super) fn tend(&mut self, memory: &Memory) {
        match self.save(memory) {
            Ok(()) => self.failed = false,
            Err(failure) if !self.failed => {
                self.failed = true;
                complain(&format!("warning: {failure}"));
            }
            Err(_) => {}
        }
    }
}

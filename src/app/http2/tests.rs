//! Conversations built frame by frame, in every cut, and a recorded one.

mod builder;
mod capture;
mod conversations;
mod damage;
mod recorder;

use builder::{Side, frame};
use recorder::{Run, expect};

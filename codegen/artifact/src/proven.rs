//! What only the compiler makes, and safe code cannot change.
#![allow(unsafe_code)]

use crate::{Artifact, Coded, Cpu, DecodeFn, Versions};
use std::ops::Deref;

/// An artifact that is as the compiler made it: what it proved of texts and facts holds. Reads like an
/// [`Artifact`]; a copy of that may be changed, and proves nothing.
#[derive(Debug)]
pub struct Proven {
    artifact: Artifact,
}

impl Proven {
    /// What the proc-macros expand to.
    ///
    /// # Safety
    /// The compiler made the artifact, and nobody changed it.
    pub const unsafe fn new(artifact: Artifact) -> Proven {
        Proven { artifact }
    }
}

impl Deref for Proven {
    type Target = Artifact;

    fn deref(&self) -> &Artifact {
        &self.artifact
    }
}

impl Cpu {
    /// What the proc-macros expand to.
    ///
    /// # Safety
    /// Every function may be called with any arguments, wherever the processor has the instructions that
    /// [`Versions`] says of it, and writes nothing but its last arguments.
    pub const unsafe fn new(decode: Versions<DecodeFn>, coded: Option<&'static Coded>) -> Cpu {
        Cpu { decode, coded }
    }
}

//! Which formats are known to be the compiler's.

use super::{Format, Source, formats};
use crate::artifact::{Artifact, Proven};
#[cfg(any(feature = "hip", feature = "hip-host"))]
use crate::{Error, Result};

impl Format {
    /// Vouches for an artifact made by hand, or read from elsewhere: GPUs run its kernels without checks at
    /// run time, as they run those of formats that are built in, of `include_format!` and of
    /// `Format::compile`. Devices that have no checks run no others.
    ///
    /// # Safety
    /// Its kernels stay within the buffers of a tensor, as those do that Quantloom's compiler makes and
    /// proves, with facts that fit them.
    #[allow(unsafe_code)]
    pub unsafe fn trusted(self) -> Format {
        Format { proven: true, ..self }
    }

    /// Whether texts and facts are known to be the compiler's, so that what it proved of them holds.
    pub fn is_proven(&self) -> bool {
        self.proven
    }

    /// Refuses to run kernels that nobody vouches for, on a device that does not check what they do.
    #[cfg(any(feature = "hip", feature = "hip-host"))]
    pub(crate) fn vouched(&self, device: &str) -> Result<()> {
        if self.proven {
            return Ok(());
        }
        let problem = format!(
            "its kernels may not be those of Quantloom's compiler, and `{device}` does not check what they \
             do; use the format as `include_format!` or `Format::compile` makes it, or vouch for it with \
             `Format::trusted`"
        );
        Err(Error::Format { format: self.name.to_string(), problem })
    }
}

impl From<&'static Artifact> for Format {
    fn from(artifact: &'static Artifact) -> Format {
        // Of the artifacts that live as long as the program, only those of `quantloom-formats`
        // are known to be the compiler's. They cannot be changed, so being one of them is the proof.
        let proven = formats().iter().any(|own| std::ptr::eq(own, artifact));
        Format { proven, ..Format::new(Source::BuiltIn(artifact)) }
    }
}

impl From<&'static Proven> for Format {
    fn from(proven: &'static Proven) -> Format {
        Format { proven: true, ..Format::new(Source::BuiltIn(proven)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_compiler_made_is_proven() {
        let built_in = formats().first().unwrap();
        assert!(Format::from(built_in).is_proven());
        assert!(Format::named(&built_in.name).unwrap().is_proven());
        assert!(!Format::from(built_in.clone()).is_proven(), "a copy may have been changed");
        let leaked: &'static Artifact = Box::leak(Box::new(built_in.clone()));
        assert!(!Format::from(leaked).is_proven(), "it is not the catalogue's");
        // SAFETY: it is a built-in artifact as it is.
        #[allow(unsafe_code)]
        let proven: &Proven = Box::leak(Box::new(unsafe { Proven::new(built_in.clone()) }));
        assert!(Format::from(proven).is_proven());
        assert!(!Format::from(Artifact::clone(proven)).is_proven(), "a copy may have been changed");
    }

    #[cfg(feature = "tune")]
    #[test]
    fn compiling_again_proves_nothing_that_was_changed() {
        let built_in = formats().iter().find(|artifact| !artifact.sizes.is_empty()).unwrap();
        let schedules = quantloom_codegen::Schedules::default();
        assert!(Format::from(built_in).scheduled(&schedules).unwrap().is_proven());
        let changed = Artifact { sizes: Vec::new().into(), ..built_in.clone() };
        if let Ok(format) = Format::from(changed).scheduled(&schedules) {
            assert!(!format.is_proven(), "its sizes are not the compiler's");
        }
    }
}

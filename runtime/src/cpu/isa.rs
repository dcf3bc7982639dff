//! Which instructions kernels use: the best the processor and its operating system permit, or those
//! that the environment variable `QUANTLOOM_ISA` names.

use std::fmt;
use std::sync::OnceLock;

use super::simd::portable::Portable;
use super::simd::{Kernel, Simd};
use crate::artifact::Versions;
use crate::{Error, Result};

#[cfg(target_arch = "x86_64")]
use super::simd::{avx2::Avx2, avx512::Avx512};

/// A level of instructions that this processor has.
#[derive(Clone, Copy)]
pub(crate) enum Isa {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Isa {
    /// Asks once per process.
    pub fn chosen() -> Result<Isa> {
        static CHOSEN: OnceLock<Result<Isa, String>> = OnceLock::new();
        let chosen = CHOSEN.get_or_init(|| match std::env::var("QUANTLOOM_ISA") {
            Ok(name) if !name.is_empty() => Isa::named(&name),
            _ => Ok(Isa::best()),
        });
        chosen.clone().map_err(|problem| Error::Instructions { problem })
    }

    fn best() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(avx512) = Avx512::detect() {
                return Isa::Avx512(avx512);
            }
            if let Some(avx2) = Avx2::detect() {
                return Isa::Avx2(avx2);
            }
        }
        Isa::Portable(Portable)
    }

    /// The level of this name; the error says what would be right.
    pub fn named(name: &str) -> Result<Isa, String> {
        let levels = Isa::all();
        let found = levels.iter().find(|isa| isa.to_string() == name);
        found.copied().ok_or_else(|| {
            let known = crate::format::list(levels.iter().map(Isa::to_string));
            format!("`{name}` is no level of instructions that this processor has; it has {known}")
        })
    }

    /// Every level this processor has, the simplest first.
    pub fn all() -> Vec<Isa> {
        let mut all = vec![Isa::Portable(Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Avx2::detect().map(Isa::Avx2));
            all.extend(Avx512::detect().map(Isa::Avx512));
        }
        all
    }

    /// Runs a kernel with these instructions.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Isa::Portable(simd) => simd.vectorize(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(simd) => simd.vectorize(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(simd) => simd.vectorize(kernel),
        }
    }

    /// The version of a generated function for these instructions. It is unsafe to call in general;
    /// with what this returns it is not.
    pub fn version<F: Copy>(self, versions: &Versions<F>) -> F {
        match self {
            Isa::Portable(_) => versions.portable,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => versions.avx2.unwrap_or(versions.portable),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => versions.avx512.or(versions.avx2).unwrap_or(versions.portable),
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => "avx512",
        })
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Isa({self})")
    }
}

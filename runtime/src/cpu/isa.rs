//! Which instructions kernels use: the best the processor and its operating system permit, or those
//! that the environment variable `QUANTLOOM_ISA` names.

use std::fmt;
use std::sync::OnceLock;

use super::simd::portable::Portable;
use super::simd::{Kernel, Simd};
use crate::artifact::Versions;
use crate::{Error, Result};

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use super::simd::neon::{Dotprod, I8mm, Neon, Products};
#[cfg(target_arch = "x86_64")]
use super::simd::{avx2::Avx2, avx512::Avx512};

/// All that depends on which levels there are: a target, a name, the proof that the processor has it,
/// and its version of generated functions. The simplest stand first.
macro_rules! levels {
    ($($(#[$target:meta])? $name:literal $level:ident($proof:ty) |$of:ident| $version:expr;)+) => {
        /// A level of instructions that this processor has.
        #[derive(Clone, Copy)]
        pub(crate) enum Isa {
            $($(#[$target])? $level($proof),)+
        }

        impl Isa {
            /// Every level this processor has, the simplest first.
            pub fn all() -> Vec<Isa> {
                let all = [$($(#[$target])? <$proof>::detect().map(Isa::$level),)+];
                all.into_iter().flatten().collect()
            }

            /// Runs a kernel with these instructions.
            #[inline]
            pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
                match self {
                    $($(#[$target])? Isa::$level(simd) => simd.vectorize(kernel),)+
                }
            }

            /// The version of a generated function for these instructions. It is unsafe to call in
            /// general; with what this returns it is not.
            pub fn version<F: Copy>(self, versions: &Versions<F>) -> F {
                match self {
                    $($(#[$target])? Isa::$level(_) => {
                        let $of = versions;
                        $version
                    })+
                }
            }
        }

        impl fmt::Display for Isa {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($(#[$target])? Isa::$level(_) => $name,)+
                })
            }
        }
    };
}

// NEON belongs to AArch64, so portable functions are compiled with it.
levels! {
    "portable" Portable(Portable) |of| of.portable;
    #[cfg(target_arch = "x86_64")]
    "avx2" Avx2(Avx2) |of| of.avx2.unwrap_or(of.portable);
    #[cfg(target_arch = "x86_64")]
    "avx512" Avx512(Avx512) |of| of.avx512.or(of.avx2).unwrap_or(of.portable);
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    "neon" Neon(Neon<Products>) |of| of.portable;
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    "dotprod" Dotprod(Neon<Dotprod>) |of| of.portable;
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    "i8mm" I8mm(Neon<I8mm>) |of| of.portable;
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
        Isa::all().pop().unwrap_or(Isa::Portable(Portable))
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
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Isa({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Isa;

    /// Run on emulated processors with `QUANTLOOM_ISA` naming what each has.
    #[test]
    fn the_chosen_level_is_one_that_there_is() {
        let (chosen, all) = (Isa::chosen().unwrap().to_string(), Isa::all());
        let named = std::env::var("QUANTLOOM_ISA").unwrap_or_default();
        let wanted = if named.is_empty() { all[all.len() - 1].to_string() } else { named };
        assert_eq!(chosen, wanted);
        assert!(Isa::named("").is_err());
    }
}

//! Formats that are compiled while a program runs.

use super::Format;
use crate::{Error, Result};
#[cfg(feature = "tune")]
use {super::Source, crate::artifact::Artifact, std::sync::Arc};

impl Format {
    /// A format of your own, from the text of its descriptor. It runs on the reference engine and on
    /// GPUs; a decoder for the CPU is made by `quantloom-macros`, when a program is built.
    ///
    /// `file` is only named in errors.
    ///
    /// # Errors
    /// [`Error::Compile`], which lists everything that is wrong with the descriptor.
    #[cfg(feature = "compile")]
    pub fn compile(descriptor: &str, file: &str) -> Result<Format> {
        Format::compile_with(descriptor, file, &[])
    }

    /// [`Format::compile`] for one choice of the descriptor's parameters, by name and value.
    ///
    /// # Errors
    /// [`Error::Compile`], also where a parameter has no value or one it cannot have.
    #[cfg(feature = "compile")]
    pub fn compile_with(descriptor: &str, file: &str, params: &[(&str, u32)]) -> Result<Format> {
        let param = |&(name, value): &(&str, u32)| crate::artifact::Param {
            name: name.to_owned().into(),
            value,
        };
        let params = quantloom_codegen::Params(params.iter().map(param).collect());
        let compiled = quantloom_codegen::compile_with(descriptor, file, &params);
        let compiled = compiled.map_err(|error| Error::Compile(error.into()))?;
        // Nothing has touched what the compiler has just made and proved.
        Ok(Format { proven: true, ..Format::from(compiled.artifact) })
    }

    /// The same format with kernels of these schedules: compiled again from its descriptor, and proven where
    /// the format is.
    ///
    /// # Errors
    /// Where a kernel cannot have such a schedule, or the descriptor does not compile.
    #[cfg(feature = "tune")]
    pub fn scheduled(&self, schedules: &quantloom_codegen::Schedules) -> Result<Format> {
        let file = format!("{}.yaml", self.name);
        let params = quantloom_codegen::Params(self.params.to_vec());
        let compiled =
            quantloom_codegen::compile_scheduled(&self.descriptor, &file, &params, schedules);
        let compiled = compiled.map_err(|error| Error::Compile(error.into()))?.artifact;
        crate::descriptor::agree(self, compiled.weights, &compiled.streams)?;
        // A changed artifact has sizes, functions and a descriptor that the compiler knows nothing of.
        let (sizes, proven) = (self.sizes, self.proven);
        let artifact = Artifact { cpu: self.cpu, ..compiled };
        Ok(Format { source: Source::Owned(Arc::new(artifact)), sizes, proven })
    }
}

#[cfg(test)]
mod tests {
    use crate::Format;
    use crate::artifact::Artifact;

    #[test]
    fn what_was_just_compiled_is_proven() {
        let text = "format: a\ntitle: a\nweights: 4\nblock:\n  q: u8[4]\nfields:\n  \
                    c: {from: q}\nvalue: c\n";
        let format = Format::compile(text, "a.yaml").unwrap();
        assert!(format.is_proven() && format.clone().is_proven());
        assert!(!Format::from(Artifact::clone(&format)).is_proven());
    }
}

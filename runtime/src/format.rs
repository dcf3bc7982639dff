//! Formats: handles to what the compiler made of a descriptor.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::artifact::{
    Artifact, Dims, Extent, Grid, Kernel, MOST_BYTES, MOST_ROWS, MOST_TILE, MOST_WEIGHTS, Proven,
    Stream,
};
use crate::{Error, Result};

/// A format's facts, CPU decoder and kernels, and the sizes that its tensors are stored with; cheap to
/// clone. Reads like an [`Artifact`].
///
/// A format is [proven](Format::is_proven) where the compiler made it and nobody could change it. Safe code
/// changes copies alone, and puts no function in place of the compiler's:
///
/// ```compile_fail,E0451
/// use quantloom::artifact::{Cpu, DecodeFn, Versions};
///
/// unsafe fn own(_: &[&[u8]], _: &[u32; 4], _: usize, _: &mut [f32]) {}
/// let cpu = Cpu { decode: Versions::only(own as DecodeFn), coded: None };
/// ```
///
/// ```compile_fail,E0616
/// let format = quantloom::formats()[0].clone();
/// let mut cpu = format.cpu.unwrap();
/// cpu.decode.portable = cpu.decode.avx512.unwrap();
/// ```
#[derive(Clone)]
pub struct Format {
    source: Source,
    /// Weights, for each of the artifact's sizes.
    sizes: [u32; 2],
    /// Whether texts and facts are as Quantloom's compiler made them; see [`Format::trusted`].
    proven: bool,
}

#[derive(Clone)]
enum Source {
    BuiltIn(&'static Artifact),
    Owned(Arc<Artifact>),
}

/// Every format that is built in, sorted by name.
pub fn formats() -> &'static [Artifact] {
    quantloom_formats::FORMATS
}

/// The kernels that make [`Activations::Int8`](crate::artifact::Activations::Int8) of f32 activations
/// `[m, k]`, one for each backend; they serve all formats.
pub fn quantizers() -> &'static [Kernel] {
    quantloom_formats::QUANTIZERS
}

impl Format {
    /// The built-in format of this name.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`], which lists the names there are.
    pub fn named(name: &str) -> Result<Format> {
        let found = formats().iter().find(|artifact| artifact.name == name);
        found.map(Format::from).ok_or_else(|| Error::UnknownFormat {
            name: name.to_owned(),
            known: list(formats().iter().map(|artifact| artifact.name.to_string())),
        })
    }

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

    /// The same format with another's sizes, which has as many.
    #[cfg(all(feature = "tune", any(feature = "hip", feature = "wgpu", feature = "web")))]
    pub(crate) fn sized_like(&self, other: &Format) -> Format {
        Format { sizes: other.sizes, ..self.clone() }
    }

    /// The same format with another size, in weights: tensors made with this handle are stored with
    /// it. Kernels serve all sizes.
    ///
    /// # Errors
    /// [`Error::Format`] where the format has no such size, or the value is no multiple of its block or
    /// more than [`Artifact::largest_size`]: tiles have at most 2^30 weights.
    pub fn with_size(mut self, name: &str, weights: u32) -> Result<Format> {
        let error = |problem: String| Error::Format { format: self.name.to_string(), problem };
        let Some(index) = self.artifact().sizes.iter().position(|size| size.name == name) else {
            let known = list(self.artifact().sizes.iter().map(|size| size.name.to_string()));
            return Err(error(format!("it has no size `{name}`; sizes are {known}")));
        };
        self.check_size(index, weights).map_err(error)?;
        if let Some(size) = self.sizes.get_mut(index) {
            *size = weights;
        }
        Ok(self)
    }

    /// Name and weights of each size that tensors made with this handle are stored with.
    #[cfg(feature = "verify")]
    pub(crate) fn own_sizes(&self) -> Vec<(String, u32)> {
        let names = self.artifact().sizes.iter().map(|size| size.name.to_string());
        names.zip(self.sizes).collect()
    }

    /// Refuses what one of the sizes cannot be, in weights.
    fn check_size(&self, index: usize, weights: u32) -> Result<(), String> {
        let (block, largest) = (self.weights, self.largest_size(index));
        if (1..=largest).contains(&weights) && weights.is_multiple_of(block) {
            return Ok(());
        }
        let name = self.artifact().sizes.get(index).map_or("", |size| &*size.name);
        Err(format!(
            "a size `{name}` of {weights} weights; it must be a multiple of the block's {block}, from \
             {block} to {largest}"
        ))
    }

    /// The sizes of a tensor of this format; `None` where a row is no multiple of the block, or it has
    /// more rows, blocks or units than [`Dims::check`] allows.
    pub(crate) fn dims(&self, n: usize, k: usize) -> Option<Dims> {
        let block = self.weights as usize;
        let blocks = k.is_multiple_of(block).then(|| k / block)?;
        let sizes = self.sizes.map(|weights| weights / self.weights);
        let dims = Dims { n: n.try_into().ok()?, blocks: blocks.try_into().ok()?, sizes };
        dims.check(&self.streams).ok().map(|()| dims)
    }

    fn check_stream(&self, stream: &Stream) -> Result<(), String> {
        let Stream { name, bytes, units } = stream;
        let all_bytes = u64::from(*bytes) * u64::from(units.per_block);
        if !(1..=u64::from(MOST_BYTES)).contains(&all_bytes) {
            return Err(format!(
                "stream `{name}` has units of {bytes} bytes, {} in a block; together 1 to {MOST_BYTES}",
                units.per_block
            ));
        }
        if units.rows > MOST_ROWS {
            return Err(format!(
                "units of stream `{name}` for {} rows; they are for {MOST_ROWS} at most",
                units.rows
            ));
        }
        let covers = match units.blocks {
            Extent::Blocks(blocks) => {
                (1..=u64::from(MOST_TILE)).contains(&(u64::from(blocks) * u64::from(self.weights)))
            }
            // How large a size may be depends on its factor: `check_size`.
            Extent::Sizes { size, times } => {
                times > 0 && (size as usize) < self.artifact().sizes.len()
            }
            Extent::Row => true,
        };
        match covers {
            true => Ok(()),
            false => Err(format!(
                "units of stream `{name}` cover no block, or more than {MOST_TILE} weights of a row"
            )),
        }
    }

    fn artifact(&self) -> &Artifact {
        match &self.source {
            Source::BuiltIn(artifact) => artifact,
            Source::Owned(artifact) => artifact,
        }
    }

    fn new(source: Source) -> Format {
        let mut format = Format { source, sizes: [0; 2], proven: false };
        let defaults = format.artifact().sizes.iter().map(|size| size.default);
        let defaults: Vec<u32> = defaults.collect();
        for (size, default) in format.sizes.iter_mut().zip(defaults) {
            *size = default;
        }
        format
    }

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

    /// The built-in format with this type number in GGUF files.
    pub fn of_gguf_type(number: u32) -> Option<Format> {
        formats().iter().find(|artifact| artifact.gguf == Some(number)).map(Format::from)
    }

    /// Refuses facts that no compiler makes but a hand could, so that nobody divides by zero and no
    /// number of a unit wraps.
    pub(crate) fn check(&self) -> Result<()> {
        let error = |problem: &str| {
            Err(Error::Format { format: self.name.to_string(), problem: problem.to_owned() })
        };
        if !(1..=MOST_WEIGHTS).contains(&self.weights) {
            return error(&format!(
                "a block of {} weights; it has 1 to {MOST_WEIGHTS}",
                self.weights
            ));
        }
        if self.streams.is_empty() {
            return error("no stream of bytes; it needs at least 1");
        }
        self.streams
            .iter()
            .try_for_each(|stream| self.check_stream(stream))
            .or_else(|problem| error(&problem))?;
        let own = 0..self.artifact().sizes.len();
        let sizes = own.zip(self.sizes).try_for_each(|(index, size)| self.check_size(index, size));
        sizes.or_else(|problem| error(&problem))?;
        if let Some(kernel) = self.kernels.iter().find(|kernel| is_empty(kernel.grid)) {
            let name = &kernel.name;
            return error(&format!("kernel `{name}` has a grid with a 0; each needs at least 1"));
        }
        Ok(())
    }
}

fn is_empty(grid: Grid) -> bool {
    match grid {
        Grid::Strips { weights, strips, per_workgroup } => {
            weights == 0 || strips == 0 || per_workgroup == 0
        }
        Grid::Rows { per_workgroup } | Grid::Chunks { per_workgroup } => per_workgroup == 0,
        Grid::Tiles { n, m } => n == 0 || m == 0,
    }
}

/// `a, b, c`, or `none` for an empty list.
pub(crate) fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl Deref for Format {
    type Target = Artifact;

    fn deref(&self) -> &Artifact {
        self.artifact()
    }
}

impl From<&'static Artifact> for Format {
    fn from(artifact: &'static Artifact) -> Format {
        // Of the artifacts that live as long as the program, only those of this crate's own manifest
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

impl From<Artifact> for Format {
    fn from(artifact: Artifact) -> Format {
        Format::new(Source::Owned(Arc::new(artifact)))
    }
}

impl From<&Format> for Format {
    fn from(format: &Format) -> Format {
        format.clone()
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Format({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Size, Units};

    #[test]
    fn only_what_the_compiler_made_is_proven() {
        let built_in = formats().first().unwrap();
        assert!(Format::from(built_in).is_proven());
        assert!(Format::named(&built_in.name).unwrap().is_proven());
        assert!(!Format::from(built_in.clone()).is_proven(), "a copy may have been changed");
        let leaked: &'static Artifact = Box::leak(Box::new(built_in.clone()));
        assert!(!Format::from(leaked).is_proven(), "it is not the manifest's");
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

    /// A format whose scale is shared by `times` times a size.
    fn sized(times: u32, default: u32) -> Artifact {
        let units = Units { blocks: Extent::Sizes { size: 0, times }, ..Units::BLOCKS };
        let streams = vec![
            Stream { name: "codes".into(), bytes: 4, units: Units::BLOCKS },
            Stream { name: "scales".into(), bytes: 4, units },
        ];
        let sizes = vec![Size { name: "g".into(), default }];
        Artifact { weights: 8, streams: streams.into(), sizes: sizes.into(), ..Artifact::default() }
    }

    #[test]
    fn sizes_end_where_units_could_wrap() {
        for (times, largest) in [(1, 1 << 30), (256, 1 << 22), (65535, 16384), (1 << 27, 8)] {
            let format = Format::from(sized(times, 8));
            assert!(format.check().is_ok());
            assert!(format.clone().with_size("g", largest).is_ok(), "{times}");
            for size in [0, 7, largest + 8, 1 << 31, u32::MAX - 7] {
                let error = format.clone().with_size("g", size).unwrap_err().to_string();
                assert!(error.contains(&format!("from 8 to {largest}")), "{error}");
            }
        }
        assert!(Format::from(sized(1 << 28, 8)).with_size("g", 8).is_err());
    }

    #[test]
    fn facts_that_could_wrap_are_refused() {
        type Change = fn(&mut Artifact);
        let refused = |change: Change| {
            let mut artifact = sized(256, 64);
            change(&mut artifact);
            Format::from(artifact).check().unwrap_err().to_string()
        };
        let cases: [(Change, &str); 9] = [
            (|a| a.weights = 1 << 15, "a block of 32768 weights"),
            (|a| a.sizes.to_mut()[0].default = 0, "a size `g` of 0 weights"),
            (|a| a.sizes.to_mut()[0].default = 1 << 23, "from 8 to 4194304"),
            (|a| a.streams.to_mut()[0].bytes = 0, "units of 0 bytes"),
            (|a| a.streams.to_mut()[0].units.per_block = 1 << 30, "1073741824 in a block"),
            (|a| a.streams.to_mut()[0].units.rows = 257, "for 257 rows"),
            (|a| a.streams.to_mut()[0].units.blocks = Extent::Blocks(0), "cover no block"),
            (|a| a.streams.to_mut()[0].units.blocks = Extent::Blocks(1 << 28), "or more than"),
            (
                |a| a.streams.to_mut()[1].units.blocks = Extent::Sizes { size: 1, times: 1 },
                "no block",
            ),
        ];
        for (change, says) in cases {
            let error = refused(change);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn tensors_have_no_more_units_than_can_be_numbered() {
        let format = Format::from(sized(1, 8));
        let (n, k) = (1 << 16, 8 << 15);
        assert!(format.dims(n, k).is_some());
        assert!(format.dims(n, k + 8).is_none() && format.dims(n + 1, k).is_none());
        // Parts of a tensor of blocks are numbered on their own.
        assert!(
            formats()
                .iter()
                .find(|own| own.is_plain())
                .map(Format::from)
                .unwrap()
                .dims(1 << 31, 1 << 20)
                .is_some()
        );
    }

    #[cfg(feature = "compile")]
    #[test]
    fn what_was_just_compiled_is_proven() {
        let text = "format: a\ntitle: a\nweights: 4\nblock:\n  q: u8[4]\nfields:\n  \
                    c: {from: q}\nvalue: c\n";
        let format = Format::compile(text, "a.yaml").unwrap();
        assert!(format.is_proven() && format.clone().is_proven());
        assert!(!Format::from(Artifact::clone(&format)).is_proven());
    }
}

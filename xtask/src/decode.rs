//! `decode`: raw blocks to raw weights.

use crate::engine::Engine;
#[cfg(not(feature = "engines"))]
use crate::failure::Outcome;
use quantloom_codegen::artifact::Param;
use std::path::PathBuf;

/// Decode raw blocks to raw little-endian f32
///
/// INPUT is nothing but the format's blocks; a format of several streams takes one file per stream,
/// in the descriptor's order. OUTPUT is replaced only when everything has been decoded.
///
/// Examples:
///   cargo xtask decode --format q6_k --engine wgsl blocks.bin weights.f32
///   cargo xtask decode --format my_format.yaml --engine reference blocks.bin weights.f32
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(
    override_usage = "cargo xtask decode --format <NAME|FILE.yaml> --engine <ENGINE> <INPUT>... <OUTPUT>"
)]
#[cfg_attr(not(feature = "engines"), allow(dead_code))]
pub struct Args {
    /// Name of a format, or path of a descriptor, which every engine but cpu takes
    #[arg(long, value_name = "NAME|FILE.yaml")]
    format: String,
    /// What decodes
    #[arg(long, value_enum)]
    engine: Engine,
    /// Weight rows, for formats whose streams depend on the shape
    #[arg(long, value_name = "ROWS", requires = "k")]
    n: Option<usize>,
    /// Weights per row, for formats whose streams depend on the shape
    #[arg(long, value_name = "WEIGHTS", requires = "n")]
    k: Option<usize>,
    /// A size of the tensor in weights, such as that of a group
    #[arg(long, value_name = "NAME=WEIGHTS", value_parser = crate::files::param)]
    size: Vec<Param>,
    /// Value of a parameter, where the descriptor stands for several formats
    #[arg(long, value_name = "NAME=NUMBER", value_parser = crate::files::param)]
    param: Vec<Param>,
    /// Input files, one per stream, and the output file last
    #[arg(required = true, num_args = 2.., value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Runs the command.
#[cfg(not(feature = "engines"))]
pub fn run(_: &Args) -> Outcome {
    crate::engine::rerun(crate::engine::Profile::Dev)
}

#[cfg(feature = "engines")]
pub use engines::run;

#[cfg(feature = "engines")]
mod engines {
    use super::Args;
    use crate::draft::Draft;
    use crate::engine::Engine;
    use crate::failure::{Failure, Outcome};
    use crate::files::{self, shown};
    use crate::print;
    use quantloom::artifact::Param;
    use quantloom::{Bytes, Format, Tensor};
    use std::path::{Path, PathBuf};
    use std::time::Instant;

    /// Weights decoded at a time.
    const RUN: usize = 1 << 22;

    /// Runs the command.
    pub fn run(args: &Args) -> Outcome {
        let Some((output, inputs)) = args.files.split_last() else { return Ok(()) };
        let mut format = format(&args.format, args.engine, &args.param)?;
        for size in &args.size {
            format = format.with_size(&size.name, size.value)?;
        }
        check_count(&format, inputs)?;
        let same = |path: &PathBuf| path.canonicalize().ok();
        if let Some(input) = inputs.iter().find(|&i| same(i).is_some() && same(i) == same(output)) {
            let input = shown(input);
            return Err(Failure::input(format!(
                "{input} is both input and output; name another output"
            )));
        }
        let streams = inputs.iter().map(|path| input(path)).collect::<Outcome<Vec<Bytes>>>()?;
        let device = args.engine.open()?;
        let started = Instant::now();
        let mut draft = Draft::new(output)?;
        let write = |draft: &mut Draft, tensor: &Tensor| -> Outcome {
            let weights = tensor.upload(&device)?.dequantize()?;
            let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
            draft.write(&bytes)
        };
        if let (Some(n), Some(k)) = (args.n, args.k) {
            let tensor = Tensor::new("input", &format, n, k, streams)?;
            write(&mut draft, &tensor)?;
            draft.finish()?;
            return told(n * k / format.weights as usize, &format, started, &device.name());
        }
        if !format.is_plain() {
            return Err(Failure::input(format!(
                "the streams of {} depend on the tensor's shape: give it with --n and --k",
                format.name
            )));
        }
        let lengths: Vec<usize> = streams.iter().map(|bytes| bytes.len()).collect();
        let blocks = blocks(&format, inputs, &lengths)?;
        let per_run = (RUN / format.weights as usize).max(1);
        for first in (0..blocks).step_by(per_run) {
            let run = first..blocks.min(first + per_run);
            let part = |(bytes, stream): (&Bytes, &quantloom::artifact::Stream)| {
                let size = stream.bytes as usize;
                bytes.slice(run.start * size..run.end * size).unwrap_or_else(|| Vec::new().into())
            };
            let parts: Vec<Bytes> = streams.iter().zip(format.streams.iter()).map(part).collect();
            let k = format.weights as usize;
            let tensor = Tensor::new("input", &format, run.len(), k, parts)?;
            write(&mut draft, &tensor)?;
        }
        draft.finish()?;
        told(blocks, &format, started, &device.name())
    }

    /// A file's bytes, or all that comes out of a pipe.
    fn input(path: &Path) -> Outcome<Bytes> {
        #[cfg(unix)]
        if path
            .metadata()
            .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_fifo(&found.file_type()))
        {
            let bytes = std::fs::read(path).map_err(|error| files::cannot("read", path, error))?;
            return Ok(bytes.into());
        }
        Ok(Bytes::open(path)?)
    }

    fn told(blocks: usize, format: &Format, started: Instant, device: &str) -> Outcome {
        print::error(&format!(
            "{} decoded to {} in {} by {device}",
            print::count(blocks, "block"),
            print::count(blocks * format.weights as usize, "weight"),
            print::duration(started.elapsed()),
        ));
        Ok(())
    }

    /// The built-in format of this name, or the descriptor at this path.
    fn format(format: &str, engine: Engine, params: &[Param]) -> Outcome<Format> {
        if !files::is_path(format) {
            let suffix = params.iter().map(|param| format!("_{}{}", param.name, param.value));
            return Ok(Format::named(&(format.to_owned() + &suffix.collect::<String>()))?);
        }
        if engine == Engine::Cpu {
            return Err(Failure::input(format!(
                "engine cpu cannot take {format}: its decoders are compiled into the program, and this descriptor is \
                 read now; use reference, wgsl, hip, amd or cuda, or put it into formats/, run `cargo xtask gen` and give its name"
            )));
        }
        Ok(files::format(format, params)?.artifact.into())
    }

    fn check_count(format: &Format, inputs: &[PathBuf]) -> Outcome {
        let streams: Vec<&str> = format.streams.iter().map(|stream| &*stream.name).collect();
        if inputs.len() == streams.len() {
            return Ok(());
        }
        Err(Failure::input(format!(
            "{} given; format {} has {}: {}; the output file comes last",
            print::count(inputs.len(), "input file"),
            format.name,
            print::count(streams.len(), "stream"),
            streams.join(", ")
        )))
    }

    /// Blocks in the inputs, which must be whole and as many in every stream.
    pub(super) fn blocks(format: &Format, inputs: &[PathBuf], lengths: &[usize]) -> Outcome<usize> {
        let mut first: Option<(usize, &PathBuf)> = None;
        for ((input, &length), stream) in inputs.iter().zip(lengths).zip(format.streams.iter()) {
            let (size, name) = (stream.bytes as usize, &format.name);
            let wrong =
                |problem: String| Err(Failure::input(format!("{}: {problem}", shown(input))));
            if length == 0 {
                return wrong(format!("is empty; a block of {name} has {size} bytes here"));
            }
            if length % size != 0 {
                return wrong(format!(
                    "{length} bytes are {} and {} bytes more; a block of {name} has {size} bytes here",
                    print::count(length / size, "block"),
                    length % size
                ));
            }
            let blocks = length / size;
            match first {
                Some((others, other)) if others != blocks => {
                    return wrong(format!(
                        "holds {} and {} {others}; every stream must have as many",
                        print::count(blocks, "block"),
                        shown(other)
                    ));
                }
                _ => first = Some((blocks, input)),
            }
        }
        Ok(first.map_or(0, |(blocks, _)| blocks))
    }
}

#[cfg(all(test, feature = "engines"))]
mod tests {
    use super::*;
    use crate::failure::{Failure, Outcome};

    fn args(format: &str, files: &[PathBuf]) -> Args {
        Args {
            format: format.into(),
            engine: Engine::Reference,
            n: None,
            k: None,
            size: Vec::new(),
            param: Vec::new(),
            files: files.to_vec(),
        }
    }

    fn message(outcome: Outcome) -> String {
        match outcome {
            Err(Failure::Input(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn decodes_a_descriptor_and_spares_the_output_of_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let descriptor =
            "format: toy\ntitle: t\nweights: 2\nblock: {d: f16, q: \"i8[2]\"}\nvalue: q * d\n";
        std::fs::write(path("toy.yaml"), descriptor).unwrap();
        std::fs::write(path("in"), [0x00, 0x38, 2, 0xff, 0x00, 0x40, 1, 0]).unwrap();
        std::fs::write(path("out"), "old").unwrap();
        let toy = path("toy.yaml").display().to_string();
        let decode = |input: &str| run(&args(&toy, &[path(input), path("out")]));

        std::fs::write(path("odd"), [0; 7]).unwrap();
        std::fs::write(path("empty"), []).unwrap();
        assert!(message(decode("odd")).contains("7 bytes are 1 block and 3 bytes more"));
        assert!(message(decode("empty")).contains("is empty"));
        assert!(message(decode("absent")).contains("cannot read"));
        assert!(message(decode("out")).contains("both input and output"));
        assert!(
            message(run(&args(&toy, &[path("in"), path("in"), path("out")]))).contains("1 stream")
        );
        assert_eq!(std::fs::read(path("out")).unwrap(), b"old");

        assert!(message(decode(".")).contains("it is a folder"));
        decode("in").unwrap();
        let expected: Vec<u8> =
            [1.0f32, -0.5, 2.0, 0.0].iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(std::fs::read(path("out")).unwrap(), expected);

        #[cfg(unix)]
        {
            std::fs::remove_file(path("out")).unwrap();
            let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap();
            assert!(made.success(), "mkfifo");
            let (from, to) = (path("in"), path("pipe"));
            let writer = std::thread::spawn(move || std::fs::copy(from, to));
            decode("pipe").unwrap();
            writer.join().unwrap().unwrap();
            assert_eq!(std::fs::read(path("out")).unwrap(), expected);
        }
    }
}

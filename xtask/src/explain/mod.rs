//! `explain`: every stage of a format's way from descriptor to kernels.

mod bits;
pub mod drawing;
pub mod facts;
mod picture;

use crate::failure::{Failure, Outcome};
use crate::{files, print};
use clap::ValueEnum;
use quantloom_codegen::artifact::{Backend, Element, Kernel, Kind, Param};
use quantloom_codegen::{Compiled, Format, emit};
use std::path::{Path, PathBuf};

/// Show what a format compiles to, stage by stage
///
/// Stages: the block's layout as a picture, the derived facts, the decoder program (IR), the program
/// for codes and scales, and the decoders in Rust, WGSL and HIP.
///
/// Examples:
///   cargo xtask explain q6_k
///   cargo xtask explain my_format.yaml --stage layout,facts
///   cargo xtask explain q6_k --svg block.svg     the block, as a drawing
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name of a format, or path of a descriptor
    format: String,
    /// Stages to show, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STAGE")]
    stage: Vec<Stage>,
    /// Value of a parameter, where the descriptor stands for several formats
    #[arg(long, value_name = "NAME=NUMBER", value_parser = files::param)]
    param: Vec<Param>,
    /// Which kernels to show for wgsl and hip
    #[arg(long, value_enum, default_value_t = Show::Dequant, value_name = "KIND")]
    kernel: Show,
    /// Instead of stages: draw the block as SVG into a file, or to standard output (-) [default file:
    /// target/NAME.svg]
    #[arg(long, value_name = "PATH", num_args = 0..=1, conflicts_with_all = ["stage", "kernel"])]
    svg: Option<Option<PathBuf>>,
}

/// One stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// The block, bit by bit
    Layout,
    /// What is derived: sizes, affine form, class
    Facts,
    /// The decoder program
    Ir,
    /// The programs that hand out codes of 8 bits, and scales
    Codes,
    /// The functions for CPUs in Rust
    Cpu,
    /// The kernel in WGSL
    Wgsl,
    /// The kernel in HIP
    Hip,
}

/// One kind of kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Show {
    /// Decoded weights
    Dequant,
    /// One activation row
    Matvec,
    /// Any number of activation rows
    Matmul,
    /// Single rows decoded
    Gather,
    /// Matrices picked by few activation rows
    MatvecExperts,
    /// Matrices picked by many activation rows
    MatmulExperts,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let compiled = files::format(&args.format, &args.param)?;
    if let Some(path) = &args.svg {
        return save(&compiled.format, path.as_deref());
    }
    let stages = match args.stage.as_slice() {
        [] => Stage::value_variants(),
        stages => stages,
    };
    let colours = print::colours();
    let mut text = format!("{}: {}\n", compiled.format.name, compiled.format.title);
    for &stage in stages {
        text += &heading(stage, colours);
        text += &show(stage, args.kernel, &compiled, colours)?;
    }
    print::out(text)
}

/// Draws the block into a file.
fn save(format: &Format, path: Option<&Path>) -> Outcome {
    let svg = drawing::draw(format)?;
    let path = match path {
        Some(path) if path == "-" => return print::out(svg),
        Some(path) => path.to_path_buf(),
        None => files::root().join("target").join(format!("{}.svg", format.name)),
    };
    files::write(&path, svg.as_bytes())?;
    print::out(format!("{}\n", files::shown(&path)))
}

fn heading(stage: Stage, colours: bool) -> String {
    let name = stage.to_possible_value().map(|value| value.get_name().to_owned());
    let name = name.unwrap_or_default();
    let rule = "─".repeat(74 - name.len());
    match colours {
        true => format!("\n\x1b[1m── {name} {rule}\x1b[0m\n\n"),
        false => format!("\n── {name} {rule}\n\n"),
    }
}

fn show(stage: Stage, kernel: Show, compiled: &Compiled, colours: bool) -> Outcome<String> {
    let kernel = |backend| {
        let kind = match kernel {
            Show::Dequant => Kind::Dequant,
            Show::Matvec => Kind::Matvec,
            Show::Matmul => Kind::Matmul,
            Show::Gather => Kind::Gather,
            Show::MatvecExperts => Kind::MatvecExperts,
            Show::MatmulExperts => Kind::MatmulExperts,
        };
        let kernel = compiled.artifact.kernel(backend, kind, Element::F32);
        kernel
            .map(Kernel::source)
            .ok_or_else(|| Failure::input(format!("{} has no such kernel", compiled.format.name)))
    };
    Ok(match stage {
        Stage::Layout => picture::draw(&compiled.format, colours),
        Stage::Facts => facts::list(compiled),
        Stage::Ir => compiled.decoder.to_string(),
        Stage::Codes => match &compiled.coded {
            Some(coded) => format!("{}\n{}", *coded.codes, *coded.scales),
            None => {
                "none: the formula is not affine in a code of 8 bits, it rounds where the affine \
                     form would not, or scale and offset change within 8 weights\n"
                    .to_owned()
            }
        },
        Stage::Cpu => emit::cpu::text_of_format(&compiled.format).map_err(Failure::input)?,
        Stage::Wgsl => kernel(Backend::Wgsl)?,
        Stage::Hip => kernel(Backend::Hip)?,
    })
}

//! A format's functions for CPUs in Rust: weights, codes, scales.
//!
//! The text is made to be read (`explain` prints it) and to become vector code without intrinsics:
//! blocks are fixed-size arrays, and weights that are computed alike are computed in one loop. Where
//! there are none, what does not depend on the strip is computed before a loop over strips, and every
//! quad is stored at once. Each function is compiled for several levels of
//! instructions; a level's version is a safe function that calls the one body.

mod constants;
mod expression;
mod function;
mod helpers;
mod lanes;
mod names;
mod pick;
mod program;
mod rows;
mod segments;
mod several;
mod side;
mod versions;

use crate::artifact::Extent;
use crate::format::{Format, Formula};
use crate::ir::{Decoder, Op, Verified, VerifyError};
use crate::lower;
use constants::Constants;
use expression::float;
use helpers::Helpers;
use pick::Picks;
use proc_macro2::{Literal, TokenStream};
use program::Program;
use quote::quote;
use versions::Kind;

/// What is generated for a format.
pub struct Functions {
    /// The functions, constants and helpers. They refer to nothing outside, never panic and hold no
    /// `unsafe`: every index was proven to be in bounds by the verifier, and where the optimizer
    /// cannot see that a checked access stays. The weights' function is called `decode`.
    pub items: TokenStream,
    /// An expression of type [`Cpu`](crate::artifact::Cpu) that refers to the items and to the crate
    /// `quantloom`, usable in constants.
    pub value: TokenStream,
}

/// All functions of a format.
///
/// # Errors
/// A defect of the lowering, never of a format.
pub fn of_format(format: &Format) -> Result<Functions, VerifyError> {
    let weights = lower::weights(format, STRIP_BYTES)?;
    let coded = lower::coded(format, STRIP_BYTES).transpose()?;
    let single = Single::new(format, lower::single_weights(format)?);
    let mut writer = Writer::default();
    let decode = writer.function(&weights, single.as_ref(), Kind::Weights);
    let coded = match &coded {
        Some(coded) => {
            let single = Single::new(format, lower::single_codes(format, &coded.coding)?);
            let value = writer.coded(coded, single.as_ref());
            quote!(Some(&#value))
        }
        None => quote!(None),
    };
    let Writer { functions, constants, helpers, picks } = writer;
    let (constants, helpers, picks) = (constants.items(), helpers.items(), picks.items());
    Ok(Functions {
        items: quote! { #(#functions)* #constants #picks #helpers },
        value: quote! {
            {
                #[doc = " SAFETY: the functions are safe ones, each compiled for the instructions of its version."]
                #[allow(unsafe_code)]
                const CPU: ::quantloom::artifact::Cpu =
                    unsafe { ::quantloom::artifact::Cpu::new(#decode, #coded) };
                CPU
            }
        },
    })
}

/// [`Functions::items`] of a format, formatted as a file: what runs on a CPU.
///
/// # Errors
/// A defect of the lowering, never of a format.
pub fn text_of_format(format: &Format) -> Result<String, VerifyError> {
    Ok(file(of_format(format)?.items))
}

/// Items as a formatted file, with an empty line between them.
pub(super) fn file(items: TokenStream) -> String {
    let Ok(mut file) = syn::parse2::<syn::File>(items.clone()) else { return items.to_string() };
    let items = std::mem::take(&mut file.items);
    let mut text = prettyplease::unparse(&file);
    let mut previous_is_use = false;
    for item in items {
        let is_use = matches!(item, syn::Item::Use(_));
        let first = text.is_empty();
        let together = is_use && previous_is_use;
        if !first && !together {
            text.push('\n');
        }
        previous_is_use = is_use;
        file.attrs.clear();
        file.items = vec![item];
        text += &prettyplease::unparse(&file);
    }
    text
}

/// Bytes of the primary plane per strip: long strips share what is computed once per strip, and the
/// compiler unrolls them into vector code.
const STRIP_BYTES: u32 = 16;

/// Weights that a function over several blocks computes together, at least: fewer would be unrolled
/// before they become vectors.
const TOGETHER: u32 = 128;

/// A program for the single weights of a format, and how many blocks are computed together.
struct Single {
    decoder: Verified<Decoder>,
    times: u32,
}

impl Single {
    /// `None` where too few blocks share their units.
    fn new(format: &Format, decoder: Verified<Decoder>) -> Option<Single> {
        if format.is_plain() {
            let times = TOGETHER.div_ceil(format.weights).next_power_of_two();
            return Some(Single { decoder, times });
        }
        let shared = |stream: u32| match decoder.streams[stream as usize].units.blocks {
            _ if decoder.streams[stream as usize].units.are_blocks() => u32::MAX,
            Extent::Blocks(1) => 1,
            Extent::Blocks(blocks) => blocks,
            Extent::Sizes { size, times } => {
                format.sizes[size as usize].default * times / format.weights
            }
            Extent::Row => u32::MAX,
        };
        let loads = decoder.lets.iter().filter_map(|stated| match stated.op {
            Op::Load { stream, .. } => Some(shared(stream)),
            _ => None,
        });
        let times = loads.fold(TOGETHER / format.weights, u32::min);
        let times = times.checked_ilog2().map_or(1, |log| 1 << log);
        (times > 1 && decoder.rows == 1).then_some(Single { decoder, times })
    }
}

/// Functions, and what they share.
#[derive(Default)]
struct Writer {
    functions: Vec<TokenStream>,
    constants: Constants,
    helpers: Helpers,
    picks: Picks,
}

impl Writer {
    /// Adds a function over blocks and its versions; returns the expression of them. Where weights
    /// are alike, it is made from the program for single weights.
    fn function(
        &mut self,
        decoder: &Verified<Decoder>,
        single: Option<&Single>,
        kind: Kind,
    ) -> TokenStream {
        let Writer { constants, picks, helpers, .. } = self;
        if let Some(Single { decoder: single, times }) = single
            && let Some(body) = lanes::body(single, *times, kind, constants, picks)
        {
            helpers.of_several(single, *times);
            let function = match body.program.plain {
                true => several::of_blocks(&body, kind, *times),
                false => {
                    helpers.of_blocks(decoder);
                    let one = Program::new(decoder, constants);
                    several::of_units(&body, &one, kind, *times)
                }
            };
            self.functions.push(function);
            return self.versions(kind);
        }
        self.helpers.of_blocks(decoder);
        let program = Program::new(decoder, &mut self.constants);
        self.functions.push(function::over_blocks(&program, kind));
        self.versions(kind)
    }

    fn versions(&mut self, kind: Kind) -> TokenStream {
        self.functions.push(versions::items(kind));
        versions::value(kind)
    }

    /// Adds the functions of an affine form; returns the expression of what it is.
    fn coded(&mut self, coded: &lower::Coded, single: Option<&Single>) -> TokenStream {
        let codes = self.function(&coded.codes, single, Kind::Codes);
        let scales = self.function(&coded.scales, None, Kind::Scales);
        let header = match rows::Rows::new(&coded.scales) {
            Some(rows) => {
                self.helpers.of_rows(&coded.scales);
                let program = Program::new(&coded.scales, &mut self.constants);
                self.functions.push(rows.function(program));
                let versions = self.versions(Kind::RowScales);
                let bytes = rows.bytes().iter().map(|&byte| Literal::u32_unsuffixed(byte));
                quote! {
                    Some(::quantloom::artifact::Header {
                        bytes: ::std::borrow::Cow::Borrowed(&[#(#bytes),*]),
                        scales: #versions,
                    })
                }
            }
            None => quote!(None),
        };
        let run = Literal::u32_unsuffixed(coded.coding.run);
        let spans = coded.coding.spans.iter().map(extent);
        let values = coded.coding.values.iter().map(|&value| match value.is_nan() {
            true => quote!(f32::NAN),
            false => float(value).tokens,
        });
        let offset = coded.coding.affine.offset != Formula::Number(0.0);
        let halved = coded.coding.affine.halved;
        quote! {
            ::quantloom::artifact::Coded {
                run: #run,
                spans: ::std::borrow::Cow::Borrowed(&[#(#spans),*]),
                values: ::std::borrow::Cow::Borrowed(&[#(#values),*]),
                offset: #offset,
                halved: #halved,
                codes: #codes,
                scales: #scales,
                header: #header,
            }
        }
    }
}

fn extent(extent: &Extent) -> TokenStream {
    let extent = match *extent {
        Extent::Blocks(blocks) => {
            let blocks = Literal::u32_unsuffixed(blocks);
            quote!(Blocks(#blocks))
        }
        Extent::Sizes { size, times } => {
            let (size, times) = (Literal::u32_unsuffixed(size), Literal::u32_unsuffixed(times));
            quote!(Sizes { size: #size, times: #times })
        }
        Extent::Row => quote!(Row),
    };
    quote!(::quantloom::artifact::Extent::#extent)
}

//! A format's functions for CPUs in Rust: weights, codes, scales.
//!
//! The text is made to be read (`explain` prints it) and to become vector code without intrinsics:
//! blocks are fixed-size arrays, what does not depend on the strip is computed before the loop over
//! strips, and every quad is stored at once. Each function is compiled for several levels of
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
mod side;
mod versions;

use crate::artifact::Extent;
use crate::format::{Format, Formula};
use crate::ir::{Decoder, Verified, VerifyError};
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
    let several = Several::new(format, coded.as_ref())?;
    let mut writer = Writer::default();
    let single = several.as_ref().map(|several| (&several.weights, several.times));
    let decode = writer.function(&weights, single, Kind::Weights);
    let coded = match &coded {
        Some(coded) => {
            let single = several.as_ref().and_then(|all| Some((all.codes.as_ref()?, all.times)));
            let value = writer.coded(coded, single);
            quote!(Some(&#value))
        }
        None => quote!(None),
    };
    let Writer { functions, constants, helpers, picks } = writer;
    let (constants, helpers, picks) = (constants.items(), helpers.items(), picks.items());
    Ok(Functions {
        items: quote! { #(#functions)* #constants #picks #helpers },
        value: quote! { ::quantloom::artifact::Cpu { decode: #decode, coded: #coded } },
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

/// Programs for the single weights of several blocks taken as one.
struct Several {
    /// Blocks.
    times: u32,
    weights: Verified<Decoder>,
    codes: Option<Verified<Decoder>>,
}

impl Several {
    /// `None` where a unit is not a block.
    fn new(format: &Format, coded: Option<&lower::Coded>) -> Result<Option<Several>, VerifyError> {
        if !format.is_plain() {
            return Ok(None);
        }
        let times = TOGETHER.div_ceil(format.weights).next_power_of_two();
        let repeated = match times {
            1 => format.clone(),
            times => format.repeated(times),
        };
        let weights = lower::single_weights(&repeated)?;
        let codes = coded.map(|coded| lower::single_codes(&repeated, &coded.coding)).transpose()?;
        Ok(Some(Several { times, weights, codes }))
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
    /// are alike, it is made from the program for the single weights of several blocks.
    fn function(
        &mut self,
        decoder: &Verified<Decoder>,
        single: Option<(&Verified<Decoder>, u32)>,
        kind: Kind,
    ) -> TokenStream {
        if let Some((single, times)) = single
            && let Some((program, body)) =
                lanes::body(single, kind, &mut self.constants, &mut self.picks)
        {
            self.helpers.of_several(single, times);
            self.functions.push(function::over_several(&program, kind, &body, times));
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
    fn coded(
        &mut self,
        coded: &lower::Coded,
        single: Option<(&Verified<Decoder>, u32)>,
    ) -> TokenStream {
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

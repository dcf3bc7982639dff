//! Scalar Rust decoders: what a format's blocks look like to a CPU.
//!
//! The text is made to be read (`explain` prints it) and to be fast without intrinsics: blocks are
//! fixed-size arrays, what does not depend on the strip is computed before the loop over strips, and
//! every quad is stored at once.

mod expression;
mod helpers;
mod names;

use crate::format::Format;
use crate::ir::{
    Binary, Decoder, Entries, Lanes, Op, Quad, Table, Unary, Value, Verified, VerifyError,
};
use expression::{Expression, Side, Strength, float, symbol, type_of, unsigned};
use names::Names;
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};

/// Items that decode a format on the CPU. Their entry point is `decode`, a
/// [`DecodeFn`](crate::artifact::DecodeFn); nothing outside the items is referred to.
///
/// Packed codes are decoded too: a weight is then `scale * code + offset`.
///
/// The items never panic and hold no `unsafe`: every index was proven to be in bounds by the
/// verifier, and where the optimizer cannot see that a checked access stays.
pub fn decoder(decoder: &Verified<Decoder>) -> TokenStream {
    let decoder: &Decoder = decoder;
    let plain = decoder.streams.iter().all(|stream| stream.units.are_blocks());
    let names = Names::new(decoder, plain);
    let functions = Writer { decoder, names: &names, plain }.functions();
    let tables =
        decoder.tables.iter().zip(&names.tables).map(|(table, name)| constant(table, name));
    let helpers = helpers::used(decoder);
    quote! { #functions #(#tables)* #(#helpers)* }
}

/// [`decoder`] for the strip width that suits a CPU.
///
/// # Errors
/// A defect of the lowering, never of a format.
pub fn of_format(format: &Format) -> Result<TokenStream, VerifyError> {
    Ok(decoder(&crate::lower::weights(format, STRIP_BYTES)?))
}

/// [`of_format`], formatted as a file: what runs on a CPU.
///
/// # Errors
/// A defect of the lowering, never of a format.
pub fn text_of_format(format: &Format) -> Result<String, VerifyError> {
    Ok(file(of_format(format)?))
}

/// [`decoder`], formatted as a file.
pub fn decoder_text(verified: &Verified<Decoder>) -> String {
    file(decoder(verified))
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

/// Writes one program.
struct Writer<'a> {
    decoder: &'a Decoder,
    names: &'a Names,
    /// Whether units are blocks.
    plain: bool,
}

impl Writer<'_> {
    /// The functions that walk over blocks and decode one.
    fn functions(&self) -> TokenStream {
        match self.plain {
            true => self.of_blocks(),
            false => self.of_units(),
        }
    }

    /// Where units are blocks: a block is an array of bytes.
    fn of_blocks(&self) -> TokenStream {
        let Names { streams, strip, .. } = self.names;
        let bytes = || self.decoder.streams.iter().map(|s| Literal::u32_unsuffixed(s.bytes));
        let chunks = bytes().zip(streams).map(|(bytes, stream)| {
            quote! {
                let (#stream, _) = #stream.as_chunks::<#bytes>();
                let #stream = #stream.get(first..).unwrap_or_default();
            }
        });
        let weights = Literal::u32_unsuffixed(self.decoder.weights);
        let pattern =
            streams.iter().fold(quote!(weights), |pattern, stream| quote!((#pattern, #stream)));
        let parameters = bytes().zip(streams).map(|(bytes, stream)| quote!(#stream: &[u8; #bytes]));
        let body = self.body(strip);
        quote! {
            /// Decodes the blocks from number `first` on, as many as the streams and `weights` hold.
            fn decode(streams: &[&[u8]], _: &[u32; 4], first: usize, weights: &mut [f32]) {
                let &[#(#streams,)* ..] = streams else { return };
                #(#chunks)*
                let (weights, _) = weights.as_chunks_mut::<#weights>();
                for #pattern in weights.iter_mut()#(.zip(#streams))* {
                    decode_block(#(#streams,)* weights);
                }
            }

            #[inline]
            fn decode_block(#(#parameters,)* weights: &mut [f32; #weights]) {
                #body
            }
        }
    }

    /// Where blocks share units, or units lie apart: a block is found by its row and its place in it.
    fn of_units(&self) -> TokenStream {
        let Names { streams, strip, .. } = self.names;
        let weights = Literal::u32_unsuffixed(self.decoder.weights);
        let count = Literal::usize_unsuffixed(streams.len());
        let read = |op| self.decoder.lets.iter().any(|stated| stated.op == op);
        let pattern = |inputs: &[(&str, Op)]| -> Vec<TokenStream> {
            let input = |&(name, op): &(&str, Op)| match read(op) {
                true => Ident::new(name, Span::call_site()).into_token_stream(),
                false => quote!(_),
            };
            inputs.iter().map(input).collect()
        };
        let dims = pattern(&[
            ("rows", Op::Rows),
            ("per_row", Op::Blocks),
            ("size_0", Op::Size(0)),
            ("size_1", Op::Size(1)),
        ]);
        let place = pattern(&[("row", Op::Row), ("block", Op::Block)]);
        let body = self.body(strip);
        quote! {
            /// Decodes the blocks from number `first` on, rows one after another, into `weights`.
            fn decode(streams: &[&[u8]], dims: &[u32; 4], first: usize, weights: &mut [f32]) {
                let Some(streams) = streams.first_chunk() else { return };
                let dims = dims.map(|size| size.max(1));
                let per_row = dims[1] as usize;
                let (weights, _) = weights.as_chunks_mut();
                for (number, weights) in (first..).zip(weights) {
                    let place = [(number / per_row) as u32, (number % per_row) as u32];
                    decode_block(streams, dims, place, weights);
                }
            }

            /// Decodes the block at `[row, number in the row]`.
            #[inline]
            #[allow(clippy::manual_div_ceil)]
            fn decode_block(
                streams: &[&[u8]; #count],
                dims: [u32; 4],
                place: [u32; 2],
                weights: &mut [f32; #weights],
            ) {
                let [#(#streams),*] = streams;
                let [#(#dims),*] = dims;
                let [#(#place),*] = place;
                #body
            }
        }
    }

    /// The statements that decode a block, strip after strip.
    fn body(&self, strip: &Ident) -> TokenStream {
        let mut stated = vec![false; self.decoder.lets.len()];
        let before: Vec<_> = (0..self.decoder.lets.len())
            .filter(|&index| !self.names.varies[index])
            .filter_map(|index| self.state(Value(index as u32), &mut stated))
            .collect();
        let quads: Vec<_> =
            self.decoder.quads.iter().map(|quad| self.quad(quad, &mut stated)).collect();
        let strips = Literal::u32_unsuffixed(self.decoder.strips);
        let quads = match self.decoder.strips {
            1 => quote! { #(#quads)* },
            _ => quote! { for #strip in 0..#strips { #(#quads)* } },
        };
        quote! { #(#before)* #quads }
    }

    /// The lets a quad needs that are not stated yet, and its store.
    fn quad(&self, quad: &Quad, stated: &mut [bool]) -> TokenStream {
        let mut needed = vec![false; stated.len()];
        let mut open = quad.values();
        while let Some(value) = open.pop() {
            if !std::mem::replace(&mut needed[value.0 as usize], true) {
                open.extend(self.decoder.get(value).op.operands());
            }
        }
        let lets: Vec<_> = (0..needed.len())
            .filter(|&index| needed[index])
            .filter_map(|index| self.state(Value(index as u32), stated))
            .collect();
        let start = self.value(quad.start);
        let lanes: Vec<TokenStream> = match &quad.lanes {
            Lanes::Weights(lanes) => lanes.iter().map(|&lane| self.value(lane).tokens).collect(),
            Lanes::Codes { codes, scale, offset } => {
                let codes = self.value(*codes).inside(Strength::As, Side::Left);
                let scale = self.value(*scale).inside(Strength::Mul, Side::Left);
                let offset = self.value(*offset).inside(Strength::Add, Side::Right);
                let code = |lane: u32| match Literal::u32_unsuffixed(lane * 8) {
                    _ if lane == 0 => quote!(#codes as i8 as f32),
                    by => quote!((#codes >> #by) as i8 as f32),
                };
                (0..4).map(code).map(|code| quote!(#scale * #code + #offset)).collect()
            }
        };
        let start = start.tokens;
        quote! { #(#lets)* store(weights, #start, [#(#lanes),*]); }
    }

    /// The let of a value that has one, the first time it is asked for.
    fn state(&self, value: Value, stated: &mut [bool]) -> Option<TokenStream> {
        let name = self.names.lets[value.0 as usize].as_ref()?;
        if std::mem::replace(&mut stated[value.0 as usize], true) {
            return None;
        }
        let expression = self.operation(value).tokens;
        Some(quote! { let #name = #expression; })
    }

    /// A value where it is used: by name, or written out.
    fn value(&self, value: Value) -> Expression {
        match &self.names.lets[value.0 as usize] {
            Some(name) => Expression::atom(quote!(#name)),
            None => self.operation(value),
        }
    }

    fn operation(&self, value: Value) -> Expression {
        let stated = self.decoder.get(value);
        match stated.op {
            Op::Strip if self.decoder.strips == 1 => Expression::atom(quote!(0)),
            Op::Strip => {
                let strip = &self.names.strip;
                Expression::atom(quote!(#strip))
            }
            Op::Row => Expression::atom(quote!(row)),
            Op::Block => Expression::atom(quote!(block)),
            Op::Rows => Expression::atom(quote!(rows)),
            Op::Blocks => Expression::atom(quote!(per_row)),
            Op::Size(0) => Expression::atom(quote!(size_0)),
            Op::Size(_) => Expression::atom(quote!(size_1)),
            Op::U32(number) => Expression::atom(unsigned(number)),
            Op::I32(number) => Expression::signed(number < 0, unsigned(number.unsigned_abs())),
            Op::F32(bits) => float(f32::from_bits(bits)),
            Op::Load { stream, bits, unit, offset, .. } => {
                let bytes = Literal::u32_unsuffixed(self.decoder.streams[stream as usize].bytes);
                let stream = &self.names.streams[stream as usize];
                let load = format_ident!("u{bits}_at");
                let offset = self.value(offset).tokens;
                let unit = match self.plain {
                    true => quote!(#stream),
                    false => {
                        let unit = self.value(unit).tokens;
                        quote!(unit_at::<#bytes>(#stream, #unit))
                    }
                };
                Expression::atom(quote!(#load(#unit, #offset)))
            }
            Op::Lookup { table, index } => {
                let table = &self.names.tables[table as usize];
                let index = self.value(index).inside(Strength::As, Side::Left);
                Expression::atom(quote!(#table[#index as usize]))
            }
            Op::Binary(Binary::Min, left, right) => {
                let left = self.value(left).inside(Strength::Atom, Side::Left);
                let right = self.value(right).tokens;
                Expression::atom(quote!(#left.min(#right)))
            }
            Op::Binary(op, left, right) => {
                let strength = Strength::of(op);
                let mut left_tokens = self.value(left).inside(strength, Side::Left);
                if self.is_number(left) && self.is_number(right) {
                    let ty = type_of(stated.ty);
                    left_tokens = quote!((#left_tokens as #ty));
                }
                let right = self.value(right).inside(strength, Side::Right);
                let symbol = symbol(op);
                Expression { tokens: quote!(#left_tokens #symbol #right), strength }
            }
            Op::Unary(op, operand) => self.unary(op, operand),
        }
    }

    fn unary(&self, op: Unary, operand: Value) -> Expression {
        let value = self.value(operand);
        let cast = |types: &[&str]| {
            let operand = self.value(operand).inside(Strength::As, Side::Left);
            let types = types.iter().map(|ty| Ident::new(ty, Span::call_site()));
            Expression { tokens: quote!(#operand #(as #types)*), strength: Strength::As }
        };
        match op {
            Unary::Neg => Expression::signed(true, value.inside(Strength::Neg, Side::Right)),
            Unary::ToI32 | Unary::SignExtend(32) => cast(&["i32"]),
            Unary::SignExtend(8) => cast(&["i8", "i32"]),
            Unary::SignExtend(16) => cast(&["i16", "i32"]),
            Unary::SignExtend(bits) => {
                let by = Literal::u32_unsuffixed(32 - bits);
                let value = value.inside(Strength::Shift, Side::Left);
                let tokens = quote!((#value << #by) as i32 >> #by);
                Expression { tokens, strength: Strength::Shift }
            }
            Unary::ToF32 => cast(&["f32"]),
            Unary::ToU32 => cast(&["u32"]),
            Unary::Rounded => value, // rustc neither fuses nor re-associates
            Unary::F32FromBits => {
                let bits = value.tokens;
                Expression::atom(quote!(f32::from_bits(#bits)))
            }
            Unary::F32FromF16 => {
                let bits = value.tokens;
                Expression::atom(quote!(f16_to_f32(#bits)))
            }
            Unary::F16FromF32 => {
                let value = value.tokens;
                Expression::atom(quote!(f32_to_f16(#value)))
            }
        }
    }

    fn is_number(&self, value: Value) -> bool {
        matches!(self.decoder.get(value).op, Op::U32(_) | Op::I32(_) | Op::F32(_))
    }
}

/// A table as a constant.
fn constant(table: &Table, name: &Ident) -> TokenStream {
    let len = Literal::usize_unsuffixed(table.entries.len());
    let ty = type_of(table.entries.ty());
    let entries: Vec<TokenStream> = match &table.entries {
        Entries::U32(entries) => entries.iter().map(|&entry| unsigned(entry)).collect(),
        Entries::I32(entries) => entries
            .iter()
            .map(|&entry| Expression::signed(entry < 0, unsigned(entry.unsigned_abs())).tokens)
            .collect(),
        Entries::F32(entries) => entries.iter().map(|&entry| float(entry).tokens).collect(),
    };
    quote! { const #name: [#ty; #len] = [#(#entries),*]; }
}

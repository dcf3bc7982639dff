//! The statements of a program: what is computed before the loop over strips, what in it, and by what
//! expressions.

use super::constants::Constants;
use super::expression::{Expression, Side, Strength, float, symbol, type_of, unsigned};
use super::names::Names;
use super::versions::Kind;
use crate::ir::{Binary, Decoder, Lanes, Op, Quad, Type, Unary, Value};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote};

/// Writes one program.
pub(super) struct Program<'a> {
    pub decoder: &'a Decoder,
    pub names: Names,
    /// Whether units are blocks.
    pub plain: bool,
    /// Values that the function has at hand, where it is written for a certain strip.
    pub known: Option<Known>,
}

/// What is known of the values of a strip.
pub(super) struct Known {
    /// For every load, the bytes it reads, lowest first; none where its unit is elsewhere.
    pub loads: Vec<Vec<TokenStream>>,
    /// The bits of every value that is not made of what is loaded.
    pub fixed: Vec<Option<u32>>,
    /// Values that were computed before: text and strength.
    pub given: Vec<Option<(TokenStream, Strength)>>,
}

impl Program<'_> {
    pub fn new<'a>(decoder: &'a Decoder, constants: &mut Constants) -> Program<'a> {
        let plain = decoder.streams.iter().all(|stream| stream.units.are_blocks());
        let looked_up = vec![true; decoder.tables.len()];
        let names = Names::new(decoder, plain, &looked_up, constants);
        Program { decoder, names, plain, known: None }
    }

    /// The statements that decode a block, strip after strip.
    pub fn body(&self, kind: Kind) -> TokenStream {
        let strip = &self.names.strip;
        let mut stated = vec![false; self.decoder.lets.len()];
        let before: Vec<_> = (0..self.decoder.lets.len())
            .filter(|&index| !self.names.varies[index])
            .filter_map(|index| self.state(Value(index as u32), &mut stated))
            .collect();
        let quads: Vec<_> =
            self.decoder.quads.iter().map(|quad| self.quad(quad, kind, &mut stated)).collect();
        let strips = Literal::u32_unsuffixed(self.decoder.strips);
        let quads = match self.decoder.strips {
            1 => quote! { #(#quads)* },
            _ => quote! { for #strip in 0..#strips { #(#quads)* } },
        };
        quote! { #(#before)* #quads }
    }

    /// The lets a quad needs that are not stated yet, and its store.
    fn quad(&self, quad: &Quad, kind: Kind, stated: &mut [bool]) -> TokenStream {
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
        let start = self.value(quad.start).tokens;
        let results: Vec<TokenStream> = match &quad.lanes {
            Lanes::Weights(lanes) => {
                let lanes = lanes.iter().map(|&lane| self.value(lane).tokens);
                vec![quote!([#(#lanes),*])]
            }
            Lanes::Code(code) => {
                let code = self.value(*code).inside(Strength::As, Side::Left);
                vec![quote!([#code as u8])]
            }
            Lanes::Codes(codes) => {
                let codes = self.value(*codes).inside(Strength::Atom, Side::Left);
                vec![quote!(#codes.to_le_bytes())]
            }
            Lanes::Dot { codes: _, scale, offset } | Lanes::Scale { scale, offset } => {
                let one = |value: &Value| {
                    let value = self.value(*value).tokens;
                    quote!([#value])
                };
                vec![one(scale), one(offset)]
            }
        };
        let stores = kind
            .lists()
            .into_iter()
            .zip(results)
            .map(|((list, _), results)| quote!(store(#list, #start, #results);));
        quote! { #(#lets)* #(#stores)* }
    }

    /// The let of a value that has one, the first time it is asked for.
    pub fn state(&self, value: Value, stated: &mut [bool]) -> Option<TokenStream> {
        let name = self.names.lets[value.0 as usize].as_ref()?;
        if std::mem::replace(&mut stated[value.0 as usize], true) {
            return None;
        }
        let expression = self.operation(value).tokens;
        Some(quote! { let #name = #expression; })
    }

    /// A value where it is used: by name, or written out.
    pub fn value(&self, value: Value) -> Expression {
        if let Some(bits) = self.fixed(value) {
            return constant(self.decoder.get(value).ty, bits);
        }
        if let Some((tokens, strength)) = self.given(value) {
            return Expression { tokens: tokens.clone(), strength: *strength };
        }
        match &self.names.lets[value.0 as usize] {
            Some(name) => Expression::atom(quote!(#name)),
            None => self.operation(value),
        }
    }

    /// The bits of a value where they are known.
    fn fixed(&self, value: Value) -> Option<u32> {
        self.known.as_ref().and_then(|known| known.fixed[value.0 as usize])
    }

    fn given(&self, value: Value) -> Option<&(TokenStream, Strength)> {
        self.known.as_ref().and_then(|known| known.given[value.0 as usize].as_ref())
    }

    pub fn operation(&self, value: Value) -> Expression {
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
            Op::U32(bits) | Op::F32(bits) => constant(stated.ty, bits),
            Op::I32(number) => constant(stated.ty, number as u32),
            Op::Load { stream, bits, unit, offset, .. } => match &self.known {
                None => self.load(stream, bits, unit, offset),
                Some(known) if !known.loads[value.0 as usize].is_empty() => {
                    joined(bits, &known.loads[value.0 as usize])
                }
                Some(_) => self.load(stream, bits, unit, offset),
            },
            // Only programs of GPUs join loads.
            Op::Word { stream, unit, offset, index, .. } => {
                let index = self.value(index).inside(Strength::of(Binary::Mul), Side::Left);
                let Expression { tokens, .. } = self.value(offset);
                self.load_at(stream, 32, unit, quote!(#tokens + #index * 4))
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
            Op::Binary(Binary::Shl | Binary::Shr, left, right) if self.fixed(right) == Some(0) => {
                self.value(left)
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

    /// A load from a block or a unit.
    fn load(&self, stream: u32, bits: u32, unit: Value, offset: Value) -> Expression {
        self.load_at(stream, bits, unit, self.value(offset).tokens)
    }

    fn load_at(&self, stream: u32, bits: u32, unit: Value, offset: TokenStream) -> Expression {
        let bytes = Literal::u32_unsuffixed(self.decoder.streams[stream as usize].bytes);
        let stream = &self.names.streams[stream as usize];
        let load = format_ident!("u{bits}_at");
        let unit = match self.plain {
            true => quote!(#stream),
            false => {
                let unit = self.value(unit).tokens;
                quote!(unit_at::<#bytes>(#stream, #unit))
            }
        };
        Expression::atom(quote!(#load(#unit, #offset)))
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

fn constant(ty: Type, bits: u32) -> Expression {
    match ty {
        Type::U32 => Expression::atom(unsigned(bits)),
        Type::I32 => {
            let number = bits as i32;
            Expression::signed(number < 0, unsigned(number.unsigned_abs()))
        }
        Type::F32 => float(f32::from_bits(bits)),
    }
}

/// A little-endian number of bytes of their own, as u32.
fn joined(bits: u32, bytes: &[TokenStream]) -> Expression {
    let ty = format_ident!("u{bits}");
    let tokens = match bytes {
        [byte] => quote!(#byte as u32),
        bytes => quote!(#ty::from_le_bytes([#(#bytes),*]) as u32),
    };
    Expression { tokens, strength: Strength::As }
}

//! Values of 1, 2 or 4 bits side by side in bytes: taken apart in halves, pairs and bits, so that a
//! vector is interleaved with another at most.

use super::expression::unsigned;
use super::names::Names;
use super::segments::Blocks;
use crate::ir::{Binary, Op, Value};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

/// A value of every weight, packed side by side.
pub(super) struct Packed {
    stream: usize,
    bits: u32,
    /// Shifts of the values of a byte, in the order of weights.
    shifts: Vec<u32>,
    /// Runs of bytes: first byte and first weight.
    pieces: Vec<(u32, u32)>,
    /// Bytes of a run.
    bytes: u32,
}

impl Packed {
    /// For a value that is some bits of a byte, the byte being shared by neighbours.
    pub fn new(blocks: &Blocks, value: Value) -> Option<Packed> {
        let decoder = blocks.decoder;
        let Op::Binary(Binary::And, word, mask) = decoder.get(value).op else { return None };
        let (load, shift) = match decoder.get(word).op {
            Op::Binary(Binary::Shr, load, shift) => (load, Some(shift)),
            _ => (word, None),
        };
        let Op::Load { stream, bits: 8, .. } = decoder.get(load).op else { return None };
        let Op::U32(mask) = decoder.get(mask).op else { return None };
        let bits = mask.count_ones();
        if !matches!(mask, 0b1 | 0b11 | 0b1111)
            || shift.is_some_and(|s| blocks.unfixed[s.0 as usize])
        {
            return None;
        }
        let per_byte = 8 / bits;
        let count = blocks.count();
        let byte_of = |weight: u32| blocks.address(weight, load);
        let shift_of =
            |weight: u32| shift.map_or(0, |shift| blocks.fixed(weight)[shift.0 as usize]);
        if !count.is_multiple_of(per_byte) {
            return None;
        }
        let shifts: Vec<u32> = (0..per_byte).map(shift_of).collect();
        let mut sorted = shifts.clone();
        sorted.sort_unstable();
        let natural = sorted.iter().zip(0..).all(|(&shift, place)| shift == place * bits);
        if !natural || (bits < 4 && sorted != shifts) {
            return None;
        }
        let mut pieces: Vec<(u32, u32)> = Vec::new();
        let mut ends = Vec::new();
        for first in (0..count).step_by(per_byte as usize) {
            let byte = byte_of(first)?;
            let alike = (first..)
                .zip(&shifts)
                .all(|(weight, &shift)| byte_of(weight) == Some(byte) && shift_of(weight) == shift);
            if !alike {
                return None;
            }
            match ends.last_mut() {
                Some(end) if *end == byte => *end += 1,
                _ => {
                    pieces.push((byte, first));
                    ends.push(byte + 1);
                }
            }
        }
        let mut lengths = pieces.iter().zip(&ends).map(|((byte, _), end)| end - byte);
        let bytes = lengths.next()?;
        lengths.all(|length| length == bytes).then_some(Packed {
            stream: stream as usize,
            bits,
            shifts,
            pieces,
            bytes,
        })
    }

    /// Takes the values of `count` weights apart, into `name`.
    pub fn statements(&self, name: &Ident, names: &mut Names, count: u32) -> TokenStream {
        let stream = names.streams[self.stream].clone();
        let mut statements = Vec::new();
        let mut bits = 4;
        let mut from = self.array(name, names, bits, count, &mut statements);
        let pairs = self.pieces.iter().map(|&(byte, weight)| {
            // A pair of each byte.
            let to = super::lanes::at(weight / (8 / self.bits), 1);
            let from = super::lanes::at(byte, 1);
            let both = quote!((#stream[#from] as u16));
            let pair = match self.shifts[0] {
                0 => apart(&both, bits),
                _ => quote!(((#both >> 4) | ((#both & 15) << 8)).to_le_bytes()),
            };
            quote!(pairs[#to] = #pair;)
        });
        let bytes = Literal::u32_unsuffixed(self.bytes);
        statements.push(quote! {
            let (pairs, _) = #from.as_chunks_mut::<2>();
            for lane in 0..#bytes { #(#pairs)* }
        });
        while bits > self.bits {
            bits /= 2;
            let to = self.array(name, names, bits, count, &mut statements);
            let pair = apart(&quote!((both as u16)), bits);
            statements.push(quote! {
                for (pair, &both) in #to.as_chunks_mut::<2>().0.iter_mut().zip(&#from) {
                    *pair = #pair;
                }
            });
            from = to;
        }
        quote!(#(#statements)*)
    }

    /// Declares an array of parts of so many bits.
    fn array(
        &self,
        name: &Ident,
        names: &mut Names,
        bits: u32,
        count: u32,
        statements: &mut Vec<TokenStream>,
    ) -> Ident {
        let array = match bits == self.bits {
            true => name.clone(),
            false => names.taken.ident(&format!("{name}_by_{bits}")),
        };
        let length = Literal::u32_unsuffixed(count * self.bits / bits);
        statements.push(quote!(let mut #array = [0u8; #length];));
        array
    }
}

/// The two values of so many bits in a u16, the lower one first, as bytes.
fn apart(both: &TokenStream, bits: u32) -> TokenStream {
    let by = Literal::u32_unsuffixed(8 - bits);
    let mask = unsigned(((1 << bits) - 1) * 0x0101);
    quote!(((#both | (#both << #by)) & #mask).to_le_bytes())
}

//! Values of 1, 2 or 4 bits side by side in bytes: taken apart in halves, pairs and bits, so that a
//! vector is interleaved with another at most.

use super::names::Names;
use crate::ir::{Binary, Decoder, Op, Value};
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
    /// For a value that is some bits of a byte, the byte being shared by neighbours. `weights` are the
    /// bits of all values that are not made of what is loaded, by weight.
    pub fn new(decoder: &Decoder, weights: &[Vec<u32>], value: Value) -> Option<Packed> {
        let Op::Binary(Binary::And, word, mask) = decoder.get(value).op else { return None };
        let (load, shift) = match decoder.get(word).op {
            Op::Binary(Binary::Shr, load, shift) => (load, Some(shift)),
            _ => (word, None),
        };
        let Op::Load { stream, bits: 8, offset, .. } = decoder.get(load).op else { return None };
        let Op::U32(mask) = decoder.get(mask).op else { return None };
        let bits = mask.count_ones();
        if !matches!(mask, 0b1 | 0b11 | 0b1111) {
            return None;
        }
        let per_byte = (8 / bits) as usize;
        let byte_of = |weight: &Vec<u32>| weight[offset.0 as usize];
        let shift_of = |weight: &Vec<u32>| shift.map_or(0, |shift| weight[shift.0 as usize]);
        let shifts: Vec<u32> = weights.get(..per_byte)?.iter().map(shift_of).collect();
        let mut sorted = shifts.clone();
        sorted.sort_unstable();
        let natural = sorted.iter().zip(0..).all(|(&shift, place)| shift == place * bits);
        if !natural || (bits < 4 && sorted != shifts) || !weights.len().is_multiple_of(per_byte) {
            return None;
        }
        let mut pieces: Vec<(u32, u32)> = Vec::new();
        let mut ends = Vec::new();
        for (group, first) in weights.chunks(per_byte).zip((0..).step_by(per_byte)) {
            let byte = byte_of(&group[0]);
            let alike =
                group.iter().zip(&shifts).all(|(w, &s)| byte_of(w) == byte && shift_of(w) == s);
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
    pub fn statements(&self, name: &Ident, names: &mut Names, count: usize) -> TokenStream {
        let halves = match self.bits {
            4 => name.clone(),
            _ => names.taken.ident(&format!("{name}_halves")),
        };
        let stream = &names.streams[self.stream];
        let per_half = 4 / self.bits;
        // Of more than two values to a byte, the lower half comes first.
        let order = if self.bits == 4 { [self.shifts[0], self.shifts[1]] } else { [0, 4] };
        let stores = self.pieces.iter().flat_map(|&(byte, weight)| {
            let (halves, from) = (&halves, super::lanes::at(byte, 1));
            (0..2u32).zip(order).map(move |(half, shift)| {
                let to = super::lanes::at(weight / per_half + half, 2);
                match shift {
                    0 => quote!(#halves[#to] = #stream[#from] & 15;),
                    _ => quote!(#halves[#to] = #stream[#from] >> 4;),
                }
            })
        });
        let stores: Vec<TokenStream> = stores.collect();
        let length = Literal::usize_unsuffixed(count / per_half as usize);
        let bytes = Literal::u32_unsuffixed(self.bytes);
        let mut statements = vec![quote! {
            let mut #halves = [0u8; #length];
            for lane in 0..#bytes { #(#stores)* }
        }];
        let mut from = halves;
        let mut bits = 4;
        while bits > self.bits {
            bits /= 2;
            let to = match bits == self.bits {
                true => name.clone(),
                false => names.taken.ident(&format!("{name}_pairs")),
            };
            let (shift, mask) =
                (Literal::u32_unsuffixed(bits), Literal::u32_unsuffixed((1 << bits) - 1));
            let length = Literal::usize_unsuffixed(count * self.bits as usize / bits as usize);
            statements.push(quote! {
                let mut #to = [0u8; #length];
                for (values, &both) in #to.as_chunks_mut::<2>().0.iter_mut().zip(&#from) {
                    *values = [both & #mask, both >> #shift];
                }
            });
            from = to;
        }
        quote!(#(#statements)*)
    }
}

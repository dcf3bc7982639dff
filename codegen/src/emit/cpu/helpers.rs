//! The few functions that CPU functions are written with; each format carries those it uses.

use crate::ir::{Decoder, Op, Unary};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

/// Helpers in use, by what they are for.
#[derive(Default)]
pub(super) struct Helpers {
    loads: [bool; 3],
    f16_to_f32: bool,
    f32_to_f16: bool,
    unit_at: bool,
    store: bool,
    padded: bool,
}

/// Bits of a load.
const LOADS: [u32; 3] = [8, 16, 32];

impl Helpers {
    /// Adds those that a program over blocks calls.
    pub fn of_blocks(&mut self, decoder: &Decoder) {
        for (used, wanted) in self.loads.iter_mut().zip(LOADS) {
            *used |= any(decoder, |op| matches!(op, Op::Load { bits, .. } if *bits == wanted));
        }
        self.unit_at |= decoder.streams.iter().any(|stream| !stream.units.are_blocks());
        self.store = true;
        self.of_rows(decoder);
    }

    /// Adds those that a function over several blocks calls.
    pub fn of_several(&mut self, decoder: &Decoder, times: u32) {
        self.padded |= times > 1;
        self.of_rows(decoder);
    }

    /// Adds those that a program over rows calls.
    pub fn of_rows(&mut self, decoder: &Decoder) {
        let calls = |wanted| any(decoder, |op| matches!(op, Op::Unary(op, _) if *op == wanted));
        self.f16_to_f32 |= calls(Unary::F32FromF16);
        self.f32_to_f16 |= calls(Unary::F16FromF32);
    }

    /// All of them.
    pub fn items(&self) -> TokenStream {
        let loads = self.loads.into_iter().zip(LOADS);
        let loads = loads.filter(|(used, _)| *used).map(|(_, bits)| load(bits));
        let others = [
            (self.f16_to_f32, f16_to_f32 as fn() -> TokenStream),
            (self.f32_to_f16, f32_to_f16),
            (self.unit_at, unit_at),
            (self.store, store),
            (self.padded, padded),
        ];
        let others = others.into_iter().filter(|(used, _)| *used).map(|(_, helper)| helper());
        let helpers = loads.chain(others);
        quote!(#(#helpers)*)
    }
}

fn any(decoder: &Decoder, test: impl Fn(&Op) -> bool) -> bool {
    decoder.lets.iter().any(|stated| test(&stated.op))
}

fn unit_at() -> TokenStream {
    quote! {
        /// A unit of a stream; zeros where it is too short.
        #[inline(always)]
        fn unit_at<const N: usize>(stream: &[u8], unit: u32) -> &[u8; N] {
            stream.as_chunks().0.get(unit as usize).unwrap_or(const { &[0; N] })
        }
    }
}

fn padded() -> TokenStream {
    quote! {
        /// The first bytes of a list, zeros behind them.
        fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
            let mut padded = [0; N];
            padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            padded
        }
    }
}

fn f32_to_f16() -> TokenStream {
    quote! {
        /// Rounded to nearest even, as the bits of a binary16; NaN becomes the quiet one.
        #[inline(always)]
        fn f32_to_f16(value: f32) -> u32 {
            let sign = (value.to_bits() >> 16) & 0x8000;
            let magnitude = value.to_bits() & 0x7fff_ffff;
            let rounded = if magnitude > 0x7f80_0000 {
                0x7e00
            } else if magnitude >= 0x477f_f000 {
                0x7c00
            } else if magnitude < 0x3880_0000 {
                // Units of 2^-24: adding 2^23 to a number of them rounds it.
                (f32::from_bits(magnitude) * 16_777_216.0 + 8_388_608.0).to_bits() - 0x4b00_0000
            } else {
                (magnitude - (112 << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13
            };
            sign | rounded
        }
    }
}

fn store() -> TokenStream {
    quote! {
        /// Writes consecutive results.
        #[inline(always)]
        fn store<T, const N: usize>(list: &mut [T], at: u32, values: [T; N]) {
            let place = list.get_mut(at as usize..).and_then(|tail| tail.first_chunk_mut());
            if let Some(place) = place {
                *place = values;
            }
        }
    }
}

fn load(bits: u32) -> TokenStream {
    let name = format_ident!("u{bits}_at");
    let ty = format_ident!("u{bits}");
    let summary = Literal::string(&format!(" {bits} little-endian bits of a block, as u32."));
    let widen = if bits == 32 { quote!() } else { quote!(as u32) };
    quote! {
        #[doc = #summary]
        #[inline(always)]
        fn #name(bytes: &[u8], at: u32) -> u32 {
            match bytes.get(at as usize..).and_then(|tail| tail.first_chunk()) {
                Some(&word) => #ty::from_le_bytes(word) #widen,
                None => 0,
            }
        }
    }
}

fn f16_to_f32() -> TokenStream {
    quote! {
        /// The low 16 bits as binary16; exact, subnormals and the payload of a NaN are kept.
        #[inline(always)]
        fn f16_to_f32(half: u32) -> f32 {
            let magnitude = half & 0x7fff;
            let bits = if magnitude < 0x400 {
                (magnitude as f32 / 16_777_216.0).to_bits()
            } else if magnitude < 0x7c00 {
                (magnitude << 13) + (112 << 23)
            } else {
                (magnitude << 13) | 0x7f80_0000
            };
            f32::from_bits(((half & 0x8000) << 16) | bits)
        }
    }
}

//! The few functions every CPU decoder is written with; each decoder carries those it uses.

use crate::ir::{Decoder, Op, Unary};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

/// The helpers that a program calls.
pub(super) fn used(decoder: &Decoder) -> Vec<TokenStream> {
    let any = |test: &dyn Fn(&Op) -> bool| decoder.lets.iter().any(|stated| test(&stated.op));
    let mut helpers = vec![store()];
    for bits in [8, 16, 32] {
        if any(&|op| matches!(op, Op::Load { bits: wanted, .. } if *wanted == bits)) {
            helpers.push(load(bits));
        }
    }
    if any(&|op| matches!(op, Op::Unary(Unary::F32FromF16, _))) {
        helpers.push(f16_to_f32());
    }
    if any(&|op| matches!(op, Op::Unary(Unary::F16FromF32, _))) {
        helpers.push(f32_to_f16());
    }
    if decoder.streams.iter().any(|stream| !stream.units.are_blocks()) {
        helpers.push(unit_at());
    }
    helpers
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
        /// Writes consecutive weights.
        #[inline(always)]
        fn store<const N: usize>(weights: &mut [f32], at: u32, values: [f32; N]) {
            let place = weights.get_mut(at as usize..).and_then(|tail| tail.first_chunk_mut());
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

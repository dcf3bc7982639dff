//! Scales and offsets of many rows at once: a block's bytes that they are made of lie row beside row,
//! and every step is a loop over rows that becomes a few vector instructions.

use super::expression::{Side, Strength};
use super::program::{OfRows, Program};
use super::versions::Kind;
use crate::artifact::ROWS;
use crate::ir::{Decoder, Lanes, Op, Value, Verified, load_offsets};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

/// Where a program reads a block.
pub(super) struct Rows {
    /// Bytes of the block that the program reads, ascending.
    bytes: Vec<u32>,
    loads: Vec<Load>,
}

/// One load of a program.
struct Load {
    value: Value,
    /// How many bytes it reads.
    size: u32,
    /// Where the first of them is in [`Rows::bytes`], for every strip; the others follow.
    places: Vec<u32>,
}

impl Rows {
    /// For programs over one stream of blocks whose addresses depend on nothing but the strip.
    pub fn new(decoder: &Verified<Decoder>) -> Option<Rows> {
        let offsets = load_offsets(decoder).filter(|_| decoder.streams.len() == 1)?;
        let loads = decoder.lets.iter().zip(0..).filter_map(|(stated, number)| match stated.op {
            Op::Load { bits, .. } => Some((Value(number), bits / 8)),
            _ => None,
        });
        let mut loads: Vec<Load> = loads
            .zip(offsets)
            .map(|((value, size), places)| Load { value, size, places })
            .collect();
        let every = loads.iter().flat_map(|load| {
            load.places.iter().flat_map(|&first| first..first + load.size)
        });
        let mut bytes: Vec<u32> = every.collect();
        bytes.sort_unstable();
        bytes.dedup();
        for place in loads.iter_mut().flat_map(|load| &mut load.places) {
            *place = bytes.binary_search(place).unwrap_or_default() as u32;
        }
        Some(Rows { bytes, loads })
    }

    /// Places in the block of the bytes that are read, ascending.
    pub fn bytes(&self) -> &[u32] {
        &self.bytes
    }

    /// The function.
    pub fn function(&self, mut program: Program) -> TokenStream {
        let decoder = program.decoder;
        let loaded = decoder.loaded();
        let several = decoder.strips > 1;
        let is_array = |index: usize| {
            several && loaded[index] && !program.names.varies[index] && program.names.is_named(index)
        };
        let arrays: Vec<bool> = (0..decoder.lets.len()).map(is_array).collect();
        let mut loads = vec![Vec::new(); decoder.lets.len()];
        for (number, load) in self.loads.iter().enumerate() {
            loads[load.value.0 as usize] = load.bytes(number);
        }
        program.rows = Some(OfRows { loads, arrays: arrays.clone() });
        let needed = needed(decoder);
        let lets = |wanted: &dyn Fn(usize) -> bool| -> Vec<TokenStream> {
            let mut stated = vec![false; decoder.lets.len()];
            let own = (0..decoder.lets.len()).filter(|&index| needed[index] && wanted(index));
            own.filter_map(|index| program.state(Value(index as u32), &mut stated)).collect()
        };
        let varies = |index: usize| program.names.varies[index];
        let before = lets(&|index| !loaded[index] && !varies(index));
        let shared = (0..arrays.len()).filter(|&index| arrays[index] && needed[index]);
        let shared = shared.map(|index| program.array(Value(index as u32)));
        let in_run = lets(&|index| !loaded[index] && varies(index));
        let in_row = lets(&|index| loaded[index] && !arrays[index] && (varies(index) || !several));
        let rows = Literal::usize_unsuffixed(ROWS);
        let stores = decoder.quads.iter().filter_map(|quad| match &quad.lanes {
            Lanes::Scale { scale, offset } => {
                let place = program.value(quad.start).inside(Strength::As, Side::Left);
                let (scale, offset) = (program.value(*scale).tokens, program.value(*offset).tokens);
                Some(quote! {
                    scales[#place as usize][row] = #scale;
                    offsets[#place as usize][row] = #offset;
                })
            }
            _ => None,
        });
        let run = quote! {
            #(#in_run)*
            for row in 0..#rows {
                #(#in_row)*
                #(#stores)*
            }
        };
        let run = match several {
            true => self.every_run(&program, run),
            false => run,
        };
        let name = Kind::RowScales.name();
        let bytes = Literal::usize_unsuffixed(self.bytes.len());
        let runs = Literal::u32_unsuffixed(decoder.strips);
        quote! {
            /// Scales and offsets of a block of each row.
            #[inline(always)]
            fn #name(
                header: &[[u8; #rows]],
                scales: &mut [[f32; #rows]],
                offsets: &mut [[f32; #rows]],
            ) {
                let Some(header) = header.first_chunk::<#bytes>() else { return };
                let Some(scales) = scales.first_chunk_mut::<#runs>() else { return };
                let Some(offsets) = offsets.first_chunk_mut::<#runs>() else { return };
                #(#before)*
                #(#shared)*
                #run
            }
        }
    }

    /// The loop over runs: where each finds its bytes is looked up.
    fn every_run(&self, program: &Program, body: TokenStream) -> TokenStream {
        let strip = &program.names.strip;
        let runs = Literal::u32_unsuffixed(program.decoder.strips);
        let varying = || self.loads.iter().enumerate().filter(|(_, load)| load.varies());
        let bytes = varying().flat_map(|(number, load)| {
            let names = (0..load.size).map(move |byte| (byte_name(number, byte), byte));
            names.map(|(name, byte)| {
                let places = load.places.iter().map(|place| Literal::u32_unsuffixed(place + byte));
                quote!(let #name = &header[[#(#places),*][#strip as usize]];)
            })
        });
        quote! {
            for #strip in 0..#runs {
                #(#bytes)*
                #body
            }
        }
    }
}

impl Load {
    fn varies(&self) -> bool {
        self.places.iter().any(|place| *place != self.places[0])
    }

    /// Its bytes in a loop over rows.
    fn bytes(&self, number: usize) -> Vec<TokenStream> {
        let byte = |byte: u32| match self.varies() {
            true => {
                let name = byte_name(number, byte);
                quote!(#name[row])
            }
            false => {
                let place = Literal::u32_unsuffixed(self.places[0] + byte);
                quote!(header[#place][row])
            }
        };
        (0..self.size).map(byte).collect()
    }
}

/// Name of a byte of a load whose place depends on the run.
fn byte_name(load: usize, byte: u32) -> Ident {
    format_ident!("header_{load}_{byte}")
}

/// Values that are computed when bytes are at hand, and so no addresses.
fn needed(decoder: &Decoder) -> Vec<bool> {
    let mut needed = vec![false; decoder.lets.len()];
    let mut open: Vec<Value> = decoder.quads.iter().flat_map(|quad| quad.values()).collect();
    while let Some(value) = open.pop() {
        let op = decoder.get(value).op;
        let first = !std::mem::replace(&mut needed[value.0 as usize], true);
        if first && !matches!(op, Op::Load { .. }) {
            open.extend(op.operands());
        }
    }
    needed
}

//! Scales and offsets of many rows at once: the bytes of a block that they are made of lie row beside
//! row, and all runs are computed in one loop over rows, which becomes straight vector code.

use super::program::{Known, Program};
use super::versions::Kind;
use crate::artifact::ROWS;
use crate::ir::{Decoder, Lanes, Op, Value, Verified, by_strip};
use proc_macro2::{Literal, TokenStream};
use quote::quote;

/// Where a program reads a block.
pub(super) struct Rows {
    /// Bytes of the block that the program reads, ascending.
    bytes: Vec<u32>,
    /// For every strip, the bits of every value that depends on it alone.
    strips: Vec<Vec<u32>>,
}

impl Rows {
    /// For programs over one stream of blocks whose addresses depend on nothing but the strip.
    pub fn new(decoder: &Verified<Decoder>) -> Option<Rows> {
        let unfixed = decoder.unfixed();
        let fits = decoder.lets.iter().all(|stated| match stated.op {
            Op::Load { offset, .. } => !unfixed[offset.0 as usize],
            _ => true,
        });
        let [stream] = &*decoder.streams else { return None };
        if !fits || !stream.units.are_blocks() {
            return None;
        }
        let strips = by_strip(decoder);
        let mut bytes: Vec<u32> = Vec::new();
        for stated in &decoder.lets {
            if let Op::Load { bits, offset, .. } = stated.op {
                let first = strips.iter().map(|values| values[offset.0 as usize]);
                bytes.extend(first.flat_map(|first| first..first + bits / 8));
            }
        }
        bytes.sort_unstable();
        bytes.dedup();
        Some(Rows { bytes, strips })
    }

    /// Places in the block of the bytes that are read, ascending.
    pub fn bytes(&self) -> &[u32] {
        &self.bytes
    }

    /// The function.
    pub fn function(&self, mut program: Program) -> TokenStream {
        let decoder = program.decoder;
        let unfixed = decoder.unfixed();
        let needed = needed(decoder);
        let mut statements = Vec::new();
        let mut shared = vec![false; decoder.lets.len()];
        for values in &self.strips {
            let fixed =
                values.iter().zip(&unfixed).map(|(&bits, unfixed)| (!unfixed).then_some(bits));
            program.known = Some(Known {
                loads: self.loads(decoder, values),
                fixed: fixed.collect(),
                given: vec![None; decoder.lets.len()],
            });
            let varies = &program.names.varies;
            let mut own: Vec<bool> = varies.iter().zip(&shared).map(|(v, s)| !v && *s).collect();
            for index in (0..decoder.lets.len()).filter(|&index| needed[index] && unfixed[index]) {
                statements.extend(program.state(Value(index as u32), &mut own));
            }
            statements.extend(decoder.quads.iter().filter_map(|quad| match &quad.lanes {
                Lanes::Scale { scale, offset } => {
                    let run = program.value(quad.start).tokens;
                    let (scale, offset) =
                        (program.value(*scale).tokens, program.value(*offset).tokens);
                    Some(match self.is_flat() {
                        true => quote! { *to_scale = #scale; *to_offset = #offset; },
                        false => quote! {
                            scales[#run][row] = #scale;
                            offsets[#run][row] = #offset;
                        },
                    })
                }
                _ => None,
            }));
            shared = own;
        }
        let (name, rows) = (Kind::RowScales.name(), Literal::usize_unsuffixed(ROWS));
        // A format may have no stored scale.
        let header = if self.bytes.is_empty() { quote!(_) } else { quote!(header) };
        let blocks = self.blocks(&statements);
        quote! {
            /// Scales and offsets of blocks of each row.
            #[inline(always)]
            fn #name(
                #header: &[[u8; #rows]],
                scales: &mut [[f32; #rows]],
                offsets: &mut [[f32; #rows]],
            ) {
                #blocks
            }
        }
    }

    /// The loops over blocks and rows around what is done for a row.
    fn blocks(&self, statements: &[TokenStream]) -> TokenStream {
        if self.is_flat() {
            return quote! {
                let scales = scales.as_flattened_mut().iter_mut();
                let scales = scales.zip(offsets.as_flattened_mut());
                for ((to_scale, to_offset), &header) in scales.zip(header.as_flattened()) {
                    #(#statements)*
                }
            };
        }
        let rows = Literal::usize_unsuffixed(ROWS);
        let bytes = Literal::usize_unsuffixed(self.bytes.len());
        let runs = Literal::usize_unsuffixed(self.strips.len());
        let (pattern, zip) = match self.bytes.is_empty() {
            true => (quote!((scales, offsets)), quote!()),
            false => {
                (quote!(((scales, offsets), header)), quote!(.zip(header.as_chunks::<#bytes>().0)))
            }
        };
        quote! {
            let (scales, _) = scales.as_chunks_mut::<#runs>();
            let (offsets, _) = offsets.as_chunks_mut::<#runs>();
            for #pattern in scales.iter_mut().zip(offsets)#zip {
                for row in 0..#rows {
                    #(#statements)*
                }
            }
        }
    }

    /// Whether rows and blocks are one list: with a byte and a run per block. The compiler would unroll
    /// the rows and gather bytes of several blocks.
    fn is_flat(&self) -> bool {
        self.bytes.len() == 1 && self.strips.len() == 1
    }

    /// For every load, the bytes it reads in a strip.
    fn loads(&self, decoder: &Decoder, values: &[u32]) -> Vec<Vec<TokenStream>> {
        let bytes = |op: &Op| match *op {
            Op::Load { bits, offset, .. } => {
                let first = values[offset.0 as usize];
                (first..first + bits / 8).map(|byte| self.byte(byte)).collect()
            }
            _ => Vec::new(),
        };
        decoder.lets.iter().map(|stated| bytes(&stated.op)).collect()
    }

    /// A byte of the block.
    fn byte(&self, byte: u32) -> TokenStream {
        if self.is_flat() {
            return quote!(header);
        }
        let place = Literal::usize_unsuffixed(self.bytes.binary_search(&byte).unwrap_or_default());
        quote!(header[#place][row])
    }
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

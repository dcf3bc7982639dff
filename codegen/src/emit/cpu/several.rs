//! The functions that compute several blocks at a time, by loops over weights that are alike.

use super::function::unit_block;
use super::lanes::Body;
use super::program::Program;
use super::versions::Kind;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, format_ident, quote};

/// The list that is filled, and the type of its items.
fn item(kind: Kind) -> (Ident, TokenStream) {
    match kind {
        Kind::Codes => (format_ident!("codes"), quote!(u8)),
        _ => (format_ident!("weights"), quote!(f32)),
    }
}

/// A function over consecutive blocks, `times` of which are computed together. Units are blocks: an
/// array of bytes each.
pub(super) fn of_blocks(body: &Body, kind: Kind, times: u32) -> TokenStream {
    let Body { program, statements, .. } = body;
    let streams = &program.names.streams;
    let sizes = || program.decoder.streams.iter().map(|stream| stream.bytes);
    let bytes: Vec<_> = sizes().map(|bytes| Literal::u32_unsuffixed(bytes * times)).collect();
    let block_bytes = sizes().map(Literal::u32_unsuffixed);
    let count = Literal::u32_unsuffixed(program.decoder.weights * times);
    let parameters = bytes.iter().zip(streams).map(|(bytes, name)| quote!(#name: &[u8; #bytes]));
    let (name, block) = (kind.name(), format_ident!("{}_block", kind.name()));
    let (list, ty) = item(kind);
    let pattern = streams.iter().fold(list.to_token_stream(), |all, one| quote!((#all, #one)));
    let (call_last, last) = match times {
        1 => (quote!(), quote!()),
        _ => {
            let last = format_ident!("{}_last", kind.name());
            let call = quote! {
                if !last.is_empty() {
                    #last(#(#streams.get(whole.len() * #bytes..).unwrap_or_default(),)* last);
                }
            };
            let function = quote! {
                /// The blocks at the end, fewer than are computed together.
                #[inline(never)]
                fn #last(#(#streams: &[u8],)* #list: &mut [#ty]) {
                    let mut room = [#ty::default(); #count];
                    #block(#(&padded(#streams),)* &mut room);
                    #list.iter_mut().zip(room).for_each(|(to, from)| *to = from);
                }
            };
            (call, function)
        }
    };
    let rest = if times == 1 { quote!(_) } else { quote!(last) };
    quote! {
        /// The blocks from number `first` on, as many as the streams and the list hold.
        #[inline(always)]
        fn #name(streams: &[&[u8]], _: &[u32; 4], first: usize, #list: &mut [#ty]) {
            let &[#(#streams,)* ..] = streams else { return };
            #(let #streams = #streams.get(first.saturating_mul(#block_bytes)..).unwrap_or_default();)*
            let (whole, #rest) = #list.as_chunks_mut::<#count>();
            for #pattern in whole.iter_mut()#(.zip(#streams.as_chunks::<#bytes>().0))* {
                #block(#(#streams,)* #list);
            }
            #call_last
        }

        #[inline(always)]
        #[allow(clippy::needless_range_loop)]
        fn #block(#(#parameters,)* #list: &mut [#ty; #count]) {
            #statements
        }

        #last
    }
}

/// The same where blocks share units: a block is found by its row and its place in it. `one` is the
/// program for a block, for those that do not share the same.
pub(super) fn of_units(body: &Body, one: &Program, kind: Kind, times: u32) -> TokenStream {
    let Body { program, statements, units } = body;
    let decoder = program.decoder;
    let streams = &program.names.streams;
    let names = Literal::usize_unsuffixed(streams.len());
    let count = Literal::u32_unsuffixed(decoder.weights * times);
    let block_count = Literal::u32_unsuffixed(decoder.weights);
    let (name, block) = (kind.name(), format_ident!("{}_block", kind.name()));
    let (blocks, shared) =
        (format_ident!("{}_blocks", kind.name()), format_ident!("{}_units", kind.name()));
    let (list, ty) = item(kind);
    let whole = decoder.streams.iter().zip(streams).filter(|(stream, _)| stream.units.are_blocks());
    let bytes = whole.map(|(stream, name)| {
        let (one, all) =
            (Literal::u32_unsuffixed(stream.bytes), Literal::u32_unsuffixed(stream.bytes * times));
        quote!(let #name = units_at::<#one, #all>(#name, row, per_row, block);)
    });
    let last = Literal::u32_unsuffixed(times - 1);
    let times = Literal::u32_unsuffixed(times);
    let unit_block = unit_block(one, kind);
    let (same, shared) = match units.len() {
        0 => (quote!(), quote!()),
        number => {
            let number = Literal::usize_unsuffixed(number);
            let same = quote!(&& #shared(dims, place) == #shared(dims, [row, block + #last]));
            let function = quote! {
                /// The units that the block at a place shares with others.
                #[inline(always)]
                #[allow(unused_variables, clippy::manual_div_ceil)]
                fn #shared(dims: [u32; 4], place: [u32; 2]) -> [u32; #number] {
                    let [rows, per_row, size_0, size_1] = dims;
                    let [row, block] = place;
                    [#(#units),*]
                }
            };
            (same, function)
        }
    };
    quote! {
        /// The blocks from number `first` on, rows one after another, as many as the list holds.
        #[inline(always)]
        fn #name(streams: &[&[u8]], dims: &[u32; 4], first: usize, #list: &mut [#ty]) {
            let Some(streams) = streams.first_chunk() else { return };
            let dims = dims.map(|size| size.max(1));
            let per_row = dims[1] as usize;
            let mut place = [(first / per_row) as u32, (first % per_row) as u32];
            let mut rest = #list;
            while !rest.is_empty() {
                let [row, block] = place;
                let together = rest.len() >= #count && dims[1] - block >= #times #same;
                let taken = if together { #times } else { 1 };
                let Some((list, others)) = rest.split_at_mut_checked(taken as usize * #block_count)
                else {
                    return;
                };
                rest = others;
                match list.first_chunk_mut() {
                    Some(list) if together => #blocks(streams, dims, place, list),
                    _ => {
                        if let Some(list) = list.first_chunk_mut() {
                            #block(streams, dims, place, list);
                        }
                    }
                }
                place = match block + taken == dims[1] {
                    true => [row.wrapping_add(1), 0],
                    false => [row, block + taken],
                };
            }
        }

        #shared

        /// Blocks from the one at `[row, number in the row]` on, which share units.
        #[inline(always)]
        #[allow(unused_variables, clippy::manual_div_ceil, clippy::needless_range_loop)]
        fn #blocks(
            streams: &[&[u8]; #names],
            dims: [u32; 4],
            place: [u32; 2],
            #list: &mut [#ty; #count]
        ) {
            let [#(#streams),*] = streams;
            let [rows, per_row, size_0, size_1] = dims;
            let [row, block] = place;
            #(#bytes)*
            #statements
        }

        #unit_block
    }
}

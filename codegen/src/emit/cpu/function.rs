//! The functions that walk over blocks, and what they do with one.

use super::program::Program;
use super::versions::Kind;
use crate::ir::Op;
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};

/// A function over consecutive blocks and the one over a block that it calls.
pub(super) fn over_blocks(program: &Program, kind: Kind) -> TokenStream {
    match program.plain {
        true => of_blocks(program, kind),
        false => of_units(program, kind),
    }
}

/// The lists that a function fills: names, types of items, and items per block.
struct Lists {
    names: Vec<Ident>,
    types: Vec<TokenStream>,
    count: Literal,
}

impl Lists {
    fn of(program: &Program, kind: Kind) -> Lists {
        let (names, types) = kind.lists().into_iter().unzip();
        Lists { names, types, count: Literal::u32_unsuffixed(program.decoder.results()) }
    }

    /// Splits the lists into blocks.
    fn chunks(&self) -> TokenStream {
        let Lists { names, count, .. } = self;
        quote! { #(let (#names, _) = #names.as_chunks_mut::<#count>();)* }
    }

    /// The parameters of the function over a block.
    fn parameters(&self) -> TokenStream {
        let Lists { names, types, count } = self;
        quote! { #(#names: &mut [#types; #count]),* }
    }
}

/// Where a program takes `times` blocks as one.
pub(super) fn over_several(
    program: &Program,
    kind: Kind,
    body: &TokenStream,
    times: u32,
) -> TokenStream {
    let streams = &program.names.streams;
    let sizes = || program.decoder.streams.iter().map(|stream| stream.bytes);
    let bytes: Vec<_> = sizes().map(Literal::u32_unsuffixed).collect();
    let block_bytes = sizes().map(|bytes| Literal::u32_unsuffixed(bytes / times));
    let lists = Lists::of(program, kind);
    let block_parameters = lists.parameters();
    let Lists { names, types, count } = &lists;
    let parameters = bytes.iter().zip(streams).map(|(bytes, name)| quote!(#name: &[u8; #bytes]));
    let (name, block) = (kind.name(), format_ident!("{}_block", kind.name()));
    let (list, ty) = (&names[0], &types[0]);
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
        fn #block(#(#parameters,)* #block_parameters) {
            #body
        }

        #last
    }
}

/// Where units are blocks: a block is an array of bytes.
fn of_blocks(program: &Program, kind: Kind) -> TokenStream {
    let streams = &program.names.streams;
    let bytes = || program.decoder.streams.iter().map(|s| Literal::u32_unsuffixed(s.bytes));
    let chunks = bytes().zip(streams).map(|(bytes, stream)| {
        quote! {
            let (#stream, _) = #stream.as_chunks::<#bytes>();
            let #stream = #stream.get(first..).unwrap_or_default();
        }
    });
    let lists = Lists::of(program, kind);
    let (list_chunks, block_parameters) = (lists.chunks(), lists.parameters());
    let Lists { names, types, .. } = &lists;
    let all = || names.iter().chain(streams);
    let pattern = all().skip(1).fold(names[0].to_token_stream(), |all, one| quote!((#all, #one)));
    let rest = names[1..].iter();
    let first = &names[0];
    let parameters = bytes().zip(streams).map(|(bytes, stream)| quote!(#stream: &[u8; #bytes]));
    let (name, block) = (kind.name(), format_ident!("{}_block", kind.name()));
    let body = program.body(kind);
    quote! {
        /// The blocks from number `first` on, as many as the streams and lists hold.
        #[inline(always)]
        fn #name(streams: &[&[u8]], _: &[u32; 4], first: usize, #(#names: &mut [#types]),*) {
            let &[#(#streams,)* ..] = streams else { return };
            #(#chunks)*
            #list_chunks
            for #pattern in #first.iter_mut()#(.zip(#rest))*#(.zip(#streams))* {
                #block(#(#streams,)* #(#names),*);
            }
        }

        #[inline(always)]
        fn #block(#(#parameters,)* #block_parameters) {
            #body
        }
    }
}

/// Where blocks share units, or units lie apart: a block is found by its row and its place in it.
fn of_units(program: &Program, kind: Kind) -> TokenStream {
    let streams = &program.names.streams;
    let count = Literal::usize_unsuffixed(streams.len());
    let read = |op| program.decoder.lets.iter().any(|stated| stated.op == op);
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
    let lists = Lists::of(program, kind);
    let (list_chunks, block_parameters) = (lists.chunks(), lists.parameters());
    let Lists { names, types, .. } = &lists;
    let results =
        names[1..].iter().fold(names[0].to_token_stream(), |all, one| quote!((#all, #one)));
    let (first, rest) = (&names[0], names[1..].iter());
    let (name, block) = (kind.name(), format_ident!("{}_block", kind.name()));
    let body = program.body(kind);
    quote! {
        /// The blocks from number `first` on, rows one after another, as many as the lists hold.
        #[inline(always)]
        fn #name(streams: &[&[u8]], dims: &[u32; 4], first: usize, #(#names: &mut [#types]),*) {
            let Some(streams) = streams.first_chunk() else { return };
            let dims = dims.map(|size| size.max(1));
            let per_row = dims[1] as usize;
            #list_chunks
            let mut place = [(first / per_row) as u32, (first % per_row) as u32];
            for #results in #first.iter_mut()#(.zip(#rest))* {
                #block(streams, dims, place, #(#names),*);
                place = match place {
                    [row, block] if block + 1 == dims[1] => [row.wrapping_add(1), 0],
                    [row, block] => [row, block + 1],
                };
            }
        }

        /// The block at `[row, number in the row]`.
        #[inline(always)]
        #[allow(clippy::manual_div_ceil)]
        fn #block(
            streams: &[&[u8]; #count],
            dims: [u32; 4],
            place: [u32; 2],
            #block_parameters
        ) {
            let [#(#streams),*] = streams;
            let [#(#dims),*] = dims;
            let [#(#place),*] = place;
            #body
        }
    }
}

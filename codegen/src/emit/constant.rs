//! An artifact as a Rust constant, for the proc-macro and the catalogue.

use crate::artifact::{
    Artifact, Binding, Bits, Extent, Grid, Index, Param, Role, Size, Stream, Units,
};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;

/// The names a constant is written with; all lie in module `artifact` but `Cow`.
pub(super) fn imports() -> TokenStream {
    quote! {
        #[allow(unused_imports)]
        use ::quantloom::artifact::{
            Artifact, Extent, Kernel, Order, Param, Size, Stream, Units,
        };
        use std::borrow::Cow;
    }
}

/// What a constant says in another way than the artifact itself.
pub(super) struct Parts {
    /// Expression for the kernels, `&'static [Kernel]`.
    pub kernels: TokenStream,
    /// Expression for the descriptor's text, `&'static str`.
    pub descriptor: TokenStream,
    /// Expression for the functions for CPUs, `Option<Cpu>`.
    pub cpu: TokenStream,
    /// Expression for the words of the tables, `&'static [u32]`.
    pub tables: TokenStream,
}

/// The value as a constant expression over [`imports`].
pub(super) fn artifact(artifact: &Artifact, parts: &Parts) -> TokenStream {
    let Artifact { name, family, title, gguf, weights, .. } = artifact;
    let (name, family, title) = (text(name), text(family), text(title));
    let params = artifact.params.iter().map(|Param { name, value }| {
        let (name, value) = (text(name), plain(*value));
        quote!(Param { name: #name, value: #value })
    });
    let sizes = artifact.sizes.iter().map(|Size { name, default }| {
        let (name, default) = (text(name), plain(*default));
        quote!(Size { name: #name, default: #default })
    });
    let gguf = match gguf {
        Some(number) => {
            let number = plain(*number);
            quote!(Some(#number))
        }
        None => quote!(None),
    };
    let weights = plain(*weights);
    let streams = artifact.streams.iter().map(|Stream { name, bytes, units: place }| {
        let (name, bytes, units) = (&**name, plain(*bytes), units(place));
        quote!(Stream::of(#name, #bytes, #units))
    });
    let indices = artifact.indices.iter().map(|Index { of, planes }| {
        let (of, planes) = (plain(*of), planes.iter().map(bits));
        quote!(::quantloom::artifact::Index { of: #of, planes: Cow::Borrowed(&[#(#planes),*]) })
    });
    let Parts { kernels, descriptor, cpu, tables } = parts;
    quote! {
        Artifact {
            name: #name,
            family: #family,
            params: Cow::Borrowed(&[#(#params),*]),
            title: #title,
            gguf: #gguf,
            weights: #weights,
            streams: Cow::Borrowed(&[#(#streams),*]),
            indices: Cow::Borrowed(&[#(#indices),*]),
            sizes: Cow::Borrowed(&[#(#sizes),*]),
            tables: Cow::Borrowed(#tables),
            kernels: Cow::Borrowed(#kernels),
            cpu: #cpu,
            descriptor: Cow::Borrowed(#descriptor),
        }
    }
}

fn bits(own: &Bits) -> TokenStream {
    let Bits { stream, bits, rows, at } = own;
    let (stream, bits, rows) = (plain(*stream), plain(*bits), plain(*rows));
    let at = at.iter().copied().map(plain);
    quote! {
        ::quantloom::artifact::Bits {
            stream: #stream, bits: #bits, rows: #rows, at: Cow::Borrowed(&[#(#at),*]),
        }
    }
}

fn units(units: &Units) -> TokenStream {
    if *units == Units::BLOCKS {
        return quote!(Units::BLOCKS);
    }
    let Units { per_block, blocks, rows, order } = *units;
    let (per_block, rows, order) = (plain(per_block), plain(rows), variant(format!("{order:?}")));
    let blocks = match blocks {
        Extent::Blocks(blocks) => {
            let blocks = plain(blocks);
            quote!(Blocks(#blocks))
        }
        Extent::Sizes { size, times } => {
            let (size, times) = (plain(size), plain(times));
            quote!(Sizes { size: #size, times: #times })
        }
        Extent::Row => quote!(Row),
    };
    quote! {
        Units { per_block: #per_block, blocks: Extent::#blocks, rows: #rows, order: Order::#order }
    }
}

/// A binding as a constant expression.
pub(super) fn binding(Binding { name, role }: &Binding) -> TokenStream {
    let name = &**name;
    let role = match *role {
        Role::Weights(stream) => {
            let stream = plain(stream);
            quote!(Weights(#stream))
        }
        role => {
            let role = variant(format!("{role:?}"));
            quote!(#role)
        }
    };
    quote!(Binding::of(#name, Role::#role))
}

/// A grid as a constant expression; of [`Grid::Strips`] weights and strips are said elsewhere where they may be.
pub(super) fn grid(grid: Grid) -> TokenStream {
    match grid {
        Grid::Strips { weights, strips, per_workgroup } => {
            let (weights, strips) = (plain(weights), plain(strips));
            let per_workgroup = plain(per_workgroup);
            quote! {
                Grid::Strips { weights: #weights, strips: #strips, per_workgroup: #per_workgroup }
            }
        }
        Grid::Rows { per_workgroup } => {
            let per_workgroup = plain(per_workgroup);
            quote!(Grid::Rows { per_workgroup: #per_workgroup })
        }
        Grid::Tiles { n, m } => {
            let (n, m) = (plain(n), plain(m));
            quote!(Grid::Tiles { n: #n, m: #m })
        }
        Grid::Chunks { per_workgroup } => {
            let per_workgroup = plain(per_workgroup);
            quote!(Grid::Chunks { per_workgroup: #per_workgroup })
        }
    }
}

fn text(text: &str) -> TokenStream {
    quote!(Cow::Borrowed(#text))
}

fn plain(number: u32) -> Literal {
    Literal::u32_unsuffixed(number)
}

/// A variant without fields, by what `Debug` prints for it.
fn variant(name: String) -> Ident {
    Ident::new(&name, Span::call_site())
}

//! An artifact as a Rust constant, for the proc-macro and the manifest.

use crate::artifact::{Artifact, Binding, Grid, Kernel, Role, Stream};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;

/// The names a constant is written with; all lie in module `artifact` but `Cow`.
pub(super) fn imports() -> TokenStream {
    quote! {
        use ::quantloom::artifact::{
            Artifact, Backend, Binding, Element, Grid, Kernel, Kind, Role, Stream,
        };
        use std::borrow::Cow;
    }
}

/// What a constant says in another way than the artifact itself.
pub(super) struct Parts<'a> {
    /// Expression for the text of a kernel, `&'static str`.
    pub source: &'a dyn Fn(&Kernel) -> TokenStream,
    /// Expression for the descriptor's text, `&'static str`.
    pub descriptor: TokenStream,
    /// Expression for the decoder, `Option<DecodeFn>`.
    pub decode: TokenStream,
}

/// The value as a constant expression over [`imports`].
pub(super) fn artifact(artifact: &Artifact, parts: &Parts) -> TokenStream {
    let Artifact { name, title, gguf, weights, streams, kernels, decode: _, descriptor: _ } =
        artifact;
    let (name, title) = (text(name), text(title));
    let gguf = match gguf {
        Some(number) => {
            let number = plain(*number);
            quote!(Some(#number))
        }
        None => quote!(None),
    };
    let weights = plain(*weights);
    let streams = streams.iter().map(|Stream { name, bytes }| {
        let (name, bytes) = (text(name), plain(*bytes));
        quote!(Stream { name: #name, bytes: #bytes })
    });
    let kernels = kernels.iter().map(|own| kernel(own, (parts.source)(own)));
    let Parts { descriptor, decode, .. } = parts;
    quote! {
        Artifact {
            name: #name,
            title: #title,
            gguf: #gguf,
            weights: #weights,
            streams: Cow::Borrowed(&[#(#streams),*]),
            kernels: Cow::Borrowed(&[#(#kernels),*]),
            decode: #decode,
            descriptor: Cow::Borrowed(#descriptor),
        }
    }
}

fn kernel(kernel: &Kernel, source: TokenStream) -> TokenStream {
    let Kernel { name, backend, kind, output, workgroup, bindings, grid, padding, source: _ } =
        kernel;
    let name = text(name);
    let (backend, kind, output) = (
        variant(format!("{backend:?}")),
        variant(format!("{kind:?}")),
        variant(format!("{output:?}")),
    );
    let workgroup = workgroup.iter().map(|&size| plain(size));
    let bindings = bindings.iter().map(|Binding { name, role }| {
        let name = text(name);
        let role = match *role {
            Role::Weights(stream) => {
                let stream = plain(stream);
                quote!(Weights(#stream))
            }
            Role::Activations => quote!(Activations),
            Role::Output => quote!(Output),
            Role::Shape => quote!(Shape),
        };
        quote!(Binding { name: #name, role: Role::#role })
    });
    let grid = launch(*grid);
    let padding = plain(*padding);
    quote! {
        Kernel {
            name: #name,
            backend: Backend::#backend,
            kind: Kind::#kind,
            output: Element::#output,
            workgroup: [#(#workgroup),*],
            bindings: Cow::Borrowed(&[#(#bindings),*]),
            grid: #grid,
            padding: #padding,
            source: Cow::Borrowed(#source),
        }
    }
}

fn launch(grid: Grid) -> TokenStream {
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

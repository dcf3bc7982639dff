//! Rows of the catalogue: skeletons, decoders and bindings as Rust items, and which a kernel is made of.

use crate::Error;
use crate::artifact::{Backend, Grid, Kernel, Kind, Pieces, Role};
use crate::emit::constant;
use crate::emit::facts;
use crate::emit::sections::{Places, Sections, places};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote};
use std::collections::BTreeMap;

/// Skeletons, decoders and bindings as Rust items, by backend and name, and where their pieces stand.
#[derive(Default)]
pub(in crate::emit) struct Rows {
    pub sections: Sections,
    items: BTreeMap<(&'static str, String), TokenStream>,
}

impl Rows {
    /// Adds the skeleton and the decoder of a kernel of this format.
    ///
    /// # Errors
    /// Where two rows that differ would have the same name.
    pub fn add(&mut self, kernel: &Kernel, format: &str) -> Result<(), Error> {
        self.sections.add(kernel, format)?;
        let own = places(kernel, format);
        self.item(kernel.backend, skeleton_name(kernel), skeleton(kernel, &own))?;
        if kernel.kind == Kind::Quantize {
            let bindings = kernel.bindings.iter().map(constant::binding);
            let bindings = quote!(&[Binding] = &[#(#bindings),*]);
            return self.item(kernel.backend, "ROUNDING".to_owned(), bindings);
        }
        self.item(kernel.backend, decoder_name(kernel, format), decoder(kernel, &own))?;
        self.item(kernel.backend, bindings_name(kernel), bindings(kernel))
    }

    fn item(&mut self, backend: Backend, name: String, row: TokenStream) -> Result<(), Error> {
        let key = (backend.word(), name.clone());
        let known = self.items.entry(key).or_insert_with(|| row.clone());
        match known.to_string() == row.to_string() {
            true => Ok(()),
            false => Err(Error::Piece { file: "catalogue.rs".to_owned(), name }),
        }
    }

    /// A module a backend, with its rows; `text` gives an expression for the text of a file.
    pub fn modules(&self, gated: bool, text: impl Fn(&str) -> TokenStream) -> TokenStream {
        let modules = [Backend::Wgsl, Backend::Hip].into_iter().map(|backend| {
            let (word, gate) = (backend.word(), gate(backend, gated));
            let module = format_ident!("{word}");
            let files = self.sections.files(backend).map(|path| {
                let (name, text) = (file_name(path), text(path));
                quote!(const #name: &str = #text;)
            });
            let own = self.items.iter().filter(|((backend, _), _)| *backend == word);
            let rows = own.map(|((_, name), row)| {
                let name = ident(name);
                quote!(pub static #name: #row;)
            });
            quote! {
                #gate
                mod #module {
                    use ::quantloom::artifact::{
                        Activations, Backend, Binding, Bindings, Decoder, Element, Grid, Kind, Role, Skeleton,
                    };

                    #(#files)*
                    #(#rows)*
                }
            }
        });
        quote!(#(#modules)*)
    }

    /// A kernel of a format as an expression over the modules.
    pub fn kernel(kernel: &Kernel, format: &str, gated: bool) -> TokenStream {
        let (module, gate) = (ident(kernel.backend.word()), gate(kernel.backend, gated));
        let (skeleton, name) = (ident(&skeleton_name(kernel)), &*kernel.name);
        match kernel.kind {
            Kind::Quantize => {
                quote!(#gate #module::#skeleton.alone(#module::ROUNDING, #name))
            }
            _ => {
                let decoder = ident(&decoder_name(kernel, format));
                quote!(#gate #module::#skeleton.around(&#module::#decoder, #name))
            }
        }
    }
}

pub(super) fn gate(backend: Backend, gated: bool) -> Option<TokenStream> {
    let feature = backend.word();
    gated.then(|| quote!(#[cfg(feature = #feature)]))
}

fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

/// Name of the constant with the text of a file: decoders are called as their formats are.
fn file_name(path: &str) -> Ident {
    let (folder, file) = path.rsplit_once('/').unwrap_or_default();
    let name = file.split('.').next().unwrap_or_default().to_uppercase();
    match folder.ends_with("decoders") {
        true => format_ident!("OF_{name}"),
        false => format_ident!("IN_{name}"),
    }
}

/// Where buffers are so many that there is no epilogue, the vocabulary is another.
pub(super) fn skeleton_name(kernel: &Kernel) -> String {
    let word = kernel.pieces.kernel.split_once('.').map(|(_, word)| format!("_{word}"));
    let name = kernel.row().word() + &word.unwrap_or_default();
    let name = name.to_uppercase();
    match kernel.pieces.vocabulary.contains("epilogue.none") {
        true => format!("{name}_PLAIN"),
        false => name,
    }
}

pub(super) fn decoder_name(kernel: &Kernel, format: &str) -> String {
    format!("{format}_{}", kernel.pieces.decoder).to_uppercase()
}

fn bindings_name(kernel: &Kernel) -> String {
    format!("BOUND_{}", kernel.pieces.buffers.to_uppercase())
}

fn skeleton(kernel: &Kernel, Places { helpers, kernels, .. }: &Places) -> TokenStream {
    let Kernel { backend, kind, output, activations, subgroups, ref pieces, .. } = *kernel;
    let (backend, kind) = (ident(&format!("{backend:?}")), ident(&format!("{kind:?}")));
    let (output, activations) = (ident(&format!("{output:?}")), ident(&format!("{activations:?}")));
    let [workgroup, ..] = kernel.workgroup.map(Literal::u32_unsuffixed);
    let matrix = Literal::u32_unsuffixed(kernel.matrix);
    let grid = constant::grid(match kernel.grid {
        // Those of the decoder.
        Grid::Strips { weights, strips, per_workgroup } if [weights, strips] == pieces.unit => {
            Grid::Strips { weights: 0, strips: 0, per_workgroup }
        }
        grid => grid,
    });
    let (helpers, kernels) = (file_name(helpers), file_name(kernels));
    let (vocabulary, own) = (&*pieces.vocabulary, &*pieces.kernel);
    quote! {
        Skeleton = Skeleton {
            backend: Backend::#backend,
            kind: Kind::#kind,
            output: Element::#output,
            activations: Activations::#activations,
            subgroups: #subgroups,
            matrix: #matrix,
            workgroup: #workgroup,
            grid: #grid,
            helpers: #helpers,
            vocabulary: #vocabulary,
            kernels: #kernels,
            kernel: #own,
        }
    }
}

fn decoder(kernel: &Kernel, Places { decoders, .. }: &Places) -> TokenStream {
    let Pieces { decoder, calls, filled, unit, .. } = &kernel.pieces;
    let padding = Literal::u32_unsuffixed(kernel.padding);
    let unit = unit.map(Literal::u32_unsuffixed);
    let (bindings, decoders) = (ident(&bindings_name(kernel)), file_name(decoders));
    quote! {
        Decoder = Decoder {
            padding: #padding,
            unit: [#(#unit),*],
            bindings: &#bindings,
            decoders: #decoders,
            decoder: #decoder,
            calls: #calls,
            filled: #filled,
        }
    }
}

/// The bindings of every kind of kernel that reads the buffers of this one.
fn bindings(kernel: &Kernel) -> TokenStream {
    let read = kernel.bindings.iter().map(|binding| binding.role);
    let read: Vec<Role> =
        read.filter(|role| matches!(role, Role::Weights(_) | Role::Tables)).collect();
    let buffers = &*kernel.pieces.buffers;
    let of_kind = |kind: Kind| {
        let bindings = facts::bindings(&read, kernel.backend, kind);
        let bindings = bindings.iter().map(constant::binding);
        quote!(&[#(#bindings),*])
    };
    let [dequant, gather, product, experts] =
        [Kind::Dequant, Kind::Gather, Kind::Matvec, Kind::MatvecExperts].map(of_kind);
    quote! {
        Bindings = Bindings {
            buffers: #buffers,
            dequant: #dequant,
            gather: #gather,
            product: #product,
            experts: #experts,
        }
    }
}

//! What the proc-macros expand to.

use super::catalogue::Rows;
use super::constant::{self, Parts};
use super::cpu;
use crate::{Compiled, Error, Format};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;

/// A unit struct for the format, with its functions, facts and kernels. `path` is the descriptor's
/// absolute path: the compiler watches the file.
///
/// The items refer to the crate `quantloom`.
///
/// # Errors
/// A defect of the lowering, never of a format.
pub fn format(compiled: &Compiled, path: &str) -> Result<TokenStream, Error> {
    let Compiled { facts, artifact, format, .. } = compiled;
    let cpu::Functions { items, value } = cpu::of_format(format)?;
    let name = type_name(&format.name);
    let format_name = &format.name;
    let summary = Literal::string(&format!(
        " {}: {} weights in {} bytes, {} bits per weight.",
        format.title, format.weights, facts.block_bytes, facts.bits_per_weight
    ));
    let weights = Literal::u32_unsuffixed(format.weights);
    let bytes = Literal::u32_unsuffixed(facts.block_bytes);
    let streams = Literal::usize_unsuffixed(format.streams.len());
    let stream_bytes = format.streams.iter().map(|stream| Literal::u32_unsuffixed(stream.bytes));
    let bits = Literal::f64_unsuffixed(facts.bits_per_weight);
    let run = Literal::u32_unsuffixed(facts.run);
    let mut rows = Rows::default();
    for kernel in artifact.kernels.iter() {
        rows.add(kernel, &format.name)?;
    }
    let modules = rows.modules(false, |path| {
        let text = Literal::string(&rows.sections.text(path, ""));
        quote!(#text)
    });
    let kernels = artifact.kernels.iter().map(|own| Rows::kernel(own, &format.name, false));
    let kernels = quote!(#(#kernels),*);
    let parts = Parts {
        kernels: quote!(KERNELS),
        descriptor: quote!(Self::DESCRIPTOR),
        cpu: quote!(Some(Self::CPU)),
        tables: {
            let words = artifact.tables.iter().map(|&word| Literal::u32_unsuffixed(word));
            quote!(&[#(#words),*])
        },
    };
    let artifact = constant::artifact(artifact, &parts);
    let imports = constant::imports();
    let plain = format.is_plain().then(|| {
        quote! {
            /// Decodes consecutive blocks: `streams` holds the bytes of every stream, from the same
            /// block on. As many blocks are decoded as all streams and `weights` hold.
            pub fn decode(streams: &[&[u8]], weights: &mut [f32]) {
                Self::decode_from(streams, &[1; 4], 0, weights);
            }
        }
    });
    Ok(quote! {
        #[doc = #summary]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct #name;

        const _: () = {
        #items
        #modules
        #imports
        static KERNELS: &[Kernel] = &[#kernels];

        impl #name {
            /// The format's name.
            pub const NAME: &'static str = #format_name;
            /// Weights per block.
            pub const WEIGHTS: usize = #weights;
            /// Bytes per block, over all streams; of units that blocks share, those of the unit.
            pub const BYTES: usize = #bytes;
            /// Bytes per block of every stream; of units that blocks share, those of the unit.
            pub const STREAM_BYTES: [usize; #streams] = [#(#stream_bytes),*];
            /// Bits stored per weight.
            pub const BITS_PER_WEIGHT: f64 = #bits;
            /// Consecutive weights that share scale and offset, at the default sizes; 0: a row.
            pub const GROUP: usize = #run;
            /// The descriptor's text.
            pub const DESCRIPTOR: &'static str = include_str!(#path);
            /// The functions for CPUs.
            pub const CPU: ::quantloom::artifact::Cpu = #value;
            const FACTS: ::quantloom::artifact::Artifact = #artifact;
            /// All of it as a value: facts, functions, kernel texts and their launch facts.
            // SAFETY: the compiler has just made it.
            #[allow(unsafe_code)]
            pub const ARTIFACT: &'static ::quantloom::artifact::Proven =
                &unsafe { ::quantloom::artifact::Proven::new(Self::FACTS) };

            /// Decodes consecutive blocks from number `first` on, rows one after another. `streams`
            /// are those of a whole tensor, `dims` its rows, blocks per row and sizes in blocks; as
            /// many blocks are decoded as `weights` holds.
            pub fn decode_from(
                streams: &[&[u8]],
                dims: &[u32; 4],
                first: usize,
                weights: &mut [f32],
            ) {
                decode(streams, dims, first, weights)
            }

            #plain
        }
        };
    })
}

/// An expression of type [`Cpu`](crate::artifact::Cpu), usable in constants. It refers to the crate
/// `quantloom`.
///
/// # Errors
/// A defect of the lowering, never of a format.
pub fn cpu(format: &Format, path: &str) -> Result<TokenStream, Error> {
    let cpu::Functions { items, value } = cpu::of_format(format)?;
    Ok(quote! {
        {
            const _: &[u8] = include_bytes!(#path);
            #items
            #value
        }
    })
}

/// A format's name in camel case.
fn type_name(format: &str) -> Ident {
    let words = format.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    let name: String = words.collect();
    match name.as_str() {
        "" | "Self" | "Some" | "None" => Ident::new(&format!("{name}Format"), Span::call_site()),
        name => Ident::new(name, Span::call_site()),
    }
}

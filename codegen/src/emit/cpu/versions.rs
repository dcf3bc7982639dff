//! The functions of a format as callers see them, and their versions.

use crate::artifact::{AVX2, AVX512, ROWS};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

/// What a function hands out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Weights of blocks.
    Weights,
    /// Codes of blocks.
    Codes,
    /// Scales and offsets of blocks.
    Scales,
    /// Scales and offsets of a block of many rows.
    RowScales,
}

impl Kind {
    /// Name of the function.
    pub fn name(self) -> Ident {
        format_ident!(
            "{}",
            match self {
                Kind::Weights => "decode",
                Kind::Codes => "decode_codes",
                Kind::Scales => "decode_scales",
                Kind::RowScales => "row_scales",
            }
        )
    }

    /// Its lists, and the type of their items.
    pub fn lists(self) -> Vec<(Ident, TokenStream)> {
        match self {
            Kind::Weights => vec![(format_ident!("weights"), quote!(f32))],
            Kind::Codes => vec![(format_ident!("codes"), quote!(u8))],
            Kind::Scales => vec![
                (format_ident!("scales"), quote!(f32)),
                (format_ident!("offsets"), quote!(f32)),
            ],
            Kind::RowScales => {
                let rows = Literal::usize_unsuffixed(ROWS);
                vec![
                    (format_ident!("scales"), quote!([f32; #rows])),
                    (format_ident!("offsets"), quote!([f32; #rows])),
                ]
            }
        }
    }

    /// Its parameters: names and types.
    pub fn parameters(self) -> Vec<(Ident, TokenStream)> {
        let mut parameters = match self {
            Kind::RowScales => {
                let rows = Literal::usize_unsuffixed(ROWS);
                vec![(format_ident!("header"), quote!(&[[u8; #rows]]))]
            }
            _ => vec![
                (format_ident!("streams"), quote!(&[&[u8]])),
                (format_ident!("dims"), quote!(&[u32; 4])),
                (format_ident!("first"), quote!(usize)),
            ],
        };
        let lists = self.lists().into_iter().map(|(name, item)| (name, quote!(&mut [#item])));
        parameters.extend(lists);
        parameters
    }
}

/// Levels of instructions on x86-64: a field of [`Versions`](crate::artifact::Versions), and the
/// target features of the level.
const LEVELS: [(&str, &str); 2] = [("avx2", AVX2), ("avx512", AVX512)];

/// A function for each level that inlines the one of all.
pub(super) fn items(kind: Kind) -> TokenStream {
    let name = kind.name();
    let (names, types): (Vec<_>, Vec<_>) = kind.parameters().into_iter().unzip();
    let versions = LEVELS.map(|(level, features)| {
        let version = format_ident!("{name}_{level}");
        quote! {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = #features)]
            fn #version(#(#names: #types),*) {
                #name(#(#names),*);
            }
        }
    });
    quote!(#(#versions)*)
}

/// The functions as an expression of type [`Versions`](crate::artifact::Versions).
pub(super) fn value(kind: Kind) -> TokenStream {
    let name = kind.name();
    let versions = LEVELS.map(|(level, _)| {
        let (field, version) = (format_ident!("{level}"), format_ident!("{name}_{level}"));
        quote! {
            #[cfg(target_arch = "x86_64")]
            #field: Some(#version),
            #[cfg(not(target_arch = "x86_64"))]
            #field: None,
        }
    });
    quote!(::quantloom::artifact::Versions { portable: #name, #(#versions)* })
}

//! Small tables as arithmetic on the bits of a code: vectors of codes need no look-up.

use super::super::names::unique;
use super::expression::unsigned;
use crate::ir::{Entries, Table};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};

/// Functions from code to entry, each once.
#[derive(Default)]
pub(super) struct Picks(Vec<Pick>);

/// The function of a table.
pub(super) struct Pick {
    entries: Entries,
    /// Its name.
    pub name: Ident,
    /// A zero of what it gives.
    pub zero: TokenStream,
    /// What turns that into the entry's type.
    pub cast: TokenStream,
}

/// Entries beyond which a look-up is quicker.
const MOST: usize = 16;

impl Picks {
    /// Whether a table is small enough.
    pub fn takes(&self, table: &Table) -> bool {
        (1..=MOST).contains(&table.entries.len())
    }

    /// The function of a table.
    pub fn of(&mut self, table: &Table) -> &Pick {
        let known = self.0.iter().position(|pick| pick.entries == table.entries);
        let index = known.unwrap_or_else(|| {
            let free = |name: &str| self.0.iter().all(|pick| pick.name != name);
            let wish: String =
                table.name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            let name = Ident::new(&unique(&format!("pick_{wish}"), free), Span::call_site());
            let (zero, cast) = match &table.entries {
                Entries::I32(entries) if entries.iter().all(|&e| i8::try_from(e).is_ok()) => {
                    (quote!(0i8), quote!(as i32))
                }
                Entries::I32(_) => (quote!(0i32), quote!()),
                Entries::U32(_) => (quote!(0u32), quote!()),
                Entries::F32(_) => (quote!(0f32), quote!()),
            };
            self.0.push(Pick { entries: table.entries.clone(), name, zero, cast });
            self.0.len() - 1
        });
        &self.0[index]
    }

    /// The functions.
    pub fn items(&self) -> TokenStream {
        let items = self.0.iter().map(Pick::item);
        quote!(#(#items)*)
    }
}

impl Pick {
    fn item(&self) -> TokenStream {
        let name = &self.name;
        let words: Vec<u32> = match &self.entries {
            Entries::U32(entries) => entries.clone(),
            Entries::I32(entries) => entries.iter().map(|&entry| entry as u32).collect(),
            Entries::F32(entries) => entries.iter().map(|entry| entry.to_bits()).collect(),
        };
        let small = !self.cast.is_empty();
        let (word, number, top) = match small {
            true => (quote!(u8), quote!(i8), 7u32),
            false => (quote!(u32), quote!(i32), 31),
        };
        let widen = if small { quote!() } else { quote!(as u32) };
        let mut row: Vec<TokenStream> =
            words.iter().map(|&entry| unsigned(if small { entry & 0xff } else { entry })).collect();
        let mut statements = Vec::new();
        for bit in 0..row.len().next_power_of_two().trailing_zeros() {
            let mask = format_ident!("bit_{bit}");
            let (up, down) = (unsigned(top - bit), unsigned(top));
            statements
                .push(quote! { let #mask = ((code #widen << #up) as #number >> #down) as #word; });
            row = (row.chunks(2).enumerate())
                .map(|(index, pair)| match pair {
                    [low, high] if low.to_string() != high.to_string() => {
                        let entry = format_ident!("entry_{bit}_{index}");
                        statements
                            .push(quote!(let #entry: #word = #low ^ ((#low ^ #high) & #mask);));
                        quote!(#entry)
                    }
                    [low, ..] => low.clone(),
                    [] => quote!(0),
                })
                .collect();
        }
        let entry = row.into_iter().next();
        let (result, give) = match &self.entries {
            Entries::I32(_) if small => (quote!(i8), quote!(#entry as i8)),
            Entries::I32(_) => (quote!(i32), quote!(#entry as i32)),
            Entries::U32(_) => (quote!(u32), quote!(#entry)),
            Entries::F32(_) => (quote!(f32), quote!(f32::from_bits(#entry))),
        };
        quote! {
            /// The entry of a code.
            #[inline(always)]
            fn #name(code: u8) -> #result {
                #(#statements)*
                #give
            }
        }
    }
}

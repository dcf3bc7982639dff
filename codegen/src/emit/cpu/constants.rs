//! The tables of a format's programs as Rust constants, each once.

use super::super::names::unique;
use super::expression::{Expression, float, type_of, unsigned};
use crate::ir::{Entries, Table};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;

/// Constants by name.
#[derive(Default)]
pub(super) struct Constants(Vec<(Ident, Entries)>);

impl Constants {
    /// Name of the constant that holds a table.
    pub fn of(&mut self, table: &Table) -> Ident {
        if let Some((name, _)) = self.0.iter().find(|(_, entries)| *entries == table.entries) {
            return name.clone();
        }
        let own = table.name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let name =
            unique(&format!("TABLE_{own}"), |name| self.0.iter().all(|(other, _)| other != name));
        let name = Ident::new(&name, Span::call_site());
        self.0.push((name.clone(), table.entries.clone()));
        name
    }

    /// The constants.
    pub fn items(&self) -> TokenStream {
        let constants = self.0.iter().map(|(name, entries)| {
            let len = Literal::usize_unsuffixed(entries.len());
            let ty = type_of(entries.ty());
            let entries: Vec<TokenStream> = match entries {
                Entries::U32(entries) => entries.iter().map(|&entry| unsigned(entry)).collect(),
                Entries::I32(entries) => entries
                    .iter()
                    .map(|&entry| {
                        Expression::signed(entry < 0, unsigned(entry.unsigned_abs())).tokens
                    })
                    .collect(),
                Entries::F32(entries) => entries.iter().map(|&entry| float(entry).tokens).collect(),
            };
            quote! { const #name: [#ty; #len] = [#(#entries),*]; }
        });
        quote!(#(#constants)*)
    }
}

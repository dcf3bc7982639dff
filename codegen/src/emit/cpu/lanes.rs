//! Loops over consecutive weights that are computed alike, from a program for single weights.
//!
//! Blocks are cut into segments: in each, what differs from weight to weight is only what bytes that
//! follow one another hold, shifts and addresses of all else being the same. All segments are written
//! out in one loop over the weights of a segment. It has no shuffles and no branches, and is large
//! enough to become straight vector code instead of being unrolled. What does not fit that pattern is
//! computed into an array of its own first: values packed side by side in bytes, and small tables.

use super::super::names::hints;
use super::constants::Constants;
use super::expression::{Side, Strength};
use super::names::Names;
use super::pick::Picks;
use super::program::{Known, Program};
use super::segments::{Blocks, Class};
use super::side::Packed;
use super::versions::Kind;
use crate::ir::{Decoder, Op, Value, Verified};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;
use std::collections::HashMap;

/// What computes several blocks.
pub(super) struct Body<'a> {
    pub program: Program<'a>,
    /// The statements. Streams of blocks are arrays of all blocks' bytes; the place is that of the
    /// first block.
    pub statements: TokenStream,
    /// Numbers of units that all blocks must share, from the place of one.
    pub units: Vec<TokenStream>,
}

/// The statements that compute `times` blocks; `None` where they have no such segments.
pub(super) fn body<'a>(
    decoder: &'a Verified<Decoder>,
    times: u32,
    kind: Kind,
    constants: &mut Constants,
    picks: &mut Picks,
) -> Option<Body<'a>> {
    let mut writer = Writer::new(decoder, times, picks, constants)?;
    writer.arrays(picks)?;
    let (list, _) = kind.lists().into_iter().next()?;
    let result = writer.blocks.result;
    let cast = match kind {
        Kind::Codes => quote!(as u8),
        _ => quote!(),
    };
    writer.fill(&list, result, &cast)?;
    let units = writer.units();
    let Writer { program, statements, .. } = writer;
    Some(Body { program, statements: quote!(#(#statements)*), units })
}

struct Writer<'a> {
    program: Program<'a>,
    blocks: Blocks<'a>,
    /// Values that lie in arrays.
    arrays: Vec<Option<Array>>,
    /// Weights of a segment.
    length: u32,
    /// Names that values have in general.
    wanted: Vec<Option<Ident>>,
    /// Those of them that stand for nothing yet.
    free: Vec<Option<Ident>>,
    hints: Vec<String>,
    /// Values computed before loops, by number and text.
    shared: HashMap<(Value, String), Ident>,
    statements: Vec<TokenStream>,
}

/// A value of every weight.
#[derive(Clone)]
struct Array {
    name: Ident,
    /// What turns an item into the value.
    cast: TokenStream,
}

impl<'a> Writer<'a> {
    fn new(
        decoder: &'a Verified<Decoder>,
        times: u32,
        picks: &Picks,
        constants: &mut Constants,
    ) -> Option<Writer<'a>> {
        let blocks = Blocks::new(decoder, times)?;
        let mut tables = vec![false; decoder.tables.len()];
        for (stated, _) in decoder.lets.iter().zip(&blocks.unfixed).filter(|(_, open)| **open) {
            if let Op::Lookup { table, .. } = stated.op {
                tables[table as usize] |= !picks.takes(&decoder.tables[table as usize]);
            }
        }
        let names = Names::new(decoder, true, &tables, constants);
        let wanted = names.lets.clone();
        let plain = decoder.streams.iter().all(|stream| stream.units.are_blocks());
        Some(Writer {
            program: Program { decoder, names, plain, known: None },
            arrays: vec![None; decoder.lets.len()],
            length: 0,
            free: wanted.clone(),
            wanted,
            hints: hints(decoder),
            shared: HashMap::new(),
            statements: Vec::new(),
            blocks,
        })
    }

    /// Computes what needs an array, and settles the length of segments.
    fn arrays(&mut self, picks: &mut Picks) -> Option<()> {
        let decoder = self.blocks.decoder;
        for value in self.blocks.needed(self.blocks.result) {
            if let Some(packed) = Packed::new(&self.blocks, value) {
                let name = self.program.names.taken.ident(&self.hints[value.0 as usize]);
                let names = &mut self.program.names;
                self.statements.push(packed.statements(&name, names, self.blocks.count()));
                self.keep(value, Array { name, cast: quote!(as u32) });
            }
        }
        self.length = self.blocks.length()?;
        let mut own = vec![false; decoder.lets.len()];
        for first in (0..self.blocks.count()).step_by(self.length as usize) {
            let classes = self.blocks.classes(first, self.length)?;
            own.iter_mut().zip(classes).for_each(|(own, class)| *own |= class == Class::Own);
        }
        self.free.iter_mut().zip(&own).filter(|(_, own)| **own).for_each(|(name, _)| *name = None);
        for value in self.blocks.needed(self.blocks.result) {
            let Op::Lookup { table, index } = decoder.get(value).op else { continue };
            let table = &decoder.tables[table as usize];
            if !own[value.0 as usize] || !picks.takes(table) {
                continue;
            }
            let indices = match &self.arrays[index.0 as usize] {
                Some(array) => array.name.clone(),
                None => {
                    let name = self.program.names.taken.ident(&format!("{}_codes", table.name));
                    self.declare(&name, &quote!(0u8));
                    self.fill(&name, index, &quote!(as u8))?;
                    name
                }
            };
            let name = self.program.names.taken.ident(&format!("{}_of_codes", table.name));
            let pick = picks.of(table);
            self.declare(&name, &pick.zero);
            let function = &pick.name;
            self.statements.push(quote! {
                for (value, &code) in #name.iter_mut().zip(&#indices) {
                    *value = #function(code);
                }
            });
            let cast = pick.cast.clone();
            self.keep(value, Array { name, cast });
        }
        Some(())
    }

    fn keep(&mut self, value: Value, array: Array) {
        self.arrays[value.0 as usize] = Some(array);
        self.blocks.at_hand[value.0 as usize] = true;
    }

    fn declare(&mut self, name: &Ident, zero: &TokenStream) {
        let count = Literal::u32_unsuffixed(self.blocks.count());
        self.statements.push(quote!(let mut #name = [#zero; #count];));
    }

    /// Computes a value for every weight.
    fn fill(&mut self, list: &Ident, value: Value, cast: &TokenStream) -> Option<()> {
        let mut body = Vec::new();
        for first in (0..self.blocks.count()).step_by(self.length as usize) {
            let classes = self.blocks.classes(first, self.length)?;
            self.enter(first, &classes);
            let needed = self.blocks.needed(value);
            let mut hoisted = vec![false; classes.len()];
            for &user in &needed {
                if classes[user.0 as usize] == Class::Own && self.arrays[user.0 as usize].is_none()
                {
                    self.blocks.operands(user).for_each(|value| hoisted[value.0 as usize] = true);
                }
            }
            self.program.names.lets = vec![None; classes.len()];
            for &value in &needed {
                let index = value.0 as usize;
                let wanted = &self.wanted[index];
                match classes[index] {
                    _ if self.arrays[index].is_some() => {}
                    Class::Shared if hoisted[index] || wanted.is_some() => self.hoist(value),
                    Class::Own if wanted.is_some() => {
                        let expression = self.program.operation(value).tokens;
                        body.push(quote!(let #wanted = #expression;));
                        self.program.names.lets[index] = wanted.clone();
                    }
                    _ => {}
                }
            }
            let at = at(first, 1);
            let expression = self.program.value(value);
            let expression = match cast.is_empty() {
                true => expression.tokens,
                false => expression.inside(Strength::As, Side::Left),
            };
            body.push(quote!(#list[#at] = #expression #cast;));
        }
        let length = Literal::u32_unsuffixed(self.length);
        self.statements.push(quote!(for lane in 0..#length { #(#body)* }));
        Some(())
    }

    /// Computes a value before the loop, once for all segments that read the same bytes.
    fn hoist(&mut self, value: Value) {
        let expression = self.program.operation(value).tokens;
        let names = &mut self.program.names;
        let key = (value, expression.to_string());
        let name = match self.shared.get(&key) {
            Some(name) => name.clone(),
            None => {
                let hint = &self.hints[value.0 as usize];
                let own = self.free[value.0 as usize].take();
                let name = own.unwrap_or_else(|| names.taken.ident(hint));
                self.statements.push(quote!(let #name = #expression;));
                self.shared.insert(key, name.clone());
                name
            }
        };
        names.lets[value.0 as usize] = Some(name);
    }

    /// Makes the program that of a segment.
    fn enter(&mut self, first: u32, classes: &[Class]) {
        let decoder = self.blocks.decoder;
        let fixed = self.blocks.fixed(first);
        let loads = |index: usize| {
            let Op::Load { stream, bits, .. } = decoder.lets[index].op else { return Vec::new() };
            let Some(address) = self.blocks.address(first, Value(index as u32)) else {
                return Vec::new();
            };
            let stream = &self.program.names.streams[stream as usize];
            let byte = |byte: u32| match classes[index] {
                Class::Own => {
                    let at = at(address + byte, bits / 8);
                    quote!(#stream[#at])
                }
                _ => {
                    let at = Literal::u32_unsuffixed(address + byte);
                    quote!(#stream[#at])
                }
            };
            (0..bits / 8).map(byte).collect()
        };
        let given = self.arrays.iter().map(|array| {
            let Array { name, cast } = array.as_ref()?;
            let at = at(first, 1);
            let strength = if cast.is_empty() { Strength::Atom } else { Strength::As };
            Some((quote!(#name[#at] #cast), strength))
        });
        let known = Known {
            loads: (0..classes.len()).map(loads).collect(),
            fixed: (fixed.iter().zip(&self.blocks.unfixed))
                .map(|(&bits, unfixed)| (!unfixed).then_some(bits))
                .collect(),
            given: given.collect(),
        };
        self.program.known = Some(known);
    }

    /// Numbers of the units that blocks share, as expressions of their own.
    fn units(&mut self) -> Vec<TokenStream> {
        self.program.names.lets = vec![None; self.wanted.len()];
        let mut units: Vec<Value> = Vec::new();
        for value in self.blocks.needed(self.blocks.result) {
            if let Op::Load { unit, .. } = self.blocks.decoder.get(value).op
                && self.blocks.address(0, value).is_none()
                && !units.contains(&unit)
            {
                units.push(unit);
            }
        }
        units.into_iter().map(|unit| self.program.value(unit).tokens).collect()
    }
}

/// A place in a list: from `first` on, so many items per weight.
pub(super) fn at(first: u32, step: u32) -> TokenStream {
    let steps = match step {
        1 => quote!(lane),
        step => {
            let step = Literal::u32_unsuffixed(step);
            quote!(#step * lane)
        }
    };
    let first = Literal::u32_unsuffixed(first);
    match first.to_string() == "0" {
        true => steps,
        false => quote!(#first + #steps),
    }
}

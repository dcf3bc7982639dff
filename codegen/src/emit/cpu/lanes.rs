//! Loops over consecutive weights that are computed alike, from a program for single weights.
//!
//! A block is cut into segments: in each, what differs from weight to weight is only what bytes that
//! follow one another hold, shifts and addresses of all else being the same. All segments are written
//! out in one loop over the weights of a segment. It has no shuffles and no branches, and is large
//! enough to become straight vector code instead of being unrolled. What does not fit that pattern is
//! computed into an array of its own first: values packed side by side in bytes, and small tables.

use super::super::names::hints;
use super::constants::Constants;
use super::expression::Strength;
use super::names::Names;
use super::pick::Picks;
use super::program::{Known, Program};
use super::side::Packed;
use super::versions::Kind;
use crate::ir::{Decoder, Lanes, Op, Value, Verified, by_strip};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;
use std::collections::HashMap;

/// The statements that compute a block; `None` where it has no such segments.
pub(super) fn body<'a>(
    decoder: &'a Verified<Decoder>,
    kind: Kind,
    constants: &mut Constants,
    picks: &mut Picks,
) -> Option<(Program<'a>, TokenStream)> {
    let mut writer = Writer::new(decoder, picks, constants)?;
    writer.arrays(picks)?;
    let (list, _) = kind.lists().into_iter().next()?;
    let result = writer.result;
    let cast = match kind {
        Kind::Codes => quote!(as u8),
        _ => quote!(),
    };
    writer.fill(&list, result, &cast)?;
    let Writer { program, statements, .. } = writer;
    Some((program, quote!(#(#statements)*)))
}

/// How long segments may be, best first.
const LENGTHS: [u32; 4] = [64, 32, 16, 8];

/// How a value behaves in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Known when the program is written.
    Fixed,
    /// The same for all weights.
    Shared,
    /// One for each weight.
    Own,
}

struct Writer<'a> {
    program: Program<'a>,
    /// For every weight, the bits of every value that is not made of what is loaded.
    weights: Vec<Vec<u32>>,
    loaded: Vec<bool>,
    /// What the program hands out.
    result: Value,
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

/// A value of every weight of the block.
#[derive(Clone)]
struct Array {
    name: Ident,
    /// What turns an item into the value.
    cast: TokenStream,
}

impl<'a> Writer<'a> {
    fn new(
        decoder: &'a Verified<Decoder>,
        picks: &Picks,
        constants: &mut Constants,
    ) -> Option<Writer<'a>> {
        let weights = by_strip(decoder)?;
        let result = match &*decoder.quads {
            [quad] => match &quad.lanes {
                Lanes::Weights(lanes) => *lanes.first()?,
                Lanes::Code(code) => *code,
                _ => return None,
            },
            _ => return None,
        };
        let loaded = decoder.loaded();
        let mut tables = vec![false; decoder.tables.len()];
        for (stated, _) in decoder.lets.iter().zip(&loaded).filter(|(_, loaded)| **loaded) {
            if let Op::Lookup { table, .. } = stated.op {
                tables[table as usize] |= !picks.takes(&decoder.tables[table as usize]);
            }
        }
        let names = Names::new(decoder, true, &tables, constants);
        let wanted = names.lets.clone();
        Some(Writer {
            program: Program { decoder, names, plain: true, known: None },
            weights,
            loaded,
            result,
            arrays: vec![None; decoder.lets.len()],
            length: 0,
            free: wanted.clone(),
            wanted,
            hints: hints(decoder),
            shared: HashMap::new(),
            statements: Vec::new(),
        })
    }

    fn decoder(&self) -> &'a Decoder {
        self.program.decoder
    }

    /// Computes what needs an array, and settles the length of segments.
    fn arrays(&mut self, picks: &mut Picks) -> Option<()> {
        let decoder = self.decoder();
        let count = self.weights.len();
        for value in self.needed(self.result) {
            if let Some(packed) = Packed::new(decoder, &self.weights, value) {
                let name = self.program.names.taken.ident(&self.hints[value.0 as usize]);
                let names = &mut self.program.names;
                self.statements.push(packed.statements(&name, names, count));
                self.arrays[value.0 as usize] = Some(Array { name, cast: quote!(as u32) });
            }
        }
        let fits = |&length: &u32| {
            count.is_multiple_of(length as usize)
                && (0..count as u32 / length).all(|number| self.classes(number, length).is_some())
        };
        self.length = LENGTHS.into_iter().find(fits)?;
        let mut own = vec![false; decoder.lets.len()];
        for number in 0..count as u32 / self.length {
            let classes = self.classes(number, self.length)?;
            own.iter_mut().zip(classes).for_each(|(own, class)| *own |= class == Class::Own);
        }
        self.free.iter_mut().zip(&own).filter(|(_, own)| **own).for_each(|(name, _)| *name = None);
        for value in self.needed(self.result) {
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
            self.arrays[value.0 as usize] = Some(Array { name, cast: pick.cast.clone() });
        }
        Some(())
    }

    fn declare(&mut self, name: &Ident, zero: &TokenStream) {
        let count = Literal::usize_unsuffixed(self.weights.len());
        self.statements.push(quote!(let mut #name = [#zero; #count];));
    }

    /// Computes a value for every weight of the block.
    fn fill(&mut self, list: &Ident, value: Value, cast: &TokenStream) -> Option<()> {
        let mut body = Vec::new();
        for number in 0..self.weights.len() as u32 / self.length {
            let classes = self.classes(number, self.length)?;
            let first = number * self.length;
            self.enter(first, &classes);
            let needed = self.needed(value);
            let mut hoisted = vec![false; classes.len()];
            for &user in &needed {
                if classes[user.0 as usize] == Class::Own && self.arrays[user.0 as usize].is_none()
                {
                    self.operands(user).for_each(|value| hoisted[value.0 as usize] = true);
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
                false => expression.inside(Strength::As, super::expression::Side::Left),
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
        let decoder = self.decoder();
        let fixed = &self.weights[first as usize];
        let loads = |index: usize| match decoder.lets[index].op {
            Op::Load { stream, bits, offset, .. } => {
                let stream = &self.program.names.streams[stream as usize];
                let offset = fixed[offset.0 as usize];
                let byte = |byte: u32| match classes[index] {
                    Class::Own => {
                        let at = at(offset + byte, bits / 8);
                        quote!(#stream[#at])
                    }
                    _ => {
                        let at = Literal::u32_unsuffixed(offset + byte);
                        quote!(#stream[#at])
                    }
                };
                (0..bits / 8).map(byte).collect()
            }
            _ => Vec::new(),
        };
        let given = self.arrays.iter().map(|array| {
            let Array { name, cast } = array.as_ref()?;
            let at = at(first, 1);
            let strength = if cast.is_empty() { Strength::Atom } else { Strength::As };
            Some((quote!(#name[#at] #cast), strength))
        });
        let known = Known {
            loads: (0..classes.len()).map(loads).collect(),
            fixed: (fixed.iter().zip(&self.loaded))
                .map(|(&bits, loaded)| (!loaded).then_some(bits))
                .collect(),
            given: given.collect(),
        };
        self.program.known = Some(known);
    }

    /// How every value that the result needs behaves in a segment; `None` where the segment's weights
    /// are not computed alike.
    fn classes(&self, number: u32, length: u32) -> Option<Vec<Class>> {
        let segment = &self.weights[(number * length) as usize..][..length as usize];
        let first = &segment[0];
        let mut classes = vec![Class::Fixed; first.len()];
        for value in self.needed(self.result) {
            let index = value.0 as usize;
            let same = |value: Value| {
                let index = value.0 as usize;
                segment.iter().all(|weight| weight[index] == first[index])
            };
            classes[index] = match self.decoder().get(value).op {
                _ if self.arrays[index].is_some() => Class::Own,
                _ if !self.loaded[index] => same(value).then_some(Class::Fixed)?,
                Op::Load { offset, .. } if same(offset) => Class::Shared,
                Op::Load { offset, bits, .. } => {
                    let offset = offset.0 as usize;
                    let follows = |(weight, lane): (&Vec<u32>, u32)| {
                        weight[offset] == first[offset] + lane * (bits / 8)
                    };
                    segment.iter().zip(0..).all(follows).then_some(Class::Own)?
                }
                _ if self.operands(value).any(|value| classes[value.0 as usize] == Class::Own) => {
                    Class::Own
                }
                _ => Class::Shared,
            };
        }
        Some(classes)
    }

    /// What a value is computed from when bytes are at hand; ascending, itself last.
    fn needed(&self, value: Value) -> Vec<Value> {
        let mut needed = vec![false; self.loaded.len()];
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            if !std::mem::replace(&mut needed[value.0 as usize], true) {
                open.extend(self.operands(value));
            }
        }
        (0..needed.len()).filter(|&index| needed[index]).map(|index| Value(index as u32)).collect()
    }

    /// The operands of a value that are not at hand.
    fn operands(&self, value: Value) -> impl Iterator<Item = Value> + use<> {
        let index = value.0 as usize;
        let op = self.decoder().get(value).op;
        let given =
            !self.loaded[index] || self.arrays[index].is_some() || matches!(op, Op::Load { .. });
        let operands: Vec<Value> = op.operands().filter(|_| !given).collect();
        operands.into_iter()
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

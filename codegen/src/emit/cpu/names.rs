//! Which values of a program a CPU function gives a name, and which name.

use super::super::names::{hints, unique};
use super::constants::Constants;
use crate::ir::{Decoder, Lanes, Op, Type};
use proc_macro2::{Ident, Span};
use std::collections::HashSet;

/// Names in one function; all differ.
pub(super) struct Names {
    /// Parameters, one per stream.
    pub streams: Vec<Ident>,
    /// Constants, one per table that is looked up while the function runs.
    pub tables: Vec<Option<Ident>>,
    /// The loop variable.
    pub strip: Ident,
    /// The variable of every value that gets one.
    pub lets: Vec<Option<Ident>>,
    /// Whether the value differs from strip to strip.
    pub varies: Vec<bool>,
    /// All of them.
    pub taken: Taken,
}

impl Names {
    /// `tables` says which tables are looked up.
    pub fn new(
        decoder: &Decoder,
        plain: bool,
        tables: &[bool],
        constants: &mut Constants,
    ) -> Names {
        let mut taken = Taken::default();
        let streams = decoder.streams.iter().map(|stream| taken.ident(&stream.name)).collect();
        let tables: Vec<Option<Ident>> = (decoder.tables.iter().zip(tables))
            .map(|(table, used)| used.then(|| constants.of(table)))
            .collect();
        taken.0.extend(tables.iter().flatten().map(Ident::to_string));
        let strip = taken.ident("strip");
        let varies = varies(decoder);
        let wanted = wanted(decoder, &varies, plain);
        let hints = hints(decoder);
        let lets = (0..decoder.lets.len())
            .map(|index| wanted[index].then(|| taken.ident(&hints[index])))
            .collect();
        Names { streams, tables, strip, lets, varies, taken }
    }
}

/// Which values depend on the strip.
fn varies(decoder: &Decoder) -> Vec<bool> {
    let mut varies = vec![false; decoder.lets.len()];
    for (index, stated) in decoder.lets.iter().enumerate() {
        varies[index] = decoder.strips > 1
            && (stated.op == Op::Strip
                || stated.op.operands().any(|operand| varies[operand.0 as usize]));
    }
    varies
}

/// Which values become variables: those used twice, those a reader knows by name, and those that
/// are computed before the loop for use inside.
///
/// Where units are blocks, nobody asks for a unit's number.
fn wanted(decoder: &Decoder, varies: &[bool], plain: bool) -> Vec<bool> {
    let mut uses = vec![0; decoder.lets.len()];
    let mut in_loop = vec![false; decoder.lets.len()];
    let mut results = vec![false; decoder.lets.len()];
    for (index, stated) in decoder.lets.iter().enumerate() {
        let unit = match stated.op {
            Op::Load { unit, .. } if plain => Some(unit),
            _ => None,
        };
        for operand in stated.op.operands().filter(|&operand| Some(operand) != unit) {
            uses[operand.0 as usize] += 1;
            in_loop[operand.0 as usize] |= varies[index];
        }
    }
    for quad in &decoder.quads {
        for value in quad.values() {
            uses[value.0 as usize] += 1;
            in_loop[value.0 as usize] |= decoder.strips > 1;
        }
        if let Lanes::Weights(lanes) = &quad.lanes {
            lanes.iter().for_each(|lane| results[lane.0 as usize] = true);
        }
    }
    let wanted = |index: usize| {
        let stated = &decoder.lets[index];
        let plain = stated.op.is_given();
        let known = stated.ty == Type::F32 && !stated.name.is_empty() && !results[index];
        let hoisted = !varies[index] && in_loop[index];
        !plain && (uses[index] > 1 || known || hoisted)
    };
    (0..decoder.lets.len()).map(wanted).collect()
}

/// Names in use.
#[derive(Default)]
pub(super) struct Taken(HashSet<String>);

impl Taken {
    /// The wished name behind an underscore, or one like it that is free: nothing that functions are
    /// written with begins so, and no keyword does.
    pub fn ident(&mut self, wish: &str) -> Ident {
        let wish = wish.trim_matches('_').replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let name = unique(&format!("_{wish}"), |name| !self.0.contains(name));
        self.0.insert(name.clone());
        Ident::new(&name, Span::call_site())
    }
}

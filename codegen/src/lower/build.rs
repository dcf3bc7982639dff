//! Builds a program: equal values are computed once, constants are folded, and a number that depends
//! on the strip and the row is written as arithmetic on them.

use super::strips::Strips;
use super::tables;
use crate::format::Format;
use crate::ir::{
    Binary, Decoder, Entries, Let, Op, Quad, Table, Type, Unary, Value, Verified, VerifyError,
};
use std::collections::HashMap;

/// A program in the making.
pub(super) struct Builder {
    pub decoder: Decoder,
    seen: HashMap<(Op, Type), Value>,
    /// Whether a number that is no arithmetic on the strip may be looked up in a table.
    pub lookups: bool,
}

impl Builder {
    pub fn new(format: &Format, strips: &Strips) -> Builder {
        let decoder = Decoder {
            format: format.name.clone(),
            weights: format.weights,
            run: strips.run,
            strips: strips.count,
            rows: format.rows(),
            streams: format.streams.iter().map(|stream| stream.artifact()).collect(),
            tables: tables::of_format(format),
            lets: Vec::new(),
            quads: Vec::new(),
        };
        Builder { decoder, seen: HashMap::new(), lookups: strips.lookups }
    }

    /// The same program with other values for some: `replace` makes the value that takes the place of
    /// one, from operands that it finds the new ones of, or leaves that one as it is.
    pub fn rewritten(
        decoder: &Verified<Decoder>,
        replace: impl Fn(&mut Builder, Value, &dyn Fn(Value) -> Value) -> Option<Value>,
    ) -> Result<Verified<Decoder>, VerifyError> {
        let empty = Decoder { lets: Vec::new(), quads: Vec::new(), ..(**decoder).clone() };
        let mut b = Builder { decoder: empty, seen: HashMap::new(), lookups: false };
        let mut renumbered: Vec<Value> = Vec::new();
        for (stated, index) in decoder.lets.iter().zip(0..) {
            let number = |value: Value| renumbered[value.0 as usize];
            let value = replace(&mut b, Value(index), &number)
                .unwrap_or_else(|| b.push(stated.op.renumbered(number), stated.ty));
            b.name(value, &stated.name);
            renumbered.push(value);
        }
        let number = |value: Value| renumbered[value.0 as usize];
        let quads = decoder.quads.iter().map(|quad| quad.clone().renumbered(number)).collect();
        Verified::new(b.finish(quads))
    }

    /// The finished program, with only the values and tables its quads need.
    pub fn finish(mut self, quads: Vec<Quad>) -> Decoder {
        let lets = self.decoder.lets.len();
        let mut needed = vec![false; lets];
        for value in quads.iter().flat_map(Quad::values) {
            needed[value.0 as usize] = true;
        }
        for index in (0..lets).rev() {
            if needed[index] {
                for operand in self.decoder.lets[index].op.operands() {
                    needed[operand.0 as usize] = true;
                }
            }
        }
        let mut renumbered = vec![Value(0); lets];
        let mut kept = Vec::new();
        for (index, mut stated) in std::mem::take(&mut self.decoder.lets).into_iter().enumerate() {
            if needed[index] {
                stated.op = stated.op.renumbered(|value| renumbered[value.0 as usize]);
                renumbered[index] = Value(kept.len() as u32);
                kept.push(stated);
            }
        }
        self.decoder.lets = kept;
        self.decoder.quads = quads
            .into_iter()
            .map(|quad| quad.renumbered(|value| renumbered[value.0 as usize]))
            .collect();
        drop_unused_tables(&mut self.decoder);
        self.decoder
    }

    /// The table of this name, and its number.
    pub fn named(&self, name: &str) -> Option<(u32, &Table)> {
        let mut tables = self.decoder.tables.iter().zip(0..);
        tables.find(|(table, _)| table.name == name).map(|(table, number)| (number, table))
    }

    /// Adds a table that no descriptor names, once; returns its number.
    pub fn table(&mut self, name: String, entries: Entries) -> u32 {
        let tables = &mut self.decoder.tables;
        if let Some(index) = tables.iter().position(|table| table.entries == entries) {
            return index as u32;
        }
        tables.push(Table { name, at: None, entries });
        tables.len() as u32 - 1
    }

    /// Gives a value the name it would have in a hand-written kernel, unless it has one.
    pub fn name(&mut self, value: Value, name: &str) -> Value {
        let stated = &mut self.decoder.lets[value.0 as usize];
        if stated.name.is_empty() {
            stated.name = name.into();
        }
        value
    }

    pub fn push(&mut self, op: Op, ty: Type) -> Value {
        let lets = &mut self.decoder.lets;
        *self.seen.entry((op, ty)).or_insert_with(|| {
            lets.push(Let { op, ty, name: String::new() });
            Value(lets.len() as u32 - 1)
        })
    }

    pub fn u32(&mut self, number: u32) -> Value {
        self.push(Op::U32(number), Type::U32)
    }

    pub fn i32(&mut self, number: i32) -> Value {
        self.push(Op::I32(number), Type::I32)
    }

    pub fn f32(&mut self, number: f32) -> Value {
        self.push(Op::F32(number.to_bits()), Type::F32)
    }

    /// An input of the program, u32.
    pub fn input(&mut self, op: Op) -> Value {
        self.push(op, Type::U32)
    }

    pub fn load(
        &mut self,
        stream: usize,
        bits: u32,
        unit: Value,
        offset: Value,
        align: u32,
    ) -> Value {
        self.push(Op::Load { stream: stream as u32, bits, unit, offset, align }, Type::U32)
    }

    pub fn lookup(&mut self, table: u32, index: Value) -> Value {
        let ty = self.decoder.tables[table as usize].entries.ty();
        self.push(Op::Lookup { table, index }, ty)
    }

    pub fn unary(&mut self, op: Unary, operand: Value) -> Value {
        let ty = match op {
            Unary::ToI32 | Unary::SignExtend(_) => Type::I32,
            Unary::F16FromF32 | Unary::ToU32 => Type::U32,
            Unary::Neg | Unary::ToF32 | Unary::F32FromBits | Unary::F32FromF16 | Unary::Rounded => {
                Type::F32
            }
        };
        self.push(Op::Unary(op, operand), ty)
    }

    /// Type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.decoder.get(value).ty
    }

    pub fn constant(&self, value: Value) -> Option<u32> {
        match self.decoder.get(value).op {
            Op::U32(number) => Some(number),
            _ => None,
        }
    }

    /// `left op right`; neutral u32 operands vanish.
    pub fn binary(&mut self, op: Binary, left: Value, right: Value) -> Value {
        let ty = self.decoder.get(left).ty;
        let neutral = |number| match op {
            Binary::Add | Binary::Sub | Binary::Shl | Binary::Shr | Binary::Or | Binary::Xor => {
                number == 0
            }
            Binary::Mul | Binary::Div => number == 1,
            Binary::And | Binary::Min => number == u32::MAX,
            Binary::Rem => false,
        };
        let commutes = matches!(op, Binary::Add | Binary::Or | Binary::Xor | Binary::Mul);
        if ty == Type::U32 {
            if self.constant(right).is_some_and(neutral) {
                return left;
            }
            if commutes && self.constant(left).is_some_and(neutral) {
                return right;
            }
            let zero = |value| self.constant(value) == Some(0);
            if op == Binary::Mul && (zero(left) || zero(right)) {
                return self.u32(0);
            }
        }
        self.push(Op::Binary(op, left, right), ty)
    }

    /// `left op number` in u32.
    pub fn with(&mut self, op: Binary, left: Value, number: u32) -> Value {
        let right = self.u32(number);
        self.binary(op, left, right)
    }

    pub fn divide(&mut self, value: Value, by: u32) -> Value {
        match by.is_power_of_two() {
            true => self.with(Binary::Shr, value, by.trailing_zeros()),
            false => self.with(Binary::Div, value, by),
        }
    }

    pub fn remainder(&mut self, value: Value, by: u32) -> Value {
        if by == 1 {
            return self.u32(0);
        }
        match by.is_power_of_two() {
            true => self.with(Binary::And, value, by - 1),
            false => self.with(Binary::Rem, value, by),
        }
    }
}

/// Removes tables that no value looks up.
fn drop_unused_tables(decoder: &mut Decoder) {
    let mut used = vec![false; decoder.tables.len()];
    for stated in &decoder.lets {
        if let Op::Lookup { table, .. } = stated.op {
            used[table as usize] = true;
        }
    }
    let number: Vec<u32> = used
        .iter()
        .scan(0, |next, &used| {
            let number = *next;
            *next += u32::from(used);
            Some(number)
        })
        .collect();
    let mut index = 0;
    decoder.tables.retain(|_| {
        index += 1;
        used[index - 1]
    });
    for stated in &mut decoder.lets {
        if let Op::Lookup { table, .. } = &mut stated.op {
            *table = number[*table as usize];
        }
    }
}

impl Op {
    /// The same operation on other operands.
    pub(super) fn renumbered(self, number: impl Fn(Value) -> Value) -> Op {
        match self {
            Op::Load { stream, bits, unit, offset, align } => {
                Op::Load { stream, bits, unit: number(unit), offset: number(offset), align }
            }
            Op::Word { stream, unit, offset, index, align } => {
                let (unit, offset, index) = (number(unit), number(offset), number(index));
                Op::Word { stream, unit, offset, index, align }
            }
            Op::Lookup { table, index } => Op::Lookup { table, index: number(index) },
            Op::Binary(op, left, right) => Op::Binary(op, number(left), number(right)),
            Op::Unary(op, operand) => Op::Unary(op, number(operand)),
            given => given,
        }
    }
}

impl Quad {
    pub(super) fn renumbered(self, number: impl Fn(Value) -> Value) -> Quad {
        use crate::ir::Lanes;
        Quad {
            start: number(self.start),
            lanes: match self.lanes {
                Lanes::Weights(lanes) => Lanes::Weights(lanes.into_iter().map(number).collect()),
                Lanes::Codes(codes) => Lanes::Codes(number(codes)),
                Lanes::Code(code) => Lanes::Code(number(code)),
                Lanes::Dot { codes, scale, offset } => Lanes::Dot {
                    codes: number(codes),
                    scale: number(scale),
                    offset: number(offset),
                },
                Lanes::Scale { scale, offset } => {
                    Lanes::Scale { scale: number(scale), offset: number(offset) }
                }
            },
        }
    }
}

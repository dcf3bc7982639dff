//! Numbers of units: which unit of a stream holds a block's bytes.

use super::build::Builder;
use crate::artifact::{Extent, Order, Units};
use crate::ir::{Binary, Op, Value};

/// Which of the units along k.
pub(super) enum Along {
    /// The one of the block, or so many units after the block's first.
    Block(Value),
    /// The one of this number; past the last, the last.
    Gathered(Value),
}

impl Builder {
    /// Number of a unit in its stream, u32.
    pub fn unit(&mut self, units: &Units, along: Along) -> Value {
        let (block, blocks) = (self.input(Op::Block), self.input(Op::Blocks));
        let row = self.input(Op::Row);
        if (units.order, units.blocks) == (Order::Flat, Extent::Row) {
            return row;
        }
        if units.order == Order::Flat {
            let rows = self.binary(Binary::Mul, row, blocks);
            let number = self.binary(Binary::Add, rows, block);
            return self.share(units.blocks, number);
        }
        let count_k = match units.blocks {
            Extent::Blocks(1) => self.with(Binary::Mul, blocks, units.per_block),
            Extent::Row => self.u32(1),
            shared => {
                let span = self.span(shared);
                let one = self.u32(1);
                let more = self.binary(Binary::Sub, span, one);
                let all = self.binary(Binary::Add, blocks, more);
                self.share(shared, all)
            }
        };
        let along = match along {
            Along::Block(within) => {
                let first = match units.blocks {
                    Extent::Blocks(1) => self.with(Binary::Mul, block, units.per_block),
                    shared => self.share(shared, block),
                };
                self.binary(Binary::Add, first, within)
            }
            Along::Gathered(number) => {
                let one = self.u32(1);
                let last = self.binary(Binary::Sub, count_k, one);
                self.binary(Binary::Min, number, last)
            }
        };
        let across = match units.rows {
            0 => self.u32(0),
            rows => self.divide(row, rows),
        };
        let (slow, count, fast) = match units.order {
            Order::Columns => {
                let rows = self.input(Op::Rows);
                let count_n = match units.rows {
                    0 => self.u32(1),
                    tile => {
                        let all = self.with(Binary::Add, rows, tile - 1);
                        self.divide(all, tile)
                    }
                };
                (along, count_n, across)
            }
            Order::Rows | Order::Flat => (across, count_k, along),
        };
        let first = self.binary(Binary::Mul, slow, count);
        self.binary(Binary::Add, first, fast)
    }

    /// Blocks that share a unit.
    fn span(&mut self, blocks: Extent) -> Value {
        match blocks {
            Extent::Blocks(blocks) => self.u32(blocks),
            Extent::Sizes { size, times } => {
                let size = self.input(Op::Size(size));
                self.with(Binary::Mul, size, times)
            }
            Extent::Row => self.input(Op::Blocks),
        }
    }

    /// Number of the unit that block `number` shares.
    fn share(&mut self, blocks: Extent, number: Value) -> Value {
        match blocks {
            Extent::Blocks(blocks) => self.divide(number, blocks),
            Extent::Row => self.u32(0),
            Extent::Sizes { .. } => {
                let span = self.span(blocks);
                self.binary(Binary::Div, number, span)
            }
        }
    }
}

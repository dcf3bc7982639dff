//! Numbers that depend on the place (the strip, and the row where rows share units), written as
//! arithmetic on the place's digits.

use super::build::Builder;
use crate::ir::{Binary, Entries, Op, Value};

impl Builder {
    /// The number that is `table[strip]`, or `table[row % rows * strips + strip]` where it is as long:
    /// arithmetic on the two, else a lookup where these strips allow it.
    pub fn of_place(&mut self, table: &[u32]) -> Option<Value> {
        let number = self.digits_of_place(table);
        if number.is_none() && self.lookups {
            let strip = self.input(Op::Strip);
            let place = match table.len() as u32 > self.decoder.strips {
                true => {
                    let row = self.row_in_tile();
                    let first = self.with(Binary::Mul, row, self.decoder.strips);
                    self.binary(Binary::Add, first, strip)
                }
                false => strip,
            };
            let name = format!("by_strip_{}", self.decoder.tables.len());
            let table = self.table(name, Entries::U32(table.to_vec()));
            return Some(self.lookup(table, place));
        }
        number
    }

    fn row_in_tile(&mut self) -> Value {
        let row = self.input(Op::Row);
        self.remainder(row, self.decoder.rows)
    }

    /// Strip and row are split into mixed-radix digits and each gets its step. `None` where the table
    /// is not of that make.
    pub fn digits_of_place(&mut self, table: &[u32]) -> Option<Value> {
        let first = *table.first()?;
        let strips = self.decoder.strips as usize;
        let mut digits: Vec<(u32, u32, i64)> = Vec::new(); // (length, radix, step)
        let mut length = 1;
        while length < table.len() {
            let step = i64::from(table[length]) - i64::from(first);
            let continues = |copy: usize| {
                (0..length).all(|i| {
                    table.get(copy * length + i).is_some_and(|&number| {
                        i64::from(number) == i64::from(table[i]) + copy as i64 * step
                    })
                })
            };
            // A digit belongs to the strip or to the row.
            let most = if length < strips { strips / length } else { usize::MAX };
            let radix = (1..).take_while(|&copy| copy < most && continues(copy)).count() + 1;
            let within = if length < strips { strips } else { table.len() };
            if radix == 1 || !within.is_multiple_of(length * radix) {
                return None;
            }
            digits.push((length as u32, radix as u32, step));
            length *= radix;
        }
        // Rising digits first, so that no partial sum is negative.
        let mut sum = None;
        digits.sort_by_key(|&(_, _, step)| step < 0);
        let mut base = self.u32(first);
        for (length, radix, step) in digits.into_iter().filter(|&(_, _, step)| step != 0) {
            let digit = self.digit(length, radix);
            let scaled = self.with(Binary::Mul, digit, step.unsigned_abs() as u32);
            if step < 0 {
                let rest = match sum.take() {
                    Some(sum) => self.binary(Binary::Add, sum, base),
                    None => base,
                };
                base = self.binary(Binary::Sub, rest, scaled);
            } else {
                sum = Some(match sum {
                    Some(sum) => self.binary(Binary::Add, sum, scaled),
                    None => scaled,
                });
            }
        }
        Some(match sum {
            Some(sum) => self.binary(Binary::Add, sum, base),
            None => base,
        })
    }

    /// A digit of the strip, or, beyond the strips, of the row.
    fn digit(&mut self, length: u32, radix: u32) -> Value {
        let strips = self.decoder.strips;
        let (number, length, count) = match length < strips {
            true => (self.input(Op::Strip), length, strips),
            false => (self.row_in_tile(), length / strips, self.decoder.rows),
        };
        let digit = self.divide(number, length);
        match length * radix == count {
            true => digit,
            false => self.remainder(digit, radix),
        }
    }
}

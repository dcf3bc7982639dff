//! Streams: the tile that a unit covers, and where its units lie.

use super::build::Builder;
use super::names::{NAME_HELP, is_name};
use super::{Stream, gcd};
use crate::artifact::{Extent, MOST_BYTES, MOST_ROWS, MOST_TILE, Order, Size, Units, largest_size};
use crate::descriptor::{Amount, Ordered, StreamText};
use crate::problem::Path;

const ALL: &str = "all";

/// What a unit covers along k.
enum Tile {
    /// A part of a block: so many make one.
    Part(u32),
    /// One block or several.
    Blocks(Extent),
}

impl Builder {
    pub(super) fn streams(&mut self, streams: &Ordered<StreamText>) {
        let mut together = 1; // rows after which all streams begin a unit
        if !self.weights.is_multiple_of(4) {
            let message = format!("a block of {} weights", self.weights);
            let help = "blocks of several streams have a multiple of 4";
            return self.refuse(Path::of("weights"), message, help);
        }
        for (name, text) in streams {
            let path = Path::of("streams").key(name);
            if !is_name(name) || self.streams.iter().any(|other| other.name == *name) {
                self.refuse(path.clone(), format!("`{name}` cannot name a stream"), NAME_HELP);
            }
            let stream = self.streams.len();
            let bytes = self.unit(stream, text.unit.iter(), &path.key("unit"));
            let placed = self.place(text, bytes, &path);
            let (copies, unit, units) = placed.unwrap_or((1, bytes, Units::BLOCKS));
            let bytes = bytes * copies;
            if bytes > MOST_BYTES {
                let message = format!("the units of a block have {bytes} bytes");
                let help = format!("there may be {MOST_BYTES}: let the tile be longer");
                self.refuse(path.clone(), message, help);
            }
            let rows = units.rows.max(1);
            together = together / gcd(together, rows) * rows;
            if together > MOST_ROWS {
                let message = format!("tiles of all streams begin together every {together} rows");
                let help =
                    format!("the least common multiple of their rows is {MOST_ROWS} at most");
                return self.refuse(path.key("tile").key("n"), message, help);
            }
            self.streams.push(Stream { name: name.into(), bytes, copies, unit, units });
        }
        if self.streams.is_empty() && self.problems.is_empty() {
            self.refuse(Path::of("streams"), "there is no stream", "name at least one");
        }
    }

    /// Units per block as the descriptor has them, bytes of those that lie on their own, and where
    /// these are; `None` where a problem was reported.
    fn place(&mut self, text: &StreamText, bytes: u32, path: &Path) -> Option<(u32, u32, Units)> {
        let tile = self.tile_k(&text.tile.k, &path.key("tile").key("k"))?;
        let rows = self.tile_n(text.tile.n.as_ref(), &path.key("tile").key("n"))?;
        let order = match text.view.as_deref() {
            None | Some("rows") => Order::Rows,
            Some("flat") if rows == 1 => Order::Flat,
            Some("flat") => {
                let message = "units of a flat stream run through one row after another";
                self.refuse(path.key("view"), message, "leave `n` out, or write rows or columns");
                return None;
            }
            Some("columns") => Order::Columns,
            Some(other) => {
                let message = format!("`{other}` is not a view");
                self.refuse(path.key("view"), message, "write rows, flat or columns");
                return None;
            }
        };
        let word = match text.word {
            None => bytes,
            Some(4) if order == Order::Columns && bytes.is_multiple_of(4) => 4,
            Some(_) => {
                let message = "only units of columns, made of whole words, are cut into words";
                self.refuse(
                    path.key("word"),
                    message,
                    "write 4 beside `view: columns`, or leave it out",
                );
                return None;
            }
        };
        let (copies, blocks) = match tile {
            Tile::Part(copies) => (copies, Extent::Blocks(1)),
            Tile::Blocks(blocks) => (1, blocks),
        };
        // Along a row the units of a block lie together.
        let (unit, per_block) = match order {
            Order::Columns => (word, copies * (bytes / word.max(1))),
            Order::Rows | Order::Flat => (bytes * copies, 1),
        };
        if per_block > 1 && blocks != Extent::Blocks(1) {
            let message = "words of a unit that several blocks share";
            self.refuse(path.key("word"), message, "let the tile be a block or a part of one");
            return None;
        }
        Some((copies, unit, Units { per_block, blocks, rows, order }))
    }

    fn tile_k(&mut self, amount: &Amount, path: &Path) -> Option<Tile> {
        let block = self.weights;
        let help = format!(
            "a tile is a part or a multiple of the block's {block} weights, at most {MOST_TILE}, a multiple of a size, or all"
        );
        let product = match amount.product(&self.params) {
            Ok(product) => product,
            Err(message) => {
                self.refuse(path.clone(), message, help);
                return None;
            }
        };
        let number = u32::try_from(product.number).unwrap_or(0);
        let size = |name: &str| self.sizes.iter().position(|size| size.name == name);
        match product.name.as_deref() {
            Some(ALL) if number == 1 => return Some(Tile::Blocks(Extent::Row)),
            Some(name) if (1..=MOST_TILE).contains(&number) => {
                if let Some(size) = size(name) {
                    return self.sized(size, number, amount, path);
                }
            }
            None if number == 0 || number > MOST_TILE => {}
            None if block.is_multiple_of(number) => return Some(Tile::Part(block / number)),
            None if number.is_multiple_of(block) => {
                return Some(Tile::Blocks(Extent::Blocks(number / block)));
            }
            _ => {}
        }
        let sizes: Vec<_> = self.sizes.iter().map(|size| &*size.name).collect();
        let known = if sizes.is_empty() {
            String::new()
        } else {
            format!("; sizes are {}", sizes.join(", "))
        };
        self.refuse(path.clone(), format!("a tile of {amount} weights"), help + &known);
        None
    }

    /// So many times a size; `None` where a problem was reported.
    fn sized(&mut self, size: usize, times: u32, amount: &Amount, path: &Path) -> Option<Tile> {
        let blocks = Extent::Sizes { size: size as u32, times };
        let own = std::iter::once(Units { blocks, ..Units::BLOCKS });
        let largest = largest_size(own, size as u32, self.weights);
        let Size { name, default } = self.sizes[size].clone();
        if default <= largest {
            return Some(Tile::Blocks(blocks));
        }
        let message = format!("a tile of {amount} weights, where `{name}` is {default}");
        let help = match largest {
            0 => format!(
                "a tile has at most {MOST_TILE} weights, and `{name}` at least {}",
                self.weights
            ),
            _ => format!("a tile has at most {MOST_TILE} weights: `{name}` may be {largest}"),
        };
        self.refuse(path.clone(), message, help);
        None
    }

    /// Rows of a tile; 0 stands for all.
    fn tile_n(&mut self, amount: Option<&Amount>, path: &Path) -> Option<u32> {
        match amount {
            None => Some(1),
            Some(Amount::Text(text)) if text == ALL => Some(0),
            Some(amount) => match self.amount(amount, path)? {
                rows @ 1..=MOST_ROWS => Some(rows),
                rows => {
                    let message = format!("a tile of {rows} rows");
                    self.refuse(path.clone(), message, format!("1 to {MOST_ROWS} rows, or all"));
                    None
                }
            },
        }
    }
}

//! Any processor: loops that compilers turn into vectors.

use super::{Floats, Kernel, Line, ROWS, Simd};
use std::array::from_fn;

/// Needs nothing.
#[derive(Clone, Copy)]
pub(in super::super) struct Portable;

impl Portable {
    /// Always there.
    pub fn detect() -> Option<Portable> {
        Some(Portable)
    }
}

impl Simd for Portable {
    type Words = [u32; ROWS];
    type Floats = [f32; ROWS];
    const NARROW: bool = false;
    const DIRECT: bool = false;
    const TILE: usize = 4;

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn load(self, from: &Line) -> [u32; ROWS] {
        self.load_bytes(&from.0)
    }
    #[inline(always)]
    fn load_bytes(self, from: &[u8; 4 * ROWS]) -> [u32; ROWS] {
        let (words, _) = from.as_chunks();
        from_fn(|lane| words.get(lane).copied().map_or(0, u32::from_le_bytes))
    }
    #[inline(always)]
    fn transpose(self, rows: [[u32; ROWS]; ROWS]) -> [[u32; ROWS]; ROWS] {
        from_fn(|i| from_fn(|j| rows[j][i]))
    }
    #[inline(always)]
    fn store(self, words: [u32; ROWS], to: &mut Line) {
        let (to, _) = to.0.as_chunks_mut();
        for (to, word) in to.iter_mut().zip(words) {
            *to = word.to_le_bytes();
        }
    }
    #[inline(always)]
    fn splat(self, number: i32) -> [u32; ROWS] {
        [number as u32; ROWS]
    }
    #[inline(always)]
    fn and(self, a: [u32; ROWS], b: [u32; ROWS]) -> [u32; ROWS] {
        from_fn(|lane| a[lane] & b[lane])
    }
    #[inline(always)]
    fn or(self, a: [u32; ROWS], b: [u32; ROWS]) -> [u32; ROWS] {
        from_fn(|lane| a[lane] | b[lane])
    }
    #[inline(always)]
    fn shl(self, a: [u32; ROWS], by: u32) -> [u32; ROWS] {
        a.map(|lane| lane << by)
    }
    #[inline(always)]
    fn shr(self, a: [u32; ROWS], by: u32) -> [u32; ROWS] {
        a.map(|lane| lane >> by)
    }
    #[inline(always)]
    fn table(self, entries: &[u8; 16]) -> [u32; ROWS] {
        let (words, _) = entries.as_chunks();
        from_fn(|lane| words.get(lane % 4).copied().map_or(0, u32::from_le_bytes))
    }
    #[inline(always)]
    fn lookup(self, table: [u32; ROWS], bytes: [u32; ROWS]) -> [u32; ROWS] {
        bytes.map(|word| {
            u32::from_le_bytes(word.to_le_bytes().map(|byte| {
                let word = table[usize::from(byte >> 2 & 3)];
                (word >> (8 * (byte & 3))) as u8
            }))
        })
    }
    #[inline(always)]
    fn dot(self, sum: [u32; ROWS], codes: [u32; ROWS], x: i32) -> [u32; ROWS] {
        let x = x.to_le_bytes().map(|byte| i32::from(byte as i8));
        from_fn(|lane| {
            let byte = |number: u32| (codes[lane] >> (8 * number) & 0xff) as i32;
            let products = byte(0) * x[0] + byte(1) * x[1] + byte(2) * x[2] + byte(3) * x[3];
            sum[lane].wrapping_add(products as u32)
        })
    }
    #[inline(always)]
    fn dot_wide(self, sum: [u32; ROWS], codes: [u32; ROWS], x: i32) -> [u32; ROWS] {
        self.dot(sum, codes, x)
    }
    #[inline(always)]
    fn to_floats(self, words: [u32; ROWS]) -> [f32; ROWS] {
        words.map(|lane| lane as i32 as f32)
    }
    #[inline(always)]
    fn load_floats(self, from: &Floats) -> [f32; ROWS] {
        from.0
    }
    #[inline(always)]
    fn load_row(self, from: &[f32; ROWS]) -> [f32; ROWS] {
        *from
    }
    #[inline(always)]
    fn store_floats(self, floats: [f32; ROWS], to: &mut Floats) {
        to.0 = floats;
    }
    #[inline(always)]
    fn splat_float(self, number: f32) -> [f32; ROWS] {
        [number; ROWS]
    }
    #[inline(always)]
    fn add(self, a: [f32; ROWS], b: [f32; ROWS]) -> [f32; ROWS] {
        from_fn(|lane| a[lane] + b[lane])
    }
    #[inline(always)]
    fn mul(self, a: [f32; ROWS], b: [f32; ROWS]) -> [f32; ROWS] {
        from_fn(|lane| a[lane] * b[lane])
    }
    #[inline(always)]
    fn mul_add(self, a: [f32; ROWS], b: [f32; ROWS], c: [f32; ROWS]) -> [f32; ROWS] {
        from_fn(|lane| a[lane] * b[lane] + c[lane])
    }
    #[inline(always)]
    fn lookup_float(self, table: [f32; ROWS], lanes: [u32; ROWS]) -> [f32; ROWS] {
        lanes.map(|lane| table[(lane & 15) as usize])
    }
}

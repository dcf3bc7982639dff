//! Every operation of every level that this machine has, against plain Rust.

use std::array::from_fn;

use super::super::isa::Isa;
use super::super::tests::Random;
use super::{Floats, Halves, Kernel, Line, ROWS, Simd};
use bytemuck::Zeroable;
use half::f16;

#[test]
fn operations_agree_with_plain_rust() {
    for isa in Isa::all() {
        for seed in 0..if cfg!(miri) { 1 } else { 200 } {
            isa.run(Operations { isa, random: Random(seed) });
        }
    }
}

/// All operations, with random operands.
struct Operations {
    isa: Isa,
    random: Random,
}

impl Kernel for Operations {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        self.moves(simd);
        self.bits(simd);
        self.dots(simd);
        self.floats(simd);
    }
}

/// Lanes of 32 bits.
fn lanes(line: &Line) -> [u32; ROWS] {
    let (words, _) = line.0.as_chunks();
    from_fn(|lane| u32::from_le_bytes(words[lane]))
}

#[inline(always)]
fn stored<S: Simd>(simd: S, words: S::Words) -> Line {
    let mut line = Line([0xa5; 64]);
    simd.store(words, &mut line);
    line
}

#[inline(always)]
fn stored_floats<S: Simd>(simd: S, floats: S::Floats) -> [f32; ROWS] {
    let mut to = Floats([f32::NAN; ROWS]);
    simd.store_floats(floats, &mut to);
    to.0
}

fn bits(floats: [f32; ROWS]) -> [u32; ROWS] {
    floats.map(f32::to_bits)
}

impl Operations {
    /// Random bytes, a quarter of them as large or as small as bytes can be.
    fn line(&mut self) -> Line {
        Line(from_fn(|_| match self.random.below(8) {
            0 => 0,
            1 => 255,
            _ => self.random.bits() as u8,
        }))
    }

    #[inline(always)]
    fn moves<S: Simd>(&mut self, simd: S) {
        let (isa, line) = (self.isa, self.line());
        assert_eq!(stored(simd, simd.load(&line)).0, line.0, "{isa}: load");
        let number = self.random.bits() as i32;
        assert_eq!(lanes(&stored(simd, simd.splat(number))), [number as u32; ROWS], "{isa}: splat");
        let bytes: [u8; 65] = from_fn(|_| self.random.bits() as u8);
        let odd = bytes.last_chunk().unwrap();
        assert_eq!(stored(simd, simd.load_bytes(odd)).0, *odd, "{isa}: load_bytes");
        // Nothing of this address is memory of the test.
        simd.prefetch((&raw const line).wrapping_add(1 << 20));

        let rows: [Line; ROWS] = from_fn(|_| self.line());
        let mut words = [simd.splat(0); ROWS];
        for (words, row) in words.iter_mut().zip(&rows) {
            *words = simd.load(row);
        }
        let rows = rows.each_ref().map(lanes);
        for (column, words) in simd.transpose(words).into_iter().enumerate() {
            let expected = rows.map(|row| row[column]);
            assert_eq!(lanes(&stored(simd, words)), expected, "{isa}: transpose");
        }
    }

    #[inline(always)]
    fn bits<S: Simd>(&mut self, simd: S) {
        let (isa, a, b) = (self.isa, self.line(), self.line());
        let (wa, wb) = (simd.load(&a), simd.load(&b));
        let expected: [u8; 64] = from_fn(|i| a.0[i] & b.0[i]);
        assert_eq!(stored(simd, simd.and(wa, wb)).0, expected, "{isa}: and");
        let expected: [u8; 64] = from_fn(|i| a.0[i] | b.0[i]);
        assert_eq!(stored(simd, simd.or(wa, wb)).0, expected, "{isa}: or");
        for by in (0..32).step_by(if cfg!(miri) { 7 } else { 1 }) {
            let left = lanes(&stored(simd, simd.shl(wa, by)));
            assert_eq!(left, lanes(&a).map(|lane| lane << by), "{isa}: shl {by}");
            let right = lanes(&stored(simd, simd.shr(wa, by)));
            assert_eq!(right, lanes(&a).map(|lane| lane >> by), "{isa}: shr {by}");
        }
        let table: [u8; 16] = from_fn(|_| self.random.bits() as u8);
        let indices = Line(b.0.map(|byte| byte & 15));
        let found = simd.lookup(simd.table(&table), simd.load(&indices));
        let expected = indices.0.map(|index| table[usize::from(index)]);
        assert_eq!(stored(simd, found).0, expected, "{isa}: lookup");
    }

    #[inline(always)]
    fn dots<S: Simd>(&mut self, simd: S) {
        let (isa, codes) = (self.isa, self.line());
        let sum = simd.load(&self.line());
        let sums = lanes(&stored(simd, sum));
        let narrow = Line(codes.0.map(|code| code & 127));
        for _ in 0..8 {
            let x: [i8; 4] = from_fn(|_| match self.random.below(4) {
                0 => 127,
                1 => -127,
                _ => (self.random.bits() as i8).max(-127),
            });
            let word = i32::from_le_bytes(x.map(|x| x as u8));
            let expected = |codes: &Line| -> [u32; ROWS] {
                from_fn(|lane| {
                    let products = |i: usize| i32::from(codes.0[4 * lane + i]) * i32::from(x[i]);
                    let sum: i32 = (0..4).map(products).sum();
                    sums[lane].wrapping_add(sum as u32)
                })
            };
            let got = simd.dot(sum, simd.load(&narrow), word);
            assert_eq!(lanes(&stored(simd, got)), expected(&narrow), "{isa}: dot, {x:?}");
            if !S::NARROW {
                let got = simd.dot(sum, simd.load(&codes), word);
                assert_eq!(lanes(&stored(simd, got)), expected(&codes), "{isa}: dot, {x:?}");
            }
            let got = simd.dot_wide(sum, simd.load(&codes), word);
            assert_eq!(lanes(&stored(simd, got)), expected(&codes), "{isa}: dot_wide, {x:?}");
        }
    }

    #[inline(always)]
    fn floats<S: Simd>(&mut self, simd: S) {
        let (isa, line) = (self.isa, self.line());
        let converted = stored_floats(simd, simd.to_floats(simd.load(&line)));
        let expected = lanes(&line).map(|lane| lane as i32 as f32);
        assert_eq!(bits(converted), bits(expected), "{isa}: to_floats");

        let values: [f32; 4 * ROWS] = from_fn(|_| self.random.float());
        let (values, _) = values.as_chunks::<ROWS>();
        let [a, b, c, table] = [0, 1, 2, 3].map(|i| values[i]);
        let (fa, fb) = (simd.load_floats(&Floats(a)), simd.load_floats(&Floats(b)));
        let fc = simd.load_floats(&Floats(c));
        assert_eq!(bits(stored_floats(simd, fa)), bits(a), "{isa}: load_floats");
        // Miri has no such stores.
        if !cfg!(miri) {
            let mut to = Floats::ZERO;
            let mut halves = Halves::zeroed();
            simd.stream(fb, &mut to);
            simd.stream_halves([fa, fc], &mut halves);
            simd.fence();
            assert_eq!(bits(to.0), bits(b), "{isa}: stream");
            let rounded = [a, c].map(|floats| floats.map(|float| f16::from_f32(float).to_bits()));
            let halves = halves.0.map(f16::to_bits);
            assert_eq!(rounded.as_flattened(), halves, "{isa}: stream_halves");
        }
        let odd = values.as_flattened()[1..].first_chunk().unwrap();
        assert_eq!(bits(stored_floats(simd, simd.load_row(odd))), bits(*odd), "{isa}: load_row");
        let same = stored_floats(simd, simd.splat_float(a[0]));
        assert_eq!(bits(same), [a[0].to_bits(); ROWS], "{isa}: splat_float");
        let sum = stored_floats(simd, simd.add(fa, fb));
        assert_eq!(bits(sum), bits(from_fn(|i| a[i] + b[i])), "{isa}: add");
        let product = stored_floats(simd, simd.mul(fa, fb));
        assert_eq!(bits(product), bits(from_fn(|i| a[i] * b[i])), "{isa}: mul");
        let got = stored_floats(simd, simd.mul_add(fa, fb, fc));
        for i in 0..ROWS {
            let allowed = [a[i].mul_add(b[i], c[i]), a[i] * b[i] + c[i]].map(f32::to_bits);
            assert!(
                allowed.contains(&got[i].to_bits()),
                "{isa}: mul_add {} {} {}",
                a[i],
                b[i],
                c[i]
            );
        }
        let found = simd.lookup_float(simd.load_floats(&Floats(table)), simd.load(&line));
        let expected = lanes(&line).map(|lane| table[lane as usize & 15]);
        assert_eq!(bits(stored_floats(simd, found)), bits(expected), "{isa}: lookup_float");
    }
}

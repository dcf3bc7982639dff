//! AVX2: two registers hold the 16 rows.

use super::{Floats, Halves, Kernel, Line, Simd};
use std::arch::x86_64::*;

/// Proof that the processor has level `avx2`.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx2(());

impl Avx2 {
    pub fn detect() -> Option<Avx2> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Avx2(()))
    }
}

/// To nearest even, whatever the processor is set to.
const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT;

/// An expression of intrinsics.
macro_rules! intrinsics {
    ($expression:expr) => {{
        // SAFETY: a value of this type exists, and only `detect` makes one, so there are the instructions.
        // Pointers come from references to as many bytes as are read or written, and whole registers to
        // `Line`, `Floats` and `Halves`, which are aligned by type; those of hints may be any. What is
        // streamed is fenced by `cpu/stream.rs` before its borrow ends.
        unsafe { $expression }
    }};
}

/// The same for both registers.
macro_rules! both {
    (|$half:ident| $expression:expr) => {
        intrinsics!([
            {
                let $half = 0;
                $expression
            },
            {
                let $half = 1;
                $expression
            }
        ])
    };
}

type Words = [__m256i; 2];
type Lanes = [__m256; 2];

/// Lane `i` of item `j` becomes lane `j` of item `i`.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_8(rows: [__m256i; 8]) -> [__m256i; 8] {
    let mut a = rows;
    let mut b = rows;
    for i in 0..4 {
        b[2 * i] = _mm256_unpacklo_epi32(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm256_unpackhi_epi32(a[2 * i], a[2 * i + 1]);
    }
    for i in 0..2 {
        for j in 0..2 {
            let (low, high) = (b[4 * i + j], b[4 * i + j + 2]);
            a[4 * i + 2 * j] = _mm256_unpacklo_epi64(low, high);
            a[4 * i + 2 * j + 1] = _mm256_unpackhi_epi64(low, high);
        }
    }
    for i in 0..4 {
        b[i] = _mm256_permute2x128_si256::<0x20>(a[i], a[i + 4]);
        b[i + 4] = _mm256_permute2x128_si256::<0x31>(a[i], a[i + 4]);
    }
    b
}

impl Simd for Avx2 {
    type Words = Words;
    type Floats = Lanes;
    const NARROW: bool = true;
    const DIRECT: bool = true;
    const TILE: usize = 4;

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
        fn inner<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        intrinsics!(inner(self, kernel))
    }

    #[inline(always)]
    fn load(self, from: &Line) -> Words {
        let (halves, _) = from.0.as_chunks::<32>();
        both!(|half| _mm256_load_si256(halves[half].as_ptr().cast()))
    }
    #[inline(always)]
    fn load_bytes(self, from: &[u8; 64]) -> Words {
        let (halves, _) = from.as_chunks::<32>();
        both!(|half| _mm256_loadu_si256(halves[half].as_ptr().cast()))
    }
    #[inline(always)]
    fn transpose(self, rows: [Words; 16]) -> [Words; 16] {
        // Four squares of 8 by 8; two change places.
        let mut columns = rows;
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let mut square = [rows[0][0]; 8];
            for (square, row) in square.iter_mut().zip(&rows[8 * i..]) {
                *square = row[j];
            }
            for (row, lanes) in intrinsics!(transpose_8(square)).into_iter().enumerate() {
                columns[8 * j + row][i] = lanes;
            }
        }
        columns
    }
    #[inline(always)]
    fn store(self, words: Words, to: &mut Line) {
        let (halves, _) = to.0.as_chunks_mut::<32>();
        for (half, words) in halves.iter_mut().zip(words) {
            intrinsics!(_mm256_store_si256(half.as_mut_ptr().cast(), words));
        }
    }
    #[inline(always)]
    fn splat(self, number: i32) -> Words {
        intrinsics!([_mm256_set1_epi32(number); 2])
    }
    #[inline(always)]
    fn and(self, a: Words, b: Words) -> Words {
        intrinsics!([_mm256_and_si256(a[0], b[0]), _mm256_and_si256(a[1], b[1])])
    }
    #[inline(always)]
    fn or(self, a: Words, b: Words) -> Words {
        intrinsics!([_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])])
    }
    #[inline(always)]
    fn shl(self, a: Words, by: u32) -> Words {
        let by = intrinsics!(_mm_cvtsi32_si128(by as i32));
        both!(|half| _mm256_sll_epi32(a[half], by))
    }
    #[inline(always)]
    fn shr(self, a: Words, by: u32) -> Words {
        let by = intrinsics!(_mm_cvtsi32_si128(by as i32));
        both!(|half| _mm256_srl_epi32(a[half], by))
    }
    #[inline(always)]
    fn table(self, entries: &[u8; 16]) -> Words {
        intrinsics!([_mm256_broadcastsi128_si256(_mm_loadu_si128(entries.as_ptr().cast())); 2])
    }
    #[inline(always)]
    fn lookup(self, table: Words, bytes: Words) -> Words {
        intrinsics!([
            _mm256_shuffle_epi8(table[0], bytes[0]),
            _mm256_shuffle_epi8(table[1], bytes[1])
        ])
    }
    #[inline(always)]
    fn dot(self, sum: Words, codes: Words, x: i32) -> Words {
        // Two products of codes below 128 stay within 16 bits.
        both!(|half| {
            let pairs = _mm256_maddubs_epi16(codes[half], _mm256_set1_epi32(x));
            let quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            _mm256_add_epi32(sum[half], quads)
        })
    }
    #[inline(always)]
    fn dot_wide(self, sum: Words, codes: Words, x: i32) -> Words {
        both!(|half| {
            let x = _mm256_set1_epi32(x);
            let even_x = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(x));
            let odd_x = _mm256_srai_epi16::<8>(x);
            let even = _mm256_and_si256(codes[half], _mm256_set1_epi16(0xff));
            let odd = _mm256_srli_epi16::<8>(codes[half]);
            let even = _mm256_madd_epi16(even, even_x);
            let odd = _mm256_madd_epi16(odd, odd_x);
            _mm256_add_epi32(sum[half], _mm256_add_epi32(even, odd))
        })
    }
    #[inline(always)]
    fn to_floats(self, words: Words) -> Lanes {
        both!(|half| _mm256_cvtepi32_ps(words[half]))
    }
    #[inline(always)]
    fn load_floats(self, from: &Floats) -> Lanes {
        let (halves, _) = from.0.as_chunks::<8>();
        both!(|half| _mm256_load_ps(halves[half].as_ptr()))
    }
    #[inline(always)]
    fn load_row(self, from: &[f32; 16]) -> Lanes {
        let (halves, _) = from.as_chunks::<8>();
        both!(|half| _mm256_loadu_ps(halves[half].as_ptr()))
    }
    #[inline(always)]
    fn store_floats(self, floats: Lanes, to: &mut Floats) {
        let (halves, _) = to.0.as_chunks_mut::<8>();
        for (half, floats) in halves.iter_mut().zip(floats) {
            intrinsics!(_mm256_store_ps(half.as_mut_ptr(), floats));
        }
    }
    #[inline(always)]
    fn splat_float(self, number: f32) -> Lanes {
        intrinsics!([_mm256_set1_ps(number); 2])
    }
    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        intrinsics!([_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn mul(self, a: Lanes, b: Lanes) -> Lanes {
        intrinsics!([_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        intrinsics!([_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])])
    }
    #[inline(always)]
    fn lookup_float(self, table: Lanes, lanes: Words) -> Lanes {
        both!(|half| {
            // A permutation reads three bits; the fourth chooses between the halves.
            let low = _mm256_permutevar8x32_ps(table[0], lanes[half]);
            let high = _mm256_permutevar8x32_ps(table[1], lanes[half]);
            _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(lanes[half])))
        })
    }
    #[inline(always)]
    fn prefetch(self, line: *const Line) {
        intrinsics!(_mm_prefetch::<_MM_HINT_T0>(line.cast()))
    }
    #[inline(always)]
    fn stream(self, floats: Lanes, to: &mut Floats) {
        let (halves, _) = to.0.as_chunks_mut::<8>();
        for (half, floats) in halves.iter_mut().zip(floats) {
            intrinsics!(_mm256_stream_ps(half.as_mut_ptr(), floats));
        }
    }
    #[inline(always)]
    fn stream_halves(self, floats: [Lanes; 2], to: &mut Halves) {
        let (quarters, _) = to.0.as_chunks_mut::<8>();
        for (quarter, &floats) in quarters.iter_mut().zip(floats.as_flattened()) {
            let halves = intrinsics!(_mm256_cvtps_ph::<NEAREST>(floats));
            intrinsics!(_mm_stream_si128(quarter.as_mut_ptr().cast(), halves));
        }
    }
    #[inline(always)]
    fn fence(self) {
        intrinsics!(_mm_sfence())
    }
}

//! AVX-512 with VNNI and VBMI: one register holds all 16 rows.

use super::{Floats, Halves, Kernel, Line, Simd};
use std::arch::x86_64::*;

/// Proof that the processor has level `avx512`.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx512(());

impl Avx512 {
    pub fn detect() -> Option<Avx512> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512cd")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vnni");
        has.then_some(Avx512(()))
    }
}

/// To nearest even, whatever the processor is set to.
const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

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

impl Simd for Avx512 {
    type Words = __m512i;
    type Floats = __m512;
    const NARROW: bool = false;
    const DIRECT: bool = true;
    const TILE: usize = 12;

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(
            enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vbmi,avx512vnni"
        )]
        fn inner<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        intrinsics!(inner(self, kernel))
    }

    #[inline(always)]
    fn load(self, from: &Line) -> __m512i {
        intrinsics!(_mm512_load_si512(from.0.as_ptr().cast()))
    }
    #[inline(always)]
    fn load_bytes(self, from: &[u8; 64]) -> __m512i {
        intrinsics!(_mm512_loadu_si512(from.as_ptr().cast()))
    }
    #[inline(always)]
    fn transpose(self, rows: [__m512i; 16]) -> [__m512i; 16] {
        // Pairs of lanes, then pairs of those, then quarters, then halves change places.
        let mut a = rows;
        let mut b = rows;
        for i in 0..8 {
            b[2 * i] = intrinsics!(_mm512_unpacklo_epi32(a[2 * i], a[2 * i + 1]));
            b[2 * i + 1] = intrinsics!(_mm512_unpackhi_epi32(a[2 * i], a[2 * i + 1]));
        }
        for i in 0..4 {
            for j in 0..2 {
                let (low, high) = (b[4 * i + j], b[4 * i + j + 2]);
                a[4 * i + 2 * j] = intrinsics!(_mm512_unpacklo_epi64(low, high));
                a[4 * i + 2 * j + 1] = intrinsics!(_mm512_unpackhi_epi64(low, high));
            }
        }
        for i in 0..4 {
            let (low, high) = (a[i], a[i + 4]);
            b[i] = intrinsics!(_mm512_shuffle_i32x4::<0x88>(low, high));
            b[i + 4] = intrinsics!(_mm512_shuffle_i32x4::<0xdd>(low, high));
            let (low, high) = (a[i + 8], a[i + 12]);
            b[i + 8] = intrinsics!(_mm512_shuffle_i32x4::<0x88>(low, high));
            b[i + 12] = intrinsics!(_mm512_shuffle_i32x4::<0xdd>(low, high));
        }
        for i in 0..8 {
            a[i] = intrinsics!(_mm512_shuffle_i32x4::<0x88>(b[i], b[i + 8]));
            a[i + 8] = intrinsics!(_mm512_shuffle_i32x4::<0xdd>(b[i], b[i + 8]));
        }
        a
    }
    #[inline(always)]
    fn store(self, words: __m512i, to: &mut Line) {
        intrinsics!(_mm512_store_si512(to.0.as_mut_ptr().cast(), words))
    }
    #[inline(always)]
    fn splat(self, number: i32) -> __m512i {
        intrinsics!(_mm512_set1_epi32(number))
    }
    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        intrinsics!(_mm512_and_si512(a, b))
    }
    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        intrinsics!(_mm512_or_si512(a, b))
    }
    #[inline(always)]
    fn shl(self, a: __m512i, by: u32) -> __m512i {
        intrinsics!(_mm512_sllv_epi32(a, _mm512_set1_epi32(by as i32)))
    }
    #[inline(always)]
    fn shr(self, a: __m512i, by: u32) -> __m512i {
        intrinsics!(_mm512_srlv_epi32(a, _mm512_set1_epi32(by as i32)))
    }
    #[inline(always)]
    fn table(self, entries: &[u8; 16]) -> __m512i {
        intrinsics!(_mm512_broadcast_i32x4(_mm_loadu_si128(entries.as_ptr().cast())))
    }
    #[inline(always)]
    fn lookup(self, table: __m512i, bytes: __m512i) -> __m512i {
        intrinsics!(_mm512_shuffle_epi8(table, bytes))
    }
    #[inline(always)]
    fn dot(self, sum: __m512i, codes: __m512i, x: i32) -> __m512i {
        intrinsics!(_mm512_dpbusd_epi32(sum, codes, _mm512_set1_epi32(x)))
    }
    #[inline(always)]
    fn dot_wide(self, sum: __m512i, codes: __m512i, x: i32) -> __m512i {
        self.dot(sum, codes, x)
    }
    #[inline(always)]
    fn to_floats(self, words: __m512i) -> __m512 {
        intrinsics!(_mm512_cvtepi32_ps(words))
    }
    #[inline(always)]
    fn load_floats(self, from: &Floats) -> __m512 {
        intrinsics!(_mm512_load_ps(from.0.as_ptr()))
    }
    #[inline(always)]
    fn load_row(self, from: &[f32; 16]) -> __m512 {
        intrinsics!(_mm512_loadu_ps(from.as_ptr()))
    }
    #[inline(always)]
    fn store_floats(self, floats: __m512, to: &mut Floats) {
        intrinsics!(_mm512_store_ps(to.0.as_mut_ptr(), floats))
    }
    #[inline(always)]
    fn splat_float(self, number: f32) -> __m512 {
        intrinsics!(_mm512_set1_ps(number))
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        intrinsics!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        intrinsics!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        intrinsics!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn lookup_float(self, table: __m512, lanes: __m512i) -> __m512 {
        intrinsics!(_mm512_castsi512_ps(_mm512_permutexvar_epi32(
            lanes,
            _mm512_castps_si512(table)
        )))
    }
    #[inline(always)]
    fn prefetch(self, line: *const Line) {
        intrinsics!(_mm_prefetch::<_MM_HINT_T0>(line.cast()))
    }
    #[inline(always)]
    fn stream(self, floats: __m512, to: &mut Floats) {
        intrinsics!(_mm512_stream_ps(to.0.as_mut_ptr(), floats))
    }
    #[inline(always)]
    fn stream_halves(self, floats: [__m512; 2], to: &mut Halves) {
        let low = intrinsics!(_mm512_cvtps_ph::<NEAREST>(floats[0]));
        let high = intrinsics!(_mm512_cvtps_ph::<NEAREST>(floats[1]));
        let line = intrinsics!(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high));
        intrinsics!(_mm512_stream_si512(to.0.as_mut_ptr().cast(), line))
    }
    #[inline(always)]
    fn fence(self) {
        intrinsics!(_mm_sfence())
    }
}

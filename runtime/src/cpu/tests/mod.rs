//! Products of every level of instructions that this machine has, small enough for an emulator.

mod formats;
mod kernels;
mod toy;

/// Random numbers, the same ones for the same seed (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    /// Of either sign and any significand, from 2^-16 to 2^16.
    pub fn float(&mut self) -> f32 {
        let exponent = 127 - 16 + self.below(32) as u32;
        f32::from_bits(self.bits() as u32 & 0x807f_ffff | exponent << 23)
    }

    /// Activations, which 8 bits hold without rounding: every 32 neighbours are multiples of a power
    /// of two, the largest 127 of them.
    pub fn activations(&mut self, m: usize, k: usize) -> Vec<f32> {
        let mut x = Vec::new();
        for _ in 0..m {
            for first in (0..k).step_by(32) {
                let unit = 2f32.powi(self.below(9) as i32 - 6);
                let codes = (first..k.min(first + 32)).map(|at| match at == first {
                    true => 127,
                    false => self.below(255) as i32 - 127,
                });
                x.extend(codes.map(|code| code as f32 * unit));
            }
        }
        x
    }
}

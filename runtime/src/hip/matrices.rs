//! Matrix units: which targets have those that the kernels that round to f16 are written for.

use super::Hip;

/// Side of the matrices of f16 that a target's units multiply, as the kernels use them; 0 where it has
/// none: MFMA of CDNA, WMMA of RDNA 3 and 4, tensor cores since NVIDIA's Ampere.
pub(super) fn side(target: &str) -> u32 {
    const CDNA: [&str; 4] = ["gfx908", "gfx90a", "gfx942", "gfx950"];
    let name = target.split(':').next().unwrap_or_default();
    let has = match name.strip_prefix("sm_") {
        Some(version) => {
            let digits = version.trim_end_matches(|c: char| c.is_ascii_lowercase());
            digits.parse::<u32>().is_ok_and(|version| version >= 80)
        }
        None => CDNA.contains(&name) || name.starts_with("gfx11") || name.starts_with("gfx120"),
    };
    if has { 16 } else { 0 }
}

impl Hip {
    /// Whether the device has matrix units for f16 that add up in f32: MFMA of CDNA, WMMA of RDNA 3 and
    /// 4, or tensor cores since NVIDIA's Ampere.
    pub fn has_matrices(&self) -> bool {
        self.choice.matrix > 0
    }
}

#[cfg(test)]
mod tests {
    use super::side;

    #[test]
    fn targets_with_matrix_units() {
        let amd = ["gfx90a:sramecc+:xnack-", "gfx942", "gfx1100", "gfx1151", "gfx1201"];
        for target in amd.into_iter().chain(["sm_80", "sm_90a", "sm_120"]) {
            assert_eq!(side(target), 16, "{target}");
        }
        for target in ["gfx900", "gfx906", "gfx1030", "gfx1250", "sm_75", "sm_", ""] {
            assert_eq!(side(target), 0, "{target}");
        }
    }
}

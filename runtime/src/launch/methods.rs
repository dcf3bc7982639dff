//! Methods that all GPUs have.

/// What a caller may want of a device, and what weights tell of themselves. The device has the fields
/// `choice` and, with feature `tune`, `tuning`; the weights have a `planner`.
macro_rules! methods {
    ($device:ident, $weights:ident) => {
        impl $device {
            /// The same device, whose products round activations to 8 bits
            /// ([`Int8`](crate::artifact::Activations::Int8)) first and multiply integers: with a matvec kernel
            /// for one activation row, with one that loads weights once for up to 16, with tiles for more.
            /// Formats without 8-bit codes, floats that is, are multiplied as without it;
            /// [`Weights::activations`](crate::Weights::activations) says so. Products with chosen matrices
            /// ([`Weights::matmul_experts`](crate::Weights::matmul_experts)) stay exact.
            ///
            /// Rounded activations lie in memory of the device, or of a stream, that grows with the largest
            /// product.
            #[must_use]
            pub fn int8(mut self) -> $device {
                self.choice.activations = crate::artifact::Activations::Int8;
                self
            }

            /// The same device, whose products of more than 16 activation rows round weights and
            /// activations to f16 ([`F16`](crate::artifact::Activations::F16)) and multiply them with matrix
            /// units (tensor cores), many times as fast.
            ///
            /// Outputs are within 2e-3 of Σ|w·x| of the exact ones, where no weight and no activation is
            /// beyond ±65504: those become infinite. Magnitudes below 2^-14 keep fewer bits, or none. Where
            /// the device has no such units (`has_matrices`) products stay exact.
            #[must_use]
            pub fn f16(mut self) -> $device {
                self.choice.activations = crate::artifact::Activations::F16;
                self
            }

            /// The same device, pretending that kernels bind at most so many bytes at once: larger tensors
            /// are split by rows. Never raises the device's own limit.
            pub fn with_binding_limit(mut self, bytes: u64) -> $device {
                let limit = &mut self.choice.limits.binding;
                *limit = bytes.min(*limit);
                self
            }

            /// The same device, pretending that a grid has at most so many workgroups per dimension: larger
            /// ones become two-dimensional. Never raises the device's own limit.
            pub fn with_workgroup_limit(mut self, workgroups: u32) -> $device {
                let limit = &mut self.choice.limits.workgroups;
                *limit = workgroups.min(*limit);
                self
            }

            /// The same device with the schedules that were measured for it; see [`tuning`](crate::tuning).
            ///
            /// # Errors
            /// [`Error::Tuning`](crate::Error::Tuning) where a table is damaged.
            #[cfg(feature = "tune")]
            pub fn tuned(self) -> crate::Result<$device> {
                Ok(self.with_tuning(crate::tuning::Tuning::of_environment()?))
            }

            /// The same device with schedules of this table.
            #[cfg(feature = "tune")]
            pub fn with_tuning(mut self, tuning: crate::tuning::Tuning) -> $device {
                self.tuning = Some(std::sync::Arc::new(tuning));
                self
            }

            /// The format that a tensor is computed with.
            fn format(&self, tensor: &crate::Tensor) -> crate::Result<crate::Format> {
                #[cfg(feature = "tune")]
                if let Some(tuning) = &self.tuning {
                    return tuning.format(self.name(), self.choice.backend, tensor);
                }
                Ok(tensor.format().clone())
            }
        }

        impl From<$device> for crate::Device {
            fn from(device: $device) -> crate::Device {
                crate::Device::new(device)
            }
        }

        impl std::fmt::Debug for $device {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($device), self.name())
            }
        }

        impl crate::device::Backend for $device {
            fn name(&self) -> String {
                $device::name(self).to_owned()
            }

            fn upload(
                &self,
                tensor: &crate::Tensor,
            ) -> crate::Result<std::sync::Arc<dyn crate::device::Resident>> {
                Ok(std::sync::Arc::new($device::upload(self, tensor)?))
            }
        }

        impl $weights {
            /// Weight rows.
            pub fn n(&self) -> u64 {
                self.planner.n
            }

            /// Weights per row.
            pub fn k(&self) -> u64 {
                self.planner.k
            }

            /// Launches that a matvec takes: 1, or more where the tensor is split.
            pub fn parts(&self) -> usize {
                self.planner.parts.len()
            }
        }
    };
}

pub(crate) use methods;

//! What can go wrong: one type, and every message names the thing, the fault and the remedy.

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be loaded or computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened, read or mapped.
    #[error("cannot read `{path}`: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },

    /// A GGUF file is damaged, or of a version that is not supported.
    #[error("{file}: {place}: {problem}")]
    Gguf {
        /// The file, or how bytes without one are called.
        file: String,
        /// Byte offset, or name of the tensor.
        place: String,
        /// What is wrong, and what would be right.
        problem: String,
    },

    /// A GGUF file holds no tensor of this name.
    #[error("{file} has no tensor named `{name}`{hint}")]
    NoTensor {
        /// The file.
        file: String,
        /// The name asked for.
        name: String,
        /// Similar names, or nothing.
        hint: String,
    },

    /// A GGUF file's metadata has no such key.
    #[error("{file} has no metadata key `{key}`{hint}")]
    NoKey {
        /// The file.
        file: String,
        /// The key asked for.
        key: String,
        /// Similar keys, or nothing.
        hint: String,
    },

    /// A tensor's type number belongs to no known format. The rest of the file is usable.
    #[error(
        "{file}: tensor `{tensor}` has type number {number}, which no known format has; known are \
         {known}"
    )]
    UnknownType {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its type number in the file.
        number: u32,
        /// Numbers and names of the known formats.
        known: String,
    },

    /// No format has this name.
    #[error("no format is named `{name}`; known are {known}")]
    UnknownFormat {
        /// The name asked for.
        name: String,
        /// Names of the known formats.
        known: String,
    },

    /// A descriptor does not compile.
    #[cfg(feature = "compile")]
    #[error(transparent)]
    Compile(Box<quantloom_codegen::Error>),

    /// A device does not compute what a format means.
    #[cfg(feature = "verify")]
    #[error(transparent)]
    Differs(Box<crate::verify::Difference>),

    /// A format made by hand cannot be used.
    #[error("format `{format}`: {problem}")]
    Format {
        /// The format.
        format: String,
        /// What is wrong, and what would be right.
        problem: String,
    },

    /// A tensor's shape and its bytes do not fit together, or cannot be used on a device.
    #[error("tensor `{tensor}`: {problem}")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// What is wrong, and what would be right.
        problem: String,
    },

    /// Activations or a buffer for them or for an output have a wrong size or usage.
    #[error("{what} of tensor `{tensor}`: {problem}")]
    Argument {
        /// The argument.
        what: &'static str,
        /// The tensor.
        tensor: String,
        /// What is wrong, and what would be right.
        problem: String,
    },

    /// The environment variable `QUANTLOOM_ISA` names instructions that the processor has not.
    #[error("instructions for CPU kernels: {problem}")]
    Instructions {
        /// What is wrong, and what would be right.
        problem: String,
    },

    /// A table of schedules cannot be used.
    #[cfg(feature = "tune")]
    #[error("schedules in {file}: {problem}; edit or delete it, or set QUANTLOOM_TUNING to off")]
    Tuning {
        /// The table.
        file: String,
        /// What is wrong.
        problem: String,
    },

    /// A format has no decoder or kernel for a device.
    #[error("format `{format}` has no {what}{hint}")]
    Missing {
        /// The format.
        format: String,
        /// What it lacks.
        what: String,
        /// How to get it, or nothing.
        hint: String,
    },

    /// No GPU, real or in software, could be opened.
    #[error("no GPU can be used: {problem}; {hint}")]
    NoAdapter {
        /// What the graphics library says.
        problem: String,
        /// What to install.
        hint: String,
    },

    /// A library that a device needs cannot be loaded.
    #[error("{library} cannot be used: {problem}")]
    Library {
        /// What it is.
        library: String,
        /// The names looked for, what the system says, and how to get it.
        problem: String,
    },

    /// The device is gone: unplugged, reset by its driver, or destroyed. Open it again.
    #[error(
        "device `{device}` was lost: {reason}; open the device again and upload the weights to it"
    )]
    DeviceLost {
        /// The device.
        device: String,
        /// What the driver says.
        reason: String,
    },

    /// Host or device memory is exhausted.
    #[error("out of memory {during}{}", size(*bytes))]
    OutOfMemory {
        /// What was being done, as in "on device `x`, uploading `y`".
        during: String,
        /// Bytes asked for, where known.
        bytes: Option<u64>,
    },

    /// A device refused an operation.
    #[error("device `{device}`, {during}: {problem}")]
    Device {
        /// The device.
        device: String,
        /// What was being done.
        during: String,
        /// What the driver or the graphics library says.
        problem: String,
    },
}

fn size(bytes: Option<u64>) -> String {
    bytes.map(|bytes| format!(": {bytes} bytes")).unwrap_or_default()
}

//! Shared libraries that may be there or not.
#![allow(unsafe_code)]

use std::error::Error;
use std::path::PathBuf;

use libloading::Library;

/// Opens the first library that is there of `names`, which the system looks for; or in one of
/// `directories`.
///
/// # Errors
/// The names, and what the system says.
pub(in crate::hip) fn open(names: &[&str], directories: &[PathBuf]) -> Result<Library, String> {
    let mut problem = String::new();
    let known = names.iter().map(PathBuf::from);
    let elsewhere =
        directories.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
    for path in known.chain(elsewhere) {
        // SAFETY: what such a library does when it is loaded is its vendor's business; it is the one
        // that every program for these GPUs loads.
        let error = match unsafe { Library::new(&path) } {
            Ok(library) => return Ok(library),
            Err(error) => error.source().map_or(error.to_string(), ToString::to_string),
        };
        // One that is there, and needs another that is not, says more than all that are not there.
        if problem.is_empty() || !error.starts_with(&*path.to_string_lossy()) {
            problem = error;
        }
    }
    let folders: Vec<String> = directories.iter().map(|path| path.display().to_string()).collect();
    let folders = match folders.as_slice() {
        [] => String::new(),
        folders => format!(", also not from {}", folders.join(", ")),
    };
    Err(format!("none of {} can be loaded{folders} ({})", names.join(", "), problem))
}

/// Functions of a library, all there or an error.
macro_rules! functions {
    (
        $(#[$about:meta])*
        $visibility:vis struct $Functions:ident {
            $(fn $name:ident $(or $other:ident)? ($($argument:ty),*) -> $result:ty;)*
        }
    ) => {
        $(#[$about])*
        #[allow(non_snake_case)]
        $visibility struct $Functions {
            $($name: unsafe extern "C" fn($($argument),*) -> $result,)*
            /// Holds the code that the pointers point to.
            _library: libloading::Library,
        }

        impl $Functions {
            /// # Safety
            /// Where the library has functions of these names, they have these types.
            unsafe fn load(library: libloading::Library) -> Result<$Functions, String> {
                Ok($Functions {
                    $($name: {
                        let names = [stringify!($name) $(, stringify!($other))?];
                        // SAFETY: see above.
                        let found = names.into_iter().find_map(|name| unsafe { library.get(name) }.ok());
                        *found.ok_or_else(|| format!("it has no function {}", names.join(" or ")))?
                    },)*
                    _library: library,
                })
            }
        }
    };
}
pub(in crate::hip) use functions;

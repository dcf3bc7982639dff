//! `cargo xtask` with the engines linked in. The plain one starts it where a command needs them.

fn main() -> std::process::ExitCode {
    xtask::run()
}

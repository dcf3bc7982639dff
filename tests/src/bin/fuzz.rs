//! What `cargo xtask fuzz` starts.

fn main() -> std::process::ExitCode {
    quantloom_tests::fuzz::main()
}

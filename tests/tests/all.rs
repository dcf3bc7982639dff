//! The one test binary: see `quantloom_tests`.

fn main() -> std::process::ExitCode {
    quantloom_tests::run()
}

//! The program `bwld`. Everything is in the library.

fn main() -> std::process::ExitCode {
    bwld::cmd::main()
}

//! tallybot: parses the arguments, runs the command, prints the chain of an error once.

use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match tallybot::cli::run() {
        Ok(code) => code,
        Err(error) => {
            // Nobody to tell is no reason to panic.
            let _ = writeln!(std::io::stderr(), "tallybot: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! The `peerstream` binary: everything is in the library beside it.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Keeps the memory of what was received last for what comes next, where the system's allocator gives
/// it back and takes it again: a tenth to a third of the CPU of a transfer.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    peerstream_node::main()
}

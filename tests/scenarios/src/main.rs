//! The binary `peerstream`, under a name that cargo hands to the tests of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    peerstream_node::main()
}

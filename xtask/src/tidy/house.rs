//! The rules of the house as data. A change of architecture is a change of this file.

/// Which crates of the workspace each crate may name in `[dependencies]`. What only its tests use
/// is not an edge. A crate that is missing here may name none and is reported.
pub(super) const EDGES: &[(&str, &[&str])] = &[
    // Pure: no socket, file, clock or random source of their own.
    ("peerstream-types", &[]),
    ("peerstream-wire", &["peerstream-types"]),
    ("peerstream-session", &["peerstream-types", "peerstream-wire"]),
    ("peerstream-select", &["peerstream-types"]),
    ("peerstream-recovery", &["peerstream-types", "peerstream-select"]),
    ("peerstream-shape", &["peerstream-types"]),
    // Contracts: leaves, implementations hang off them.
    ("peerstream-snapshot", &["peerstream-types"]),
    ("peerstream-transport", &["peerstream-types"]),
    ("peerstream-placement", &["peerstream-types"]),
    ("peerstream-changelog", &["peerstream-types"]),
    // Stores: implementations of the contracts, which nobody below the ends names.
    ("peerstream-blocks", &["peerstream-types", "peerstream-snapshot"]),
    // Drivers.
    ("peerstream-quic", &["peerstream-types", "peerstream-transport"]),
    ("peerstream-engine", BELOW_ENGINE),
    // Ends: they put the parts together.
    ("peerstream-sim", UP_TO_ENGINE),
    ("peerstream-node", UP_TO_NODE),
    ("xtask", &["devcluster"]),
];

const BELOW_ENGINE: &[&str] = &[
    "peerstream-types",
    "peerstream-wire",
    "peerstream-session",
    "peerstream-select",
    "peerstream-recovery",
    "peerstream-shape",
    "peerstream-snapshot",
    "peerstream-transport",
    "peerstream-placement",
    "peerstream-changelog",
];

/// The simulator puts real engines together, over memory or over real QUIC on a simulated network.
const UP_TO_ENGINE: &[&str] = &[
    "peerstream-types",
    "peerstream-blocks",
    "peerstream-wire",
    "peerstream-select",
    "peerstream-recovery",
    "peerstream-shape",
    "peerstream-snapshot",
    "peerstream-transport",
    "peerstream-placement",
    "peerstream-changelog",
    "peerstream-quic",
    "peerstream-engine",
];

const UP_TO_NODE: &[&str] = &[
    "peerstream-types",
    "peerstream-wire",
    "peerstream-select",
    "peerstream-shape",
    "peerstream-snapshot",
    "peerstream-transport",
    "peerstream-placement",
    "peerstream-changelog",
    "peerstream-quic",
    "peerstream-engine",
];

/// Packages of multi-process tests may name any crate: they are nobody's dependency.
pub(super) const TEST_PACKAGES_DIR: &str = "tests/";

/// Crates that are driven: no runtime, clock, randomness or I/O reaches them.
pub(super) const PURE: &[&str] = &[
    "peerstream-types",
    "peerstream-wire",
    "peerstream-session",
    "peerstream-select",
    "peerstream-recovery",
    "peerstream-shape",
];

/// What a pure crate may not name: runtimes, I/O, chance, and the facades of the drivers.
pub(super) const NOT_IN_PURE: &[&str] = &[
    "async-trait",
    "fastrand",
    "futures-util",
    "getrandom",
    "metrics",
    "rand",
    "rustix",
    "socket2",
    "tokio",
    "tokio-util",
    "tracing",
];

/// What may not even reach a pure crate through somebody else.
pub(super) const NOT_BELOW_PURE: &[&str] = &["mio", "quinn", "rustls", "tokio"];

/// Third-party crates with one home, and the homes that they have.
pub(super) const ONLY_IN: &[(&str, &[&str])] = &[
    ("quinn", &["peerstream-quic"]),
    ("quinn-proto", &["peerstream-quic"]),
    ("quinn-udp", &["peerstream-quic"]),
    ("rcgen", &["peerstream-quic"]),
    ("rustls", &["peerstream-quic"]),
    ("rustls-webpki", &["peerstream-quic"]),
    ("axum", &["peerstream-node"]),
    ("comfy-table", &["peerstream-node"]),
    ("hyper", &["peerstream-node"]),
    ("hyper-util", &["peerstream-node"]),
    ("indicatif", &["peerstream-node"]),
    ("metrics-exporter-prometheus", &["peerstream-node"]),
    ("opentelemetry", &["peerstream-node"]),
    ("prometheus", &["peerstream-node"]),
    ("prometheus-client", &["peerstream-node"]),
    ("tracing-subscriber", &["peerstream-node", "peerstream-sim"]),
    ("anyhow", &["peerstream-node", "xtask"]),
    ("clap", &["peerstream-node", "peerstream-sim", "xtask"]),
];

/// Longest file of a library or binary, in lines: more than one concept lives in a longer one.
pub(super) const SOURCE_LINES_MAX: usize = 500;
/// Longest file of tests, in lines.
pub(super) const TEST_LINES_MAX: usize = 800;
/// Longest function outside tests, in lines, from `fn` to the closing brace.
pub(super) const FUNCTION_LINES_MAX: usize = 70;

/// Shortest README of a crate, in lines: a promise, an example and a link fit.
pub(super) const README_LINES_MIN: usize = 8;

/// Code that may not stay, with the reason.
pub(super) const FORBIDDEN_CODE: &[(&str, &str)] = &[
    ("todo!", "write it, or return a typed error"),
    ("unimplemented!", "write it, or return a typed error"),
    ("dbg!", "use tracing in drivers, counters in cores"),
    ("#[ignore", "a test runs or it does not exist; long ones belong to `cargo xtask ci --full`"),
    ("thread::sleep", "wait for the event itself, or use the paused clock"),
];

/// Directories of this machine, which say nothing to anybody else.
pub(super) const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

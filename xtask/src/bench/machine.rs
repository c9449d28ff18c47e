//! The machine that figures belong to.

use std::fmt;
use std::fs;

use serde::Serialize;

/// What a reader has to know before comparing figures.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    processor: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    /// Whether the system gives its free pages back to a host: see `docs/performance.md`.
    free_pages_reported: bool,
}

impl Machine {
    pub(super) fn here() -> Self {
        let of = |file: &str, key: &str| field(&fs::read_to_string(file).unwrap_or_default(), key);
        let memory_kib = of("/proc/meminfo", "MemTotal");
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let reported = fs::read_to_string("/sys/module/page_reporting/parameters/page_reporting_order");
        Self {
            processor: of("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory_kib.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) >> 20,
            kernel: kernel.trim().to_owned(),
            free_pages_reported: reported.is_ok(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory_gib, kernel, free_pages_reported } = self;
        write!(f, "{processor}, {cores} cores, {memory_gib} GiB, Linux {kernel}")?;
        f.write_str(if *free_pages_reported { ", may give free pages to a host" } else { "" })
    }
}

/// The value behind `key :` in a file of such lines.
fn field(text: &str, key: &str) -> String {
    let value = |line: &str| Some(line.strip_prefix(key)?.trim_start().strip_prefix(':')?.trim().to_owned());
    text.lines().find_map(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "MemTotalX:  1 kB\nMemTotal:       24 kB\nmodel name\t: A B\n";
        assert_eq!(field(text, "MemTotal"), "24 kB");
        assert_eq!(field(text, "model name"), "A B");
        assert_eq!(field(text, "none"), "");
    }
}

//! Bytes and bytes per second.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct ByteCount(pub u64);

impl ByteCount {
    /// `n` KiB.
    pub const fn kib(n: u64) -> Self {
        Self(n * 1024)
    }

    /// `n` MiB.
    pub const fn mib(n: u64) -> Self {
        Self(n * 1024 * 1024)
    }
}

impl Add for ByteCount {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl AddAssign for ByteCount {
    fn add_assign(&mut self, rhs: Self) {
        *self = *self + rhs;
    }
}

impl fmt::Display for ByteCount {
    /// Three significant figures and a binary unit: `512 B`, `1.50 KiB`, `312 MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        write!(f, "{value:.digits$} {}", UNITS[unit])
    }
}

/// Bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct ByteRate(u64);

impl ByteRate {
    /// A rate in bytes per second.
    pub const fn per_sec(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A rate in MiB per second.
    pub const fn mib_per_sec(mib: u64) -> Self {
        Self(mib * 1024 * 1024)
    }

    /// Bytes per second as a number.
    pub const fn bytes_per_sec(self) -> u64 {
        self.0
    }

    /// The mean rate of `bytes` in `time`; zero for no time.
    pub fn mean(bytes: ByteCount, time: Duration) -> Self {
        if time.is_zero() {
            return Self(0);
        }
        Self((u128::from(bytes.0) * 1_000_000_000 / time.as_nanos()).min(u128::from(u64::MAX)) as u64)
    }

    /// How long `bytes` take at this rate; `None` at rate zero.
    pub fn time_for(self, bytes: ByteCount) -> Option<Duration> {
        let nanos = (u128::from(bytes.0) * 1_000_000_000).checked_div(u128::from(self.0))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", ByteCount(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_counts_print_three_figures() {
        let shown: Vec<String> =
            [0, 1023, 1536, 327_155_712, u64::MAX].map(|n| ByteCount(n).to_string()).into();
        assert_eq!(shown, ["0 B", "1023 B", "1.50 KiB", "312 MiB", "16384 PiB"]);
    }

    #[test]
    fn a_rate_of_zero_never_ends() {
        assert_eq!(ByteRate::default().time_for(ByteCount(1)), None);
        let rate = ByteRate::mean(ByteCount::mib(10), Duration::from_secs(2));
        assert_eq!(rate, ByteRate::mib_per_sec(5));
        assert_eq!(rate.time_for(ByteCount::mib(15)), Some(Duration::from_secs(3)));
    }
}

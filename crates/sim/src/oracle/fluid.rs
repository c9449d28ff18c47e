//! The fluid bound: how long a distribution takes at best, if content could be cut as fine as water
//! (Kumar and Ross, "Peer-Assisted File Distribution: The Minimum Distribution Time", 2006).

use std::fmt;
use std::time::Duration;

use peerstream_types::ByteRate;

/// What a receiver's links carry, in goodput; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver {
    /// To it.
    pub down: Option<ByteRate>,
    /// From it, while it still receives; zero if it does not serve yet.
    pub up: Option<ByteRate>,
}

impl Receiver {
    /// One that serves nobody while it receives.
    pub fn only_receives(down: Option<ByteRate>) -> Self {
        Self { down, up: Some(ByteRate::per_sec(0)) }
    }
}

/// The same content to all receivers. All rates in goodput: what is left of a link for content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fluid {
    /// Bytes that each receiver is to get.
    pub bytes: u64,
    /// What each source can send; `None` is no limit.
    pub seeds: Vec<Option<ByteRate>>,
    /// The receivers.
    pub receivers: Vec<Receiver>,
}

/// What a distribution is bound by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Every byte has to leave the sources once: F / Σ u of the seeds.
    Seeds,
    /// The slowest receiver: F / d of it.
    Receiver,
    /// Every receiver has to get every byte from somebody: N·F / Σ u.
    Everybody,
    /// Nothing is bound.
    Nothing,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seeds => "what the sources can send",
            Self::Receiver => "what the slowest receiver can take",
            Self::Everybody => "what everybody together can send",
            Self::Nothing => "nothing",
        })
    }
}

impl Fluid {
    /// The least time, and what it is bound by.
    pub fn bound(&self) -> (Duration, Limit) {
        let count = self.receivers.len() as u64;
        let seeds = sum(self.seeds.iter().copied());
        let everybody = sum(self.seeds.iter().copied().chain(self.receivers.iter().map(|to| to.up)));
        let slowest = self.receivers.iter().filter_map(|to| to.down).min();
        let bounds = [
            (Limit::Seeds, Self::time(self.bytes, seeds)),
            (Limit::Receiver, Self::time(self.bytes, slowest)),
            (Limit::Everybody, Self::time(self.bytes.saturating_mul(count), everybody)),
        ];
        let first = (Duration::ZERO, Limit::Nothing);
        bounds.into_iter().fold(first, |most, (limit, time)| if time > most.0 { (time, limit) } else { most })
    }

    /// How many times the bound a distribution took; 1 is perfect.
    pub fn ratio(&self, took: Duration) -> f64 {
        took.as_secs_f64() / self.bound().0.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    fn time(bytes: u64, rate: Option<ByteRate>) -> Duration {
        match rate.map(ByteRate::bytes_per_sec) {
            None => Duration::ZERO,
            Some(_) if bytes == 0 => Duration::ZERO,
            Some(0) => Duration::MAX,
            Some(rate) => Duration::from_secs_f64(bytes as f64 / rate as f64),
        }
    }
}

/// What several links carry together; no limit if one of them has none.
fn sum(rates: impl Iterator<Item = Option<ByteRate>>) -> Option<ByteRate> {
    let rates: Option<Vec<u64>> = rates.map(|rate| rate.map(ByteRate::bytes_per_sec)).collect();
    Some(ByteRate::per_sec(rates?.into_iter().fold(0, u64::saturating_add)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: u64 = 1_000_000;

    fn rate(of: u64) -> Option<ByteRate> {
        Some(ByteRate::per_sec(of))
    }

    #[test]
    fn the_narrowest_place_is_the_bound() {
        let to = |down, up| Receiver { down: rate(down), up: rate(up) };
        let fluid = |seeds: &[u64], receivers: Vec<Receiver>| {
            Fluid { bytes: F, seeds: seeds.iter().map(|seed| rate(*seed)).collect(), receivers }.bound()
        };
        let secs = Duration::from_secs;
        assert_eq!(fluid(&[100_000, 150_000], vec![to(F, 0)]), (secs(4), Limit::Seeds));
        assert_eq!(fluid(&[F, F], vec![to(500_000, 0), to(F, F)]), (secs(2), Limit::Receiver));
        assert_eq!(fluid(&[F], vec![to(F, 0); 5]), (secs(5), Limit::Everybody));
        assert_eq!(fluid(&[500_000], vec![to(F, 500_000); 5]), (secs(2), Limit::Seeds));
        let free = Fluid { bytes: F, seeds: vec![None], receivers: vec![Receiver { down: None, up: None }] };
        assert_eq!(free.bound(), (Duration::ZERO, Limit::Nothing));
    }

    #[test]
    fn a_ratio_is_of_the_bound() {
        let receivers = vec![Receiver::only_receives(rate(F))];
        let fluid = Fluid { bytes: F, seeds: vec![None], receivers };
        assert!((fluid.ratio(Duration::from_millis(1_300)) - 1.3).abs() < 1e-9);
    }
}

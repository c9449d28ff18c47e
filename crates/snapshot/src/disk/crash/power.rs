//! What becomes of what was not synced when the power goes.

/// What survives a crash of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing: the system had written nothing back.
    Nothing,
    /// Everything: the system had just written all of it back.
    Everything,
    /// Some of it, told by a seed: see [the model](super).
    Mixture(u64),
}

impl Survival {
    pub(super) fn chance(self) -> Chance {
        match self {
            Self::Nothing | Self::Everything => Chance(0),
            Self::Mixture(seed) => Chance(seed),
        }
    }
}

/// Decisions that a seed tells: SplitMix64 of Steele, Lea and Flood (2014).
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// A number below `n`, which is not zero.
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let product = u128::from(mixed ^ (mixed >> 31)) * n as u128;
        usize::try_from(product >> 64).expect("it is below n")
    }
}

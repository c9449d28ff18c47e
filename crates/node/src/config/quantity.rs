//! Sizes and waits as people write them: `64MiB`, `30s`.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use peerstream_types::ByteCount;
use serde::{Deserialize, Serialize};

/// A number of bytes, written like `64MiB` or `1.5GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub ByteCount);

/// A length of time, written like `30s`, `500ms` or `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Wait(pub Duration);

/// Not a size or a wait as they are written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a size.
    #[error("{0:?} is not a size; write a number and a unit, like \"64MiB\"")]
    Size(String),
    /// Not a length of time.
    #[error("{0:?} is not a length of time; write a number and a unit, like \"30s\" or \"500ms\"")]
    Wait(String),
}

impl TryFrom<String> for Size {
    type Error = QuantityError;
    fn try_from(text: String) -> Result<Self, QuantityError> {
        let size: Result<ByteSize, _> = text.parse();
        size.map(|size| Self(ByteCount(size.as_u64()))).map_err(|_| QuantityError::Size(text))
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

impl fmt::Display for Size {
    /// The largest unit that shows the exact number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.0;
        let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.into_iter().find(|(unit, _)| bytes != 0 && bytes.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{}{name}", bytes / unit),
            None => write!(f, "{bytes}B"),
        }
    }
}

impl TryFrom<String> for Wait {
    type Error = QuantityError;
    fn try_from(text: String) -> Result<Self, QuantityError> {
        humantime::parse_duration(&text).map(Self).map_err(|_| QuantityError::Wait(text))
    }
}

impl From<Wait> for String {
    fn from(wait: Wait) -> Self {
        wait.to_string()
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> Result<Size, QuantityError> {
        Size::try_from(text.to_owned())
    }

    #[test]
    fn sizes_read_back_what_they_print() {
        for bytes in [0, 1, 1023, 1024, 1536, 32 << 20, (1 << 30) + 1, 3 << 40] {
            let value = Size(ByteCount(bytes));
            assert_eq!(size(&value.to_string()), Ok(value), "{value}");
        }
        assert_eq!(Size(ByteCount::mib(64)).to_string(), "64MiB");
    }

    #[test]
    fn people_may_write_sizes_with_a_space_or_a_fraction() {
        assert_eq!(size("1.5 GiB"), Ok(Size(ByteCount::mib(1536))));
        for bad in ["", "many", "-1MiB", "1 elephant"] {
            assert_eq!(size(bad), Err(QuantityError::Size(bad.to_owned())));
        }
    }

    #[test]
    fn waits_read_back_what_they_print() {
        for ms in [1, 500, 30_000, 600_000, 90_061_001] {
            let value = Wait(Duration::from_millis(ms));
            assert_eq!(Wait::try_from(value.to_string()), Ok(value), "{value}");
        }
        assert!(Wait::try_from("30".to_owned()).is_err(), "a unit is needed");
    }
}

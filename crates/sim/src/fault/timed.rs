//! A fault and when it comes, and how a scenario writes that.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::Value;

use super::Fault;

/// A fault and when it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Value>")]
pub struct Timed {
    /// Milliseconds since the beginning of the run.
    pub at_ms: u64,
    /// What happens.
    #[serde(flatten)]
    pub fault: Fault,
}

impl Timed {
    /// When it comes, since the beginning of the run.
    pub fn at(&self) -> Duration {
        Duration::from_millis(self.at_ms)
    }
}

/// A table has `at_ms` and one fault, under the name of its kind, and nothing else.
impl TryFrom<BTreeMap<String, Value>> for Timed {
    type Error = String;

    fn try_from(mut table: BTreeMap<String, Value>) -> Result<Self, String> {
        let at = table.remove("at_ms").ok_or("a fault needs at_ms")?;
        let at_ms = at.as_integer().and_then(|at| u64::try_from(at).ok());
        let at_ms = at_ms.ok_or_else(|| format!("at_ms is a number of milliseconds, not {at}"))?;
        if table.len() != 1 {
            let names: Vec<&str> = table.keys().map(String::as_str).collect();
            let found = if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") };
            return Err(format!("a fault has at_ms and one kind, and this one has {found} beside at_ms"));
        }
        let fault = Value::Table(table.into_iter().collect()).try_into();
        let fault = fault.map_err(|error: toml::de::Error| error.message().to_owned())?;
        Ok(Self { at_ms, fault })
    }
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6} ms {}", self.at_ms, self.fault.kind())?;
        self.fault.nodes().into_iter().try_for_each(|node| write!(f, " {node}"))
    }
}

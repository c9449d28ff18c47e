//! Which names a rule means: every name, one name, or the names with a prefix.

use std::fmt;
use std::str::FromStr;

use peerstream_types::{DatasetName, NameError, NodeId};
use serde::{Deserialize, Serialize};

/// Why a pattern was refused. The operator's configuration is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A star that is not the last character.
    #[error("pattern {0:?}: a '*' may stand only at the end")]
    StarInside(String),
    /// No name can match it.
    #[error("pattern {pattern:?} matches no name: {why}")]
    NoSuchName {
        /// The pattern as given.
        pattern: String,
        /// The rule of names that it breaks.
        why: NameError,
    },
}

#[derive(Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Exact(Box<str>),
    Prefix(Box<str>),
}

impl Pattern {
    fn parse<N>(text: &str, check: fn(&str) -> Result<N, NameError>) -> Result<Self, PatternError> {
        let no_such_name = |why| PatternError::NoSuchName { pattern: text.chars().take(120).collect(), why };
        let Some(prefix) = text.strip_suffix('*') else {
            return check(text).map(|_| Self::Exact(text.into())).map_err(no_such_name);
        };
        if prefix.contains('*') {
            return Err(PatternError::StarInside(text.chars().take(120).collect()));
        }
        if prefix.is_empty() {
            return Ok(Self::Any);
        }
        // A prefix is good if some name begins with it: "store-" alone is no name, "store-x" is one.
        check(&format!("{prefix}x")).map(|_| Self::Prefix(prefix.into())).map_err(no_such_name)
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => name == &**exact,
            Self::Prefix(prefix) => name.starts_with(&**prefix),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

macro_rules! pattern {
    ($(#[$doc:meta])* $pattern:ident, $name:ident, $any:ident, $exact:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $pattern(Pattern);

        impl $pattern {
            /// Matches every name.
            pub fn $any() -> Self {
                Self(Pattern::Any)
            }

            /// Matches this name only.
            pub fn $exact(name: &$name) -> Self {
                Self(Pattern::Exact(name.as_str().into()))
            }

            /// Whether `name` is meant.
            pub fn matches(&self, name: &$name) -> bool {
                self.0.matches(name.as_str())
            }
        }

        impl FromStr for $pattern {
            type Err = PatternError;
            fn from_str(text: &str) -> Result<Self, PatternError> {
                Pattern::parse(text, $name::from_str).map(Self)
            }
        }

        impl TryFrom<String> for $pattern {
            type Error = PatternError;
            fn try_from(text: String) -> Result<Self, PatternError> {
                text.parse()
            }
        }

        impl From<$pattern> for String {
            fn from(pattern: $pattern) -> Self {
                pattern.to_string()
            }
        }

        impl fmt::Display for $pattern {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $pattern {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{self}\"")
            }
        }
    };
}

pattern! {
    /// Which peers: `*` for any member of the cluster, `store-1` for one node, `store-*` for all
    /// nodes whose id begins so.
    WhoPattern, NodeId, any_member, node
}
pattern! {
    /// Which datasets: `*` for all, `metrics` for one, `logs-*` for all whose name begins so.
    DatasetPattern, DatasetName, any, dataset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(pattern: &str, node: &str) -> bool {
        pattern.parse::<WhoPattern>().unwrap().matches(&NodeId::new(node).unwrap())
    }

    #[test]
    fn a_pattern_means_all_one_or_a_prefix() {
        assert!(who("*", "store-1"));
        assert!(who("store-1", "store-1"));
        assert!(!who("store-1", "store-10"));
        assert!(!who("store-10", "store-1"));
        assert!(who("store-*", "store-10"));
        assert!(!who("store-*", "restore-1"));
        assert!(!who("store-*", "store"));
    }

    #[test]
    fn constructors_and_text_agree() {
        let node = NodeId::new("store-1").unwrap();
        assert_eq!("store-1".parse(), Ok(WhoPattern::node(&node)));
        assert_eq!("*".parse(), Ok(WhoPattern::any_member()));
        let logs = DatasetName::new("logs").unwrap();
        assert_eq!("logs".parse(), Ok(DatasetPattern::dataset(&logs)));
        assert_eq!("logs-*".parse::<DatasetPattern>().unwrap().to_string(), "logs-*");
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        for text in ["", "Store-1", "a b", "*-1", "a*b", "**", "store.*", "../*", "-*"] {
            assert!(text.parse::<WhoPattern>().is_err(), "{text:?}");
        }
        assert!("store.*".parse::<DatasetPattern>().is_ok(), "dataset names have dots");
        assert!("store..*".parse::<DatasetPattern>().is_err());
    }
}

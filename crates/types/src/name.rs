//! Checked names of nodes, clusters and datasets.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest name in bytes. A node id is one DNS label (RFC 1035, 63 octets), and one limit for all
/// names is easier to remember than three.
pub const NAME_LEN_MAX: usize = 63;

/// Why a name was refused. Nothing was changed; give a name of the allowed form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A name has at least one character.
    #[error("{what} is empty")]
    Empty {
        /// Which kind of name.
        what: &'static str,
    },
    /// The name is longer than its limit.
    #[error("{what} has {len} bytes, at most {max} are allowed")]
    TooLong {
        /// Which kind of name.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A character outside the allowed set.
    #[error("{what} {name:?} may hold only {allowed}")]
    BadCharacter {
        /// Which kind of name.
        what: &'static str,
        /// The name as given.
        name: String,
        /// The allowed characters, in words.
        allowed: &'static str,
    },
}

fn check(what: &'static str, name: &str, dots: bool) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { what });
    }
    if name.len() > NAME_LEN_MAX {
        let (len, max) = (name.len(), NAME_LEN_MAX);
        return Err(NameError::TooLong { what, len, max });
    }
    let inner = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-') || (dots && matches!(c, '.' | '_'));
    let edge = |c: Option<char>| c.is_some_and(|c| matches!(c, 'a'..='z' | '0'..='9'));
    let ends = edge(name.chars().next()) && edge(name.chars().next_back());
    if !ends || !name.chars().all(inner) || name.contains("..") {
        let allowed = if dots {
            "a-z, 0-9, '-', '_' and single '.', with a letter or digit at both ends"
        } else {
            "a-z, 0-9 and '-', with a letter or digit at both ends"
        };
        return Err(NameError::BadCharacter {
            what,
            name: name.chars().take(NAME_LEN_MAX).collect(),
            allowed,
        });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, dots: $dots:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and keeps a name.
            ///
            /// # Errors
            ///
            /// [`NameError`] says what is wrong with it.
            pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
                check($what, name.as_ref(), $dots)?;
                Ok(Self(name.as_ref().into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

name! {
    /// The id of a node: one DNS label, because its certificate carries `<id>.<cluster>` as DNS name.
    NodeId, "node id", dots: false
}
name! {
    /// The name of a cluster, which is the DNS domain and the SPIFFE trust domain of its certificates.
    ClusterName, "cluster name", dots: true
}
name! {
    /// The name of a dataset.
    DatasetName, "dataset name", dots: true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_allowed_form_are_kept() {
        for name in ["a", "node-1", "0", &"x".repeat(NAME_LEN_MAX)] {
            assert_eq!(NodeId::new(name).unwrap().as_str(), name);
        }
        assert!(ClusterName::new("demo.internal").is_ok());
    }

    #[test]
    fn names_that_could_be_paths_or_labels_of_others_are_refused() {
        let long = "x".repeat(NAME_LEN_MAX + 1);
        for name in ["", "A", "a.b", "a/b", "..", "-a", "a-", "a b", "a\0", "ü", long.as_str()] {
            assert!(NodeId::new(name).is_err(), "{name:?}");
        }
        for name in ["a..b", ".a", "a.", "a/../b"] {
            assert!(DatasetName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_bad_name_on_the_wire_does_not_decode() {
        let bytes = postcard::to_stdvec("../x").unwrap();
        assert!(postcard::from_bytes::<DatasetName>(&bytes).is_err());
    }
}

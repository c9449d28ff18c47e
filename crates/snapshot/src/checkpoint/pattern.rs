//! Which files of a directory are meant.

use std::fmt;
use std::str::FromStr;

/// Matches names of files, wherever below the directory they are: `*.sst`, `MANIFEST-*`, `CURRENT`,
/// or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePattern {
    head: String,
    /// What the name ends with, if there is a star.
    tail: Option<String>,
}

/// Not a pattern: it has more than one star, is empty, or holds a slash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no pattern of file names; write a name with at most one star, like \"*.sst\"")]
pub struct ParseFilePatternError(String);

impl FilePattern {
    /// Whether a file of this name is meant.
    pub fn matches(&self, name: &str) -> bool {
        match &self.tail {
            None => name == self.head,
            Some(tail) => name.strip_prefix(&*self.head).is_some_and(|rest| rest.ends_with(tail.as_str())),
        }
    }
}

impl FromStr for FilePattern {
    type Err = ParseFilePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.contains('/') || text.matches('*').count() > 1 {
            return Err(ParseFilePatternError(text.chars().take(80).collect()));
        }
        Ok(match text.split_once('*') {
            Some((head, tail)) => Self { head: head.to_owned(), tail: Some(tail.to_owned()) },
            None => Self { head: text.to_owned(), tail: None },
        })
    }
}

impl fmt::Display for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        self.tail.as_ref().map_or(Ok(()), |tail| write!(f, "*{tail}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_names() {
        let cases = [
            ("*.sst", "000001.sst", true),
            ("*.sst", "000001.sst.tmp", false),
            ("MANIFEST-*", "MANIFEST-7", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("CURRENT", "CURRENT", true),
            ("CURRENT", "CURRENT2", false),
            ("*", "anything", true),
        ];
        for (pattern, name, matches) in cases {
            let parsed: FilePattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(name), matches, "{pattern} {name}");
            assert_eq!(parsed.to_string(), pattern);
        }
        for bad in ["", "**", "sub/*.sst", "*a*"] {
            assert!(bad.parse::<FilePattern>().is_err(), "{bad:?}");
        }
    }
}

//! `--name value`, `--flag` and plain words.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Result;

/// Options that stand alone.
const FLAGS: &[&str] = &["identical", "short", "sparse", "sync"];
/// Options with a value.
const NAMED: &[&str] =
    &["bytes", "cert-dir", "dir", "from", "listen", "mib", "mtu", "name", "rate", "shards", "streams", "to"];

/// What stands behind a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    named: BTreeMap<String, String>,
    words: Vec<String>,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let Some(name) = arg.strip_prefix("--") else {
                options.words.push(arg.clone());
                continue;
            };
            let value = if FLAGS.contains(&name) {
                String::new()
            } else if NAMED.contains(&name) {
                args.next().ok_or_else(|| format!("{arg} needs a value"))?.clone()
            } else {
                return Err(format!("unknown option {arg}").into());
            };
            options.named.insert(name.to_owned(), value);
        }
        Ok(options)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// A value that may be left out.
    pub(crate) fn optional<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.named.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("--{name} {text} is no such value").into())
    }

    /// A value that is needed.
    pub(crate) fn needed<T: FromStr>(&self, name: &str) -> Result<T> {
        self.optional(name)?.ok_or_else(|| format!("--{name} is needed").into())
    }

    /// Values with commas between them, at least one.
    pub(crate) fn list<T: FromStr>(&self, name: &str) -> Result<Vec<T>> {
        let text: String = self.needed(name)?;
        let values = text.split(',').map(str::parse).collect::<std::result::Result<_, _>>();
        values.map_err(|_| format!("--{name} {text} is no list of such values").into())
    }

    pub(crate) fn path(&self, name: &str) -> Result<PathBuf> {
        self.needed(name)
    }

    /// A plain word by its place.
    pub(crate) fn word(&self, index: usize, what: &str) -> Result<&str> {
        self.words.get(index).map(String::as_str).ok_or_else(|| format!("{what} is needed").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let options = parse(&["A", "--dir", "/d", "--sync", "--mtu", "8972"]).unwrap();
        assert_eq!(options.word(0, "a workload").unwrap(), "A");
        assert_eq!(options.path("dir").unwrap(), PathBuf::from("/d"));
        assert!(options.flag("sync") && !options.flag("short"));
        assert_eq!(options.optional("mtu").unwrap(), Some(8972_u16));
        assert_eq!(options.optional::<u32>("shards").unwrap(), None);
        assert_eq!(parse(&["--from", "1,2"]).unwrap().list::<u16>("from").unwrap(), [1, 2]);
    }

    #[test]
    fn slips_are_refused() {
        assert!(parse(&["--drr", "x"]).is_err());
        assert!(parse(&["--dir"]).is_err());
        assert!(parse(&["--mtu", "many"]).unwrap().needed::<u16>("mtu").is_err());
        assert!(parse(&["--from", "1,b"]).unwrap().list::<u16>("from").is_err());
        assert!(parse(&[]).unwrap().path("to").is_err());
    }
}

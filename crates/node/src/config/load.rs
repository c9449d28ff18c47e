//! From a file to a checked configuration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use peerstream_types::DatasetName;

use super::{CANNOT_BE_COMPARED, Config, DATASETS_MAX, Dataset, Overrides, SnapshotMode};
use crate::failure::{Failure, Result};
use crate::node::placement;

/// Largest configuration file in bytes: more is a wrong path.
const FILE_LEN_MAX: u64 = 1 << 20;
/// Longest path of a Unix socket in bytes: what the kernel's address holds, less its end.
const SOCKET_PATH_LEN_MAX: usize = 107;

/// Reads a configuration file, puts the overrides over it and checks the whole.
///
/// # Errors
///
/// Says which file, which line and which field is wrong, and what would be right.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Config> {
    let shown = path.display();
    let len = std::fs::metadata(path).map(|found| found.len());
    let text = match len {
        Ok(len) if len > FILE_LEN_MAX => {
            return Err(Failure::new(format!("config {shown}: {len} bytes, that is no config file")));
        }
        Ok(_) => std::fs::read_to_string(path),
        Err(error) => Err(error),
    };
    let text = text.map_err(|error| {
        Failure::new(format!("config {shown}: {error}"))
            .hint("name the file with --config; docs/config.example.toml is one to start from")
    })?;
    let mut config = parse(&text).map_err(|failure| at(path, failure))?;
    let base = path.parent().filter(|base| !base.as_os_str().is_empty()).unwrap_or(Path::new("."));
    resolve(&mut config, base);
    overrides.apply(&mut config);
    config.admin.socket = Some(config.admin_socket());
    check(&config).map_err(|failure| at(path, failure))?;
    Ok(config)
}

/// Reads the text of a configuration, as it stands: paths are not resolved, nothing is checked that
/// takes more than one field to see.
///
/// # Errors
///
/// Says which line and which field is wrong.
pub fn parse(text: &str) -> Result<Config> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map(|span| line_of(text, span.start));
        let what = error.message().trim().replace('\n', " ");
        let (at, quoted) = match place {
            Some((line, content)) => (format!("line {line}: "), format!(" in `{}`", content.trim())),
            None => Default::default(),
        };
        Failure::new(format!("{at}{what}{quoted}"))
            .hint("docs/config.example.toml shows every field with its default")
    })
}

/// The number and the content of the line that holds a byte.
fn line_of(text: &str, at: usize) -> (usize, &str) {
    let before = text.get(..at).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    (number, text.lines().nth(number - 1).unwrap_or_default())
}

fn at(path: &Path, failure: Failure) -> Failure {
    let located = Failure::new(format!("config {}: {}", path.display(), failure.what()));
    match failure.advice() {
        Some(hint) => located.hint(hint),
        None => located,
    }
}

/// Paths in the file are relative to the file, wherever the node is started.
fn resolve(config: &mut Config, base: &Path) {
    for command in config.datasets.iter_mut().flat_map(Dataset::commands) {
        // What holds no slash is looked for in PATH.
        if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
            *program = normal(&base.join(&*program)).display().to_string();
        }
    }
    let named = config.datasets.iter_mut().flat_map(Dataset::paths);
    let tls = [&mut config.tls.ca, &mut config.tls.cert, &mut config.tls.key];
    let paths = [&mut config.data_dir].into_iter().chain(config.admin.socket.as_mut());
    let paths = paths.chain(config.placement.file.as_mut());
    for path in paths.chain(tls).chain(named) {
        *path = normal(&base.join(&*path));
    }
}

/// Without the `./` in it, which only makes messages harder to read.
fn normal(path: &Path) -> PathBuf {
    path.components().collect()
}

/// What takes more than one field, or more than its type, to see.
fn check(config: &Config) -> Result<()> {
    check_datasets(config)?;
    check_checkpoints(config)?;
    check_served(config)?;
    placement::listed(config)?;
    config.placement.check(!config.peers.is_empty())?;
    check_levels(config)?;
    check_held(config, "sources", config.sources.datasets.keys())?;
    if let Some(name) = config.limits.zero() {
        return Err(Failure::new(format!("limits.{name} is zero")).hint("leave it out for the default"));
    }
    if let Some((name, count, most)) = config.limits.too_many() {
        return Err(Failure::new(format!("limits.{name} is {count}, at most {most} is allowed")));
    }
    if let Some((name, size, most)) = config.limits.too_large() {
        return Err(Failure::new(format!("limits.{name} is {size}, at most {most} is allowed")));
    }
    let quic = config.limits.transport().validate();
    quic.map_err(|error| Failure::new(format!("limits.quic: {error}")))?;
    let socket = config.admin_socket();
    let len = socket.as_os_str().len();
    if len > SOCKET_PATH_LEN_MAX {
        let what = format!("admin.socket: {} has {len} bytes", socket.display());
        return Err(Failure::new(what).hint(format!(
            "paths of Unix sockets have at most {SOCKET_PATH_LEN_MAX}; set admin.socket to a shorter one"
        )));
    }
    Ok(())
}

/// A level of a dataset that is not here is a slip, and so is one where nothing is compared.
fn check_levels(config: &Config) -> Result<()> {
    config.consistency.settings()?;
    config.consistency.check()?;
    check_held(config, "consistency", config.consistency.datasets.keys())?;
    match config.consistency.datasets.keys().find(|name| !config.compares(name)) {
        Some(name) => Err(Failure::new(format!("consistency.datasets.{name}: {CANNOT_BE_COMPARED}")).hint(
            "leave the level out, or say `kind = \"identical\"` in its [[dataset]] if that is what they are",
        )),
        None => Ok(()),
    }
}

/// A rule for a dataset that is not here is a slip.
fn check_held<'a>(
    config: &Config,
    section: &str,
    mut names: impl Iterator<Item = &'a DatasetName>,
) -> Result<()> {
    let is_held = |name: &&DatasetName| config.datasets.iter().any(|dataset| dataset.name == **name);
    match names.find(|name| !is_held(name)) {
        Some(name) => Err(Failure::new(format!("{section}.datasets.{name}: no [[dataset]] has this name"))),
        None => Ok(()),
    }
}

/// A checkpoint inside of what it is made of would hold the ones before it.
fn check_checkpoints(config: &Config) -> Result<()> {
    let default = config.data_dir.join("checkpoints");
    for dataset in config.datasets.iter().filter(|dataset| dataset.snapshot.mode == SnapshotMode::Freeze) {
        let dir = dataset.snapshot.dir.as_ref().unwrap_or(&default);
        if let Some(live) = dataset.serve.as_ref().filter(|live| dir.starts_with(live)) {
            let (name, version) = (&dataset.name, dataset.version);
            let what = format!("{} lies inside {}", dir.display(), live.display());
            return Err(Failure::new(format!("dataset {name}@{version}: snapshot.dir: {what}"))
                .hint("put it beside what is served, on the same file system"));
        }
    }
    Ok(())
}

/// A directory that is served with the node's own files in it would give them to peers: the private key, and
/// what is being received.
fn check_served(config: &Config) -> Result<()> {
    let Config { tls, data_dir, .. } = config;
    let own = [("data_dir", data_dir), ("tls.key", &tls.key)];
    for dataset in &config.datasets {
        if let Some(served) = &dataset.serve {
            let Some((what, path)) = own.iter().find(|(_, path)| real(path).starts_with(real(served))) else {
                continue;
            };
            let (name, version, served) = (&dataset.name, dataset.version, served.display());
            let what =
                format!("dataset {name}@{version}: serve: {what} ({}) lies inside {served}", path.display());
            return Err(Failure::new(what).hint("serve a directory that holds nothing but the dataset"));
        }
    }
    Ok(())
}

/// A path without links, as far as it is there yet.
fn real(path: &Path) -> PathBuf {
    let known = path.ancestors().find_map(|known| Some((known, std::fs::canonicalize(known).ok()?)));
    let joined = known.and_then(|(known, real)| Some(real.join(path.strip_prefix(known).ok()?)));
    joined.unwrap_or_else(|| path.to_path_buf())
}

fn check_datasets(config: &Config) -> Result<()> {
    if config.datasets.len() > DATASETS_MAX {
        let got = config.datasets.len();
        return Err(Failure::new(format!("{got} [[dataset]] tables, at most {DATASETS_MAX} are allowed")));
    }
    let mut seen = BTreeSet::new();
    for dataset in &config.datasets {
        dataset.check()?;
        if !seen.insert((&dataset.name, dataset.version)) {
            let what = format!("dataset {}@{} stands twice", dataset.name, dataset.version);
            return Err(Failure::new(what).hint("give each version one [[dataset]]"));
        }
        let is_other = |other: &&Dataset| other.name == dataset.name && other.kind != dataset.kind;
        if let Some(other) = config.datasets.iter().find(is_other) {
            let what = format!("dataset {} is {} and {}", dataset.name, dataset.kind, other.kind);
            return Err(Failure::new(what).hint("all versions of a dataset are of one kind"));
        }
    }
    Ok(())
}

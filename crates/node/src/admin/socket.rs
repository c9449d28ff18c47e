//! The Unix socket of the admin API.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::failure::{Failure, Result};

/// A socket file that only its owner may open, removed when it is no longer used.
///
/// The permission of the file is the credential of the admin API: on Linux, connecting takes the
/// right to write to it.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl SocketFile {
    /// Listens at `path`, in place of a socket that a node left behind when it was killed.
    pub(super) async fn bind(path: &Path) -> Result<(Self, UnixListener)> {
        let failed = |error: io::Error| {
            Failure::new(format!("admin socket {}: {error}", path.display()))
                .hint("set admin.socket to a path that this user may write")
        };
        remove_dead(path).await?;
        let listener = bind_private(path).map_err(failed)?;
        Ok((Self(path.to_owned()), listener))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // What is left behind is found dead, and replaced, by the next boot.
        std::fs::remove_file(&self.0).ok();
    }
}

/// Binds in a directory that nobody else may enter and moves the socket to its place when its mode
/// is right, so that there is no moment in which others could connect.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let private = parent.join(format!(".{}", std::process::id()));
    std::fs::create_dir(&private)?;
    let bound = std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o700)).and_then(|()| {
        let inside = private.join("s");
        let listener = UnixListener::bind(&inside)?;
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&inside, path)?;
        Ok(listener)
    });
    std::fs::remove_dir_all(&private).ok();
    bound
}

async fn remove_dead(path: &Path) -> Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let shown = path.display();
    if !found.file_type().is_socket() {
        return Err(Failure::new(format!("admin socket {shown}: something else is there"))
            .hint("set admin.socket to another path, or remove what is there"));
    }
    if UnixStream::connect(path).await.is_ok() {
        return Err(Failure::new(format!("admin socket {shown} is in use"))
            .hint("another node answers there; give this one another admin.socket"));
    }
    std::fs::remove_file(path).map_err(|error| Failure::new(format!("admin socket {shown}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_owner_may_open_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let (file, _listener) = SocketFile::bind(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(UnixStream::connect(&path).await.is_ok());
        drop(file);
        assert!(!path.exists());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn a_socket_of_a_killed_node_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        drop(UnixListener::bind(&path).unwrap());
        let (_file, listener) = SocketFile::bind(&path).await.unwrap();
        assert!(SocketFile::bind(&path).await.unwrap_err().what().ends_with("is in use"));
        drop(listener);
    }

    #[tokio::test]
    async fn a_file_in_the_place_of_the_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(SocketFile::bind(&path).await.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }
}

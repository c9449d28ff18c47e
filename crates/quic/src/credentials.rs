//! What a node proves itself with and whom it trusts, loaded from PEM.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peerstream_transport::PeerIdentity;
use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::fault::CertFault;
use crate::identity;
use crate::reset::ResetSecret;
use crate::tls::{provider, unix_time};
use crate::verify::Trust;

/// Largest PEM file in bytes: hundreds of certificates, and no memory lost to a wrong path.
pub const PEM_LEN_MAX: u64 = 1024 * 1024;

/// Where the PEM files of a node are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFiles {
    /// The CAs that vouch for members of the cluster. During a change of CA: the old and the new.
    pub roots: PathBuf,
    /// This node's certificate, then its intermediates, if any.
    pub chain: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
}

/// Why credentials were refused. Nothing was changed; an operator has to look at the named file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("{file}: {error}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// Larger than [`PEM_LEN_MAX`].
    #[error("{file}: larger than {PEM_LEN_MAX} bytes, this is no PEM file of certificates")]
    TooLarge {
        /// The file.
        file: String,
    },
    /// Not PEM.
    #[error("{file}: not PEM: {why}")]
    BadPem {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// PEM, but nothing of the needed kind in it.
    #[error("{file}: holds no {what}")]
    Missing {
        /// The file.
        file: String,
        /// What is missing.
        what: &'static str,
    },
    /// A certificate in it is broken, or is not usable as a CA.
    #[error("{file}: bad certificate: {why}")]
    BadCertificate {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// The key is broken or of an unknown kind.
    #[error("{file}: bad private key: {why}")]
    BadKey {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// The key is not the certificate's.
    #[error("{key}: not the private key of the certificate in {chain}")]
    KeyMismatch {
        /// The file of the key.
        key: String,
        /// The file of the certificate.
        chain: String,
    },
    /// The node's own certificate would be refused by its peers: its CA is not among the roots, or
    /// it has expired or is not valid yet.
    #[error("our own certificate {node} is not trusted: {why}")]
    OwnNotTrusted {
        /// Whom it names.
        node: String,
        /// What is wrong with it.
        why: String,
    },
    /// A reload that would make the node another one. Restart it for that.
    #[error("the new certificate names {new}, but this node is {ours}")]
    OtherNode {
        /// Whom the new certificate names.
        new: String,
        /// Who this node is.
        ours: String,
    },
}

/// A node's certificate, its private key, and the CAs that it trusts. There is no transport
/// without them. Cheap to clone; the key shows neither in `Debug` nor in logs.
#[derive(Clone)]
pub struct Credentials {
    identity: PeerIdentity,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) certified: Arc<CertifiedKey>,
    reset: ResetSecret,
}

impl Credentials {
    /// Loads credentials from files. Blocks on the file system; for start-up and reload.
    ///
    /// # Errors
    ///
    /// [`CredentialsError`] names the file and what is wrong with it.
    pub fn from_files(files: &CredentialFiles) -> Result<Self, CredentialsError> {
        let (roots, chain, key) = (read(&files.roots)?, read(&files.chain)?, read(&files.key)?);
        load(&Pem::file(&files.roots, &roots), &Pem::file(&files.chain, &chain), &Pem::file(&files.key, &key))
    }

    /// Takes credentials from PEM text. Errors name the argument in place of a file.
    ///
    /// # Errors
    ///
    /// As for [`Credentials::from_files`].
    pub fn from_pem(roots: &str, chain: &str, key: &str) -> Result<Self, CredentialsError> {
        load(&Pem::text("CA roots", roots), &Pem::text("certificate chain", chain), &Pem::text("key", key))
    }

    /// Who these credentials prove the node to be.
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// What makes resets known to peers of an earlier run.
    pub(crate) fn reset_secret(&self) -> &ResetSecret {
        &self.reset
    }

    /// Checks that peers with the same roots would take the certificate at `unix_ms`.
    pub(crate) fn trust(&self, unix_ms: u64) -> Result<Trust, CredentialsError> {
        let refused = |why: String| CredentialsError::OwnNotTrusted { node: self.identity.to_string(), why };
        let trust = Trust::new(Arc::clone(&self.roots), self.identity.cluster.clone(), &provider())
            .map_err(|error| refused(error.to_string()))?;
        self.verify_own(&trust, unix_time(unix_ms)).map_err(|fault| refused(fault.to_string()))?;
        Ok(trust)
    }

    fn verify_own(&self, trust: &Trust, now: UnixTime) -> Result<(), CertFault> {
        match self.certified.cert.split_first() {
            Some((leaf, intermediates)) => trust.verify_dialled(leaf, intermediates, now).map(drop),
            None => Err(CertFault::Bad("there is none".to_owned())),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, {} roots)", self.identity, self.roots.len())
    }
}

/// PEM bytes, and what to call them in an error.
struct Pem<'a> {
    name: String,
    bytes: &'a [u8],
}

impl<'a> Pem<'a> {
    fn file(path: &Path, bytes: &'a [u8]) -> Self {
        Self { name: path.display().to_string(), bytes }
    }

    fn text(name: &str, text: &'a str) -> Self {
        Self { name: name.to_owned(), bytes: text.as_bytes() }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
        let certificates = CertificateDer::pem_slice_iter(self.bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.bad_pem(&error))?;
        if certificates.is_empty() {
            return Err(CredentialsError::Missing { file: self.name.clone(), what: "certificate" });
        }
        Ok(certificates)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, CredentialsError> {
        match PrivateKeyDer::from_pem_slice(self.bytes) {
            Ok(key) => Ok(key),
            Err(PemError::NoItemsFound) => {
                Err(CredentialsError::Missing { file: self.name.clone(), what: "private key" })
            }
            Err(error) => Err(self.bad_pem(&error)),
        }
    }

    /// Never quotes the file: it may hold a key.
    fn bad_pem(&self, error: &PemError) -> CredentialsError {
        #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign, open enum")]
        let why = match error {
            PemError::MissingSectionEnd { .. } => "a section has no END line",
            PemError::IllegalSectionStart { .. } => "a BEGIN line is malformed",
            PemError::Base64Decode(_) => "a section is not base64",
            _ => "it is malformed",
        };
        CredentialsError::BadPem { file: self.name.clone(), why: why.to_owned() }
    }

    fn bad_certificate(&self, why: &dyn fmt::Display) -> CredentialsError {
        CredentialsError::BadCertificate { file: self.name.clone(), why: why.to_string() }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(PEM_LEN_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| CredentialsError::Read { file: name(), error })?;
    if bytes.len() as u64 > PEM_LEN_MAX {
        return Err(CredentialsError::TooLarge { file: name() });
    }
    Ok(bytes)
}

fn load(roots: &Pem<'_>, chain: &Pem<'_>, key: &Pem<'_>) -> Result<Credentials, CredentialsError> {
    let mut store = RootCertStore::empty();
    for root in roots.certificates()? {
        store.add(root).map_err(|error| roots.bad_certificate(&error))?;
    }
    let certificates = chain.certificates()?;
    let identity =
        identity::of_certificate(&certificates[0]).map_err(|error| chain.bad_certificate(&error))?;
    let private = key.key()?;
    let reset = ResetSecret::of_private_key(private.secret_der());
    let certified = CertifiedKey::from_der(certificates, private, &provider()).map_err(|error| {
        #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign, open enum")]
        match error {
            rustls::Error::InconsistentKeys(_) => {
                CredentialsError::KeyMismatch { key: key.name.clone(), chain: chain.name.clone() }
            }
            other => CredentialsError::BadKey { file: key.name.clone(), why: other.to_string() },
        }
    })?;
    Ok(Credentials { identity, roots: Arc::new(store), certified: Arc::new(certified), reset })
}

//! A part of a tree as a catalog of its own: the selected entries, copied as they are announced.

use std::sync::Arc;

use peerstream_types::{Entry, ManifestHeader, PageToken, Selector};

use super::super::catalog::{Catalog, CatalogError, CatalogWriter};
use super::super::records::{Records, STAMP_LEN};
use super::super::scratch::{Scratch, ScratchDir};
use super::{Task, View};
use crate::listing::Frame;
use crate::{Disk, DiskError, SourceError};

/// Entries that are copied at once.
const PAGE: usize = 256;

/// Where the selected entries are in the catalog of the tree: ordinals.
pub(super) type Places = Records<8>;

/// The catalog of a part, which goes with its snapshot.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) view: View,
    pub(super) places: Arc<Places>,
    /// Dropped in this order: nobody writes to the directory any more when it is removed.
    _copy: Task,
    _dir: ScratchDir,
}

impl Selected {
    /// Begins to copy what `selector` selects. The caller has made sure that keys tell.
    pub(super) async fn copy(
        disk: Arc<dyn Disk>,
        scratch: &Scratch,
        of: &View,
        selector: &Selector,
    ) -> Result<Self, DiskError> {
        let dir = scratch.take();
        let ManifestHeader { chunk_size, position, state, .. } = of.catalog.header();
        let frame = Frame { chunk_size, position, state };
        let writer = CatalogWriter::create(disk.clone(), dir.path().join("catalog"), frame.clone()).await?;
        let records = |name| dir.path().join(name);
        let places = Arc::new(Places::new(disk.clone(), records("places")));
        let own = of.stamps.is_some().then(|| Arc::new(Records::new(disk, records("stamps"))));
        let view = View { catalog: writer.catalog().clone(), stamps: own };
        let copy =
            Copy { of: of.clone(), to: view.clone(), places: places.clone(), selector: selector.clone() };
        let task = Task(tokio::spawn(copy.run(writer, frame)).abort_handle());
        Ok(Self { view, places, _copy: task, _dir: dir })
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.view.catalog
    }
}

struct Copy {
    of: View,
    to: View,
    places: Arc<Places>,
    selector: Selector,
}

impl Copy {
    async fn run(self, mut writer: CatalogWriter, frame: Frame) {
        let sealed = match self.fill(&mut writer).await {
            Ok(()) => writer.seal(frame).await.map(drop).map_err(SourceError::from),
            Err(error) => Err(error),
        };
        if let Err(error) = sealed {
            writer.fail(error);
        }
    }

    async fn fill(&self, writer: &mut CatalogWriter) -> Result<(), SourceError> {
        let mut token = Some(PageToken::START);
        while let Some(from) = token {
            let page = self.of.catalog.page(&from, PAGE).await?;
            token = page.next;
            let Some(first) = page.entries.first().map(|entry| entry.ordinal.0) else { continue };
            let stamps = self.of.stamps(first, page.entries.len()).await?;
            let mut selected = Vec::new();
            let (mut places, mut kept) = (Vec::new(), Vec::new());
            for (place, entry) in page.entries.into_iter().enumerate() {
                if self.selector.selects_key(&entry.key) == Some(true) {
                    places.push(entry.ordinal.0.to_le_bytes());
                    kept.extend(stamps.get(place).copied());
                    selected.push(entry);
                }
            }
            self.keep(writer, selected, &places, &kept).await?;
        }
        Ok(())
    }

    async fn keep(
        &self,
        writer: &mut CatalogWriter,
        entries: Vec<Entry>,
        places: &[[u8; 8]],
        stamps: &[[u8; STAMP_LEN]],
    ) -> Result<(), SourceError> {
        let first = writer.catalog().entries();
        self.places.write(first, places).await?;
        if let Some(own) = &self.to.stamps {
            own.write(first, stamps).await?;
        }
        writer.push(entries).await.map_err(|error| match error {
            CatalogError::Disk(error) => error.into(),
            CatalogError::Order(_) | CatalogError::TooMany => {
                DiskError::corrupt(self.of.catalog.dir(), error.to_string()).into()
            }
        })
    }
}

//! The listing of a shard: the manifests that the sources offer, each listed once whoever has it, and
//! joined entry by entry.

use std::collections::VecDeque;
use std::sync::Arc;

use peerstream_select::agree::camps;
use peerstream_select::join::PAGE_ENTRIES_MAX as JOINED_MAX;
use peerstream_select::{Join, JoinConfig, Joined, Page, Roster, Slot, Slots, Step, Verdict};
use peerstream_types::{
    DatasetKind, Entry, EntryCounts, EntryKey, ManifestHeader, NodeId, Ordinal, PageToken,
};

use crate::agreement::Agreement;
use crate::config::PAGE_ENTRIES_MAX;
use crate::gather::is_same_manifest;
use crate::listing::Listing;
use crate::row::{Holders, Row};
use crate::verdicts::{Count, Verdicts};
use crate::{PageIn, SourceId};

/// Most entries that the store is asked to take at once.
const BATCH_MAX: usize = JOINED_MAX;

/// A manifest with those who offer it.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// As offered; as sealed once that is known.
    pub(crate) header: ManifestHeader,
    pub(crate) listing: Listing,
    /// Who lists it; nobody once all who could are gone.
    pub(crate) lister: Option<SourceId>,
    /// The peers that said it is theirs.
    pub(crate) peers: Vec<NodeId>,
    /// The store cannot keep what it lists: its word is of no use any more.
    is_dismissed: bool,
    /// The join waits for a page, which it knows by this token.
    awaited: Option<PageToken>,
    pages: u64,
}

impl Column {
    /// A manifest that `peers`, at least one, offer, and that `lister` lists.
    pub(crate) fn new(header: ManifestHeader, lister: SourceId, peers: Vec<NodeId>) -> Self {
        let lister = Some(lister);
        Self { header, listing: Listing::new(), lister, peers, is_dismissed: false, awaited: None, pages: 0 }
    }

    pub(crate) fn votes(&self) -> u32 {
        u32::try_from(self.peers.len()).unwrap_or(u32::MAX)
    }
}

/// An entry that was joined and has no ordinal yet.
#[derive(Debug, Clone)]
struct Draft {
    entry: Arc<Entry>,
    holders: Holders,
    /// Which unequal copy of an entry it is: the number of the contest, and its votes.
    leg: Option<(u64, u32)>,
    /// Whether unequal copies of it are reported.
    is_contested: bool,
}

/// What the store cannot keep, and whose it is.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) columns: Vec<usize>,
    /// Others have another copy of it: without this one, theirs is to be judged anew.
    pub(crate) is_contested: bool,
}

/// What the roll has to say.
#[derive(Debug)]
pub(crate) enum Told {
    /// The replicas report this entry, and no copy of it has enough votes.
    Disputed { entry: Arc<Entry>, why: String },
    /// Unequal copies of one entry, which will be merged.
    Contested { contest: u64, legs: u32, reporters: u32 },
    /// One of several replicas alone reports the entry with this key, which is taken.
    Alone(EntryKey),
}

/// A batch that the store is asked to take.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<Row>,
    /// Rows that are unequal copies of an entry: contest and votes.
    pub(crate) legs: Vec<(Ordinal, u64, u32)>,
    drafts: Vec<Draft>,
}

#[derive(Debug, Clone)]
pub(crate) struct Roll {
    /// In order of their first peers, as the slots of the join are.
    columns: Vec<Column>,
    join: Join,
    drafts: VecDeque<Draft>,
    /// Everything was joined.
    is_joined: bool,
    /// Entries of the next batch at the most: fewer after the store has refused one.
    batch_max: usize,
    batch: Option<Batch>,
    admitted: EntryCounts,
    contests: u64,
}

impl Roll {
    /// Joins columns, which are in order of their first peers and share none.
    pub(crate) fn new(columns: Vec<Column>) -> Option<Self> {
        let firsts = columns.iter().filter_map(|column| column.peers.first().cloned());
        let roster = Roster::new(firsts).ok().filter(|roster| roster.len() == columns.len())?;
        let page_entries_max = std::num::NonZeroUsize::new(PAGE_ENTRIES_MAX)?;
        Some(Self {
            columns,
            join: Join::new(roster, JoinConfig { page_entries_max, ..JoinConfig::default() }),
            drafts: VecDeque::new(),
            is_joined: false,
            batch_max: BATCH_MAX,
            batch: None,
            admitted: EntryCounts::default(),
            contests: 0,
        })
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn column_mut(&mut self, column: usize) -> Option<&mut Column> {
        self.columns.get_mut(column)
    }

    /// Whether there is one manifest, so that ordinals are those of the sources.
    pub(crate) fn is_single(&self) -> bool {
        self.columns.len() == 1
    }

    /// The column that a source with this header belongs to.
    pub(crate) fn find(&self, offered: &ManifestHeader) -> Option<usize> {
        let is_same = |column: &Column| !column.is_dismissed && is_same_manifest(&column.header, offered);
        self.columns.iter().position(is_same)
    }

    /// The column that a source lists.
    pub(crate) fn listed_by(&self, source: SourceId) -> Option<usize> {
        self.columns.iter().position(|column| column.lister == Some(source))
    }

    /// Whether a page is asked of this source.
    pub(crate) fn awaits_page(&self, source: SourceId) -> bool {
        self.listed_by(source).is_some_and(|column| self.columns[column].listing.is_asked())
    }

    /// Pages to ask for now: of whom, and from where.
    pub(crate) fn ask(&mut self, may_ask: impl Fn(SourceId) -> bool) -> Vec<(SourceId, PageToken)> {
        while let Some(request) = self.join.poll_request() {
            self.columns[request.slot.index()].awaited = Some(request.token);
        }
        let awaited = self.columns.iter_mut().filter(|column| column.awaited.is_some());
        let asked = awaited.filter_map(|column| {
            let lister = column.lister.filter(|lister| may_ask(*lister))?;
            Some((lister, column.listing.ask()?))
        });
        asked.collect()
    }

    /// Takes the page that a source was asked for.
    ///
    /// # Errors
    ///
    /// What does not add up: the source is at fault.
    pub(crate) fn take(&mut self, column: usize, page: PageIn) -> Result<(), String> {
        let Some(slot) = self.slot(column) else { return Ok(()) };
        let Self { columns, join, .. } = self;
        let Some(Column { header, listing, awaited, pages, .. }) = columns.get_mut(column) else {
            return Ok(());
        };
        listing.take(&page, header)?;
        let PageIn { entries, next, sealed } = page;
        if let Some(sealed) = sealed {
            *header = sealed;
        }
        let Some(token) = awaited.take() else { return Ok(()) };
        *pages += 1;
        // The join tells pages apart by tokens, which a source may give twice.
        let next = next.map(|_| PageToken::new(pages.to_be_bytes()).unwrap_or_default());
        join.handle_page(slot, Page { token, entries, next }).map_err(|error| error.fault.to_string())
    }

    fn slot(&self, column: usize) -> Option<Slot> {
        self.join.roster().slots().iter().nth(column)
    }

    /// Who has listed a column is gone: another one stands for it, or nobody.
    pub(crate) fn pass_on(&mut self, column: usize, lister: Option<SourceId>) {
        if let Some(column) = self.columns.get_mut(column) {
            column.lister = lister;
        }
    }

    /// The one manifest that there is from the start, as somebody else lists it.
    pub(crate) fn relisted(&self, lister: SourceId) -> Option<Self> {
        let [column] = self.columns.as_slice() else { return None };
        Self::new(vec![Column::new(column.header.clone(), lister, column.peers.clone())])
    }

    /// Joins what is there, until a batch is full.
    pub(crate) fn join(
        &mut self,
        agreement: &Agreement,
        verdicts: &mut Verdicts,
        mut tell: impl FnMut(Told),
    ) {
        while self.drafts.len() < BATCH_MAX && !self.is_joined {
            let Self { columns, join, drafts, contests, .. } = self;
            match join.poll() {
                Step::Pending(_) => return,
                Step::Done => self.is_joined = true,
                Step::Entry(joined) if columns.len() == 1 => {
                    let entries = joined.reports().map(|(_, entry)| Arc::clone(entry));
                    drafts.extend(entries.map(|entry| Draft {
                        entry,
                        holders: Holders::All,
                        leg: None,
                        is_contested: false,
                    }));
                }
                Step::Entry(joined) => match Verdict::of(&joined) {
                    Verdict::AnyOf { holders, .. } => {
                        let draft = draft(&joined, holders);
                        if votes(columns, holders) == 1
                            && let Some(draft) = &draft
                        {
                            tell(Told::Alone(draft.entry.key.clone()));
                        }
                        drafts.extend(draft);
                    }
                    Verdict::FanOut { reporters, .. } => {
                        let votes = |slots: Slots| votes(columns, slots);
                        let reports = joined.reports().map(|(slot, entry)| (slot, &**entry));
                        let mut camps: Vec<(u32, Slots)> =
                            camps(reports).into_iter().map(|camp| (votes(camp), camp)).collect();
                        camps.sort_by_key(|(votes, _)| std::cmp::Reverse(*votes));
                        let reporters = votes(reporters);
                        if agreement.kind == DatasetKind::Mergeable {
                            *contests += 1;
                            let legs = u32::try_from(camps.len()).unwrap_or(u32::MAX);
                            tell(Told::Contested { contest: *contests, legs, reporters });
                            for (votes, camp) in camps {
                                let leg = Some((*contests, votes));
                                drafts.extend(draft(&joined, camp).map(|draft| Draft {
                                    leg,
                                    is_contested: true,
                                    ..draft
                                }));
                            }
                        } else if let Some((_, camp)) =
                            camps.first().filter(|_| verdicts.judge(agreement, first_of(reporters, &camps)))
                        {
                            let copy = draft(&joined, *camp);
                            drafts.extend(copy.map(|draft| Draft { is_contested: true, ..draft }));
                        } else if let Some((_, entry)) = joined.reports().next() {
                            let why = dispute(columns, &camps);
                            tell(Told::Disputed { entry: Arc::clone(entry), why });
                        }
                    }
                },
            }
        }
    }

    /// The next batch for the store, if none is under way.
    pub(crate) fn next_batch(&mut self) -> Option<&Batch> {
        if self.batch.is_some() || self.drafts.is_empty() {
            return None;
        }
        let count = self.drafts.len().min(self.batch_max);
        let drafts: Vec<Draft> = self.drafts.drain(..count).collect();
        let mut batch = Batch { rows: Vec::with_capacity(count), legs: Vec::new(), drafts };
        for (draft, ordinal) in batch.drafts.iter().zip(self.admitted.entries..) {
            let ordinal = Ordinal(ordinal);
            let entry = if draft.entry.ordinal == ordinal {
                Arc::clone(&draft.entry)
            } else {
                Arc::new(Entry { ordinal, ..(*draft.entry).clone() })
            };
            batch.legs.extend(draft.leg.map(|(contest, votes)| (ordinal, contest, votes)));
            batch.rows.push(Row { entry, holders: draft.holders.clone() });
        }
        self.batch = Some(batch);
        self.batch.as_ref()
    }

    /// Entries that are joined and not taken by the store.
    pub(crate) fn pending(&self) -> usize {
        self.drafts.len() + self.batch.as_ref().map_or(0, |batch| batch.rows.len())
    }

    /// Whether the store is at work on a batch.
    pub(crate) fn is_admitting(&self) -> bool {
        self.batch.is_some()
    }

    /// The batch that the store is at work on.
    pub(crate) fn batch(&self) -> Option<&Batch> {
        self.batch.as_ref()
    }

    /// The store took the batch.
    pub(crate) fn admitted(&mut self) -> Option<Batch> {
        let batch = self.batch.take()?;
        self.batch_max = BATCH_MAX;
        for row in &batch.rows {
            self.admitted.entries += 1;
            self.admitted.bytes = self.admitted.bytes.saturating_add(row.entry.len);
        }
        Some(batch)
    }

    /// The store refused the batch. If one entry of several manifests is to be blamed, it is looked for
    /// by halves; `Some` says whose it is.
    pub(crate) fn refused(&mut self) -> Option<Refused> {
        let Batch { rows, drafts, .. } = self.batch.take()?;
        if self.is_single() {
            return Some(Refused { columns: vec![0], is_contested: false });
        }
        if let ([row], [draft]) = (rows.as_slice(), drafts.as_slice()) {
            self.batch_max = BATCH_MAX;
            let has = |column: &usize| row.holders.columns().has(*column);
            let columns = (0..self.columns.len()).filter(has).collect();
            return Some(Refused { columns, is_contested: draft.is_contested });
        }
        self.batch_max = drafts.len() / 2;
        drafts.into_iter().rev().for_each(|draft| self.drafts.push_front(draft));
        None
    }

    /// What a column says does not count any more. What of it was judged stays so.
    pub(crate) fn dismiss(&mut self, column: usize) {
        if let Some(column) = self.columns.get_mut(column) {
            column.is_dismissed = true;
        }
    }

    /// Whether everything that is listed was taken by the store.
    pub(crate) fn is_done(&self) -> bool {
        self.is_joined && self.drafts.is_empty() && self.batch.is_none()
    }

    /// What was taken by the store so far.
    pub(crate) fn counts(&self) -> EntryCounts {
        self.admitted
    }

    /// How many peers have listed what they have, or still do: a listing that is cut off ends the roll.
    pub(crate) fn heard(&self) -> u32 {
        self.columns.iter().filter(|column| !column.is_dismissed).map(Column::votes).sum()
    }

    /// Which they are.
    pub(crate) fn voters(&self) -> impl Iterator<Item = &NodeId> {
        self.columns.iter().filter(|column| !column.is_dismissed).flat_map(|column| &column.peers)
    }
}

/// The votes for the first of some camps, those with most votes first.
fn first_of(reporters: u32, camps: &[(u32, Slots)]) -> Count {
    let votes = camps.first().map_or(0, |(votes, _)| *votes);
    let is_tied = camps.get(1).is_some_and(|(others, _)| *others == votes);
    Count { reporters, votes, is_tied }
}

/// How many replicas say what these columns say.
fn votes(columns: &[Column], slots: Slots) -> u32 {
    slots.iter().map(|slot| columns[slot.index()].votes()).sum()
}

/// An entry that any of these has.
fn draft(joined: &Joined<'_>, holders: Slots) -> Option<Draft> {
    let reports = holders.iter().filter_map(|slot| Some((slot.index(), joined.report(slot)?.ordinal)));
    let entry = Arc::clone(joined.report(holders.first()?)?);
    Some(Draft { entry, holders: Holders::Of(reports.collect()), leg: None, is_contested: false })
}

/// Who says what of an entry that nobody has enough votes for.
fn dispute(columns: &[Column], camps: &[(u32, Slots)]) -> String {
    let names = |slots: &Slots| {
        let peers = slots.iter().flat_map(|slot| columns[slot.index()].peers.iter());
        peers.map(NodeId::as_str).collect::<Vec<_>>().join(" and ")
    };
    let camps: Vec<String> = camps.iter().map(|(_, camp)| names(camp)).collect();
    format!("the replicas disagree: {}", camps.join(" against "))
}

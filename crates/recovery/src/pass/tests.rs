//! What a pass keeps, seen from inside.

use peerstream_types::{
    ChunkSize, Codec, Digest, EntryKey, EntryKind, FetchId, GroupIndex, NodeId, PageToken, Span,
};

use super::*;
use crate::roll::Column;
use crate::{Admitted, Fault, PageIn};

const GROUP: OutlinePart = OutlinePart::Group(GroupIndex(0));

fn entry(ordinal: u64, len: u64) -> Arc<Entry> {
    Arc::new(Entry {
        ordinal: Ordinal(ordinal),
        key: EntryKey::from_path(&format!("f{ordinal}")).unwrap(),
        len,
        digest: Some(Digest::Blake3([1; 32])),
        kind: EntryKind::File,
        codec: Codec::Plain,
        metadata: Vec::new(),
    })
}

/// A pass over one page, and what it asked for.
struct Bench {
    pass: Pass,
    config: Config,
    stats: Stats,
    actions: VecDeque<Action>,
    next_fetch: u64,
}

impl Bench {
    fn new(lens: &[u64]) -> Self {
        let header = ManifestHeader {
            chunk_size: ChunkSize::new(1024).unwrap(),
            counts: EntryCounts { entries: lens.len() as u64, bytes: lens.iter().sum() },
            digest: Some(Digest::Blake3([2; 32])),
            position: None,
            state: Vec::new(),
        };
        let entries = lens.iter().enumerate().map(|(i, len)| entry(i as u64, *len)).collect();
        let peer = NodeId::new("a").unwrap();
        let link = Link::new(Timestamp::ZERO, peer.clone(), 0, 0);
        let roll = Roll::new(vec![Column::new(header.clone(), SourceId(0), vec![peer])]).unwrap();
        let pass = Pass::new(header.clone(), roll, BTreeMap::from([(SourceId(0), link)]), None);
        let (config, stats, actions) = (Config::default(), Stats::default(), VecDeque::new());
        let mut bench = Self { pass, config, stats, actions, next_fetch: 0 };
        assert_eq!(bench.asked(), [Action::List { source: SourceId(0), token: PageToken::START }]);
        bench.give(|pass, context| pass.page(context, SourceId(0), PageIn::last(entries, header)).unwrap());
        assert!(matches!(bench.asked().as_slice(), [Action::Admit { .. }]));
        bench.give(|pass, context| pass.admitted(context, Admitted::default()));
        bench
    }

    fn give(&mut self, work: impl FnOnce(&mut Pass, &mut Context<'_>)) {
        let mut context = Context {
            now: Timestamp::ZERO,
            config: &self.config,
            agreement: &Agreement::default(),
            stats: &mut self.stats,
            actions: &mut self.actions,
            next_fetch: &mut self.next_fetch,
        };
        work(&mut self.pass, &mut context);
    }

    fn asked(&mut self) -> Vec<Action> {
        self.give(Pass::ask);
        self.actions.drain(..).collect()
    }

    fn fetched(&mut self) -> FetchId {
        self.asked();
        FetchId(self.next_fetch - 1)
    }
}

/// Memory is that of what is unfinished: whatever happened to an entry, nothing of it is left behind.
#[test]
fn finished_entries_leave_nothing_behind() {
    let mut bench = Bench::new(&[10, 10, 10, 3000, 3000]);
    let fetch = bench.fetched();
    bench.give(|pass, context| {
        for chunk in [0, 1, 2] {
            pass.bad(context, fetch, Ordinal(chunk), ChunkIndex(0), "once");
        }
    });
    let fetch = bench.fetched();
    bench.give(|pass, context| {
        pass.stored(context, fetch, Span::entry(Ordinal(0)));
        pass.bad(context, fetch, Ordinal(1), ChunkIndex(0), "twice");
        let gone = Fault::Gone("compacted".into());
        pass.fetch_failed(context, fetch, Some(Span::entry(Ordinal(2))), gone).unwrap();
        let wrong = || Err(Fault::Wrong("forged".into()));
        assert!(pass.outline(context, SourceId(0), (Ordinal(3), GROUP), wrong()).unwrap());
        assert!(pass.outline(context, SourceId(0), (Ordinal(4), GROUP), wrong()).unwrap());
    });
    bench.asked();
    bench.give(|pass, context| {
        assert!(pass.outline(context, SourceId(0), (Ordinal(3), GROUP), Ok(())).unwrap());
        assert!(
            pass.outline(context, SourceId(0), (Ordinal(4), GROUP), Err(Fault::Gone("compacted".into())))
                .unwrap()
        );
    });
    let fetch = bench.fetched();
    bench.give(|pass, context| {
        pass.bad(context, fetch, Ordinal(3), ChunkIndex(1), "once");
        pass.fetch_failed(context, fetch, None, Fault::Gone("compacted".into())).unwrap();
    });
    let pass = &bench.pass;
    assert!(pass.is_worked_through() && !pass.awaits_page(SourceId(0)));
    let fresh = Wanted::new(pass.header.chunk_size);
    assert_eq!(format!("{:?}", pass.wanted), format!("{fresh:?}"));
    let link = &pass.links[&SourceId(0)];
    assert!(link.fell_short() && link.keeps_nothing(), "{link:?}");
    assert_eq!((pass.shortfall.entries(), pass.done.entries), (4, 1));
}

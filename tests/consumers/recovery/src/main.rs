//! Drives the job of one shard against peers that refuse, lie and serve, and prints what it asks for.
//!
//! A driver carries out what the job asks and tells it what happened; here the script of
//! `peers.rs` stands for sessions and the store, and time is a number.

mod peers;

use std::error::Error;

use peerstream_recovery::{Action, Config, Job, Outcome, Recovery};
use peerstream_types::{NodeId, Selector, Timestamp};

use peers::Peers;

fn main() -> Result<(), Box<dyn Error>> {
    let mut now = Timestamp::ZERO;
    let candidates = peers::NAMES.map(NodeId::new).into_iter().collect::<Result<_, _>>()?;
    let job = Job::new("metrics@1/0".parse()?, Selector::All, candidates);
    let mut job = Recovery::new(now, Config::default(), job)?;
    let mut peers = Peers::new()?;

    let outcome = loop {
        let Some(action) = job.poll_action() else {
            // Nothing to do: time passes until the job wants to be asked again.
            now = job.poll_timeout().ok_or("the job waits for nothing")?;
            job.handle_timeout(now);
            continue;
        };
        println!("{now} {action:?}");
        match action {
            Action::Open { source, peer, .. } => peers.open(&mut job, now, source, &peer)?,
            Action::List { source, .. } => job.handle_page(now, source, peers.page())?,
            Action::Admit { .. } => job.handle_admitted(now, peers.admitted())?,
            Action::Outline { source, ordinal, part, .. } => {
                job.handle_outline(now, source, ordinal, part, Ok(()))?;
            }
            Action::Fetch { source, fetch, spans, .. } => {
                peers.fetch(&mut job, now, source, fetch, &spans)?
            }
            Action::Seal { .. } => job.handle_sealed(now, Ok(()))?,
            Action::Publish => job.handle_published(now, Ok(1))?,
            Action::Begin { .. }
            | Action::LeaveOut { .. }
            | Action::Cancel { .. }
            | Action::Release { .. }
            | Action::Close { .. } => {}
            Action::Done(outcome) => break outcome,
        }
    };

    assert_eq!(outcome, Outcome::Published { generation: 1 });
    let stats = job.stats();
    assert_eq!((stats.stored_bytes, stats.sources_opened), (peers::BYTES, 3));
    assert!(stats.bad_chunks > 0, "the liar was found out");
    assert_eq!(
        peers.taken,
        [("b-lies", 3), ("c-serves", 1)].into(),
        "only the bad chunk came from elsewhere"
    );
    println!("{outcome}; chunks taken: {:?}", peers.taken);
    Ok(())
}

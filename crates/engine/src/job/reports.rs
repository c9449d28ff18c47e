//! What the fetches of a job report, and in which order the job hears of it.

use peerstream_types::FetchId;
use tokio::sync::mpsc;

use crate::receive::FetchEvent;

/// A fetch and what came of it.
pub(super) type Report = (FetchId, FetchEvent);

/// Reports of fetches. Good news goes before everything else: what the store has or is at work on is
/// neither asked of another source nor lost with its own. Bad news waits for what explains it, such as the
/// end of a session.
#[derive(Debug)]
pub(super) struct Reports {
    inbox: mpsc::Receiver<Report>,
    /// Taken out of the inbox and not handed on.
    waiting: Vec<Report>,
}

impl Reports {
    pub(super) fn new(inbox: mpsc::Receiver<Report>) -> Self {
        Self { inbox, waiting: Vec::new() }
    }

    /// Until there is a report; for ever if nobody reports any more. Cancel safe.
    pub(super) async fn wait(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        match self.inbox.recv().await {
            Some(report) => self.waiting.push(report),
            None => std::future::pending().await,
        }
    }

    /// The good news so far: first of all what has arrived, then that and what became of it.
    pub(super) fn take_good(&mut self) -> Vec<Report> {
        while let Ok(report) = self.inbox.try_recv() {
            self.waiting.push(report);
        }
        let is_good = |(_, event): &Report| matches!(event, FetchEvent::Arrived | FetchEvent::Stored(..));
        let (good, bad): (Vec<Report>, Vec<Report>) = self.waiting.drain(..).partition(is_good);
        self.waiting = bad;
        let arrived = good.iter().filter(|(_, event)| matches!(event, FetchEvent::Arrived));
        let mut told: Vec<Report> = arrived.map(|(fetch, _)| (*fetch, FetchEvent::Arrived)).collect();
        told.extend(good);
        told
    }

    /// Everything so far, the good news first.
    pub(super) fn take(&mut self) -> Vec<Report> {
        let mut told = self.take_good();
        told.append(&mut self.waiting);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bad_news_waits_for_what_explains_it() {
        let (tell, inbox) = mpsc::channel(8);
        let mut reports = Reports::new(inbox);
        for (fetch, event) in [
            (1, FetchEvent::Ended),
            (2, FetchEvent::Stored(Vec::new(), 7)),
            (2, FetchEvent::Arrived),
            (2, FetchEvent::Ended),
        ] {
            tell.send((FetchId(fetch), event)).await.unwrap();
        }
        reports.wait().await;
        let named = |reports: Vec<Report>| {
            let names = reports.into_iter().map(|(fetch, event)| match event {
                FetchEvent::Arrived => (fetch.0, "arrived"),
                FetchEvent::Stored(..) => (fetch.0, "stored"),
                FetchEvent::Ended => (fetch.0, "ended"),
                FetchEvent::Bad { .. }
                | FetchEvent::NotTaken { .. }
                | FetchEvent::Failed { .. }
                | FetchEvent::StoreFailed(_) => (fetch.0, "bad"),
            });
            names.collect::<Vec<_>>()
        };
        assert_eq!(named(reports.take_good()), [(2, "arrived"), (2, "stored"), (2, "arrived")]);
        tell.send((FetchId(3), FetchEvent::Arrived)).await.unwrap();
        reports.wait().await;
        assert_eq!(named(reports.take()), [(3, "arrived"), (3, "arrived"), (1, "ended"), (2, "ended")]);
        assert_eq!(named(reports.take()), []);
    }
}

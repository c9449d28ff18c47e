//! What a sweep does not have to reach: a table for each reason. What is reached has to go.

use super::{Group, Item};

/// Things of one group that are excused for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    /// Of which group.
    pub group: Group,
    /// Why they are not reached.
    pub reason: &'static str,
    /// Which, by name. A `*` stands for any one word of it.
    pub items: &'static [&'static str],
}

impl Exception {
    /// Whether it is about this.
    pub(super) fn excuses(&self, item: &Item) -> bool {
        self.patterns().any(|pattern| pattern.fits(item))
    }

    /// Each name with the group.
    pub(super) fn patterns(&self) -> impl Iterator<Item = Pattern> + use<> {
        let Self { group, items, .. } = *self;
        items.iter().map(move |item| Pattern { group, item })
    }
}

/// One name of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) group: Group,
    pub(super) item: &'static str,
}

impl Pattern {
    /// Whether it names this.
    pub(super) fn fits(&self, (group, item): &Item) -> bool {
        let (own, words) = (self.item.split(' '), item.split(' '));
        let is_as_long = own.clone().count() == words.clone().count();
        self.group == *group && is_as_long && own.zip(words).all(|(own, word)| own == "*" || own == word)
    }
}

const fn excuse(group: Group, reason: &'static str, items: &'static [&'static str]) -> Exception {
    Exception { group, reason, items }
}

use Group::{Close, Code, Error, Message, Session};

/// Everything that is excused.
pub const EXCEPTIONS: &[Exception] = &[
    excuse(
        Session,
        "the task of a session looks at nothing more once it has ended: peerstream-session's own tests go on",
        &["* Completed *", "* Failed *", "* Aborted *"],
    ),
    excuse(
        Session,
        "no engine sends it yet: peerstream-session's tests of notices do",
        &["* * Throttle", "* * GoAway", "* * Have", "* * DoNotice"],
    ),
    excuse(
        Session,
        "our engines break no rule: raw peers do, in the engine's tests of hostile ones",
        &["* * Breach"],
    ),
    excuse(
        Session,
        "an engine opens the control stream of a session once: peerstream-session's tests do it twice",
        &["* * InitAgain", "* * InitAckAgain"],
    ),
    excuse(
        Session,
        "an engine answers Init before it waits for anything else",
        &[
            "follower Init KeepAlive",
            "follower Init PeerAbort",
            "follower Init PeerFailure",
            "follower Init DoAbort",
            "follower Init DoFail",
            "follower Init Disconnect",
            "follower Init Deadline",
            "follower Init Silence",
        ],
    ),
    excuse(
        Session,
        "so a follower's first word is InitAck or Refuse",
        &["initiator Init KeepAlive", "initiator Init PeerAbort", "initiator Init PeerFailure"],
    ),
    excuse(
        Session,
        "until InitAck a session minds its deadline, and not how long it hears nothing",
        &["initiator Init Silence"],
    ),
    excuse(
        Session,
        "an engine's own words can only be too many or too long in Prepare and its answer; bytes that are \
         no message come from raw peers, in the engine's tests of hostile ones",
        &["initiator Init DoFail", "* Stream DoFail", "* Complete DoFail"],
    ),
    excuse(
        Session,
        "who completes has released all offers and had all of its own released, in the order of one \
         stream: nothing is left at the other end then. peerstream-session's tests break that order",
        &["* Stream PeerComplete", "* Stream OwnDoneLast"],
    ),
    excuse(
        Session,
        "a session is in Complete when all of its offers were released, and who has released one says \
         nothing more about it",
        &["* Complete Request", "* Complete Received", "* Complete Release"],
    ),
    excuse(
        Close,
        "an engine asks no more than the peer said that it takes: raw peers say busy again and again, in the \
         engine's tests of hostile ones",
        &["busy"],
    ),
    excuse(Message, "no engine sends it yet", &["Have", "Throttle", "GoAway"]),
    excuse(
        Code,
        "said in a greeting, which is no message of a session: the engine's own tests hear it",
        &["incompatible"],
    ),
    excuse(
        Code,
        "said to peers that break a rule: raw ones, in the engine's tests of hostile ones",
        &["protocol broken"],
    ),
    excuse(
        Code,
        "no engine says it: full disks and content that does not verify are the receiver's own affair",
        &["no room", "integrity"],
    ),
    excuse(
        Error,
        "with TLS 1.3 who dials learns after the handshake that it is not trusted: as a ConnectionError",
        &["ConnectError::Rejected"],
    ),
    excuse(
        Error,
        "there is one version: peerstream-quic's tests speak another",
        &["ConnectError::NoCommonProtocol"],
    ),
    excuse(Error, "the settings of the simulator's own network are right", &["ConnectError::Local"]),
    excuse(Error, "nobody breaks the transport's own protocol", &["ConnectionError::Transport"]),
    excuse(
        Error,
        "an engine does not write to what it has closed: the conformance suite of transports does",
        &["StreamError::Closed"],
    ),
    excuse(
        Error,
        "our engines ask for what was listed: raw peers for more, in the engine's tests of hostile ones",
        &["SourceError::NoSuchEntry", "SourceError::BadRange", "SourceError::BadToken"],
    ),
    excuse(
        Error,
        "an engine checks pages before its sink sees them, and does things in their order: the conformance \
         suite of stores does not",
        &[
            "SinkError::BadKey",
            "SinkError::DuplicateKey",
            "SinkError::BadManifest",
            "SinkError::NotAdmitted",
            "SinkError::Incomplete",
            "SinkError::NotSealed",
        ],
    ),
    excuse(
        Error,
        "for sinks of others: no store of ours is told which shards it takes",
        &["SinkError::NoSuchShard"],
    ),
    excuse(
        Error,
        "said to who goes back to the generation before, past all engines: the directory store's own tests",
        &["SinkError::NoPrevious"],
    ),
    excuse(
        Error,
        "the pool that hashes ends with the process here, and then nobody hears of it",
        &["SourceError::Offload", "SinkError::Offload"],
    ),
];

//! What a sweep does not have to reach, each with its reason. One that is reached has to go.

use super::{Group, Item};

/// Something that is excused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    /// Of which group.
    pub group: Group,
    /// What, by its name. A `*` stands for any one word of it.
    pub item: &'static str,
    /// Why it is not reached.
    pub reason: &'static str,
}

impl Exception {
    /// Whether it is about this.
    pub(super) fn excuses(&self, (group, item): &Item) -> bool {
        let (own, words) = (self.item.split(' '), item.split(' '));
        let is_as_long = own.clone().count() == words.clone().count();
        self.group == *group && is_as_long && own.zip(words).all(|(own, word)| own == "*" || own == word)
    }
}

const fn excuse(group: Group, item: &'static str, reason: &'static str) -> Exception {
    Exception { group, item, reason }
}

/// Everything that is excused.
pub const EXCEPTIONS: &[Exception] = &[
    excuse(Group::Session, "* Completed *", "an engine's session has no driver any more once it has ended"),
    excuse(Group::Session, "* Failed *", "an engine's session has no driver any more once it has ended"),
    excuse(Group::Session, "* Aborted *", "an engine's session has no driver any more once it has ended"),
    excuse(Group::Session, "* Init Throttle", "no engine sends it yet"),
    excuse(Group::Session, "* Prepare Throttle", "no engine sends it yet"),
    excuse(Group::Session, "* Stream Throttle", "no engine sends it yet"),
    excuse(Group::Session, "* Complete Throttle", "no engine sends it yet"),
    excuse(Group::Session, "* Init GoAway", "no engine sends it yet"),
    excuse(Group::Session, "* Prepare GoAway", "no engine sends it yet"),
    excuse(Group::Session, "* Stream GoAway", "no engine sends it yet"),
    excuse(Group::Session, "* Complete GoAway", "no engine sends it yet"),
    excuse(Group::Session, "* Stream Have", "no engine sends it yet"),
    excuse(Group::Session, "* Complete Have", "no engine sends it yet"),
    excuse(Group::Session, "* Prepare DoNotice", "no engine sends a notice yet"),
    excuse(Group::Session, "* Stream DoNotice", "no engine sends a notice yet"),
    excuse(Group::Session, "* Complete DoNotice", "no engine sends a notice yet"),
    excuse(
        Group::Session,
        "* Init Breach",
        "our engines break no rule: raw peers do, in the engine's own tests",
    ),
    excuse(
        Group::Session,
        "* Prepare Breach",
        "our engines break no rule: raw peers do, in the engine's own tests",
    ),
    excuse(
        Group::Session,
        "* Stream Breach",
        "our engines break no rule: raw peers do, in the engine's own tests",
    ),
    excuse(
        Group::Session,
        "* Complete Breach",
        "our engines break no rule: raw peers do, in the engine's own tests",
    ),
    excuse(
        Group::Session,
        "follower Init InitAgain",
        "our engines open a control stream once: the session's own tests do it twice",
    ),
    excuse(
        Group::Session,
        "follower Prepare InitAgain",
        "our engines open a control stream once: the session's own tests do it twice",
    ),
    excuse(
        Group::Session,
        "follower Stream InitAgain",
        "our engines open a control stream once: the session's own tests do it twice",
    ),
    excuse(
        Group::Session,
        "follower Complete InitAgain",
        "our engines open a control stream once: the session's own tests do it twice",
    ),
    excuse(
        Group::Session,
        "initiator Prepare InitAckAgain",
        "our engines open a control stream once: the session's own tests do it twice",
    ),
    excuse(
        Group::Session,
        "initiator Stream InitAckAgain",
        "our engines open a control stream once: the session's own tests do it twice",
    ),
    excuse(
        Group::Session,
        "initiator Complete InitAckAgain",
        "our engines open a control stream once: the session's own tests do it twice",
    ),
    excuse(Group::Session, "initiator Prepare PrepareAck", "the shards of one plan fit one page here"),
    excuse(
        Group::Session,
        "* Init Deadline",
        "a phase that lasts too long needs a driver that never answers: the session's own tests have one",
    ),
    excuse(
        Group::Session,
        "* Prepare Deadline",
        "a phase that lasts too long needs a driver that never answers: the session's own tests have one",
    ),
    excuse(
        Group::Session,
        "* Complete Deadline",
        "a phase that lasts too long needs a driver that never answers: the session's own tests have one",
    ),
    excuse(
        Group::Session,
        "* Init PeerFailure",
        "who fails a session by a timeout is not heard any more: the session's own tests hear it",
    ),
    excuse(
        Group::Session,
        "* Prepare PeerFailure",
        "who fails a session by a timeout is not heard any more: the session's own tests hear it",
    ),
    excuse(
        Group::Session,
        "* Stream PeerFailure",
        "who fails a session by a timeout is not heard any more: the session's own tests hear it",
    ),
    excuse(
        Group::Session,
        "* Complete PeerFailure",
        "who fails a session by a timeout is not heard any more: the session's own tests hear it",
    ),
    excuse(
        Group::Session,
        "* Init DoFail",
        "an engine fails a session only where a step of its own is not possible",
    ),
    excuse(
        Group::Session,
        "* Prepare DoFail",
        "an engine fails a session only where a step of its own is not possible",
    ),
    excuse(
        Group::Session,
        "* Stream DoFail",
        "an engine fails a session only where a step of its own is not possible",
    ),
    excuse(
        Group::Session,
        "* Complete DoFail",
        "an engine fails a session only where a step of its own is not possible",
    ),
    excuse(
        Group::Session,
        "* Init KeepAlive",
        "Init lasts a round trip, and its messages leave before anything else can happen",
    ),
    excuse(
        Group::Session,
        "* Init PeerAbort",
        "Init lasts a round trip, and its messages leave before anything else can happen",
    ),
    excuse(
        Group::Session,
        "* Init Silence",
        "Init lasts a round trip, and its messages leave before anything else can happen",
    ),
    excuse(
        Group::Session,
        "initiator Prepare PeerAbort",
        "Prepare lasts a round trip here: stores answer at once",
    ),
    excuse(Group::Session, "* Prepare DoAbort", "Prepare lasts a round trip here: stores answer at once"),
    excuse(Group::Session, "* Prepare Disconnect", "Prepare lasts a round trip here: stores answer at once"),
    excuse(Group::Session, "* Prepare Silence", "Prepare lasts a round trip here: stores answer at once"),
    excuse(
        Group::Session,
        "* Stream PeerComplete",
        "Stream is ended by the initiator in these runs, or by the loss of the path",
    ),
    excuse(
        Group::Session,
        "* Stream OwnDoneLast",
        "Stream is ended by the initiator in these runs, or by the loss of the path",
    ),
    excuse(
        Group::Session,
        "* Complete Request",
        "Complete lasts until the other end's last word, which is under way already",
    ),
    excuse(
        Group::Session,
        "* Complete FetchFailed",
        "Complete lasts until the other end's last word, which is under way already",
    ),
    excuse(
        Group::Session,
        "* Complete Received",
        "Complete lasts until the other end's last word, which is under way already",
    ),
    excuse(
        Group::Session,
        "* Complete Release",
        "Complete lasts until the other end's last word, which is under way already",
    ),
    excuse(
        Group::Session,
        "* Complete PeerAbort",
        "Complete lasts until the other end's last word, which is under way already",
    ),
    excuse(
        Group::Session,
        "* Complete DoSettle",
        "Complete lasts until the other end's last word, which is under way already",
    ),
    excuse(
        Group::Session,
        "* Complete DoCount",
        "Complete lasts until the other end's last word, which is under way already",
    ),
    excuse(
        Group::Session,
        "* Complete DoAbort",
        "Complete lasts until the other end's last word, which is under way already",
    ),
    excuse(
        Group::Session,
        "* Complete Disconnect",
        "Complete lasts until the other end's last word, which is under way already",
    ),
    excuse(
        Group::Session,
        "* Complete Silence",
        "Complete lasts until the other end's last word, which is under way already",
    ),
    excuse(
        Group::Session,
        "follower Init DoAbort",
        "Init lasts a round trip, and its messages leave before anything else can happen",
    ),
    excuse(
        Group::Session,
        "follower Init Disconnect",
        "Init lasts a round trip, and its messages leave before anything else can happen",
    ),
    excuse(
        Group::Session,
        "follower Prepare KeepAlive",
        "Prepare lasts a round trip here: stores answer at once",
    ),
    excuse(
        Group::Session,
        "follower Stream FetchFailed",
        "Stream is ended by the initiator in these runs, or by the loss of the path",
    ),
    excuse(
        Group::Session,
        "follower Complete KeepAlive",
        "Complete lasts until the other end's last word, which is under way already",
    ),
    excuse(Group::CrashPoint, "Link", "comes with the seal, after the last change that this sweep counts to"),
    excuse(Group::CrashPoint, "Remove", "comes after the last change that this sweep counts to"),
    excuse(Group::CrashPoint, "SyncFs", "a small shard is synced file by file"),
    excuse(Group::Message, "Have", "no engine sends it yet"),
    excuse(Group::Message, "Throttle", "no engine sends it yet"),
    excuse(Group::Message, "GoAway", "no engine sends it yet"),
    excuse(Group::Code, "bad request", "our engines ask for nothing that is not there"),
    excuse(Group::Code, "incompatible", "said in a greeting, to a node of another version"),
    excuse(Group::Code, "no room", "a full disk is the receiver's own affair, and said to nobody"),
    excuse(Group::Code, "draining", "said in a greeting, which is not a message of a session"),
    excuse(Group::Code, "protocol broken", "our engines break no rule"),
    excuse(Group::Code, "integrity", "content that does not verify is asked elsewhere, without a word"),
    excuse(Group::Code, "internal error", "nothing of the kind happens here"),
    excuse(
        Group::Error,
        "ConnectError::TimedOut",
        "a dial that nobody answers ends in its own time, which the fault ends before",
    ),
    excuse(Group::Error, "ConnectError::WrongNode", "addresses are not reused here"),
    excuse(Group::Error, "ConnectError::Rejected", "all nodes have certificates of their own cluster"),
    excuse(Group::Error, "ConnectError::NoCommonProtocol", "there is one version"),
    excuse(Group::Error, "ConnectError::Closed", "nobody dials with a transport that is closed"),
    excuse(Group::Error, "ConnectError::Local", "settings are right"),
    excuse(Group::Error, "ConnectionError::Rejected", "all nodes have certificates of their own cluster"),
    excuse(Group::Error, "ConnectionError::Reset", "a restart comes later than the loss of the connection"),
    excuse(Group::Error, "ConnectionError::Transport", "nobody breaks the transport's own protocol"),
    excuse(Group::Error, "StreamError::Stopped", "who stops a stream leaves it before the other end hears"),
    excuse(Group::Error, "StreamError::Closed", "an engine does not write to what it has closed"),
    excuse(Group::Error, "SourceError::UnsupportedSelector", "our engines ask a source for nothing wrong"),
    excuse(Group::Error, "SourceError::NoSuchEntry", "our engines ask a source for nothing wrong"),
    excuse(Group::Error, "SourceError::BadRange", "our engines ask a source for nothing wrong"),
    excuse(Group::Error, "SourceError::BadToken", "our engines ask a source for nothing wrong"),
    excuse(Group::Error, "SourceError::BadEntry", "what sources hold can be served"),
    excuse(Group::Error, "SourceError::Disk", "disks of sources are in memory here"),
    excuse(Group::Error, "SourceError::Offload", "pools do not go away"),
    excuse(Group::Error, "SinkError::Fenced", "a node has one writer for a shard at a time"),
    excuse(
        Group::Error,
        "SinkError::BadKey",
        "our engines tell a sink nothing wrong, and manifests are sound",
    ),
    excuse(
        Group::Error,
        "SinkError::BadEntry",
        "our engines tell a sink nothing wrong, and manifests are sound",
    ),
    excuse(
        Group::Error,
        "SinkError::DuplicateKey",
        "our engines tell a sink nothing wrong, and manifests are sound",
    ),
    excuse(
        Group::Error,
        "SinkError::NotAdmitted",
        "our engines tell a sink nothing wrong, and manifests are sound",
    ),
    excuse(
        Group::Error,
        "SinkError::Incomplete",
        "our engines tell a sink nothing wrong, and manifests are sound",
    ),
    excuse(
        Group::Error,
        "SinkError::NotSealed",
        "our engines tell a sink nothing wrong, and manifests are sound",
    ),
    excuse(
        Group::Error,
        "SinkError::BadManifest",
        "our engines tell a sink nothing wrong, and manifests are sound",
    ),
    excuse(
        Group::Error,
        "SinkError::NoSuchShard",
        "our engines tell a sink nothing wrong, and manifests are sound",
    ),
    excuse(
        Group::Error,
        "SinkError::UnsupportedSelector",
        "our engines tell a sink nothing wrong, and manifests are sound",
    ),
    excuse(Group::Error, "SinkError::Hook", "there are no hooks"),
    excuse(Group::Error, "SinkError::NoPrevious", "nobody goes back to an earlier generation"),
    excuse(Group::Error, "SinkError::Offload", "pools do not go away"),
    excuse(Group::Wait, "source busy", "no source of these runs is at its limit of requests"),
];

//! Everything that there is to reach.

use peerstream_engine::Visited;
use peerstream_wire::Code;

use super::{Group, Item};
use crate::fault::Effect;

/// Faults that engines noticed, with the words of a trace that tell it.
pub(super) const NOTICED: &[(&str, &[&str])] = &[
    ("stalled source", &["SourceLost", "stalled"]),
    ("corrupt content", &["BadChunk", "digest mismatch"]),
    ("content changed under its manifest", &["BadChunk", "changed under its manifest"]),
    ("lie about the manifest", &["SourceLost", "manifest is wrong"]),
    ("lie about an outline", &["BadChunk", "outline does not fit"]),
];

/// Kinds of change of a disk, each of which can be the last.
const CRASH_POINTS: &[&str] =
    &["Create", "CreateDir", "Write", "SetLen", "Rename", "Link", "Remove", "Sync", "SyncDir", "SyncFs"];

/// Messages between sessions.
const MESSAGES: &[&str] = &[
    "Init",
    "InitAck",
    "Refuse",
    "Prepare",
    "PrepareAck",
    "InventoryRequest",
    "TreeRequest",
    "RunRequest",
    "OutlineRequest",
    "Fetch",
    "FetchFailed",
    "Received",
    "Release",
    "Have",
    "Complete",
    "KeepAlive",
    "Throttle",
    "GoAway",
    "Abort",
];

/// Errors by variant. The enums may grow: what is not here is counted all the same, and not demanded.
const ERRORS: &[&str] = &[
    "ConnectError::TimedOut",
    "ConnectError::Unreachable",
    "ConnectError::Untrusted",
    "ConnectError::WrongNode",
    "ConnectError::WrongCluster",
    "ConnectError::Rejected",
    "ConnectError::NoCommonProtocol",
    "ConnectError::Closed",
    "ConnectError::Local",
    "ConnectionError::ClosedByPeer",
    "ConnectionError::ClosedLocally",
    "ConnectionError::Rejected",
    "ConnectionError::TimedOut",
    "ConnectionError::Reset",
    "ConnectionError::Transport",
    "StreamError::Reset",
    "StreamError::Stopped",
    "StreamError::Closed",
    "StreamError::Connection",
    "SourceError::NoSuchShard",
    "SourceError::NotReady",
    "SourceError::UnsupportedSelector",
    "SourceError::NoSuchEntry",
    "SourceError::BadRange",
    "SourceError::BadToken",
    "SourceError::Changed",
    "SourceError::BadEntry",
    "SourceError::Disk",
    "SourceError::Offload",
    "SinkError::Fenced",
    "SinkError::BadKey",
    "SinkError::BadEntry",
    "SinkError::DuplicateKey",
    "SinkError::NotAdmitted",
    "SinkError::Incomplete",
    "SinkError::NotSealed",
    "SinkError::BadManifest",
    "SinkError::NoSuchShard",
    "SinkError::UnsupportedSelector",
    "SinkError::NoRoom",
    "SinkError::Hook",
    "SinkError::NoPrevious",
    "SinkError::BeyondHorizon",
    "SinkError::SourceBeyondHorizon",
    "SinkError::Disk",
    "SinkError::Offload",
];

/// Everything that there is to reach. Of faults, what the trace says at its end took effect, and what engines
/// noticed.
pub fn universe() -> Vec<Item> {
    let named = |group| move |name: &&str| (group, (*name).to_owned());
    let effects = Effect::ALL.iter().map(Effect::to_string);
    let noticed = NOTICED.iter().map(|(name, _)| (*name).to_owned());
    let faults = effects.chain(noticed).map(|name| (Group::Fault, name));
    let codes = Code::ALL.into_iter().map(|code| (Group::Code, code.to_string()));
    faults
        .chain(CRASH_POINTS.iter().map(named(Group::CrashPoint)))
        .chain(Visited::every_step().map(|step| (Group::Session, step.to_string())))
        .chain(MESSAGES.iter().map(named(Group::Message)))
        .chain(codes)
        .chain(ERRORS.iter().map(named(Group::Error)))
        .chain(Visited::every_wait().map(|reason| (Group::Wait, reason.to_owned())))
        .chain(Visited::every_close().map(|reason| (Group::Close, reason.to_owned())))
        .chain(Visited::every_share().map(|what| (Group::Share, what.to_owned())))
        .collect()
}

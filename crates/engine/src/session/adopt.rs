//! Taking a session that a peer opens.

use std::sync::Arc;

use peerstream_session::Session;
use peerstream_shape::Class;
use peerstream_types::{Role, SessionId};
use peerstream_wire::message::InitV1;
use peerstream_wire::{Code, Message};

use super::{Command, Driver};
use crate::io::ControlStream;
use crate::peers::Link;
use crate::plan::PlanRecord;
use crate::regards::Incident;
use crate::shared::Shared;
use crate::watch;

/// Takes a control stream that began with `init`: a new session, or one that is there already and
/// gets this stream (row C05).
pub(crate) fn adopt(shared: &Arc<Shared>, link: Link, control: ControlStream, init: Message) {
    let Message::Init(init) = init else { return };
    let peer = link.node().clone();
    let id = SessionId { plan: init.plan, peer, index: init.index, role: Role::Follower };
    if let Some(handle) = shared.sessions.get(&id) {
        tokio::spawn(async move { handle.tell(Command::Attach { control, init }).await });
        return;
    }
    let now = shared.clock.now();
    let mut session = Session::follow(now, shared.config.session.clone(), id.clone());
    let class = Class::of(init.operation);
    let verdict = judge(shared, &init);
    let (abort, called_off) = watch::channel(None);
    let record = PlanRecord::new(init.plan, init.operation, Some(id.peer), shared.clock, Vec::new());
    // A first Init cannot be out of place; if the machine says so, the driver ends with its reason.
    let _ = session.handle_message(now, Message::Init(init));
    let identity = link.connection.peer().clone();
    let (driver, handle) =
        Driver::new(shared.clone(), session, identity, class, Some(control), called_off, Incident::default());
    let admitted = verdict.and_then(|()| {
        let begun = shared
            .plans
            .begin(record.clone(), abort)
            .map_err(|n| (Code::Busy, format!("{n} plans are running")))?;
        if shared.sessions.insert(handle) {
            return Ok(begun);
        }
        shared.plans.end(begun);
        Err((Code::Busy, "as many sessions as may be".to_owned()))
    });
    tokio::spawn(driver.following(record, admitted).run());
}

/// Whether this node takes sessions of this kind at all.
fn judge(shared: &Shared, init: &InitV1) -> Result<(), (Code, String)> {
    if shared.is_draining() {
        return Err((Code::Draining, "this node is going down".to_owned()));
    }
    if init.cluster != shared.parts.cluster {
        let reason = format!("this is cluster {}, not {}", shared.parts.cluster, init.cluster);
        return Err((Code::Denied, reason));
    }
    Ok(())
}

//! The table and what real sessions do, all of it, against checked-in text. After a change run with
//! `UPDATE_SNAPSHOTS=1` and read the difference.

use std::fmt::Write as _;
use std::path::Path;

use peerstream_session::input::Input;
use peerstream_session::state::{Next, diagram, next};
use peerstream_session::{Event, State};
use peerstream_types::Role;

use crate::make::{T0, at, drain, every_message, names};

const ROLES: [Role; 2] = [Role::Initiator, Role::Follower];

/// Row C07: every input in every state of either role.
#[test]
fn every_step_of_the_table_is_as_reviewed() {
    let mut text = String::new();
    for role in ROLES {
        write!(text, "{:16}", role.to_string()).unwrap();
        State::ALL.iter().for_each(|state| write!(text, "{:14}", format!("| {state}")).unwrap());
        text.push('\n');
        for input in Input::ALL {
            write!(text, "{:16}", input.to_string()).unwrap();
            for state in State::ALL {
                let step = match next(role, state, *input) {
                    Next::To(to) => format!("-> {to}"),
                    other => format!("{other:?}").to_lowercase(),
                };
                write!(text, "{:14}", format!("| {step}")).unwrap();
            }
            text = text.trim_end().to_owned() + "\n";
        }
        text.push('\n');
    }
    compare("steps.txt", &text);
}

#[test]
fn the_diagram_is_as_reviewed() {
    compare("diagram.mmd", &diagram());
}

/// Row C07: every message to a real session in every state: where it leads, what is sent and said.
#[test]
fn every_message_in_every_state_does_as_reviewed() {
    let mut text = String::new();
    for role in ROLES {
        for state in State::ALL {
            writeln!(text, "{role} in {state}").unwrap();
            for (name, message) in every_message() {
                let mut session = at(role, state);
                let taken = session.handle_message(T0, message);
                let (messages, events) = drain(&mut session);
                assert_eq!(taken.is_err(), names(&messages).contains(&"Abort"), "an error is told");
                let mut does = vec![format!("-> {}", session.state())];
                does.extend(messages.iter().map(|message| format!("send {}", message.name())));
                does.extend(events.iter().map(|event| format!("tell {}", event_name(event))));
                does.extend(taken.err().map(|error| format!("error: {error}")));
                writeln!(text, "  {name:28} {}", does.join(", ")).unwrap();
            }
            text.push('\n');
        }
    }
    compare("messages.txt", &text);
}

fn event_name(event: &Event) -> String {
    let text = format!("{event:?}");
    text.split([' ', '(']).next().unwrap().to_owned()
}

fn compare(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name} differs; UPDATE_SNAPSHOTS=1 writes it anew");
}

//! The command line.

mod abort;
mod args;
mod ca;
mod check_config;
mod consistency;
mod descriptors;
mod findings;
mod forgive;
mod node;
mod output;
mod plan;
mod progress;
mod reload;
mod status;
mod target;

use std::process::ExitCode;

use clap::Parser;

use crate::failure::Result;
use args::{Args, CaCommand, Command, ConsistencyCommand};

/// A command was called off before its end was known; the same number that shells use.
const EXIT_DETACHED: u8 = 130;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// What was asked for is done.
    Done,
    /// It is not, and the command has said why.
    NotDone,
    /// Nobody waited for it.
    Detached,
}

/// Runs the command line of this process.
pub(crate) fn run() -> ExitCode {
    match dispatch(Args::parse().command) {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::NotDone) => ExitCode::FAILURE,
        Ok(Ended::Detached) => ExitCode::from(EXIT_DETACHED),
        Err(failure) => {
            output::complain(&failure);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<Ended> {
    match command {
        Command::Node(args) => node::run(&args),
        Command::Bootstrap(args) => plan::bootstrap(args),
        Command::Push(args) => plan::push(args),
        Command::Status(args) => status::run(&args),
        Command::Abort(args) => abort::run(&args),
        Command::Forgive(args) => forgive::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Consistency(ConsistencyCommand::Get(args)) => consistency::get(&args),
        Command::Consistency(ConsistencyCommand::Set(args)) => consistency::set(&args),
        Command::Ca(CaCommand::Init(args)) => ca::init(&args),
        Command::Ca(CaCommand::Issue(args)) => ca::issue(&args),
        Command::CheckConfig(args) => check_config::run(&args),
    }
}

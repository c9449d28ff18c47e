//! The checks that every log makes before it looks at a token.

use peerstream_types::Position;

use crate::Incomparable;

/// The token of a position of the log `log` in its life `epoch`. For authors of logs: what is left
/// to do is to parse the token, and to refuse with [`Incomparable::BadToken`] what does not parse.
///
/// # Errors
///
/// [`Incomparable`] for a position with a part over its limit, of another log, or of another epoch.
///
/// # Example
///
/// ```
/// use peerstream_changelog::{Incomparable, token_of};
/// use peerstream_types::Position;
///
/// let position = Position { log: "wal".into(), epoch: 2, token: b"41".to_vec() };
/// assert_eq!(token_of(&position, "wal", 2), Ok(&b"41"[..]));
/// assert!(matches!(token_of(&position, "wal", 3), Err(Incomparable::OtherEpoch { .. })));
/// ```
pub fn token_of<'p>(position: &'p Position, log: &str, epoch: u64) -> Result<&'p [u8], Incomparable> {
    let log_id = || log.to_owned();
    if !position.is_well_formed() {
        return Err(Incomparable::Malformed { log: log_id() });
    }
    if position.log != log {
        return Err(Incomparable::OtherLog { position: position.clone(), log: log_id() });
    }
    if position.epoch != epoch {
        return Err(Incomparable::OtherEpoch { position: position.clone(), log: log_id(), epoch });
    }
    Ok(&position.token)
}

#[cfg(test)]
mod tests {
    use peerstream_types::position::POSITION_PART_LEN_MAX;

    use super::*;

    fn position(log: &str, epoch: u64) -> Position {
        Position { log: log.into(), epoch, token: b"7".to_vec() }
    }

    #[test]
    fn only_a_position_of_this_log_and_epoch_has_a_token() {
        assert_eq!(token_of(&position("wal", 1), "wal", 1), Ok(&b"7"[..]));
        assert!(matches!(token_of(&position("other", 1), "wal", 1), Err(Incomparable::OtherLog { .. })));
        assert!(matches!(token_of(&position("wal", 2), "wal", 1), Err(Incomparable::OtherEpoch { .. })));
    }

    #[test]
    fn an_oversized_position_is_refused_and_not_repeated() {
        let long = position(&"x".repeat(POSITION_PART_LEN_MAX + 1), 1);
        let refused = token_of(&long, "wal", 1).unwrap_err();
        assert_eq!(refused, Incomparable::Malformed { log: "wal".into() });
        let long = Position { token: vec![0; POSITION_PART_LEN_MAX + 1], ..position("wal", 1) };
        assert_eq!(token_of(&long, "wal", 1), Err(refused));
    }

    #[test]
    fn a_refusal_shows_a_hostile_position_escaped() {
        let refused = token_of(&position("a\n\u{1b}[2J", 1), "wal", 1).unwrap_err();
        assert!(!refused.to_string().contains(['\n', '\u{1b}']), "{refused}");
    }
}

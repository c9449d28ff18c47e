//! What the store does not take, and whether it is worth while to ask again.

use peerstream_types::{FetchId, Ordinal, Timestamp};

use super::Recovery;
use crate::phase::State;
use crate::{Misuse, NotTaken};

impl Recovery {
    /// An entry of a fetch fits its digest, and the store does not take it. Nobody is asked for this copy
    /// again; other copies of the entry, and other entries, go on. Where it would be tried again and again
    /// for its level, the job ends if nothing else is missing and everybody was heard.
    ///
    /// # Errors
    ///
    /// [`Misuse`] for a fetch that was never asked.
    pub fn handle_not_taken(
        &mut self,
        now: Timestamp,
        fetch: FetchId,
        ordinal: Ordinal,
        reason: NotTaken,
    ) -> Result<(), Misuse> {
        if self.is_flying(now, fetch)? {
            self.give(|pass, context| {
                pass.not_taken(context, fetch, ordinal, reason);
                Ok(())
            });
        }
        Ok(())
    }

    /// Whether a level that asks for more would be tried for in vain: everybody was heard, and all that is
    /// missing is what the store does not take, whoever gives it.
    pub(super) fn is_beyond_help(&self) -> bool {
        let State::Streaming { pass, .. } = &self.state else { return false };
        self.agreement.is_patient()
            && pass.lacks_only_untaken()
            && self.heard_of_now() >= self.others()
            && !pass.verdicts().left_too_much(&self.agreement)
    }
}

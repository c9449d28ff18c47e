//! Whether two failures are the same one.

/// A word of so many hexadecimal digits is a hash or an id.
const ID_LEN_MIN: usize = 4;

/// Whether two messages say the same but for numbers, hashes and ids.
pub(super) fn are_alike(one: &str, other: &str) -> bool {
    shape(one) == shape(other)
}

/// A message without what differs from run to run: words of hexadecimal digits, and digits elsewhere.
fn shape(what: &str) -> String {
    let words = what.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let mut shape = String::new();
    for word in words {
        let letters = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_id = letters.contains(|c: char| c.is_ascii_digit())
            && letters.len() >= ID_LEN_MIN
            && letters.chars().all(|c| c.is_ascii_hexdigit());
        let kept = if is_id { &word[letters.len()..] } else { word };
        shape.extend(kept.chars().filter(|c| !c.is_ascii_digit()));
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_alike_but_for_numbers_and_hashes() {
        let one = "0:00:01 verified is violated at a: k hashes to blake3:9f3ab2c17, plan 7fd0-12ce";
        let like = "0:00:12 verified is violated at a: k hashes to blake3:00aaf3b2e1d, plan 0bc1-ee34";
        let other = "0:00:01 bounded is violated at a: k hashes to blake3:9f3ab2c17, plan 7fd0-12ce";
        assert!(are_alike(one, like) && !are_alike(one, other));
    }
}

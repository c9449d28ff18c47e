//! Rust source with comments and literals blanked out, so that a search finds code only.

/// Returns the source with every byte of comments, strings and character literals replaced by a
/// space. Newlines stay, so lines and byte offsets are those of the original.
pub(super) fn mask(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_or_comment_end(bytes, at);
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    // What is left of text outside of ASCII is blanked as well: no keyword has any.
    out.iter_mut().filter(|b| !b.is_ascii()).for_each(|b| *b = b' ');
    String::from_utf8(out).expect("only ASCII is left")
}

/// The end of the comment or literal that starts at `at`, or `at` when none does.
fn literal_or_comment_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + block_comment_len(rest);
    }
    match rest[0] {
        b'"' => at + quoted_len(rest, b'"'),
        b'\'' if is_char_literal(rest) => at + quoted_len(rest, b'\''),
        b'r' => at + raw_string_len(bytes, at).unwrap_or(0),
        _ => at,
    }
}

/// Block comments nest.
fn block_comment_len(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted_len(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A quote that closes after one character, escaped or not; all else is a lifetime.
fn is_char_literal(rest: &[u8]) -> bool {
    let Some(&first) = rest.get(1) else { return false };
    let width = match first {
        b'\\' => return true,
        b if b < 0x80 => 1,
        b if b < 0xe0 => 2,
        b if b < 0xf0 => 3,
        _ => 4,
    };
    rest.get(1 + width) == Some(&b'\'')
}

/// The length of `r"…"` or `r#"…"#` at `at`; `br` and `cr` come here at their second letter.
fn raw_string_len(bytes: &[u8], at: usize) -> Option<usize> {
    let prefix = matches!(at.checked_sub(1).map(|p| bytes[p]), Some(b'b' | b'c'));
    let before = at.checked_sub(if prefix { 2 } else { 1 }).map(|p| bytes[p]);
    if before.is_some_and(is_word) {
        return None;
    }
    let rest = &bytes[at..];
    let hashes = rest[1..].iter().take_while(|&&b| b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let closing: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = 2 + hashes;
    let end = rest[body..].windows(closing.len()).position(|w| w == closing);
    Some(end.map_or(rest.len(), |e| body + e + closing.len()))
}

/// Whether a byte can be part of an identifier.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The line, counted from 1, that a byte offset lies on.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|&&b| b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_vanish() {
        for (source, left) in [
            ("a // b { \"", "a"),
            ("a /* b /* c */ d */ e", "a e"),
            (r#"a "b \" {" c"#, "a c"),
            (r##"a r#"b " {"# c"##, "a c"),
            (r#"a br"b\" c"#, "a b c"),
            ("a '{' b '\\'' c", "a b c"),
            ("a 'é' b", "a b"),
        ] {
            assert_eq!(mask(source).split_whitespace().collect::<Vec<_>>().join(" "), left, "{source}");
        }
    }

    #[test]
    fn lifetimes_and_raw_names_stay() {
        for source in ["fn a<'a, 'b>(x: &'a str) {}", "let r#fn = 1;", "'outer: loop {}", "for x in xs {}"] {
            assert_eq!(mask(source), source);
        }
    }

    #[test]
    fn lines_and_offsets_stay() {
        let source = "a\n/* b\nc */\n\"d\ne\" f";
        let masked = mask(source);
        assert_eq!(masked.len(), source.len());
        assert_eq!(line_at(&masked, masked.find('f').unwrap()), 5);
    }

    #[test]
    fn unclosed_literals_end_with_the_file() {
        for source in ["a \"b", "a r#\"b\"", "a /* b", "a '\\", "a \"\\"] {
            assert_eq!(mask(source).trim_end(), "a", "{source}");
        }
    }
}

//! Subtrees of BLAKE3's tree: chunks to groups to the digest of an entry.

use blake3::hazmat::{HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};
use peerstream_types::{ChainingValue, ChunkIndex, ChunkSize, GroupIndex};

/// The chaining value of chunk `index`, as the subtree at its place in the entry. Meaningful only
/// for entries of more than one chunk.
///
/// # Panics
///
/// If no entry can have that chunk.
pub fn chaining_value(size: ChunkSize, index: ChunkIndex, content: &[u8]) -> ChainingValue {
    let offset = size.offset_of(index).expect("an index of an entry has an offset");
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset).update(content);
    ChainingValue(hasher.finalize_non_root())
}

/// The chaining value of a group of an entry of `len` bytes, from those of its chunks. Meaningful
/// only for entries of more than one group.
///
/// # Panics
///
/// If there are not as many values as the group has chunks, or none.
pub fn group_value(size: ChunkSize, len: u64, group: GroupIndex, values: &[ChainingValue]) -> ChainingValue {
    let range = size.chunks_of(group, len);
    assert!(range.count > 0 && values.len() == range.count as usize, "one value per chunk of the group");
    ChainingValue(subtree(size.bytes(), size.bytes_in(range, len), values))
}

/// The BLAKE3 hash of the entry of `len` bytes whose chunks have these chaining values; as many as it
/// has chunks, at least two.
pub(crate) fn root_of_chunks(size: ChunkSize, len: u64, values: &[ChainingValue]) -> [u8; 32] {
    root(size.bytes(), len, values)
}

/// The same from the chaining values of its groups; as many as it has groups, at least two.
pub(crate) fn root_of_groups(size: ChunkSize, len: u64, values: &[ChainingValue]) -> [u8; 32] {
    root(size.group_bytes(), len, values)
}

fn root(unit: u64, len: u64, values: &[ChainingValue]) -> [u8; 32] {
    let [(l, left), (r, right)] = halves(unit, len, values);
    *merge_subtrees_root(&subtree(unit, l, left), &subtree(unit, r, right), Mode::Hash).as_bytes()
}

/// Goes as deep as there are levels of units in an entry, not as there are units.
fn subtree(unit: u64, len: u64, values: &[ChainingValue]) -> [u8; 32] {
    if let [only] = values {
        return only.0;
    }
    let [(l, left), (r, right)] = halves(unit, len, values);
    merge_subtrees_non_root(&subtree(unit, l, left), &subtree(unit, r, right), Mode::Hash)
}

/// The left and the right subtree of `len` bytes: how long each is, and the values of its units.
fn halves(unit: u64, len: u64, values: &[ChainingValue]) -> [(u64, &[ChainingValue]); 2] {
    let left_len = left_subtree_len(len);
    let split = usize::try_from(left_len / unit).expect("values that are in memory can be counted");
    let (left, right) = values.split_at(split);
    [(left_len, left), (len - left_len, right)]
}

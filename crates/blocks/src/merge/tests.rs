//! The laws that every merge keeps, and what hostile payloads meet.

use proptest::prelude::*;

use super::*;
use crate::cell::Cell;

fn values() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..3, 0..3)
}

fn last_writes() -> impl Strategy<Value = Bytes> {
    (0u64..6, values()).prop_map(|(stamp, value)| LastWriter::encode(Stamp(stamp), &value))
}

fn series() -> impl Strategy<Value = Bytes> {
    let point = (0i64..6, 0u64..6, values());
    let point =
        point.prop_map(|(at_ms, stamp, value)| Point { at_ms, stamp: Stamp(stamp), value: value.into() });
    prop::collection::vec(point, 1..6).prop_map(|points| SeriesUnion::encode(&points).unwrap())
}

/// A cell as replicas have them: a payload, a delete, or a payload written after a delete.
fn cells(
    payloads: impl Strategy<Value = Bytes>,
    hook: &'static dyn MergeHook,
) -> impl Strategy<Value = Cell> {
    (prop::option::of(0u64..6), prop::option::of(payloads)).prop_filter_map(
        "nothing in it",
        move |(deleted, payload)| {
            let delete = deleted.map(|stamp| Cell::deleted(Stamp(stamp)));
            let write = payload.map(|payload| Cell::written(hook, &payload).unwrap());
            match (delete, write) {
                (Some(delete), Some(write)) => Some(delete.merge(hook, &write).unwrap()),
                (one, other) => one.or(other),
            }
        },
    )
}

fn laws(hook: &dyn MergeHook, a: &Cell, b: &Cell, c: &Cell) -> Result<(), TestCaseError> {
    let merge = |a: &Cell, b: &Cell| a.merge(hook, b).unwrap();
    prop_assert_eq!(merge(a, b), merge(b, a), "commutative");
    prop_assert_eq!(merge(&merge(a, b), c), merge(a, &merge(b, c)), "associative");
    prop_assert_eq!(&merge(a, a), a, "idempotent");
    prop_assert_eq!(merge(&merge(a, b), b), merge(a, b), "a copy that comes again changes nothing");
    prop_assert_eq!(Cell::decode(hook, &a.encode()).unwrap(), a.clone(), "one encoding");
    Ok(())
}

proptest! {
    /// F-30: whatever the order and however often copies and deletes come, replicas end equal.
    #[test]
    fn last_writer_is_a_merge(
        a in cells(last_writes(), &LastWriter),
        b in cells(last_writes(), &LastWriter),
        c in cells(last_writes(), &LastWriter),
    ) {
        laws(&LastWriter, &a, &b, &c)?;
    }

    /// F-30: as above.
    #[test]
    fn series_union_is_a_merge(
        a in cells(series(), &SeriesUnion),
        b in cells(series(), &SeriesUnion),
        c in cells(series(), &SeriesUnion),
    ) {
        laws(&SeriesUnion, &a, &b, &c)?;
    }

    /// No payload of a peer does more than be refused, and what is taken is canonical.
    #[test]
    fn hostile_payloads_are_refused(bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..70)) {
        let hooks: [&dyn MergeHook; 2] = [&LastWriter, &SeriesUnion];
        for hook in hooks {
            if let Ok(payload) = hook.merge(None, &bytes) {
                prop_assert_eq!(&payload[..], &bytes[..]);
                prop_assert!(hook.oldest(&bytes).is_ok());
            }
            if let Ok(cell) = Cell::decode(hook, &bytes.clone().into()) {
                prop_assert_eq!(&cell.encode()[..], &bytes[..]);
            }
        }
    }
}

#[test]
fn the_union_has_the_points_of_both_and_the_later_of_two() {
    let point = |at_ms, stamp, value: &'static str| Point { at_ms, stamp: Stamp(stamp), value: value.into() };
    let ours = SeriesUnion::encode(&[point(1, 5, "a"), point(3, 5, "old")]).unwrap();
    let theirs = SeriesUnion::encode(&[point(3, 6, "new"), point(2, 1, "b")]).unwrap();
    let all = SeriesUnion.merge(Some(&ours), &theirs).unwrap();
    assert_eq!(SeriesUnion::decode(&all).unwrap(), [point(1, 5, "a"), point(2, 1, "b"), point(3, 6, "new")]);
    let rest = SeriesUnion.after_delete(&all, Stamp(5)).unwrap().unwrap();
    assert_eq!(SeriesUnion::decode(&rest).unwrap(), [point(3, 6, "new")]);
    assert_eq!(SeriesUnion.after_delete(&all, Stamp(6)).unwrap(), None);
}

#[test]
fn a_union_that_is_too_long_is_refused() {
    let half = |at_ms| {
        let value = vec![7; BLOCK_LEN_MAX / 2].into();
        SeriesUnion::encode(&[Point { at_ms, stamp: Stamp(1), value }]).unwrap()
    };
    let merged = SeriesUnion.merge(Some(&half(1)), &half(2));
    assert!(matches!(merged, Err(MergeError::TooLong(_))), "{merged:?}");
}

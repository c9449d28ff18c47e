"""A RocksDB with known content, for the scenario that moves one while it is written to.

write DB CHECKPOINT N   write N keys, make a checkpoint, go on writing until a line comes in
check DIR N             open a copy: it has just the N keys of the checkpoint
"""

import hashlib
import sys
import threading

import rocksdict


def options():
    opts = rocksdict.Options(raw_mode=True)
    opts.create_if_missing(True)
    # Small tables, so that there are several files to move.
    opts.set_write_buffer_size(2 * 1024 * 1024)
    return opts


def key(i):
    return b"user:%012d" % i


def value(i):
    return hashlib.shake_128(b"%d" % i).digest(200 + i % 50)


def write(db_dir, checkpoint_dir, count):
    db = rocksdict.Rdict(db_dir, options())
    for step in range(count):
        i = step * 7919 % count
        db[key(i)] = value(i)
    # The last keys are in the memtable and the write-ahead log only: a checkpoint has them too.
    rocksdict.Checkpoint(db).create_checkpoint(checkpoint_dir)
    print("checkpoint", flush=True)
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    later = 0
    while not stop.is_set():
        db[key(count + later)] = value(later)
        db[key(later % count)] = b"overwritten"
        later += 1
    db.close()
    print(later, flush=True)


def check(directory, count):
    db = rocksdict.Rdict(directory, options())
    found = 0
    for i, (got, content) in enumerate(db.items()):
        if got != key(i) or content != value(i):
            sys.exit(f"{got!r} is not as it was written")
        found += 1
    db.close()
    if found != count:
        sys.exit(f"{found} keys instead of {count}")
    print(f"{count} keys as they were written")


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        check(sys.argv[2], int(sys.argv[3]))

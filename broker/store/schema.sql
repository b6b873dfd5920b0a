-- The schema, as numbered steps. A step that has been released is never edited: a change is a new step at the end.
-- Each step runs once, in a transaction of its own that also sets PRAGMA user_version to its number (see schema.py).

-- step 1: messages, leases, deduplication, counters, resources

-- One row. `granted` is the highest sequence number ever given out.
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    batch_number INTEGER NOT NULL,
    message_time_ms INTEGER NOT NULL,
    granted INTEGER NOT NULL,
    secret BLOB NOT NULL
);

-- Small rows, appended in the order of their ids; only a move ever changes one. `content` is last, so that reading what
-- stands before it never touches overflow pages.
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    ord INTEGER NOT NULL,
    -- Which stretch of its queue it belongs to: some thousands of messages that follow each other (see stretches.py).
    stretch INTEGER NOT NULL,
    grp TEXT,
    enqueued_at_ms INTEGER NOT NULL,
    content BLOB NOT NULL
);

-- `grp` is in it so that a scan passes over the messages of skipped groups without leaving the index.
CREATE INDEX message_place ON message (queue, lane, ord, grp);
-- By stretch first: messages that are sent or deleted together then lie together in it, however many groups they belong to.
CREATE INDEX message_group ON message (queue, stretch, grp, ord, lane) WHERE grp IS NOT NULL AND lane = 0;
-- The few messages that a FIFO queue got by a move: for all others, order of arrival is order in the queue.
CREATE INDEX message_renumbered ON message (queue, id) WHERE ord <> id;

-- Apart from the message, so that neither a move nor a scan touches it.
CREATE TABLE body (
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL
);

-- Timed state. A message that was sent without delay and never received has no row here.
CREATE TABLE lease (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    visible_at_ms INTEGER NOT NULL,
    receive_count INTEGER NOT NULL,
    first_received_at_ms INTEGER NOT NULL,
    source TEXT
);

CREATE INDEX lease_due ON lease (queue, visible_at_ms, id, receive_count);

CREATE TABLE deduplication (
    queue INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    digest BLOB NOT NULL,
    sent_at_ms INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    ord INTEGER NOT NULL,
    PRIMARY KEY (queue, bucket, digest)
) WITHOUT ROWID;

CREATE TABLE counters (
    queue INTEGER PRIMARY KEY,
    messages INTEGER NOT NULL,
    in_flight INTEGER NOT NULL,
    delayed INTEGER NOT NULL,
    settled_at_ms INTEGER NOT NULL,
    scan_from INTEGER NOT NULL,
    oldest_ms INTEGER NOT NULL,
    grouped INTEGER NOT NULL
);

CREATE TABLE resource (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;

-- What is dead and still to be cleared away in slices: whole generations, and deduplication buckets below a number.
CREATE TABLE dropped (
    queue INTEGER PRIMARY KEY
);

CREATE TABLE forgotten (
    queue INTEGER PRIMARY KEY,
    below_bucket INTEGER NOT NULL
);

-- step 2: a row for each batch, with the counters that it changed

-- The newest says how far the store is. `log` holds the counters of the queues that the batch touched (see batch_log.py): they
-- are written to `counters` for many batches at once, and all rows but the newest are deleted then.
CREATE TABLE batch (
    number INTEGER PRIMARY KEY,
    message_time_ms INTEGER NOT NULL,
    log BLOB NOT NULL
);

INSERT INTO batch (number, message_time_ms, log) SELECT batch_number, message_time_ms, x'' FROM meta;

ALTER TABLE meta DROP COLUMN batch_number;
ALTER TABLE meta DROP COLUMN message_time_ms;

-- step 3: deduplication entries in the order of their acceptance

DELETE FROM deduplication WHERE EXISTS (
    SELECT 1 FROM forgotten WHERE forgotten.queue = deduplication.queue AND deduplication.bucket < forgotten.below_bucket
);

ALTER TABLE deduplication RENAME TO deduplication_by_digest;

-- By order, so that those of a batch lie together: by digest, each would change a page of its own. Who looks for a digest knows
-- about where it is (see core/deduplication.py).
CREATE TABLE deduplication (
    queue INTEGER NOT NULL,
    ord INTEGER NOT NULL,
    digest BLOB NOT NULL,
    sent_at_ms INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    PRIMARY KEY (queue, ord)
) WITHOUT ROWID;

INSERT OR IGNORE INTO deduplication (queue, ord, digest, sent_at_ms, message_id)
    SELECT queue, ord, digest, sent_at_ms, message_id FROM deduplication_by_digest ORDER BY queue, ord;

DROP TABLE deduplication_by_digest;
DROP TABLE forgotten;

CREATE TABLE forgotten (
    queue INTEGER PRIMARY KEY,
    up_to INTEGER NOT NULL
);

-- step 4: a commit log beside the database

-- No table changes. A version that knows no commit log would not read what is there, and must not open the database.

-- step 5: deduplication entries, many to a row

-- Those of a queue that were accepted in one transaction, up to 1,024: digests of 16 bytes, and facts of 52 (see entries.py).
CREATE TABLE accepted (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL,
    digests BLOB NOT NULL,
    facts BLOB NOT NULL
);

CREATE UNIQUE INDEX accepted_place ON accepted (queue, last);

INSERT INTO accepted (queue, first, last, newest_ms, digests, facts)
    SELECT queue, ord, ord, sent_at_ms, digest, pack_facts(ord, sent_at_ms, message_id) FROM deduplication ORDER BY queue, ord;

DROP TABLE deduplication;

-- step 6: waiting messages, many to a row

-- Messages of LANE_READY without a group and a lease, as they arrived one after the other (see blocks.py). `id` and `last` are those
-- of the first and the last; blocks of a queue never overlap. One that is deleted, leased or moved is taken out: it is marked
-- in `taken`, a byte for each, and if it still exists it has rows of its own from then on, of the block's `stretch`. So not all
-- message rows are appended any more.
CREATE TABLE block (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    last INTEGER NOT NULL,
    stretch INTEGER NOT NULL,
    taken BLOB NOT NULL,
    heads BLOB NOT NULL
);

CREATE UNIQUE INDEX block_place ON block (queue, last);

-- Apart from the block, so that what is taken out of it does not touch it.
CREATE TABLE block_content (
    id INTEGER PRIMARY KEY,
    contents BLOB NOT NULL,
    bodies BLOB NOT NULL
);

-- step 7: a queue's counters as one value, and a topic's message once in a record of the commit log

-- `packed` holds what the columns were, in their order (see counters.py). A version that does not know of the commit log's new records
-- would take a topic's copies for empty, and must not open the database.
ALTER TABLE counters RENAME TO counters_by_column;

CREATE TABLE counters (
    queue INTEGER PRIMARY KEY,
    packed BLOB NOT NULL
);

INSERT INTO counters (queue, packed)
SELECT queue, pack_counters(queue, messages, in_flight, delayed, settled_at_ms, scan_from, oldest_ms, grouped)
FROM counters_by_column;

DROP TABLE counters_by_column;

-- step 8: messages of message groups in blocks

-- `group_names`: JSON, the groups in it; null stands for none, and a name of which nothing waits in the block any more is 0. NULL: nothing
-- in it has a group. `members`: for each message a byte, the place of its group in that.
ALTER TABLE block ADD COLUMN group_names TEXT;
ALTER TABLE block ADD COLUMN members BLOB NOT NULL DEFAULT x'';

CREATE INDEX block_stretch ON block (queue, stretch, last) WHERE group_names IS NOT NULL;

-- The groups that blocks of a stretch have held. They go with the last of those blocks.
CREATE TABLE block_group (
    queue INTEGER NOT NULL,
    stretch INTEGER NOT NULL,
    grp TEXT NOT NULL,
    PRIMARY KEY (queue, stretch, grp)
) WITHOUT ROWID;

-- step 9: blocks in the commit log

-- A version that does not know of them would leave out their messages at a start, and must not open the database.
SELECT 1;

-- step 10: what was sent in blocks stays in the commit log

-- `segment`: the number of the segment that holds contents and bodies (see sent.py); `extents`: JSON, where in it, of one part after the
-- other: where its contents begin, how many bytes they have, and how many the bodies that follow; `sent_bytes`: all of them. NULL: what was
-- sent is in block_content.
ALTER TABLE block ADD COLUMN segment INTEGER;
ALTER TABLE block ADD COLUMN extents TEXT;
ALTER TABLE block ADD COLUMN sent_bytes INTEGER;

CREATE INDEX block_segment ON block (segment, sent_bytes) WHERE segment IS NOT NULL;

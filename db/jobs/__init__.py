"""Jobs: work that takes longer than a request. The job's row is also its entry in the queue (`queue`)."""

from db.jobs.batches import MAX_EXAMPLES, Batch, Fenced, LabelWarning, in_batch
from db.jobs.queue import (
    ABILITIES,
    ACTIVE,
    FOREGROUND,
    LONG_TIMEOUT,
    QUEUE_CHANNEL,
    TYPE_NAMES,
    Ability,
    Claim,
    Kind,
    Turns,
    cancel,
    cancel_all,
    claim,
    count_active,
    enqueue,
    expect_no_dry_run,
    expect_no_ingest,
    finish,
    register_worker,
    release,
    sweep,
)
from db.jobs.runner import Outcome, run

"""Experiment tracking: runs, metrics, records, checkpoints and commands in a SQL database.

    database = tracking.connect()
    run = tracking.create_run(database, recipe, model="lenet5", dataset="mnist", seed=0)

A supervisor claims queued runs and starts a worker for each:

    lease = tracking.claim(database, "cpu")                 # None: empty queue, or device in use
    tracking.attach(database, lease, pid, process_started)
    tracking.end(database, lease, Status.INTERRUPTED, "Killed by SIGKILL.", last_lines)

A worker loads its checkpoint, trains from there, and exits:

    tracking.begin(database, lease, from_step=checkpoint_step, facts=RunFacts(params=61_706))
    with MetricWriter(database, lease) as writer:
        writer.log("train/loss", loss, step, epoch)         # microseconds
        writer.record("confusion", {"matrix": matrix}, step, epoch)
        writer.flush()                                      # committed: now rename the checkpoint
        tracking.add_checkpoint(database, lease, "last", name, step, epoch, size)
        if writer.command is Command.STOP: ...
    tracking.end(database, lease, Status.FINISHED)

A page reads metrics and sends commands:

    curves = Curves(database, run.id)
    curves.refresh()                                        # reads new rows only
    tracking.request(database, run.id, Command.PAUSE)

Every function is one transaction, returns plain values, and may be called from any thread. Errors are
`TrackingError`s: `ValueError`s with a one-sentence message for users.
"""

from cnnviz.tracking.commands import (
    MAX_QUEUED,
    move_to_front,
    pause_over_limit,
    pending,
    queue_capacity,
    request,
    require_queue_capacity,
)
from cnnviz.tracking.curves import Curve, Curves, sample_metric
from cnnviz.tracking.database import (
    Database,
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseFullError,
    DatabaseUnavailableError,
    LimitError,
    NoSuchExperimentError,
    NoSuchRunError,
    NotOwnerError,
    QueueFullError,
    StaleAttemptError,
    TrackingError,
    WrongStateError,
    connect,
)
from cnnviz.tracking.experiments import (
    Slot,
    StoredExperiment,
    assign_run,
    create_experiment,
    delete_experiment,
    extend_experiment,
    get_experiment,
    list_experiments,
    slots,
)
from cnnviz.tracking.lifecycle import FROM_SCRATCH, attach, begin, end, requeue_lost
from cnnviz.tracking.limits import (
    Limits,
    Usage,
    count_upload,
    current_owner_id,
    freeze_queue,
    held_back,
    names_by_key,
    owner_names,
    queue_frozen,
    read_limits,
    read_usage,
    upload_allowance,
    usage_by_key,
    write_limits,
)
from cnnviz.tracking.metrics import MetricWriter, read_metrics, void_after
from cnnviz.tracking.queue import (
    Candidate,
    Machine,
    claim,
    machine_devices,
    machines,
    queue_order,
    set_waiting_process,
    waiting_classes,
    waiting_reason,
)
from cnnviz.tracking.records import (
    ACTIVE,
    ALLOWED,
    RESUMABLE,
    Checkpoint,
    Command,
    Kind,
    Lease,
    Metric,
    MetricPage,
    MetricSummary,
    Record,
    Restart,
    Run,
    RunFacts,
    RunSummary,
    Status,
    StatusChange,
    data_name,
    latest_record,
    lower_is_better,
    read_records,
)
from cnnviz.tracking.run_files import (
    add_checkpoint,
    checkpoints,
    delete_run,
    disk_bytes,
    purge_runs,
    remove_checkpoint,
    report,
    restore_run,
    run_folder,
    to_csv,
    to_json,
)
from cnnviz.tracking.runs import (
    checkpoint_bytes,
    create_external_run,
    create_run,
    describe_run,
    elapsed,
    get_run,
    history,
    list_runs,
    metric_names,
    recipes,
    stamp,
    stored_runs,
    update_run,
)

MOST_QUEUED = MAX_QUEUED
"""Earlier name."""

__all__ = [
    "ACTIVE",
    "ALLOWED",
    "FROM_SCRATCH",
    "MAX_QUEUED",
    "MOST_QUEUED",
    "RESUMABLE",
    "Candidate",
    "Checkpoint",
    "Command",
    "Curve",
    "Curves",
    "Database",
    "DatabaseBusyError",
    "DatabaseDamagedError",
    "DatabaseFullError",
    "DatabaseUnavailableError",
    "Kind",
    "Lease",
    "LimitError",
    "Limits",
    "Machine",
    "Metric",
    "MetricPage",
    "MetricSummary",
    "MetricWriter",
    "NoSuchExperimentError",
    "NoSuchRunError",
    "NotOwnerError",
    "QueueFullError",
    "Record",
    "Restart",
    "Run",
    "RunFacts",
    "RunSummary",
    "Slot",
    "StaleAttemptError",
    "Status",
    "StatusChange",
    "StoredExperiment",
    "TrackingError",
    "Usage",
    "WrongStateError",
    "add_checkpoint",
    "assign_run",
    "attach",
    "begin",
    "checkpoint_bytes",
    "checkpoints",
    "claim",
    "connect",
    "count_upload",
    "create_experiment",
    "create_external_run",
    "create_run",
    "current_owner_id",
    "data_name",
    "delete_experiment",
    "delete_run",
    "describe_run",
    "disk_bytes",
    "elapsed",
    "end",
    "extend_experiment",
    "freeze_queue",
    "get_experiment",
    "get_run",
    "held_back",
    "history",
    "latest_record",
    "list_experiments",
    "list_runs",
    "lower_is_better",
    "machine_devices",
    "machines",
    "metric_names",
    "move_to_front",
    "names_by_key",
    "owner_names",
    "pause_over_limit",
    "pending",
    "purge_runs",
    "queue_capacity",
    "queue_frozen",
    "queue_order",
    "read_limits",
    "read_metrics",
    "read_records",
    "read_usage",
    "recipes",
    "remove_checkpoint",
    "report",
    "request",
    "requeue_lost",
    "require_queue_capacity",
    "restore_run",
    "run_folder",
    "sample_metric",
    "set_waiting_process",
    "slots",
    "stamp",
    "stored_runs",
    "to_csv",
    "to_json",
    "update_run",
    "upload_allowance",
    "usage_by_key",
    "void_after",
    "waiting_classes",
    "waiting_reason",
    "write_limits",
]

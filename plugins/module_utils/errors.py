# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One exception a cause: what happened, what it means, what to do next.

Pure: nothing here reads or writes. Utilities raise these; only ``module.py`` turns one into a failed task.
"""

from __future__ import annotations

from typing import Any


class PermafrostError(Exception):
    """Base of all errors that a user can meet.

    ``cause`` is a stable word for playbooks (``result.error.cause``); ``meaning`` and ``next_step`` are sentences.
    """

    cause = "internal"
    meaning = "This is a defect of permafrost.backup or a reply that it does not know."
    next_step = "Run again with -vvv and report the result."

    def __init__(self, what: str, **facts: Any) -> None:
        super().__init__(what)
        self.what = what
        self.facts = facts
        self.result: dict[str, Any] = {}  # what a module knew when it failed, for the task's result

    @property
    def message(self) -> str:
        """The one message of the task: three sentences in a fixed order."""
        return f"{self.what} {self.meaning} Next: {self.next_step}"

    def to_result(self) -> dict[str, Any]:
        """The error as typed facts, for playbooks that want to decide by cause."""
        return {
            "cause": self.cause,
            "what": self.what,
            "meaning": self.meaning,
            "next_step": self.next_step,
            **self.facts,
        }


class Interrupted(BaseException):
    """A signal asked this task to end; raised by the handlers of module.py.

    No Exception, like KeyboardInterrupt: libraries take every Exception amid a request for trouble of the network, and
    botocore asks again.
    """


# --- the caller's input ---------------------------------------------------------------------------------------------


class BadInput(PermafrostError):
    cause = "bad_input"
    meaning = "Nothing was started and nothing was changed."
    next_step = "Correct the option and run again."


class BadTime(BadInput):
    cause = "bad_time"
    next_step = "Give a time such as 2026-11-01T00:00:00Z, 2026-11-01, 3D, 4W or now; without a zone it means UTC."


class UsageRefused(PermafrostError):
    cause = "usage"
    meaning = "duplicity does not understand its command line, and did nothing."
    next_step = "Correct job.extra_args; without any, look whether job.image has another version of duplicity than 3.2."


# --- the host -------------------------------------------------------------------------------------------------------


class MissingLibrary(PermafrostError):
    cause = "missing_library"
    meaning = "The module runs on this host's Python, which lacks a library that it needs."
    next_step = "Install python3-docker (7 or newer) and python3-boto3 (1.34 or newer) on the host."


class EngineUnavailable(PermafrostError):
    cause = "engine_unavailable"
    meaning = "The container engine does not answer, so nothing was started."
    next_step = "Start it (systemctl start docker), or set job.docker_host to the engine's unix socket."


class EngineRefused(PermafrostError):
    cause = "engine_refused"
    meaning = "The engine answers, but it does not run the container. No set was completed."
    next_step = "Look at the engine's log (journalctl -u docker) and at job.network, job.source and job.temp_dir."


class EngineLost(PermafrostError):
    cause = "engine_lost"
    meaning = "An engine with live-restore lets a run go on without it; any other stops the run. No set was lost."
    next_step = "Start it (systemctl start docker) and run again: the task attaches to the run, or resumes it."


class RunVanished(PermafrostError):
    cause = "run_vanished"
    meaning = "Somebody removed it by hand, so how it ended is not known. A half-written set is not used by a restore."
    next_step = "Run again: an interrupted backup resumes. To stop a run, use docker stop."


class ImageMissing(PermafrostError):
    cause = "image_missing"
    meaning = "The engine does not have the image and modules never pull one on their own."
    next_step = "Run the role permafrost.backup.duplicity_image on this host, or correct job.image."


class NoSecretPlace(PermafrostError):
    cause = "no_secret_place"
    meaning = "Secrets are handed to the container as files on a tmpfs, so that they never reach a disk."
    next_step = "Mount a tmpfs on /run or /dev/shm, or free some of its space."


class OpenFilesTooFew(PermafrostError):
    cause = "open_files"
    meaning = "duplicity wants to open 1024 files at once, and the engine gives its containers fewer. Nothing was done."
    next_step = (
        "Raise the engine's limit (default-ulimits in daemon.json, or LimitNOFILE of its unit), then restart it."
    )


class ClockBehind(PermafrostError):
    cause = "clock_behind"
    meaning = "The new set would be older than the one it builds on, and no restore would find it. Nothing was done."
    next_step = "Set the clock of this host (timedatectl), or wait until it has passed the time of the newest set."


class ClockSkewed(PermafrostError):
    cause = "clock_skewed"
    meaning = "S3 takes no request whose time is 15 minutes off. A set that was not completed is used by no restore."
    next_step = "Set the clock of this host (timedatectl) and run again: an interrupted backup resumes."


class SourceMissing(PermafrostError):
    cause = "source_missing"
    meaning = "Nothing was started: a source that is not mounted would look like one without files."
    next_step = "Mount or create the source, or correct job.source."


class SourceUnreadable(PermafrostError):
    cause = "source_unreadable"
    meaning = (
        "The backup was stored without these files, and the run does not count as a success. They were unreadable, or "
        "vanished while the backup ran."
    )
    next_step = "Make the files readable or move them away, or accept such runs with job.on_unreadable: warn."


class TemporarySpace(PermafrostError):
    cause = "temporary_space"
    meaning = "duplicity builds volumes in the temporary directory: it wants (concurrency + 2.3) volumes of free space."
    next_step = "Free space there, point job.temp_dir to a larger file system, or lower job.volume_size."


class StateSpace(PermafrostError):
    cause = "state_space"
    meaning = "What a job keeps on this host (records, logs, manifests, signatures) has no room. No set was lost."
    next_step = (
        "Free space there, or point job.state_dir to a larger file system, and run again: an interrupted backup "
        "resumes."
    )


class OutOfMemory(PermafrostError):
    cause = "killed"
    meaning = "The container was killed (SIGKILL), by hand or by the kernel for lack of memory. No set was completed."
    next_step = (
        "Run again: an interrupted backup resumes. If it happens again, raise job.limits.memory, or look at the host's "
        "free memory."
    )


class Stopped(PermafrostError):
    cause = "stopped"
    meaning = "The run ended before it was complete. Its half-written set is not used by any restore."
    next_step = "Run again: an interrupted backup resumes."


class Busy(PermafrostError):
    cause = "busy"
    meaning = "Two runs of one job at once would damage its archive directory, so this one did not start."
    next_step = "Wait for the running one to end, or stop it with: docker stop followed by its container name."


class LockHeld(PermafrostError):
    cause = "lock_held"
    meaning = "Another duplicity outside of this collection uses the archive directory of the job. Nothing was changed."
    next_step = "Wait until it ends, or stop it. A lock file that no process holds does not matter."


# --- the bucket -----------------------------------------------------------------------------------------------------


class BucketMissing(PermafrostError):
    cause = "bucket_missing"
    meaning = "There is no such bucket at this endpoint, so nothing was started."
    next_step = "Create the bucket, or correct job.target, job.region or job.endpoint_url."


class AccessRefused(PermafrostError):
    cause = "access_refused"
    meaning = "S3 refused the credentials, so nothing was started."
    next_step = "Check job.credentials (key, secret, token) and that its policy allows the action on this prefix."


class NoCredentials(PermafrostError):
    cause = "no_credentials"
    meaning = (
        "The job has none, so the role of the instance or task is to count, and it was not found. A container on a "
        "bridge gets none while the hop limit of the instance's metadata service is 1. Nothing was started."
    )
    next_step = (
        "Give job.credentials, or set job.network to host, or raise the hop limit to 2 (HttpPutResponseHopLimit)."
    )


class EndpointUnreachable(PermafrostError):
    cause = "endpoint_unreachable"
    meaning = "No S3 service answers there, so nothing was started."
    next_step = "Check job.endpoint_url and job.region, the network, DNS and proxy of this host."


class BackendFailed(PermafrostError):
    cause = "backend_failed"
    meaning = "S3 failed during the run. A set that was not completed is not used by any restore."
    next_step = "Run again: an interrupted backup resumes, a restore leaves nothing behind."


# --- the backup -----------------------------------------------------------------------------------------------------


class NoBackup(PermafrostError):
    cause = "no_backup"
    meaning = "There is no complete backup set at this target."
    next_step = "Check the bucket and the key prefix of job.target."


class BeforeFirstBackup(PermafrostError):
    cause = "before_first_backup"
    meaning = "duplicity would silently restore its earliest backup instead, so nothing was started."
    next_step = "Choose the time of a set; duplicity_info lists them."


class PathNotInBackup(PermafrostError):
    cause = "path_not_in_backup"
    meaning = "The backup of that time does not hold this path. Nothing was thawed or restored."
    next_step = "Give the path relative to job.source, or another time; duplicity_info lists files with a pattern."


class VolumesMissing(PermafrostError):
    cause = "volumes_missing"
    meaning = "The restore cannot be complete without them. Nothing was thawed or restored."
    next_step = "Restore from an older version of the objects, choose a time before these sets, or make a new full."


class VolumesFrozen(PermafrostError):
    cause = "volumes_frozen"
    meaning = "Objects of an archive storage class cannot be read before they are thawed. Nothing was restored."
    next_step = (
        "Thaw them with glacier_restore, wait until glacier_restore_info says ready, then restore. The playbook "
        "restore does all of that: run it again."
    )


class WrongPassphrase(PermafrostError):
    cause = "wrong_passphrase"
    meaning = "The passphrase does not open what is in the bucket, so nothing was written."
    next_step = (
        "Give the passphrase that the chain was made with. To begin a new chain with a new one on purpose, run "
        "duplicity_backup with full: true."
    )


class EncryptionMismatch(PermafrostError):
    cause = "encryption_mismatch"
    meaning = (
        "A chain is encrypted as a whole or not at all; a mixture would look safer than it is. Nothing was started."
    )
    next_step = "Correct job.encryption, or give the job a new key prefix in job.target for a chain of the other kind."


class ManifestUnreadable(PermafrostError):
    cause = "manifest_unreadable"
    meaning = "What a set holds is known from its manifest only, so nothing was thawed or restored."
    next_step = "Restore an older version of the manifest object, or choose a time before its set."


class ArchiveDamaged(PermafrostError):
    cause = "archive_damaged"
    meaning = "This host's copies of manifests and signatures are damaged; those in the bucket are not touched by that."
    next_step = "Move the archive directory of the job away and run again: what is needed comes from the bucket."


class SourceMismatch(PermafrostError):
    cause = "source_mismatch"
    meaning = "The chain at this target was made from another source directory or host name. Nothing was written."
    next_step = "Correct job.source or job.hostname, or give this job its own key prefix in job.target."


class DamagedVolume(PermafrostError):
    cause = "damaged_volume"
    meaning = "A volume is not what was written: its SHA1 differs from the manifest. Nothing was put in place."
    next_step = "Restore an older version of the object, or choose a time before its set."


class DestinationNotEmpty(PermafrostError):
    cause = "destination_not_empty"
    meaning = "A restore never mixes with files that are already there. Nothing was changed."
    next_step = (
        "Give a destination that is new or an empty directory, or use force: check mode with --diff shows the loss."
    )


class RestoreIncomplete(PermafrostError):
    cause = "restore_incomplete"
    meaning = "Some files could not be rebuilt as they were, so nothing was put in place."
    next_step = "Look at the list of paths: most often the destination's file system cannot hold them."


class DuplicityFailed(PermafrostError):
    cause = "duplicity_failed"
    meaning = "duplicity ended with an error that this collection does not know."
    next_step = "Look at duplicity.log below the runs directory of the job in job.state_dir, and report it."


class PlanDisagrees(PermafrostError):
    cause = "plan_disagrees"
    meaning = "The manifests and duplicity's own dry run name different volumes. Nothing was requested or restored."
    next_step = "Restore the whole set without a path, and report this with the manifests."


class CopiesExpire(PermafrostError):
    cause = "copies_expire"
    meaning = "A run whose thawed copies end before it does fails in the middle, so it was not started."
    next_step = "Let them stay longer: glacier_restore with extend and more days. Or correct expected_rate."


class DestinationSpace(PermafrostError):
    cause = "destination_space"
    meaning = "A restore is built beside what is at the destination already. Nothing was put in place."
    next_step = "Free space there, or give a destination on a larger file system."


class StagingSpace(PermafrostError):
    cause = "staging_space"
    meaning = "The volumes do not fit below job.state_dir, where they were to be staged. Nothing was restored."
    next_step = "Free space there, or let duplicity stream them: fetch auto or streamed."


class CannotProve(PermafrostError):
    cause = "cannot_prove"
    meaning = "A restore is put in place when it is proven against the signatures of its time. Nothing was changed."
    next_step = "Mend what the message names, or restore without the proof: prove: false."


class ProofFailed(PermafrostError):
    cause = "proof_failed"
    meaning = "The files differ from the signatures of that time, so they are not what was backed up."
    next_step = (
        "Look at the differences in the result. Restored files that differ were not put in place; restore again."
    )


class NotInPlace(PermafrostError):
    cause = "not_in_place"
    meaning = "All was restored, but it could not be moved to the destination, which is as it was."
    next_step = "Mend what the message names, and run again."


class ReplacementInterrupted(PermafrostError):
    cause = "replacement_interrupted"
    meaning = "Both trees are complete, and nothing was lost. Backups go on; restores of this job wait for a decision."
    next_step = "Move away what came to the destination meanwhile and run again: the restored tree moves in."


class ForeignChains(PermafrostError):
    cause = "foreign_chains"
    meaning = (
        "More than one job seems to write below this key prefix, so what may go cannot be told. Nothing was deleted."
    )
    next_step = (
        "Give each job a key prefix of its own in job.target, correct job.hostname, or move the other sets away."
    )


class LastChain(PermafrostError):
    cause = "last_chain"
    meaning = "No chain that can be restored would be left as it is. Nothing was deleted."
    next_step = "Make a new full first. To delete the last chain on purpose, say delete_last_chain: true."


class CleanupIncomplete(PermafrostError):
    cause = "cleanup_incomplete"
    meaning = "The cleanup stopped there. A half-deleted set has no manifest, so no restore uses it."
    next_step = "Correct what S3 complains of and run the same task again: it goes on where it stopped."


class VerifyDiffers(PermafrostError):
    cause = "verify_differs"
    meaning = "Every volume was read and is whole. Files were changed since that backup, or are not what was stored."
    next_step = "Look at the differences in the result. If they are not your changes, restore the files and compare."


class IntegrityFailed(PermafrostError):
    cause = "integrity_failed"
    meaning = "Complete sets are damaged: restores of them, or of what builds on them, may fail. Nothing was changed."
    next_step = "Restore older versions of the objects, or make a new full (duplicity_backup with full)."


class KeysChanged(PermafrostError):
    cause = "keys_changed"
    meaning = "A chain has the same keys or passphrase, and the same signer, from its full on. Nothing was started."
    next_step = (
        "Give the keys or the passphrase that the chain was made with. To begin a new chain with new ones on purpose, "
        "run duplicity_backup with full: true."
    )


class SecretKeyMissing(PermafrostError):
    cause = "secret_key_missing"
    meaning = "What is in the bucket is encrypted for keys, and only a secret key opens it. Nothing was written."
    next_step = (
        "Give job.encryption.secret_keys, and their passphrase, for this run. A host that lost its archive directory "
        "and shall not have them makes a new chain: duplicity_backup with full: true."
    )


class SecretKeyMismatch(PermafrostError):
    cause = "secret_key_mismatch"
    meaning = "What is in the bucket is encrypted for other keys than job.encryption.secret_keys. Nothing was written."
    next_step = (
        "Give the secret key of the chain; those of several chains may stand one after the other. A host that lost its "
        "archive directory and shall not have it makes a new chain: duplicity_backup with full: true."
    )


class WrongKeyPassphrase(PermafrostError):
    cause = "wrong_key_passphrase"
    meaning = "A key in job.encryption.secret_keys is protected, and job.encryption.passphrase does not open it."
    next_step = "Give the passphrase that this secret key was exported with."


class KeyUnusable(PermafrostError):
    cause = "key_unusable"
    meaning = "A key of job.encryption is expired or revoked, or cannot encrypt or sign. No set was completed."
    next_step = (
        "Extend its life (gpg --quick-set-expire) and export it anew. To begin a new chain with another key on "
        "purpose, run duplicity_backup with full: true."
    )


class WrongSigner(PermafrostError):
    cause = "wrong_signer"
    meaning = "A volume has no good signature of job.encryption.sign_key. Nothing was put in place."
    next_step = "Find out who wrote it. Give another sign_key, or none, only if the chain was made so."


# --- the thaw -------------------------------------------------------------------------------------------------------


class TierUnavailable(PermafrostError):
    cause = "tier_unavailable"
    meaning = "The storage class of these objects has no such retrieval tier. Nothing was requested."
    next_step = "Use Standard or Bulk for DEEP_ARCHIVE; Expedited exists for GLACIER only."


class ThawIncomplete(PermafrostError):
    cause = "thaw_incomplete"
    meaning = "The requests that were accepted go on in S3 and were not lost."
    next_step = "Run the same task again: it asks only for what is still frozen."


class ThawTimeout(PermafrostError):
    cause = "thaw_timeout"
    meaning = "The thaw goes on in S3; only the waiting ended."
    next_step = "Run the same task again later: it requests nothing twice and goes on waiting."


class NothingToThaw(PermafrostError):
    cause = "nothing_to_thaw"
    meaning = "A thaw of nothing would look like a success, so the task failed. Nothing was requested."
    next_step = (
        "Check the bucket, the prefix and the pattern; keys are compared letter by letter, from their beginning."
    )


class NoOfferFits(PermafrostError):
    cause = "no_offer_fits"
    meaning = "No retrieval tier keeps what max_cost, ready_by and tier ask for. Nothing was requested."
    next_step = "Raise max_cost, give more time with ready_by, or leave tier out; the message has what each would need."

# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of module_utils/job.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  job:
    description:
      - The job, one source tree of this host that goes to one key prefix of one bucket.
      - All modules and roles of this collection take the same schema.
    type: dict
    required: true
    suboptions:
      name:
        description:
          - The name of the job on this host, at most 63 letters, digits, dots, dashes and underscores.
          - It names the archive directory and the containers.
        type: str
        required: true
      state:
        description:
          - For the role P(permafrost.backup.duplicity#role). With V(absent) it takes away the job's timers, files and
            secrets on the host, and never its backups. Modules do not look at it.
        type: str
        choices: [present, absent]
        default: present
      source:
        description:
          - The directory to back up, an absolute path. Needed by backups only.
          - What the collection keeps below it (secrets, O(job.state_dir), O(job.temp_dir)) is left out, and with V(/)
            also /proc and /sys.
        type: path
      selection:
        description:
          - Which files of the source are backed up, as a list of rules, each with one key. The first rule that fits a
            file decides; what no rule fits is taken.
          - Patterns are those of duplicity(1), FILE SELECTION. V(*) stays within a directory, V(**) does not; one that
            ends with a slash fits directories only.
          - A pattern is relative to the source, or an absolute path below it; one that begins with V(**) fits at any
            depth. No rule ever fits the source's own path.
        type: list
        elements: dict
        suboptions:
          include:
            description: Take what this pattern fits, and all below it.
            type: str
          exclude:
            description: Leave out what this pattern fits, and all below it.
            type: str
          include_regexp:
            description:
              - Take paths in which this regular expression of Python is found. It is looked for in the path relative to
                the source, with a slash before it, such as C(/etc/hosts). V(^) is refused; a pattern can do that.
              - Directories above what it fits are not taken because of it.
            type: str
          exclude_regexp:
            description: The same, to leave out.
            type: str
          include_list:
            description:
              - A file on this host with one pattern a line, in UTF-8. A line may begin with V(+) or V(-) and a blank to
                include or to exclude in spite of the list's kind; quotes around a pattern keep its blanks; empty lines
                and lines that begin with V(#) do not count.
            type: path
          exclude_list:
            description: The same, to leave out.
            type: path
          exclude_if_present:
            description:
              - Leave out directories below the source that hold a file of this name, such as V(.nobackup).
              - Wherever it stands in the list, it goes before all other rules.
            type: str
          exclude_older_than:
            description: Leave out regular files that were not modified for so long, an interval such as V(365D).
            type: str
      one_file_system:
        description:
          - Leave out what is mounted below the source.
        type: bool
        default: false
      target:
        description:
          - Bucket and key prefix, as C(s3://bucket/prefix); C(boto3+s3://) means the same.
          - Each job needs a prefix of its own.
        type: str
        required: true
      hostname:
        description:
          - The host name inside the container, by which duplicity knows the owner of a chain.
          - Default is O(job.name).
        type: str
      file_prefixes:
        description:
          - What the names of the objects begin with, for chains that were made so. New jobs need none, since each has a
            key prefix of its own.
          - Letters, digits, dots, dashes and underscores.
        type: dict
        suboptions:
          archive:
            description: Before the names of volumes, duplicity's C(--file-prefix-archive).
            type: str
          manifest:
            description: Before the names of manifests, duplicity's C(--file-prefix-manifest).
            type: str
          signature:
            description: Before the names of signatures, duplicity's C(--file-prefix-signature).
            type: str
      adopt:
        description:
          - What a chain that was made without this collection needs to go on.
        type: dict
        suboptions:
          archive_dir:
            description: The directory that duplicity was given as C(--archive-dir), on this host.
            type: path
          archive_name:
            description: The directory of the chain in it, C(--name) or the MD5 of the target's URL.
            type: str
          source_path:
            description: The path at which that duplicity saw the source.
            type: path
      storage_class:
        description:
          - The storage class of volumes. Manifests and signatures are always in STANDARD.
        type: str
        choices: [STANDARD, GLACIER_IR, GLACIER, DEEP_ARCHIVE]
        default: DEEP_ARCHIVE
      volume_size:
        description:
          - The size of a volume in MB (1024 * 1024 bytes). Each volume is one paid PUT.
          - Temporary space for (O(job.concurrency) + 2.3) volumes is needed, on restores too.
          - Smaller volumes thaw less for one path, want less space, and upload while the next one is built. Larger
            ones cost fewer requests; from some ten terabytes on, take V(1024).
        type: int
        default: 256
      multipart_chunk_size:
        description:
          - The size from which an upload is split into parts, and of a part, in MB. Each part is a paid request.
          - Default is O(job.volume_size) and 64, so that a volume is one PUT.
        type: int
      concurrency:
        description:
          - The number of uploads beside the building of the next volume.
        type: int
        default: 2
      compression:
        description:
          - Compress volumes.
        type: bool
        default: true
      compression_level:
        description:
          - V(1) is the fastest, V(9) the smallest. Default is 1 for GnuPG and 2 else; from 4 on it takes several times
            as long.
          - Without encryption it needs the image of this collection.
        type: int
      full_if_older_than:
        description:
          - Make a full when the last one is older than this, an interval such as V(4W) or V(30D).
        type: str
        default: 4W
      full_if_n_inc:
        description:
          - Also make a full when the chain has this many incrementals.
        type: int
      skip_if_no_change:
        description:
          - Upload nothing when nothing has changed since the last set.
        type: bool
        default: true
      on_unreadable:
        description:
          - What a backup does when source files were unreadable or vanished while it ran. They are counted and named.
          - With V(fail) the task fails and the run does not count as a success, though the set is stored.
        type: str
        choices: [fail, warn]
        default: fail
      encryption:
        description:
          - How the backup is encrypted. There is no default, since it is a choice.
        type: dict
        required: true
        suboptions:
          mode:
            description:
              - V(gpg) for the keys of O(job.encryption.encrypt_keys), V(symmetric) with O(job.encryption.passphrase),
                both by GnuPG, or V(none).
              - With V(gpg) a host that backs up needs public keys only, and holds no secret.
            type: str
            choices: [none, symmetric, gpg]
            required: true
          passphrase:
            description:
              - The passphrase, one line; with mode V(gpg) that of O(job.encryption.secret_keys), if they have one.
                Without it nothing can ever be restored, so keep it elsewhere too.
            type: str
          encrypt_keys:
            description: Fingerprints of the keys that can read the backup, 40 hexadecimal digits each.
            type: list
            elements: str
          sign_key:
            description:
              - The fingerprint of the key, or of the one subkey, that signs. Its secret key is then needed on each
                backup. A restore with it refuses volumes that have no good signature of it.
            type: str
          public_keys:
            description:
              - The public keys, as C(gpg --armor --export) prints them, also several exports one after the other.
                Needed for backups.
            type: str
          secret_keys:
            description:
              - The secret keys, as C(gpg --armor --export-secret-keys) prints them, for restores, for signing, and for
                an incremental on a host that lost its archive directory. They are in a keyring that lives as long as
                the run.
            type: str
      server_side_encryption:
        description:
          - How S3 encrypts objects at rest. Without it the bucket's default counts.
        type: dict
        suboptions:
          mode:
            description: V(AES256) for keys of S3, V(aws:kms) for a key of the Key Management Service.
            type: str
            choices: [AES256, "aws:kms"]
            required: true
          kms_key_id:
            description: The ID or ARN of the key.
            type: str
      credentials:
        description:
          - Who the run is for S3 - a key pair, a profile, or an assumed role. Without it the role of the instance or of
            the ECS task counts. Of this host's environment variables only those reach the container that lead to the
            role of a task (C(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI), C(AWS_CONTAINER_CREDENTIALS_FULL_URI)).
        type: dict
        suboptions:
          access_key:
            description: The access key ID.
            type: str
          secret_key:
            description: The secret access key.
            type: str
          session_token:
            description: The token of temporary credentials.
            type: str
          profile:
            description: A profile of O(job.credentials.aws_dir).
            type: str
          aws_dir:
            description: The directory on this host with the files C(config) and C(credentials) of the AWS tools.
            type: path
            default: ~/.aws
          role_arn:
            description: A role to assume, with the key pair or else with the role of the instance or task.
            type: str
          external_id:
            description: The external ID that the role asks for.
            type: str
          sts_endpoint_url:
            description: The URL of a Security Token Service other than Amazon's.
            type: str
      endpoint_url:
        description:
          - The URL of an S3 service other than Amazon's.
        type: str
      region:
        description:
          - The Region of the bucket.
        type: str
      ca_bundle:
        description:
          - A file of CA certificates on this host, for O(job.endpoint_url).
        type: path
      retention:
        description:
          - What a cleanup deletes, with the rules of M(permafrost.backup.duplicity_cleanup). A set goes when any of
            them says so. Without it nothing is ever deleted.
          - The playbook permafrost.backup.cleanup does it, or the host itself, see O(job.cleanup_on). Rules that the
            playbook or a task is given stand in the place of these.
        type: dict
        suboptions:
          keep_fulls:
            description: Keep so many fulls, the newest, with their incrementals.
            type: int
          older_than:
            description: Chains go when their newest set is older, an interval such as V(180D) or a time.
            type: str
          keep_incrementals_of:
            description: Keep the incrementals of so many chains, the newest. Of older chains the full stays.
            type: int
          orphans:
            description: Also delete what belongs to no chain, such as what interrupted backups left.
            type: bool
            default: false
          orphan_age:
            description: Orphans of which any object is younger than this interval stay. At least V(1D).
            type: str
            default: 7D
          early_delete:
            description:
              - What happens to sets that S3 bills for longer, since O(job.storage_class) has a minimum of 90 or 180
                days. With V(refuse) they stay until they are free, with V(warn) and V(allow) they go. V(warn) says what
                that costs.
            type: str
            choices: [refuse, warn, allow]
            default: refuse
      cleanup_on:
        description:
          - Where O(job.retention) is applied. V(keeper) is one host for all, from which the playbook
            permafrost.backup.cleanup runs, so that no backup host can delete.
          - With V(host) the host does it after each backup of its timer that ended well, as whom
            O(job.cleanup_credentials) say. It needs O(job.scheduler=systemd).
        type: str
        choices: [keeper, host]
        default: keeper
      cleanup_credentials:
        description:
          - Who a cleanup is for S3, as in O(job.credentials). Backups never get them. Without them a keeper uses
            O(job.credentials); a host needs them for O(job.cleanup_on=host).
        type: dict
        suboptions:
          access_key:
            description: The access key ID.
            type: str
          secret_key:
            description: The secret access key.
            type: str
          session_token:
            description: The token of temporary credentials.
            type: str
          profile:
            description: A profile of O(job.cleanup_credentials.aws_dir).
            type: str
          aws_dir:
            description: The directory on the host that cleans up with the files C(config) and C(credentials).
            type: path
            default: ~/.aws
          role_arn:
            description: A role to assume, with the key pair or else with the role of the instance.
            type: str
          external_id:
            description: The external ID that the role asks for.
            type: str
          sts_endpoint_url:
            description: The URL of a Security Token Service other than Amazon's.
            type: str
      retries:
        description:
          - How often duplicity tries an operation on S3. Each try has the retries of the AWS SDK, twelve attempts.
        type: int
        default: 3
      limits:
        description:
          - What the container may take of this host. The engine enforces them, but for O(job.limits.upload_rate).
        type: dict
        suboptions:
          cpus:
            description: CPUs, such as V(0.5).
            type: float
          memory:
            description: Memory in MB, swap included. A run that needs more is killed, and the error says so.
            type: int
          pids:
            description: Processes and threads.
            type: int
          io_weight:
            description: The weight of disk I/O against other containers, 10 to 1000; kernels without it ignore it.
            type: int
          upload_rate:
            description: MB a second that go to S3 at most. It needs the image of this collection.
            type: int
      scheduler:
        description:
          - What runs the job, set up by the role P(permafrost.backup.duplicity#role). V(systemd) are timers of the
            host; V(container) is one container that always runs and has a scheduler of its own, for hosts without
            systemd; with V(none) the job runs only when a playbook says so. Modules do not look at it.
          - A container cannot run commands or start units of its host, so V(container) goes without O(job.hooks) and
            O(job.schedule.on_failure).
        type: str
        choices: [systemd, container, none]
        default: systemd
      schedule:
        description:
          - When the timers of O(job.scheduler=systemd), or the scheduler of V(container), run the job.
          - A run that was missed while the host was off is caught up once. Never two runs of a job at a time.
        type: dict
        suboptions:
          backup:
            description:
              - When to back up, as a calendar expression of systemd.time(7), in the time zone of the host.
              - With V(container) it is V(hourly), V(daily), V(weekly), V(monthly), V(never) or a cron expression of
                five fields.
            type: str
            default: daily
          integrity:
            description: When to compare the bucket with its manifests, which needs no thaw; as O(job.schedule.backup).
            type: str
            default: weekly
          random_delay:
            description:
              - Each host starts so much later at most, as a time span of systemd.time(7), so that a fleet does not
                start at once. A host keeps its slot.
            type: str
            default: 1h
          spread_fulls:
            description:
              - Spread the fulls of a fleet over the period of O(job.full_if_older_than), so that hosts that were set up
                together do not upload everything on the same day. Each job has a day of its own in the period.
              - It moves there by its second or third full. No chain gets shorter than half the period. Runs of
                modules are not concerned.
            type: bool
            default: true
          on_failure:
            description: Units of the host to start when a run fails.
            type: list
            elements: str
            default: []
      hooks:
        description:
          - Commands of the host around the backups of O(job.scheduler=systemd), run by root with C(/bin/sh), such as a
            database dump or a snapshot. Modules do not run them.
        type: dict
        suboptions:
          before:
            description: Before a backup. The first one that fails stops it, and the run counts as failed.
            type: list
            elements: str
            default: []
          after:
            description:
              - After a backup, in any case, also when a command before it failed. C($SERVICE_RESULT) is C(success) when
                all went well.
            type: list
            elements: str
            default: []
      reports:
        description:
          - Who hears of the runs of O(job.scheduler=systemd), backups and integrity checks. Modules report by their
            results. A report that cannot be sent is a warning in the journal, and never makes a run fail.
          - Secrets of the job are masked in all of them. The addresses of pings and messages are secrets themselves.
        type: dict
        suboptions:
          mail:
            description: A mail of each run that failed, or of each run with O(job.reports.report_success).
            type: dict
            suboptions:
              host:
                description: The mail server.
                type: str
                required: true
              port:
                description:
                  - Its port; 25, 587 or 465 by default, as O(job.reports.mail.tls) is V(none), V(starttls) or
                    V(implicit).
                type: int
              tls:
                description:
                  - How the connection is encrypted. V(starttls) never goes on without it, and the server's certificate
                    is checked against what the image trusts.
                type: str
                choices: [none, starttls, implicit]
                default: starttls
              user:
                description: Who logs in. Without it nobody does.
                type: str
              password:
                description: The password of O(job.reports.mail.user).
                type: str
              from:
                description: The sender's address.
                type: str
                required: true
              to:
                description: Addresses of those who get the mail.
                type: list
                elements: str
                required: true
          report_success:
            description: Send mails and messages also of runs that went well.
            type: bool
            default: false
          healthchecks_url:
            description:
              - The ping URL of a check at healthchecks.io or at a Healthchecks of your own. It is told of the start,
                and of the success or the failure of each backup, with the last lines of its output.
            type: str
          uptime_kuma_url:
            description:
              - The URL of a push monitor of Uptime Kuma, for the backups. Whatever stands behind a question mark is
                left out.
            type: str
          integrity_healthchecks_url:
            description:
              - The same as O(job.reports.healthchecks_url) for the integrity checks. It must be another one, so that a
                check that went well does not hide a backup that failed.
            type: str
          integrity_uptime_kuma_url:
            description: The same as O(job.reports.uptime_kuma_url) for the integrity checks.
            type: str
          apprise_urls:
            description:
              - Addresses of messages in the form of Apprise, such as V(ntfy://TOPIC) or V(slack://TOKENS).
            type: list
            elements: str
          metrics_dir:
            description:
              - The directory of the host from which node_exporter reads text files. Each job has one file there, named
                C(permafrost-NAME.prom). The engine makes a directory that is not there.
            type: path
      verbosity:
        description:
          - How much duplicity logs.
        type: str
        choices: [notice, info, debug]
        default: notice
      keep_logs:
        description:
          - How many logs of backups and how many of restores stay below C(logs) in the directory of the job in
            O(job.state_dir), one file a run, named by verb and UTC time.
        type: int
        default: 10
      progress:
        description:
          - Write C(progress.json) in the directory of the job in O(job.state_dir) while a backup runs, with bytes,
            volumes, per cent and seconds left. The playbook permafrost.backup.progress shows it.
          - duplicity then reads the source twice, the first time to learn how much there is.
        type: bool
        default: false
      extra_args:
        description:
          - Further options for duplicity, each word an element. Options that the job or a module has are refused.
        type: list
        elements: str
        default: []
      image:
        description:
          - The image, with duplicity on its PATH. The role P(permafrost.backup.duplicity_image#role) builds it.
        type: str
        default: permafrost/duplicity:latest
      network:
        description:
          - The network of the container. V(host) also reaches the instance's metadata service.
        type: str
        default: host
      docker_host:
        description:
          - The unix socket of the engine on this host.
        type: str
        default: unix:///var/run/docker.sock
      state_dir:
        description:
          - Where the archive directory, run logs and records of all jobs lie, each in a directory of its name.
          - When the archive directory is lost, manifests and signatures are fetched from the bucket again.
        type: path
        default: /var/lib/permafrost
      temp_dir:
        description:
          - Where volumes are built. Default is a directory below O(job.state_dir).
        type: path
"""

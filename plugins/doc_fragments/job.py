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
      source:
        description:
          - The directory to back up, an absolute path. Needed by backups only.
          - What the collection keeps below it (secrets, O(job.state_dir), O(job.temp_dir)) is left out, and with V(/)
            also /proc and /sys.
        type: path
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
      full_if_older_than:
        description:
          - Make a full when the last one is older than this, an interval such as V(4W) or V(30D).
        type: str
        default: 4W
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
              - V(none), or V(symmetric) with O(job.encryption.passphrase) by GnuPG.
            type: str
            choices: [none, symmetric]
            required: true
          passphrase:
            description:
              - The passphrase, one line. Without it nothing can ever be restored, so keep it elsewhere too.
            type: str
      credentials:
        description:
          - A key pair for S3. Without it the role of the instance or task counts. Profiles and environment variables of
            this host do not reach the container.
        type: dict
        suboptions:
          access_key:
            description: The access key ID.
            type: str
            required: true
          secret_key:
            description: The secret access key.
            type: str
            required: true
          session_token:
            description: The token of temporary credentials.
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

"""Mend a few places of duplicity, in copies of its files that the image puts over the originals.

Run while the image is built: mend.py ENVIRONMENT OUT. Each place must occur exactly once, so that another version of
duplicity fails the build and is looked at. What is written to the bucket stays as it was.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mend:
    """One place: ``before`` becomes ``after``."""

    file: str
    why: str
    before: str
    after: str


MENDS = (
    Mend(
        "backends/s3_boto3_backend.py",
        "A policy that ends at a key prefix allows no look at the bucket itself, only listings below the prefix.",
        """\
            else:
                raise

        self.bucket = self.s3.Bucket(self.bucket_name)  # only set if bucket is thought to exist.
""",
        """\
            elif error_code != "403":  # what else the credentials lack, the first listing says
                raise

        self.bucket = self.s3.Bucket(self.bucket_name)  # only set if bucket is thought to exist.
""",
    ),
    Mend(
        "selection.py",
        "A file that vanishes between the listing of its directory and the look at it was left out without a word.",
        """\
                if new_path:
                    s = self.Select(new_path)
""",
        """\
                if new_path and not new_path.type:
                    if self.Select(new_path) == 1:
                        log.Warn(
                            f"Error vanished while the backup ran {new_path.uc_name}",
                            log.WarningCode.cannot_stat,
                            util.escape(new_path.name),
                        )
                        if diffdir.stats:
                            diffdir.stats.Errors += 1
                elif new_path:
                    s = self.Select(new_path)
""",
    ),
    Mend(
        "dup_main.py",
        "The end of the last uploads was looked for every two seconds.",
        "                    time.sleep(2)\n",
        "                    time.sleep(0.05)\n",
    ),
    Mend(
        "dup_main.py",
        "A pool of processes was made ready for uploads beside the building of the next volume, which may never come.",
        """\
    if config.concurrency > 0:
        backend_pooler = backend_pool.BackendPool(config.target_url, processes=config.concurrency)

    try:
        while not at_end:
""",
        """\
    try:
        while not at_end:
""",
    ),
    Mend(
        "dup_main.py",
        "A set of one volume needs no other process.",
        "            if config.concurrency > 0 and backend_pooler:\n",
        """\
            if config.concurrency > 0 and not backend_pooler and not (at_end and vol_num == 1):
                backend_pooler = backend_pool.BackendPool(config.target_url, processes=config.concurrency)

            if config.concurrency > 0 and backend_pooler:
""",
    ),
    Mend(
        "dup_main.py",
        "The manifest on disk went on listing a volume that a resumption writes anew, with the old one's hash. Killed "
        "when S3 had the new one and the next, the next resumption went on behind both, and the set was never to be "
        "restored. The last volume that stays is listed again: to any reader what stands above it is void.",
        "        mf.fh = man_outfp\n",
        """\
        mf.fh = man_outfp
        mf.add_volume_info(mf.volume_info_dict[config.restart.start_vol])
        man_outfp.flush()
""",
    ),
    Mend(
        "dup_main.py",
        "What had changed since it was stored got the signature of its new content, and was never stored. The module "
        "asks before duplicity begins (resuming.py), and that may be hours before it is here.",
        "def write_multivol(",
        """\
    sys.path.append("/opt/permafrost")
    from ansible_collections.permafrost.backup.plugins.module_utils import changes

    begun = config.restart.time or config.restart.end_time
    if changes.changed(os.fsdecode(config.local_path.name), last_index, begun):
        log.Notice("RESTART: The source has changed. Restart is impossible...starting backup from beginning.")
        config.restart.last_backup.delete()
        os.execve(sys.argv[0], sys.argv, os.environ)


def write_multivol(""",
    ),
    Mend(
        "dup_main.py",
        "A run that was killed before it heard of the last two volumes that S3 had stored was begun anew.",
        """\
        mf_len = len(mf.volume_info_dict)
        if (mf_len""",
        """\
        mf_len = len(mf.volume_info_dict)
        self.start_vol = min(self.start_vol, mf_len)
        if (mf_len""",
    ),
    Mend(
        "dup_main.py",
        "A backup deleted a set that is complete, where the bucket had other volumes than its manifest lists; and a "
        "dry run what it took for interrupted.",
        """\
            elif not last_backup.is_complete() or last_backup.is_missing():
""",
        """\
            elif not config.dry_run and not last_backup.is_complete():
""",
    ),
    Mend(
        "backend.py",
        "What may not be deleted was asked for three times, five seconds apart, for each volume of a set.",
        """\
                    at_end = n == config.num_retries
""",
        """\
                    at_end = n == config.num_retries or (not fatal and "AccessDenied" in str(e))
""",
    ),
    Mend(
        "dup_main.py",
        "A backup that cannot delete an interrupted set tried to for ever. A new chain may stand beside it, unless it "
        "began in the same second: the signatures of the one would go on with those of the other.",
        """\
                    config.archive_dir_path,
                ).set_values()
                continue
            else:
                break
        break
""",
        """\
                    config.archive_dir_path,
                ).set_values()
                chain = col_stats.get_last_backup_chain()
                if chain and chain.get_last().get_time() == last_backup.get_time():
                    log.Warn(f"The interrupted set of {dup_time.timetopretty(last_backup.get_time())} stays.")
                    action = "full"
                    if dup_time.curtime == last_backup.get_time():
                        time.sleep(1)
                        dup_time.setcurtime()
                    break
                continue
            else:
                break
        break
""",
    ),
    Mend(
        "diffdir.py",
        "Two messages a file took a tenth of the time of small files, only to be dropped.",
        """\
        log.Debug(
            _("Comparing %s and %s")
""",
        """\
        log.enabled(log.DEBUG) and log.Debug(
            _("Comparing %s and %s")
""",
    ),
    Mend(
        "diffdir.py",
        "The same.",
        'log.Debug(_("Getting delta of %s and %s") % (new_path, sig_path))',
        'log.enabled(log.DEBUG) and log.Debug(_("Getting delta of %s and %s") % (new_path, sig_path))',
    ),
    Mend(
        "diffdir.py",
        "And the name of each file was quoted twice for a message of another level.",
        """\
        if new_path and stats:
            stats.add_new_file(new_path)
        log.Info(
""",
        """\
        if new_path and stats:
            stats.add_new_file(new_path)
        log.enabled(log.INFO) and log.Info(
""",
    ),
    Mend(
        "cached_ops.py",
        "The name of an owner whom the container does not know was looked up for each file, which took its whole time.",
        "    return grp.getgrgid(gid)\n",
        """\
    try:
        return grp.getgrgid(gid)
    except KeyError:
        return ("",)
""",
    ),
    Mend(
        "cached_ops.py",
        "The same.",
        "    return pwd.getpwuid(uid)\n",
        """\
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return ("",)
""",
    ),
    Mend(
        "diffdir.py",
        "A file that grew after its end had been read got a signature of what is not in the backup.",
        """\
        self.infile = infile

    def read(self, length=-1):
        \"""
        Read data from the input file and update the source file size statistic.
""",
        """\
        self.infile = infile
        self.ended = False

    def read(self, length=-1):
        \"""
        Read data from the input file and update the source file size statistic.
""",
    ),
    Mend(
        "diffdir.py",
        "The same. A file system may give less than it was asked for before the end, and nothing only there.",
        """\
        try:
            buf = self.infile.read(length)
        except IOError as ex:
""",
        """\
        if self.ended:
            return b""
        try:
            buf = self.infile.read(length)
            while 0 < len(buf) < length and (more := self.infile.read(length - len(buf))):
                buf += more
            self.ended = len(buf) < length
        except IOError as ex:
            self.ended = True
""",
    ),
    Mend(
        "diffdir.py",
        "A small new file takes a short way (fast_files.py), a third less time, and one debug message less.",
        """\
        elif not sig_path or new_path != sig_path:
""",
        """\
        elif not sig_path and sigTarFile and (data := fast_files.block(new_path, sigTarFile, stats)):
            new_path.difftype = "snapshot"
            log_delta_path(new_path, new_path, stats)
            yield TarBlock(new_path.index, data)
        elif not sig_path or new_path != sig_path:
""",
    ),
    Mend(
        "diffdir.py",
        "The same: what comes that way is a block already.",
        """\
                tarinfo.name = rf"{prefix}/{tarinfo.name}"

        ti =""",
        """\
                tarinfo.name = rf"{prefix}/{tarinfo.name}"

        if isinstance(delta_ropath, TarBlock):
            return delta_ropath

        ti =""",
    ),
    Mend(
        "diffdir.py",
        "The disk reads the small files of a full side by side (read_ahead.py).",
        'return DirDelta_WriteSig(path_iter, io.StringIO(""), sig_outfp)',
        'return DirDelta_WriteSig(read_ahead.batches(path_iter), io.StringIO(""), sig_outfp)',
    ),
    Mend(
        "diffdir.py",
        "What the places above need.",
        "import io\nimport math\n",
        "import io\nimport fast_files\nimport math\nimport read_ahead\n",
    ),
    Mend(
        "path.py",
        "A file's name never begins with a slash, so that there is nothing to look for when it is joined to its base.",
        """\
        self.name = os.path.join(base, *self.index)
""",
        """\
        if self.index and base and not base.endswith(b"/"):
            self.name = b"/".join((base, *self.index))
        else:
            self.name = os.path.join(base, *self.index)
""",
    ),
    Mend(
        "selection.py",
        "Two messages a file took a twentieth of the time of small files, only to be dropped.",
        """\
        log.Debug(f"Selection: examining path {path.uc_name}")
""",
        """\
        if not self.selection_functions and not log.enabled(log.DEBUG):
            return 1
        log.Debug(f"Selection: examining path {path.uc_name}")
""",
    ),
    Mend(
        "selection.py",
        "The same.",
        'log.Debug(_("Selecting %s") % subpath.uc_name)',
        'log.enabled(log.DEBUG) and log.Debug(_("Selecting %s") % subpath.uc_name)',
    ),
    Mend(
        "manifest.py",
        "The list of files was written line by line.",
        """\
            for fileinfo in self.files_changed:
                self.fh.write(b"    %-7s  %s\\n" % (fileinfo[1], Quote(fileinfo[0])))

    def add_volume_info""",
        """\
            for some in batched(self.files_changed, 1000):
                self.fh.write(b"".join(b"    %-7s  %s\\n" % (kind, Quote(name)) for name, kind in some))

    def add_volume_info""",
    ),
    Mend(
        "manifest.py",
        "What the place above needs.",
        "import re\n",
        "import re\nfrom itertools import batched\n",
    ),
    Mend(
        "robust.py",
        "Two imports a file.",
        "    from duplicity import path  # TODO: avoid circ. dep. issue\n",
        """\
    path = sys.modules["duplicity.path"]
""",
    ),
    Mend(
        "robust.py",
        "What the place above needs.",
        "import errno\n\nfrom duplicity import librsync\n",
        "import errno\nimport sys\n\nfrom duplicity import librsync\n",
    ),
    Mend(
        "log.py",
        "What the messages above are asked for with.",
        """\
def Debug(s):
""",
        """\
def enabled(verb_level):
    return _logger.isEnabledFor(MAX - verb_level + 1)  # as DupToLoggerLevel, which would be called five times a file


def Debug(s):
""",
    ),
    Mend(
        "log.py",
        "Six messages a file were put together only to be dropped.",
        """\
    if extra:
        controlLine = f"{int(code)} {extra}"
""",
        """\
    if not (force_print or _logger.isEnabledFor(DupToLoggerLevel(verb_level))):
        return

    if extra:
        controlLine = f"{int(code)} {extra}"
""",
    ),
)


def mended(text: str, mend: Mend) -> str:
    """The text of a file with one place mended."""
    if text.count(mend.before) != 1:
        raise SystemExit(f"mend.py: {mend.file} does not hold this place once:\n{mend.before}")
    return text.replace(mend.before, mend.after)


def main(environment: Path, out: Path) -> None:
    """Write the mended files to ``out``."""
    package = next(environment.glob("lib/python3.*/site-packages/duplicity"))
    for name in sorted({mend.file for mend in MENDS}):
        text = (package / name).read_text(encoding="utf-8")
        for mend in MENDS:
            text = mended(text, mend) if mend.file == name else text
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Reports one run: pings, a mail, messages, metrics. I/O.

Whatever goes wrong here is a warning: the run that is told of keeps its own result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from ansible_collections.permafrost.backup.plugins.module_utils.errors import Interrupted
from permafrost import apprising, mailing, measuring, metrics, pings, wording
from permafrost.channels import Channels
from permafrost.masking import hide
from permafrost.outcome import Outcome

Mask = Callable[[str], str]
# A message is read on a telephone.
_MESSAGE_LINES = 15


class Reporter:
    """Reports one run through its channels: ``begin``, then ``end``. Neither fails; a signal ends both.

    ``mask`` takes the secrets of the job, or of the environment, out of what is sent. ``figures_file`` is where figures
    are kept between runs; without it beside the metrics.
    """

    def __init__(self, channels: Channels, hostname: str, mask: Mask, figures_file: str | None = None) -> None:
        self._channels = channels
        self._hostname = hostname
        self._mask: Mask = lambda text: hide(mask(text), channels.secrets)
        self._figures_file = figures_file
        self._run = str(uuid4())

    def begin(self) -> None:
        """Tell that the run begins. A signal meanwhile ends the run, as at any other time."""
        if self._channels.healthchecks_url:
            with self._warned("the ping of healthchecks"):
                pings.healthchecks(self._channels.healthchecks_url, "start", self._run)

    def end(
        self,
        outcome: Outcome,
        headline: str = "",
        known: metrics.Figures | None = None,
        next_run: datetime | None = None,
        *,
        hurry: bool = False,
    ) -> None:
        """Tell what became of the run. ``headline`` is what it said at its end; ``known`` are figures that it knows.

        ``hurry``: whoever ended the run does not wait long for its last words. A signal meanwhile cuts it short and is
        raised: it is for whoever has more to do than this run.
        """
        figures = metrics.of_output(outcome.output) if known is None else known
        masked = replace(outcome, output=self._mask(outcome.output))
        try:
            self._measure(masked, metrics.figures(outcome, figures, next_run))
            self._ping(masked, self._mask(headline), 1 if hurry else pings.TRIES)
            if outcome.exit_code or self._channels.report_success:
                self._tell(masked, self._mask(headline), 1 if hurry else mailing.TRIES)
        except Interrupted as interrupted:
            self._warn(f"Not all was reported, since {interrupted} came meanwhile.")
            raise

    def _measure(self, outcome: Outcome, figures: metrics.Figures) -> None:
        if self._channels.metrics_dir:
            with self._warned("the file of metrics"):
                measuring.write(self._channels.metrics_dir, self._figures_file, outcome, figures)

    def _ping(self, outcome: Outcome, headline: str, tries: int) -> None:
        channels = self._channels
        if channels.healthchecks_url:
            body = wording.text(outcome, self._hostname, headline)
            with self._warned("the ping of healthchecks"):
                ending = "fail" if outcome.exit_code else ""
                pings.healthchecks(channels.healthchecks_url, ending, self._run, body, tries)
        if channels.uptime_kuma_url:
            with self._warned("the ping of Uptime Kuma"):
                pings.uptime_kuma(channels.uptime_kuma_url, outcome, wording.line(outcome, headline), tries)

    def _tell(self, outcome: Outcome, headline: str, tries: int) -> None:
        mail = self._channels.mail
        if mail:
            subject = self._mask(wording.subject(outcome, self._hostname, mail.subject, mail.words))
            with self._warned("the mail"):
                for text in mailing.send(
                    mail, subject, wording.text(outcome, self._hostname, headline), self._hostname, tries
                ):
                    self._warn(text)
        if self._channels.apprise_urls:
            title = wording.subject(outcome, self._hostname)
            body = wording.text(outcome, self._hostname, headline, _MESSAGE_LINES)
            with self._warned("messages"):
                for text in apprising.send(self._channels.apprise_urls, title, body, failed=outcome.exit_code != 0):
                    self._warn(text)

    @contextmanager
    def _warned(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of libraries and servers, whatever it is
            self._warn(f"A report failed, {what}: {pings.reason(error)}.")

    def _warn(self, text: str) -> None:
        print(f"warning: {self._mask(text)}", file=sys.stderr, flush=True)

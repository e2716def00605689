"""The way of a request: name it, authenticate and authorize it, let faults strike, read the body, serve it, log it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from lab.s3 import store
from lab.s3.bodies import loaded
from lab.s3.bridge import call_moto
from lab.s3.control import Control
from lab.s3.deletion import Deleter
from lab.s3.faults import Faults
from lab.s3.listing import list_object_versions, list_objects
from lab.s3.message import Request, ResetError, Response, S3Error
from lab.s3.operation import name_operation
from lab.s3.policies import Policies
from lab.s3.reading import get_object
from lab.s3.receive import Incoming
from lab.s3.requestlog import RequestLog, classes_of
from lab.s3.restore import Restorer
from lab.s3.signature import KeyRing

CONTROL = "_lab"  # an underscore cannot be in a bucket's name
OBJECT_BODIES = {"PutObject", "UploadPart"}


class App:
    """The whole server behind the wire."""

    def __init__(self, access_key: str, secret: str) -> None:
        store.install()
        self.keys = KeyRing(access_key, secret)
        self.faults = Faults()
        self.log = RequestLog()
        self.policies = Policies()
        self.restorer = Restorer(self.faults)
        self.control = Control(self.keys, self.policies, self.faults, self.log, self.restorer.limit)
        self.own: dict[str, Callable[[Request], Response]] = {
            "RestoreObject": self.restorer,
            "GetObject": get_object,
            "DeleteObjects": Deleter(self.policies),
            "ListObjects": list_objects,
            "ListObjectsV2": list_objects,
            "ListObjectVersions": list_object_versions,
        }

    def __call__(self, request: Request, incoming: Incoming, go_on: Callable[[], None]) -> Response:
        """Serve one request; a reset connection is logged, then dropped by the wire."""
        if request.bucket == CONTROL:
            go_on()
            return self.control(request, loaded(incoming.receive(as_object=False)))
        status, sent = 0, 0
        try:
            response = self._answer(request, incoming, go_on)
            status, sent = response.status, 0 if request.method == "HEAD" else len(response.body)
        finally:
            self.log.add(request, classes_of(request), status, incoming.count, sent)
        # A client may have given up by then, and its test be over: the log of the next one is not to hold this request.
        self.faults.delay(request)
        return response

    def _answer(self, request: Request, incoming: Incoming, go_on: Callable[[], None]) -> Response:
        try:
            return self._serve(request, incoming, go_on)
        except S3Error as error:
            return error.response(request)
        except (ConnectionError, ResetError):
            raise
        except Exception:  # a bug of moto or of the lab: the client sees a 500, the log of the server why
            traceback.print_exc(file=sys.stderr)
            text = "We encountered an internal error. Please try again."
            return S3Error(500, "InternalError", text).response(request)

    def _serve(self, request: Request, incoming: Incoming, go_on: Callable[[], None]) -> Response:
        request.operation = name_operation(request)
        request.access_key = self.keys.authenticate(request)
        self.policies.check(request)
        self.faults.strike(request)
        go_on()
        request.body = incoming.receive(as_object=request.operation in OBJECT_BODIES)
        return self.own.get(request.operation, call_moto)(request)

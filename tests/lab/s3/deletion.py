"""DeleteObjects, where a policy allows some of the keys: those go, and the others are errors in a reply of 200."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.sax.saxutils import escape

from lab.s3.bodies import loaded
from lab.s3.bridge import call_moto
from lab.s3.message import Request, Response
from lab.s3.policies import Policies


class Deleter:
    """Answers DeleteObjects."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def __call__(self, request: Request) -> Response:
        """Take out what is not allowed, let moto do the rest, put the errors in."""
        root = ElementTree.fromstring(loaded(request.body))
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]  # moto looks for names without a space
        refused = []
        for one in root.findall("Object"):
            key = one.findtext("Key") or ""
            if not self._policies.may_delete(request, key, one.findtext("VersionId")):
                refused.append(key)
                root.remove(one)
        if not refused:
            return call_moto(request)
        errors = "".join(
            f"<Error><Key>{escape(key)}</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            for key in refused
        )
        if not root.findall("Object"):
            xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<DeleteResult>{errors}</DeleteResult>'
            return Response(200, {"Content-Type": "application/xml"}, xml.encode())
        request.body = ElementTree.tostring(root)
        reply = call_moto(request)
        reply.body = loaded(reply.body).replace(b"</DeleteResult>", f"{errors}</DeleteResult>".encode())
        return reply

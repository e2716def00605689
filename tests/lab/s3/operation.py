"""Name the S3 API operation of a request, for the log, the faults and the dispatch."""

from __future__ import annotations

from moto.core.request import Request as MotoRequest
from moto.core.routing import get_service_router
from werkzeug.exceptions import NotFound

from lab.s3.message import Request

PLAIN_KEY = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
PLAIN_BUCKET = {"GET": "ListObjects", "HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}
BY_PARAMETER = {
    ("POST", "restore"): "RestoreObject",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("POST", "delete"): "DeleteObjects",
    ("PUT", "uploadId"): "UploadPart",
    ("GET", "uploadId"): "ListParts",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "versions"): "ListObjectVersions",
}
# Parameters that do not change the operation: everything else goes through moto's router of all S3 operations.
NEUTRAL = {
    "prefix", "delimiter", "marker", "max-keys", "encoding-type", "continuation-token", "start-after", "fetch-owner",
    "versionId", "x-id", "partNumber", "key-marker", "version-id-marker", "max-parts", "part-number-marker",
    "response-content-type", "response-content-disposition", "response-cache-control", "response-expires",
    "response-content-encoding", "response-content-language", "list-type", "uploadId", "uploads", "versions",
    "restore", "delete", "upload-id-marker", "max-uploads",
}  # fmt: skip


def name_operation(request: Request) -> str:
    """The name as botocore spells it; an unknown request is named by its method."""
    unsigned = {name for name in request.params if not name.lower().startswith("x-amz-")}
    if unsigned <= NEUTRAL:
        return _common(request)
    environ = {"REQUEST_METHOD": request.method, "RAW_URI": request.target, "PATH_INFO": request.path}
    environ |= {"QUERY_STRING": request.query, "SERVER_NAME": "lab", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    try:
        return str(get_service_router("s3").match(MotoRequest(environ))[0].name)
    except NotFound:
        return request.method


def _common(request: Request) -> str:
    if not request.bucket:
        return "ListBuckets"
    for parameter in request.params:
        if name := BY_PARAMETER.get((request.method, parameter)):
            return "UploadPartCopy" if name == "UploadPart" and "x-amz-copy-source" in request.headers else name
    table = PLAIN_KEY if request.key else PLAIN_BUCKET
    name = table.get(request.method, request.method)
    return "CopyObject" if name == "PutObject" and "x-amz-copy-source" in request.headers else name

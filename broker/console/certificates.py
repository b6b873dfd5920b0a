"""The certificate that SNS's signatures are checked with, at a path of AWS's form. Anyone may fetch it, as on AWS."""

from typing import Final

from broker.console.replies import Refused
from broker.services.runtime import Runtime
from broker.services.sns.signer import Signer
from broker.wire.http import HttpRequest, HttpResponse

PREFIX: Final = "/SimpleNotificationService-"


class Certificates:
    """GET /SimpleNotificationService-….pem."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def handle(self, request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            raise Refused(405, f"the method is {request.method}; expected GET")
        certificate = self._runtime.part(Signer).certificate(request.path.removeprefix("/"))
        if certificate is None:
            raise Refused(404, f"the path is {request.path!r}; there is no such certificate")
        return HttpResponse(200, certificate, {"Content-Type": "application/x-pem-file"})

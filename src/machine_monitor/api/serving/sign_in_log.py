"""The log and the metrics of passwords that clients send, so that guessing is noticed."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

from machine_monitor.api.serving import metrics
from machine_monitor.api.serving.logs import FIELDS
from machine_monitor.errors import Problem, RateLimited, Unauthenticated
from machine_monitor.models import USERS
from machine_monitor.services.accounts.password_sign_in import WRONG_PASSWORD
from machine_monitor.services.records import validation

logger = logging.getLogger(__name__)


@contextmanager
def recorded(request_id: str, address: str | None, trigram: str) -> Generator[None]:
    """Count and log the result of a password check."""
    # A user may have typed the password in place of the trigram. It is too long for one, and is not logged.
    account = None if validation.key_faults(USERS, trigram) else trigram
    fields = {"request_id": request_id, "account": account, "remote": address}
    try:
        yield
    except Problem as problem:
        if result := _result(problem):
            metrics.SIGN_INS.labels(result).inc()
            logger.warning("sign-in failed", extra={FIELDS: fields | {"result": result}})
        raise
    metrics.SIGN_INS.labels("success").inc()
    logger.info("sign-in succeeded", extra={FIELDS: fields})


def _result(problem: Problem) -> str | None:
    """Return the result that a problem shows; None if no password was checked."""
    if isinstance(problem, RateLimited):
        return "limited"
    is_wrong = isinstance(problem, Unauthenticated) or any(fault.code == WRONG_PASSWORD for fault in problem.faults)
    return "failure" if is_wrong else None

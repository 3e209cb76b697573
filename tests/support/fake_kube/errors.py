"""What the server refuses, as HTTP knows it."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """Answered as a Status object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    def status(self) -> dict[str, Any]:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": self.code,
            "reason": self.reason,
            "message": str(self),
        }


def not_found(what: str) -> ApiError:
    return ApiError(404, "NotFound", f"{what} not found")


def already_there(what: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f"{what} already exists")


def conflict(what: str, why: str) -> ApiError:
    return ApiError(409, "Conflict", f"Operation cannot be fulfilled on {what}: {why}")


def expired() -> ApiError:
    return ApiError(410, "Expired", "too old resource version")


def invalid(why: str) -> ApiError:
    return ApiError(422, "Invalid", why)

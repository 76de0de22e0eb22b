"""Trust goes back to the last shot that passed, and failures count until the run is beyond all of them."""

from __future__ import annotations

from acquisition.capture.trusted_shots import TrustedShots


def test_each_check_has_its_own_last_trusted_shot() -> None:
    trusted = TrustedShots()
    trusted.reference_passed(9)
    trusted.sync_check_passed(7)
    assert (trusted.by_reference, trusted.by_sync_check) == (9, 7)
    trusted.withdraw_to(8)
    assert (trusted.by_reference, trusted.by_sync_check) == (8, 7)


def test_a_resumed_run_trusts_the_last_stored_reference() -> None:
    trusted = TrustedShots(resumed_at=18)
    assert (trusted.by_reference, trusted.by_sync_check) == (18, 18)


def test_failures_are_forgotten_only_beyond_the_last_of_them() -> None:
    trusted = TrustedShots()
    trusted.reference_passed(9)
    trusted.check_failed(27)
    trusted.check_failed(18)
    trusted.reference_passed(27)
    assert trusted.failures_in_a_row == 2, "shot 27 failed before, so a pass does not show that the trouble is over"
    trusted.reference_passed(36)
    assert trusted.failures_in_a_row == 0

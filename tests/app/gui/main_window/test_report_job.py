"""Save report: the window answers meanwhile, and says where the report is."""

from __future__ import annotations

import zipfile

from app.gui.command import Command
from app.status import JobState, Message, MessageLevel


def test_a_report_is_written_in_the_background(window, qtbot, tmp_path):
    window.report(Message(MessageLevel.WARNING, "The camera is warm"))
    window.save_report(tmp_path / "report.zip")
    assert window.reports.running

    def saved() -> bool:
        window.refresh_numbers()
        return not window.reports.running

    qtbot.waitUntil(saved, timeout=60_000)
    assert any(f"Report saved: {tmp_path / 'report.zip'}" in entry.message.text for entry in window.banner.log)
    assert [job.state for job in window.jobs.statuses()] == [JobState.FINISHED]
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        assert "warning: The camera is warm" in archive.read("messages.txt").decode()
        assert "instrument is open" in archive.read("doctor.txt").decode()


def test_a_report_that_fails_says_why(window, qtbot, tmp_path):
    (tmp_path / "file").write_text("")
    window.save_report(tmp_path / "file" / "report.zip")

    def is_shown() -> bool:
        window.refresh_numbers()
        return "The report was not saved" in window.banner.text

    qtbot.waitUntil(is_shown, timeout=60_000)
    assert window.commands[Command.SAVE_REPORT].isEnabled()

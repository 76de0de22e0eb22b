"""The rail at the left of the window."""

from __future__ import annotations

from app.gui.pages.rail import Rail
from tests.helpers.x_server.operator import wait_exposed


def test_all_buttons_are_as_wide_as_the_widest(qtbot, styled):
    rail = Rail()
    qtbot.addWidget(rail)
    for title in ("Rig", "Calibrate", "Data"):
        rail.add_page(title, "data", "Something")
    rail.show()
    wait_exposed(rail)
    buttons = [rail.widgetForAction(action) for action in rail.actions()]
    assert len({button.width() for button in buttons}) == 1
    assert buttons[0].width() >= max(button.sizeHint().width() for button in buttons)

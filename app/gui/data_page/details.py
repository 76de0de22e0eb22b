"""What is known of the entry that is selected: larger pictures, all facts in words, and name, tags and notes to change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QRect, QSize, QStringListModel, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPixmap
from PyQt6.QtWidgets import QCompleter, QFormLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.gui.data_page.edit_field import EditField, EditText
from app.gui.widgets.formatting import count
from app.gui.widgets.labels import caption_label
from app.gui.widgets.palette import PICTURE
from app.gui.widgets.problem_label import ProblemLabel
from app.library.description import Fact, size_text
from app.library.entry import Entry, EntryEnd, LibraryError
from app.library.naming import check_name

_NOTES_PX = 84
_PICTURES_PX = 138


class Details(QWidget):
    """Facts and fields of one entry, or the sum of several. It emits a signal for every change, and decides nothing itself."""

    #: An Entry and its new name.
    renamed = pyqtSignal(object, str)
    #: An Entry and its new note.
    notes_changed = pyqtSignal(object, str)
    #: An Entry and its new tags, a tuple of texts.
    tags_changed = pyqtSignal(object, object)
    #: Several entries, a tuple of Entry, and the tags that all of them get beside their own, a tuple of texts.
    tags_added = pyqtSignal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self.entry: Entry | None = None
        self.heading = QLabel()
        self.heading.setObjectName("heading")
        self.heading.setTextFormat(Qt.TextFormat.PlainText)
        self.heading.setWordWrap(True)
        self.pictures = _Pictures()
        self.name = EditField()
        self.name_problem = ProblemLabel()
        self.tags = EditField()
        self.tags_problem = ProblemLabel()
        self.notes = EditText()
        self.notes_problem = ProblemLabel()
        self.more_tags = EditField()
        self._several = QWidget()
        self._entries: tuple[Entry, ...] = ()
        self.facts = QFormLayout()
        self._known_tags = QStringListModel()
        self._completer = QCompleter(self._known_tags, self)
        self._fields = QWidget()
        self._not_stored: dict[Path, tuple[str, str]] = {}
        self._build()
        self.name.textEdited.connect(self._check_name)
        self.name.restored.connect(self._forget_name_problem)
        self.tags.restored.connect(self._forget_tags_problem)
        self.name.committed.connect(self._rename)
        self.tags.committed.connect(self._change_tags)
        self.notes.committed.connect(self._change_notes)
        self.more_tags.committed.connect(self._add_tags)
        self.show_entries(())

    def show_entries(self, entries: Sequence[Entry]) -> None:
        """Show what is selected."""
        entry = entries[0] if len(entries) == 1 else None
        before, path = self.entry, entry.path if entry is not None else None
        if before is not None and before.path != path:
            self.name.restore()
            self.store_typed()
        self.entry = entry
        self._entries = tuple(entries)
        self._several.setVisible(len(entries) > 1)
        self._fields.setVisible(entry is not None)
        self.heading.setVisible(entry is None)
        self.pictures.setVisible(entry is not None)
        if entry is None:
            self.heading.setText(_sum_text(entries))
            self.pictures.show_picture(None)
            self.show_facts(())
        if before is not None and path == before.path:
            self._show_fields(before)
        elif entry is not None:
            self._show_new(entry)

    def show_facts(self, facts: Sequence[Fact]) -> None:
        """Show what is known of the entry."""
        while self.facts.rowCount() > len(facts):
            self.facts.removeRow(self.facts.rowCount() - 1)
        for row, fact in enumerate(facts):
            if row >= self.facts.rowCount():
                self.facts.addRow(_fact_label(muted=True), _fact_label())
            for role, text in ((QFormLayout.ItemRole.LabelRole, fact.caption), (QFormLayout.ItemRole.FieldRole, fact.text)):
                item = self.facts.itemAt(row, role)
                label = item.widget() if item is not None else None
                assert isinstance(label, QLabel)
                label.setText(text)
                label.setToolTip(text if role is _FIELD else "")

    def show_known_tags(self, tags: Sequence[str]) -> None:
        """Offer tags that other entries have."""
        if self._known_tags.stringList() != list(tags):
            self._known_tags.setStringList(tags)

    def show_not_stored(self, path: Path, text: str, problem: str) -> None:
        """Keep a note that could not be stored, and say why, until another one of this entry is typed."""
        self._not_stored[path] = text, problem
        if self.entry is not None and self.entry.path == path:
            self.notes.setPlainText(text)
            self.notes_problem.show_problem(problem)

    def show_name_refused(self, problem: str) -> None:
        """Say why a name was not stored."""
        if self.entry is not None:
            self.name.refuse(self.entry.name)
            self.name_problem.show_problem(problem)

    def show_tags_refused(self, problem: str) -> None:
        """Say why tags were not stored."""
        if self.entry is not None:
            self.tags.refuse(", ".join(self.entry.notes.tags))
            self.tags_problem.show_problem(problem)

    def store_typed(self) -> None:
        """Store tags and notes that were typed; a name is stored by Enter alone."""
        self.tags.commit()
        self.notes.commit()

    def edit_name(self) -> None:
        """Let the operator type another name."""
        self.name.setFocus()
        self.name.selectAll()

    def fact_texts(self) -> dict[str, str]:
        """Return the facts that are shown, by their captions."""
        texts = {}
        for row in range(self.facts.rowCount()):
            caption, value = (self.facts.itemAt(row, role) for role in (_LABEL, _FIELD))
            assert caption is not None
            assert value is not None
            texts[caption.widget().text()] = value.widget().text()  # type: ignore[union-attr]  # both are labels
        return texts

    def _show_new(self, entry: Entry) -> None:
        for field in (self.name, self.tags, self.notes):
            field.clearFocus()
        for problem in (self.name_problem, self.tags_problem, self.notes_problem):
            problem.show_problem("")
        self.pictures.show_picture(None)
        self.show_facts(())
        self.name.show_text(entry.name)
        self.name.setReadOnly(entry.end is EntryEnd.WRITING)
        self.tags.show_text(", ".join(entry.notes.tags))
        self.notes.show_text(entry.notes.text)
        if entry.path in self._not_stored:
            self.show_not_stored(entry.path, *self._not_stored[entry.path])

    def _show_fields(self, before: Entry) -> None:
        """Show what has changed of the same entry; what could not be stored stays in its field."""
        entry = self.entry
        assert entry is not None
        self.name.setReadOnly(entry.end is EntryEnd.WRITING)
        if entry.name != before.name:
            self.name.show_text(entry.name)
        if entry.notes.tags != before.notes.tags:
            self.tags.show_text(", ".join(entry.notes.tags))
        if entry.notes.text != before.notes.text:
            self.notes.show_text(entry.notes.text)

    def _forget_name_problem(self) -> None:
        self.name_problem.show_problem("")

    def _forget_tags_problem(self) -> None:
        self.tags_problem.show_problem("")

    def _check_name(self, name: str) -> None:
        try:
            check_name(name)
        except LibraryError as error:
            self.name_problem.show_problem(str(error))
        else:
            self.name_problem.show_problem("")

    def _rename(self, name: str) -> None:
        if self.entry is None:
            return
        self._check_name(name)
        if self.name_problem.text():
            self.name.refuse(self.entry.name)
        else:
            self.renamed.emit(self.entry, name)

    def _offer_tags(self, text: str) -> None:
        """Offer tags that begin as the one behind the last comma."""
        begun = text.rpartition(",")[2].strip()
        self._completer.setCompletionPrefix(begun)
        popup = self._completer.popup()
        if begun and self._completer.completionCount():
            self._completer.complete()
        elif popup is not None:
            popup.hide()

    def _complete_tag(self, tag: str) -> None:
        before = self.tags.text().rpartition(",")[0].strip()
        self.tags.setText(f"{before}, {tag}" if before else tag)

    def _change_tags(self, text: str) -> None:
        if self.entry is not None:
            self.tags_problem.show_problem("")
            self.tags_changed.emit(self.entry, _tags_in(text))

    def _add_tags(self, text: str) -> None:
        self.more_tags.show_text("")
        self.more_tags.clear()
        if len(self._entries) > 1:
            self.tags_added.emit(self._entries, _tags_in(text))

    def _change_notes(self, text: str) -> None:
        if self.entry is not None:
            self._not_stored.pop(self.entry.path, None)
            self.notes_problem.show_problem("")
            self.notes_changed.emit(self.entry, text)

    def _build(self) -> None:
        for widget, name, tip in (
            (self.name, "Name", "Its name; Enter stores another one, Escape brings it back  (F2)"),
            (self.tags, "Tags", "Words to look for later, with commas between them"),
            (self.more_tags, "Tags for all", "All that is selected gets these tags beside its own; Enter stores them"),
            (self.notes, "Notes", "Anything worth knowing; stored beside the data when you go on"),
        ):
            widget.setAccessibleName(name)
            widget.setToolTip(tip)
        self.tags.setPlaceholderText("liver, control")
        self._completer.setWidget(self.tags)
        self._completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.tags.textEdited.connect(self._offer_tags)
        self._completer.activated.connect(self._complete_tag)
        self.notes.setFixedHeight(_NOTES_PX)
        self.notes.setPlaceholderText("no notes")
        fields = QVBoxLayout(self._fields)
        fields.setContentsMargins(0, 0, 0, 0)
        fields.setSpacing(3)
        for caption, field, problem in (
            ("Name", self.name, self.name_problem),
            ("Tags", self.tags, self.tags_problem),
            ("Notes", self.notes, self.notes_problem),
        ):
            fields.addWidget(caption_label(caption))
            fields.addWidget(field)
            fields.addWidget(problem)
        several = QVBoxLayout(self._several)
        several.setContentsMargins(0, 0, 0, 0)
        several.setSpacing(3)
        several.addWidget(caption_label("Add tags to all of them"))
        several.addWidget(self.more_tags)
        self.more_tags.setPlaceholderText("liver, control")
        self.facts.setHorizontalSpacing(12)
        self.facts.setVerticalSpacing(4)
        self.facts.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(8)
        layout.addWidget(self.heading)
        layout.addWidget(self.pictures)
        layout.addWidget(self._fields)
        layout.addWidget(self._several)
        layout.addLayout(self.facts)
        layout.addStretch(1)


_LABEL, _FIELD = QFormLayout.ItemRole.LabelRole, QFormLayout.ItemRole.FieldRole


def _fact_label(*, muted: bool = False) -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    if muted:
        label.setObjectName("muted")
    else:
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # a path is cut, not made room for
    return label


def _tags_in(text: str) -> tuple[str, ...]:
    return tuple(tag.strip() for tag in text.split(",") if tag.strip())


def _sum_text(entries: Sequence[Entry]) -> str:
    if not entries:
        return "Nothing is selected"
    return f"{count(len(entries))} selected, {size_text(sum(entry.size_bytes for entry in entries))}"


class _Pictures(QWidget):
    """A frame at the left and its phase at the right, in the size that there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self._picture: QPixmap | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Picture")
        self.setToolTip("A camera frame at the left, its phase at the right")

    def show_picture(self, picture: QPixmap | None) -> None:
        """Show a picture, or an empty place."""
        self._picture = picture
        self.update()

    @property
    def is_empty(self) -> bool:
        """Whether no picture is shown."""
        return self._picture is None

    def sizeHint(self) -> QSize:
        """Return the size of two squares."""
        return QSize(2 * _PICTURES_PX, _PICTURES_PX)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the picture."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(PICTURE.background))
        if self._picture is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            size = self._picture.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
            left, top = (self.width() - size.width()) // 2, (self.height() - size.height()) // 2
            painter.drawPixmap(QRect(left, top, size.width(), size.height()), self._picture)

"""The list of entries: rows with a small picture, keys and a menu for what can be done, letters that go to the search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from PyQt6.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QKeyCombination,
    QModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    pyqtSignal,
)
from PyQt6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFont,
    QIcon,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
)
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from app.gui.data_page.entry_list.actions import EntryAction
from app.gui.data_page.entry_list.entry_model import COLUMNS, SECOND_LINE, Column, EntryModel
from app.gui.widgets.icons import icon
from app.gui.widgets.palette import PICTURE, colours
from app.gui.widgets.style import SMALLEST_TEXT_PX
from app.library.entry import Entry

_ROW_PX = 54
_PICTURE_PX = QSize(98, 48)
_SIGN_PX = 16
_GAP_PX = 6
#: A name gets at least this width; columns that give way on a small screen, in this order. The details show them too.
_LEAST_NAME_PX = 150
_GIVE_WAY = (Column.INSTRUMENT, Column.KIND, Column.LENGTH)


class _EntryDelegate(QStyledItemDelegate):
    """Paints a cell: a picture or a sign, and one or two lines."""

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Paint a cell."""
        assert painter is not None
        self.initStyleOption(option, index)
        sign = index.data(Qt.ItemDataRole.DecorationRole)
        option.text = ""
        option.icon = QIcon()
        option.state &= ~QStyle.StateFlag.State_HasFocus  # the row is selected, not its cell
        widget = option.widget
        style = widget.style() if widget is not None else None
        if style is not None:
            style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, widget)
        painter.save()
        column = COLUMNS[index.column()]
        if column is Column.PICTURE:
            _paint_picture(painter, option.rect, sign)
        elif column is Column.STAR:
            sign.paint(painter, option.rect.adjusted(0, 17, 0, -17))
        else:
            place = option.rect.adjusted(_GAP_PX, 0, -_GAP_PX, 0)
            if sign is not None:
                top = place.center().y() - _SIGN_PX // 2
                sign.paint(painter, QRect(place.left(), top, _SIGN_PX, _SIGN_PX))
                place.adjust(_SIGN_PX + _GAP_PX, 0, 0, 0)
            _paint_lines(painter, place, index, option.font)
        painter.restore()


def _paint_picture(painter: QPainter, cell: QRect, picture: QPixmap | None) -> None:
    place = QRect(QPoint(0, 0), _PICTURE_PX)
    place.moveCenter(cell.center())
    painter.fillRect(place, QColor(PICTURE.background))
    if picture is not None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(place, picture)


def _paint_lines(painter: QPainter, place: QRect, index: QModelIndex, font: QFont) -> None:
    first, second = str(index.data(Qt.ItemDataRole.DisplayRole) or ""), str(index.data(SECOND_LINE) or "")
    side = COLUMNS[index.column()].value
    flags = Qt.AlignmentFlag.AlignRight if side.right else Qt.AlignmentFlag.AlignLeft
    painter.setFont(font)
    metrics = painter.fontMetrics()
    height = metrics.lineSpacing()
    top = place.center().y() - (height if second else height // 2)
    for number, (text, colour) in enumerate(((first, colours().text), (second, colours().muted))):
        painter.setPen(QColor(colour))
        line = QRect(place.left(), top + number * height, place.width(), height)
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, line.width())
        painter.drawText(line, flags | Qt.AlignmentFlag.AlignVCenter, shown)


class EntryTable(QTableView):
    """The list. It emits a signal for every request, and decides nothing itself.

    Parameters
    ----------
    model : EntryModel
        The entries.
    """

    #: The operator wants to do something with what is selected; an EntryAction.
    action_requested = pyqtSignal(object)
    #: The star of an entry was clicked; the Entry.
    star_clicked = pyqtSignal(object)
    #: A letter was typed that belongs into the search.
    typed = pyqtSignal(str)
    #: Other entries are selected.
    chosen = pyqtSignal()

    def __init__(self, model: EntryModel) -> None:
        super().__init__()
        self._model = model
        self._refusals: Mapping[EntryAction, str] = {}
        self._empty_text = ""
        self._keys = {QKeySequence(action.value.key)[0].toCombined(): action for action in EntryAction if action.value.key}
        scale = max(1.0, self.font().pixelSize() / SMALLEST_TEXT_PX)
        self._widths = {column: round(column.value.width_px * scale) for column in COLUMNS}
        self.setModel(model)
        selection = self.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(self.chosen)
        self.setItemDelegate(_EntryDelegate(self))
        self.setAccessibleName("Recordings, datasets and snapshots")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self._set_up_headers()
        self.doubleClicked.connect(self._play)

    @property
    def selected(self) -> tuple[Entry, ...]:
        """The entries that are selected, from top to bottom."""
        selection = self.selectionModel()
        rows = sorted(index.row() for index in selection.selectedRows()) if selection is not None else []
        return tuple(self._model.entries[row] for row in rows)

    def show_entries(self, entries: tuple[Entry, ...], also: Iterable[Path] = ()) -> None:
        """Show other entries; what is selected and still there stays selected.

        Parameters
        ----------
        entries : tuple of Entry
            The entries.
        also : iterable of Path
            Entries that are to be selected in place of the present ones, for instance one with a new name.
        """
        wanted = frozenset(also) or frozenset(entry.path for entry in self.selected)
        top = self.rowAt(0)
        first = self._model.entries[top].path if 0 <= top < len(self._model.entries) else None
        if self._model.show_entries(entries) or also:
            self._select(wanted)
            if first is not None and not also:
                self._scroll_to(first)
        self.chosen.emit()
        self.viewport_.update()

    def select(self, paths: Iterable[Path]) -> None:
        """Select entries, and show the first of them."""
        wanted = frozenset(paths)
        self._select(wanted)
        row = next((row for row, entry in enumerate(self._model.entries) if entry.path in wanted), None)
        if row is not None:
            self.scrollTo(self._model.index(row, 0))

    def enter_list(self) -> None:
        """Go into the list with the keyboard; the first entry is selected where none is."""
        self.setFocus()
        if self._model.entries and not self.selected:
            self.select((self._model.entries[0].path,))

    def show_refusals(self, refusals: Mapping[EntryAction, str]) -> None:
        """Say which actions cannot be done now, and why."""
        self._refusals = refusals

    def show_empty_text(self, text: str) -> None:
        """Choose what is written where no entry is."""
        if text != self._empty_text:
            self._empty_text = text
            self.viewport_.update()

    @property
    def viewport_(self) -> QWidget:
        """The area that is painted."""
        viewport = self.viewport()
        assert viewport is not None
        return viewport

    def set_order(self, order: tuple[Column, bool]) -> None:
        """Sort by a column; True puts the largest first. What is selected stays selected."""
        paths = frozenset(entry.path for entry in self.selected)
        self._model.set_order(order[0], descending=order[1])
        self._select(paths)
        self._show_order()

    def _show_order(self) -> None:
        column, descending = self._model.order
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self._header.setSortIndicator(COLUMNS.index(column), order)

    # -- keys, mouse and menu -------------------------------------------------------------------------------------

    def event(self, event: QEvent | None) -> bool:
        """Keep the keys that mean something in the list from the menus of the window."""
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.ShortcutOverride and self._means(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Do what a key means; letters go to the search."""
        assert event is not None
        action = self._keys.get(_combined(event))
        if action is not None:
            self.request(action)
        elif self._is_letter(event):
            self.typed.emit(event.text())
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:
        """Show what can be done; what cannot be done says why."""
        if event is None or not self.selected:
            return
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for action in EntryAction:
            if action is EntryAction.REPAIR and self._refusals.get(action):
                continue
            if action is EntryAction.TRASH:
                menu.addSeparator()
            text, why_not = action.value, self._refusals.get(action, "")
            item = menu.addAction(text.text + (f"\t{text.key}" if text.key else ""))
            assert item is not None
            if text.icon:
                item.setIcon(icon(text.icon))
            item.setData(action)
            item.setEnabled(not why_not)
            item.setToolTip(why_not or text.tip)
        menu.triggered.connect(self._request_item)
        menu.popup(event.globalPos())

    def request(self, action: EntryAction) -> None:
        """Ask for an action, unless it cannot be done."""
        if not self._refusals.get(action):
            self.action_requested.emit(action)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Leave the selection as it is where a star is clicked."""
        if event is not None and event.button() is Qt.MouseButton.LeftButton:
            index = self.indexAt(event.position().toPoint())
            if index.isValid() and COLUMNS[index.column()] is Column.STAR:
                self.star_clicked.emit(self._model.entries[index.row()])
                return
        super().mousePressEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the list, or why nothing is in it."""
        super().paintEvent(event)
        if not self._model.entries:
            painter = QPainter(self.viewport_)
            painter.setPen(QColor(colours().muted))
            place = self.viewport_.rect().adjusted(30, 30, -30, -30)
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._empty_text)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Leave the names enough room: on a narrow screen some columns are hidden."""
        super().resizeEvent(event)
        room = self.viewport_.width() - sum(self._widths[column] for column in COLUMNS if column is not Column.NAME)
        for column in _GIVE_WAY:
            self.setColumnHidden(COLUMNS.index(column), room < _LEAST_NAME_PX)
            room += self._widths[column] if room < _LEAST_NAME_PX else 0

    # -- inside ---------------------------------------------------------------------------------------------------

    def _means(self, event: QKeyEvent) -> bool:
        return _combined(event) in self._keys or self._is_letter(event) or event.key() == Qt.Key.Key_Space

    @staticmethod
    def _is_letter(event: QKeyEvent) -> bool:
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier)
        return plain and event.text().isprintable() and event.text().strip() != ""

    def _request_item(self, item: object) -> None:
        self.request(item.data())  # type: ignore[attr-defined]  # a QAction

    def _play(self, index: QModelIndex) -> None:
        if COLUMNS[index.column()] is not Column.STAR:
            self.request(EntryAction.PLAY)

    def _select(self, paths: frozenset[Path]) -> None:
        model, selection = self._model, self.selectionModel()
        assert selection is not None
        chosen = QItemSelection()
        rows = [row for row, entry in enumerate(model.entries) if entry.path in paths]
        for row in rows:
            chosen.select(model.index(row, 0), model.index(row, len(COLUMNS) - 1))
        if rows:
            selection.setCurrentIndex(model.index(rows[0], 0), QItemSelectionModel.SelectionFlag.NoUpdate)
        selection.select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def _scroll_to(self, path: Path) -> None:
        row = next((row for row, entry in enumerate(self._model.entries) if entry.path == path), None)
        if row is not None:
            self.scrollTo(self._model.index(row, 0), QAbstractItemView.ScrollHint.PositionAtTop)

    @property
    def _header(self) -> QHeaderView:
        header = self.horizontalHeader()
        assert header is not None
        return header

    def _set_up_headers(self) -> None:
        rows, header = self.verticalHeader(), self._header
        assert rows is not None
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(_ROW_PX)
        header.setMinimumSectionSize(30)
        header.setHighlightSections(False)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        for number, column in enumerate(COLUMNS):
            is_name = column is Column.NAME
            header.setSectionResizeMode(number, QHeaderView.ResizeMode.Stretch if is_name else QHeaderView.ResizeMode.Fixed)
            header.resizeSection(number, self._widths[column])
        header.sectionClicked.connect(self._sort)
        self._show_order()

    def _sort(self, section: int) -> None:
        column, descending = self._model.order
        wanted = COLUMNS[section]
        # What is newest, longest, largest or starred comes first at the first click; words begin with A.
        first_descending = wanted.value.right or wanted in (Column.DATE, Column.STAR)
        self.set_order((wanted, not descending if wanted is column else first_descending))


def _combined(event: QKeyEvent) -> int:
    """Return a key with Shift, Ctrl and Alt as one number; Enter of the number pad is Return."""
    if event.key() != Qt.Key.Key_Enter:
        return event.keyCombination().toCombined()
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    return QKeyCombination(modifiers, Qt.Key.Key_Return).toCombined()

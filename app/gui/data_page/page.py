"""The Data page: everything that was recorded, found at once, looked at, and put in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QByteArray, Qt, QTimer, QUrl
from PyQt6.QtGui import QDesktopServices, QKeySequence, QShortcut
from PyQt6.QtWidgets import QFileDialog, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from app.gui.data_page.details import Details
from app.gui.data_page.entry_commands import EntryCommands, Field
from app.gui.data_page.entry_list.action_bar import ActionBar
from app.gui.data_page.entry_list.actions import EntryAction, refusal
from app.gui.data_page.entry_list.entry_model import EntryModel
from app.gui.data_page.entry_list.entry_table import EntryTable
from app.gui.data_page.entry_list.thumbnail_loader import ThumbnailLoader, pixmap_of
from app.gui.data_page.filter_bar import FilterBar
from app.gui.data_page.filters import Filters, KindFilter
from app.gui.data_page.notice_source import NoticeSource
from app.gui.data_page.notices import Notice, NoticeAction, NoticeKind, NoticeList
from app.gui.data_page.remembered import Remembered
from app.gui.data_page.selected_reader import SelectedReader
from app.gui.data_page.trash_view import TrashView
from app.gui.image_view.pane import Pane
from app.gui.pages.page import Page, PageContext
from app.gui.player.player import Player
from app.gui.session_protocol import SessionLike
from app.gui.widgets.formatting import count
from app.gui.widgets.labels import scrolled
from app.gui.widgets.questions import Question, ask
from app.gui.widgets.style import GAP_PX
from app.library.archives import Archives, ArchiveState
from app.library.description import size_text
from app.library.entry import Entry
from app.library.transfer import UnfinishedCopy
from app.library.transfers import Transfer, TransferKind
from app.live.recordings.options import RecordingOptions
from app.status import Message, MessageLevel, Topic

_POLL_MS = 100
_DETAILS_PX = 316


class DataPage(Page):
    """Recordings, datasets and snapshots of the instrument's archive, and of folders that the operator adds.

    Parameters
    ----------
    context : PageContext
        What it gets from the window.
    """

    title = "Data"
    icon_name = "data"

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.remembered = Remembered(context.store)
        self.archives = Archives()
        self.pictures = ThumbnailLoader()
        self.model = EntryModel(self.pictures)
        self.commands = EntryCommands(context.jobs, self.archives)
        self.bar = FilterBar()
        self.notices = NoticeList(self.bar.trash)
        self.table = EntryTable(self.model)
        self.details = Details()
        self.buttons = ActionBar()
        self.trash = TrashView()
        self.views = QStackedWidget()
        self.player: Player | None = None
        self._sources = NoticeSource()
        self._reader = SelectedReader()
        self._own: Path | None = self.remembered.own_archive
        self._seen = -1
        self._entered = False
        self._to_select: frozenset[Path] = frozenset()
        self._answers: dict[EntryAction, Callable[[tuple[Entry, ...]], object]] = {
            EntryAction.PLAY: lambda entries: self.play(_paths(entries)),
            EntryAction.LIVE: lambda entries: self.play_requested.emit(entries[0].path),
            EntryAction.EXPORT: lambda entries: self.export_requested.emit(_paths(entries)),
            EntryAction.RENAME: lambda entries: self.details.edit_name(),
            EntryAction.STAR: self._star,
            EntryAction.COPY: partial(self._choose_target, TransferKind.COPY),
            EntryAction.MOVE: partial(self._choose_target, TransferKind.MOVE),
            EntryAction.FOLDER: _open_folder,
            EntryAction.REPAIR: self._repair,
            EntryAction.TRASH: self.commands.move_to_trash,
        }
        self._build()
        self._connect()
        self.table.set_order(self.remembered.order)
        self._use_archives()
        self._show_selected()

    # -- the window -----------------------------------------------------------------------------------------------

    def use_session(self, session: SessionLike | None) -> None:
        """List the archive of another instrument; without one, that of the last one."""
        super().use_session(session)
        if session is not None:
            self._own = session.recording_folder(RecordingOptions()).absolute()
            self.remembered.own_archive = self._own
            self._use_archives()

    def show_file(self, path: Path | None, problem: str = "") -> None:
        """Play a recording or a dataset."""
        if path is not None:
            self.play((path,))

    def enter(self) -> None:
        """Look at the archives, and show what is known at once."""
        self._entered = True
        self.archives.start()
        self._timer.start(_POLL_MS)
        self._show_list()
        if self.player is not None and self.is_playing:
            self.player.enter()

    def leave(self) -> None:
        """Store what was typed, and look at nothing any more."""
        self._entered = False
        if self.player is not None:
            self.player.leave()
        self._store_typed()
        self.archives.stop()

    def release(self) -> None:
        """Look at nothing, and play nothing any more."""
        self.archives.stop()
        if self.player is not None:
            self.player.release()

    def unfinished(self) -> str:
        """Store what was typed; nothing else can be lost."""
        self._store_typed()
        return ""

    # -- the list -------------------------------------------------------------------------------------------------

    def poll(self) -> None:
        """Show what is new; the timer calls this."""
        self.commands.poll()
        if self.archives.changes != self._seen:
            self._show_list()
        if self._sources.poll():
            self._show_notices()
        if self.pictures.poll():
            self.model.show_pictures()
        known = self._reader.poll()
        if known is not None and self.details.entry is not None and known.path == self.details.entry.path:
            self.details.show_facts(known.facts)
            self.details.pictures.show_picture(None if known.picture is None else pixmap_of(known.picture))
        self._show_refusals()
        if not self._entered and not self.commands.busy:
            self._timer.stop()

    def show_only(self, filters: Filters) -> None:
        """Set the filters."""
        self.bar.show_filters(filters)

    def _show_list(self) -> None:
        """Show what is known of the archives now."""
        self._seen = self.archives.changes
        self._show_matches()
        everything = self.archives.entries
        self.bar.show_archives(self.archives.statuses(), self._own)
        self.details.show_known_tags(sorted({tag for entry in everything for tag in entry.notes.tags}, key=str.casefold))
        self._sources.look(everything, (*self.archives.roots, *self.remembered.targets))
        self._show_notices()

    def _show_matches(self) -> None:
        """Show the entries that fit the filters."""
        filters = self.bar.filters()
        matches = filters.fitting(self.archives.search(filters.query))
        there = self._to_select & {entry.path for entry in matches} if self._to_select else frozenset()
        self.table.show_empty_text(self._empty_text(filters))
        self.table.show_entries(matches, also=there)
        self._to_select -= there

    def _show_notices(self) -> None:
        busy = frozenset(folder for job in self.context.jobs.running for folder in job.order.folders)
        self.notices.show_notices(self._sources.notices(self.archives.statuses(), self._own, busy))

    def _empty_text(self, filters: Filters) -> str:
        statuses = self.archives.statuses()
        if filters != Filters() and self.archives.entries:
            return "Nothing fits what you search for.\nUse fewer words or other filters."
        if any(status.state is ArchiveState.LOOKING for status in statuses):
            return "Looking at the archive…"
        if not statuses:
            return "No archive is listed. Open an instrument, or add a folder with Archives > Add a folder."
        places = "\n".join(str(status.root) for status in statuses)
        return f"Nothing was recorded yet.\nRecordings, datasets and snapshots appear here by themselves.\n\n{places}"

    # -- what is selected -----------------------------------------------------------------------------------------

    def _show_selected(self) -> None:
        entries = self.table.selected
        self.details.show_entries(entries)
        self._reader.read(entries[0] if len(entries) == 1 else None)
        self._show_refusals()

    def _show_refusals(self) -> None:
        """Say what can be done with what is selected, and why something cannot be done now."""
        entries = self.table.selected
        conflict = self.context.jobs.conflict(folders=frozenset(entry.path for entry in entries))
        refusals = {action: refusal(action, entries, conflict) for action in EntryAction}
        self.table.show_refusals(refusals)
        self.buttons.show_refusals(refusals)
        in_use = f". {refusals[EntryAction.TRASH]}" if entries and refusals[EntryAction.TRASH] else ""
        self.buttons.text.show_text(f"{self._count_text(entries)}{in_use}")

    def _count_text(self, entries: Sequence[Entry]) -> str:
        statuses = self.archives.statuses()
        listed = len(self.model.entries)
        known = sum(status.entries for status in statuses if status.state is not ArchiveState.GONE)
        text = f"{count(listed)} of {count(known)} listed" if listed != known else f"{count(listed)} listed"
        done, total = sum(status.done for status in statuses), sum(status.total for status in statuses)
        if total:
            text += f", {count(done)} of {count(total)} folders looked at"
        if entries:
            text += f"; {count(len(entries))} selected, {size_text(sum(entry.size_bytes for entry in entries))}"
        return text

    def _act(self, action: EntryAction) -> None:
        self.succeeded.emit()
        self._answers[action](self.table.selected)
        self._timer.start(_POLL_MS)

    def _star(self, entries: Sequence[Entry]) -> None:
        self.commands.star(entries, star=not all(entry.notes.star for entry in entries))

    def _toggle_star(self, entry: Entry) -> None:
        self.commands.star((entry,), star=not entry.notes.star)

    def _repair(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.commands.repair(entry)

    def _choose_target(self, kind: TransferKind, entries: Sequence[Entry]) -> None:
        dialog = QFileDialog(self, f"{kind.value} to this folder", str(next(iter(self.remembered.targets), Path.home())))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda name: self.transfer(entries, kind, Path(name)))
        dialog.open()

    def transfer(self, entries: Sequence[Entry], kind: TransferKind, folder: Path) -> None:
        """Copy or move entries into a folder, in the background."""
        self.remembered.add_target(folder)
        self.commands.transfer(entries, kind, folder)
        self._timer.start(_POLL_MS)

    # -- outcomes -------------------------------------------------------------------------------------------------

    def _look_again(self, folders: tuple[Path, ...]) -> None:
        self.archives.look(*folders)

    def _follow(self, former: Path, new: Path) -> None:
        """Keep an entry selected that has moved."""
        if any(entry.path == former for entry in self.table.selected):
            self._to_select = frozenset({new})

    def _show_refused(self, entry: Entry, field: Field, typed: str, problem: str) -> None:
        shown = self.details.entry
        if field is Field.NOTES:
            self.details.show_not_stored(entry.path, typed, problem)
        elif shown is not None and shown.path == entry.path:
            tell = self.details.show_name_refused if field is Field.NAME else self.details.show_tags_refused
            tell(problem)
        else:
            self.reported.emit(Message(MessageLevel.ERROR, problem, Topic.COMMAND))

    def _look_for_copies(self) -> None:
        self._sources.look(self.archives.entries, (*self.archives.roots, *self.remembered.targets), again=True)

    def _store_typed(self) -> None:
        self.details.store_typed()
        self.remembered.order = self.model.order
        self.remembered.splitter = self._splitter.saveState()

    # -- notices --------------------------------------------------------------------------------------------------

    def _answer(self, notice: Notice, action: NoticeAction) -> None:
        subject = notice.subject
        if action is NoticeAction.HIDE:
            self._sources.hide(notice)
        elif action is NoticeAction.LOOK_AGAIN:
            self.archives.look()
        elif notice.kind is NoticeKind.CUT_OFF and isinstance(subject, tuple):
            self._answer_cut_off(subject, action)
        elif notice.kind is NoticeKind.ARCHIVE_GONE and isinstance(subject, Path):
            self._remove_archive(subject)
        elif isinstance(subject, UnfinishedCopy):
            self._answer_copy(subject, action)
        self._show_notices()

    def _answer_cut_off(self, entries: tuple[Entry, ...], action: NoticeAction) -> None:
        if action is NoticeAction.SHOW:
            self.show_only(Filters(kind=KindFilter.CUT_OFF))
            self.table.select(entry.path for entry in entries)
        else:
            self._repair(entries)

    def _answer_copy(self, copy: UnfinishedCopy, action: NoticeAction) -> None:
        if action is NoticeAction.DISCARD:
            self.commands.discard(copy)
            return
        root = next((root for root in self.archives.roots if copy.source.is_relative_to(root)), copy.source.parent)
        kind = TransferKind.MOVE if copy.is_move else TransferKind.COPY
        transfer = Transfer(kind=kind, root=root, sources=(copy.source,), folder=copy.target.parent)
        self.commands.start_transfer(transfer)

    # -- archives -------------------------------------------------------------------------------------------------

    def _use_archives(self) -> None:
        own = (self._own,) if self._own is not None else ()
        self.archives.use((*own, *self.remembered.archives))
        self._show_list()

    def _choose_archive(self) -> None:
        dialog = QFileDialog(self, "List the recordings of this folder", str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.add_archive)
        dialog.open()

    def add_archive(self, folder: str | Path) -> None:
        """List the entries of a further folder, now and in future."""
        self.remembered.archives = (*self.remembered.archives, Path(folder).absolute())
        self._use_archives()

    def _remove_archive(self, root: Path) -> None:
        self.remembered.archives = tuple(archive for archive in self.remembered.archives if archive != root)
        self._use_archives()

    # -- player ---------------------------------------------------------------------------------------------------

    @property
    def is_playing(self) -> bool:
        """Whether the player is shown in place of the list."""
        return self.player is not None and self.views.currentWidget() is self.player

    @property
    def pane_on_display(self) -> Pane | None:
        """The pane of the player that is chosen; None while the list is shown."""
        return self.player.left.pictures.current if self.player is not None and self.is_playing else None

    def play(self, archives: Sequence[Path]) -> None:
        """Play a recording or a dataset in place of the list; a second one beside it."""
        if self.player is None:
            self.player = Player(self.context)
            self.player.reported.connect(self.reported)
            self.player.play_requested.connect(self.play_requested)
            self.player.export_requested.connect(self.export_requested)
            self.player.back_clicked.connect(self._show_list_again)
            self.views.addWidget(self.player)
        self.player.open_archive(archives[0])
        if len(archives) > 1:
            self.player.compare_with(archives[1])
        self.views.setCurrentWidget(self.player)
        self.setFocusProxy(self.player)
        self.player.enter()
        self.player.setFocus()

    # -- trash ----------------------------------------------------------------------------------------------------

    def show_trash(self) -> None:
        """Show the trash in place of the list."""
        self.trash.problem.show_problem("")
        self.commands.read_trash()
        self.views.setCurrentWidget(self.trash)
        self.trash.table.setFocus()

    def _show_list_again(self) -> None:
        if self.player is not None and self.is_playing:
            self.player.leave()
            self.player.close_archive()  # its folder can be renamed and moved again
        self.views.setCurrentIndex(0)
        self.setFocusProxy(self.table)
        self.table.setFocus()
        self.archives.look()

    def _empty_trash(self) -> None:
        entries = self.trash.entries
        size = size_text(sum(entry.size_bytes for entry in entries))
        noun = "entry" if len(entries) == 1 else "entries"
        text = f"{count(len(entries))} {noun} of {size} will be deleted for good. Nothing can bring them back."
        if ask(Question(text=text, agree="Delete for good", refuse="Keep"), self):
            self.trash.problem.show_problem("")
            roots = {root for entry in entries for root in self.archives.roots if entry.path.is_relative_to(root)}
            self.commands.empty_trash(sorted(roots))

    # -- construction ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._splitter = QSplitter(Qt.Orientation.Horizontal)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self.table)
        self._splitter.addWidget(scrolled(self.details))
        self._splitter.setStretchFactor(0, 1)
        self._splitter.setSizes([10 * _DETAILS_PX, _DETAILS_PX])
        if self.remembered.splitter:
            self._splitter.restoreState(QByteArray(self.remembered.splitter))
        listed = QWidget()
        column = QVBoxLayout(listed)
        column.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, 4)
        column.setSpacing(8)
        column.addWidget(self.bar)
        column.addWidget(self.notices)
        column.addWidget(self._splitter, 1)
        column.addWidget(self.buttons)
        self.views.addWidget(listed)
        self.views.addWidget(self.trash)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.views)
        self.setFocusProxy(self.table)
        find = QShortcut(QKeySequence("Ctrl+F"), self)
        find.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        find.activated.connect(self._find)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.poll)

    def _find(self) -> None:
        self.bar.search.setFocus()
        self.bar.search.selectAll()

    def _connect(self) -> None:
        self.bar.changed.connect(self._show_matches)
        self.bar.add_requested.connect(self._choose_archive)
        self.bar.remove_requested.connect(self._remove_archive)
        self.bar.look_requested.connect(self.archives.look)
        self.bar.list_requested.connect(self.table.enter_list)
        self.bar.trash_requested.connect(self.show_trash)
        self.notices.requested.connect(self._answer)
        self.table.action_requested.connect(self._act)
        self.table.star_clicked.connect(self._toggle_star)
        self.table.typed.connect(self.bar.type)
        self.table.chosen.connect(self._show_selected)
        self.buttons.requested.connect(self._act)
        self.details.renamed.connect(self.commands.rename)
        self.details.tags_changed.connect(self.commands.set_tags)
        self.details.tags_added.connect(self.commands.add_tags)
        self.details.notes_changed.connect(self.commands.set_notes)
        self.commands.reported.connect(self.reported)
        self.commands.changed.connect(self._look_again)
        self.commands.moved.connect(self._follow)
        self.commands.refused.connect(self._show_refused)
        self.commands.trash_read.connect(self.trash.show_entries)
        self.commands.trash_refused.connect(self.trash.problem.show_problem)
        self.commands.transfer_ended.connect(self._look_for_copies)
        self.trash.back_clicked.connect(self._show_list_again)
        self.trash.restore_requested.connect(self.commands.restore)
        self.trash.empty_requested.connect(self._empty_trash)


def _paths(entries: Sequence[Entry]) -> tuple[Path, ...]:
    return tuple(entry.path for entry in entries)


def _open_folder(entries: Sequence[Entry]) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(entries[0].path)))

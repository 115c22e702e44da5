"""The journal: every run's events and answers, written as they happen to one SQLite file.

    file      the file: its tables (docs/JOURNAL.md has queries worth having), versions, connections
    made      what a run is made from, and one made again
    rows      events and answers as rows of those tables, and back
    going_on  what a run that goes on asks again
    recorder  writes a run
    reader    the journal itself: finds runs, reads and removes them, begins and resumes recording

A row is committed before the run goes on, so a killed process loses nothing that was answered.  Where the
file cannot be written the run goes on unrecorded, and says so once.  Keys of APIs are never given to this
package.
"""

from rlm_core.journal.file import VERSION, JournalError
from rlm_core.journal.going_on import state
from rlm_core.journal.made import About, about, again, check_source, question, setup_of
from rlm_core.journal.reader import Journal
from rlm_core.journal.recorder import Recorder
from rlm_core.journal.rows import recalled

__all__ = [
    "VERSION",
    "About",
    "Journal",
    "JournalError",
    "Recorder",
    "about",
    "again",
    "check_source",
    "question",
    "recalled",
    "setup_of",
    "state",
]

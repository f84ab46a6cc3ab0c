"""Plays what is left of a week, in a process that a test may kill: FOLDER DAYS CADENCE_MINUTES RESULT."""

import sys
from datetime import datetime, timedelta
from pathlib import Path

from dbplanmon_pipeline.demo.week_play import play_week
from dbplanmon_pipeline.demo.week_settings import WeekPlace


class Nobody:
    """Looks away."""

    def deed(self, at: datetime, what: str) -> None:
        pass

    def message(self, message: object) -> None:
        pass


def main(folder: str, days: str, cadence_minutes: str, result: str) -> None:
    place = WeekPlace(Path(folder), int(days), timedelta(minutes=int(cadence_minutes)))
    play_week(place, place.folder / "dagster", Nobody(), restart=False).write(Path(result))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Stands for an instance whose engine this version cannot read."""

from contextlib import AbstractContextManager

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.ports import Budget, DatabaseReader
from dbplanmon_pipeline.errors import FeatureUnavailable


class MissingProvider:
    """Satisfies `Provider` and says with every question why there is no answer.

    Args:
        instance: its name.
        engine: what the settings ask for.
        remedy: what can be done.
    """

    def __init__(self, instance: str, engine: Engine, remedy: str) -> None:
        self._instance = instance
        self._remedy = remedy
        self.engine = engine

    def databases(self) -> list[str]:
        """Nothing can be listed.

        Raises:
            FeatureUnavailable: always.
        """
        raise self._reason(self._instance)

    def open(self, database: str, budget: Budget) -> AbstractContextManager[DatabaseReader]:
        """Nothing can be opened.

        Raises:
            FeatureUnavailable: always.
        """
        del budget
        raise self._reason(f"{self._instance}/{database}")

    def cancel(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing is held."""

    def _reason(self, target: str) -> FeatureUnavailable:
        return FeatureUnavailable(
            f"engine {self.engine.value} cannot be read by this version", target=target, remedy=self._remedy
        )

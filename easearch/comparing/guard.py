"""The test part under guard: it is read once, by the judge."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from easearch.data import Batches
from easearch.errors import DataError
from easearch.feed import DataFeed


@dataclass(frozen=True, kw_only=True, eq=False)
class Guarded(DataFeed):
    """A feed that counts how often the test part is asked for, and gives it once."""

    looks: list[str] = field(default_factory=list)
    """A word for every time."""

    @classmethod
    def over(cls, feed: DataFeed) -> Guarded:
        """The same data under guard."""
        return cls(**{one.name: getattr(feed, one.name) for one in fields(DataFeed)})

    def test(self) -> Batches:
        """The test part.

        Raises:
            DataError: it was asked for before.
        """
        self.looks.append("test")
        if len(self.looks) > 1:
            raise DataError(
                "the test part was read before: what decided by it cannot be judged by it; decide "
                "on the validation part"
            )
        return super().test()
